"""One device that is wanted by several: by two workers of pytest, by another tool's trace, by a folder that is full."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from android_suite.boot.booted import Booted
from android_suite.boot.virtual import boot_virtual
from tests.settings import CONFIG

pytestmark = pytest.mark.vdev

KERNEL = "6.17.13"
TESTS = """
import pytest

@pytest.mark.parametrize("n", range(4))
def test_it(record, device, n):
    done = record("command", run="sleep 2; cat /sys/kernel/tracing/tracing_on")
    assert done.summaries
"""
PLAN = """
[plan]
name = "busy"
mode = "realtime"
boots = 1

[[kernel]]
label = "before"
kernel = "attached"
role = "baseline"

[[kernel]]
label = "after"
kernel = "./boot.img"
boot = "fastboot"
release = "6.17.13"
role = "candidate"

[[scenario]]
name = "command"
parameters = { run = "true" }
"""


@pytest.fixture(scope="module")
def booted() -> Iterator[Booted]:
    with boot_virtual(KERNEL, config=CONFIG) as device:
        yield device


def suite(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", *words]
    return subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=900, check=False)


def test_two_workers_of_pytest_take_turns(booted: Booted, tmp_path: Path) -> None:
    (tmp_path / "test_shared.py").write_text(TESTS)
    words = ("-n", "2", "-p", "no:cacheprovider", "--junitxml", "junit.xml", "--serial", booted.device.serial)
    done = suite("pytest", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    cases = Xml.parse(tmp_path / "junit.xml").getroot().findall(".//testcase")
    assert len(cases) == 4
    runs = [one.get("value") for case in cases for one in case.iter("property") if one.get("name") == "run"]
    assert len(set(runs)) == 4
    assert not booted.device.run("cat /data/local/tmp/android-suite/claim 2>/dev/null; true").text.strip()


def test_a_device_that_another_tool_traces(booted: Booted, tmp_path: Path) -> None:
    booted.device.run("echo 1 > /sys/kernel/tracing/events/irq/enable")
    try:
        words = ("android_suite.cli.main", "record", "command", "--run", "true", "--serial", booted.device.serial)
        done = suite(*words, "-o", "refused", cwd=tmp_path)
        assert done.returncode == 4, done.stderr
        assert "another tool is recording a trace (event irq" in done.stderr
        assert "wait for its end, or take it over with --take-tracing" in done.stderr
        assert "Traceback" not in done.stderr
        taken = suite(*words, "-o", "taken", "--take-tracing", cwd=tmp_path)
        assert taken.returncode == 0, taken.stderr
        assert "another tool" not in taken.stderr
    finally:
        booted.device.run("echo 0 > /sys/kernel/tracing/events/irq/enable")


def test_qualify_does_not_reboot_a_virtual_device(booted: Booted, tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(PLAN)
    (tmp_path / "boot.img").write_bytes(b"an image that does not tell its release")
    words = ("android_suite.cli.main", "qualify", "plan.toml", "--aa", "-o", "out", "--serial", booted.device.serial)
    done = suite(*words, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "is a virtual device, which a reboot ends; name its kernel in the plan" in done.stderr
    assert booted.device.run("true").status == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small tmpfs")
def test_recording_onto_a_full_disk(booted: Booted, tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(tmp_path)], check=True)
    try:
        words = ("android_suite.cli.main", "record", "command", "--run", "for i in 1 2 3 4 5 6; do ls -lR /sys; done")
        done = suite(*words, "--serial", booted.device.serial, "-o", "run", cwd=tmp_path)
        assert done.returncode in (4, 5), done.stderr
        assert "No space left" in done.stderr
        assert "Traceback" not in done.stderr
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
