"""`pytest scenarios` on a virtual device, and what JUnit says when something goes wrong on a real one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as Xml
from pathlib import Path

import pytest

from android_suite.boot.virtual import boot_virtual
from android_suite.store.run import open_run
from android_suite.virtual.registry import Registry
from tests.journeys.conftest import CANDIDATE
from tests.settings import CONFIG

pytestmark = [pytest.mark.vdev, pytest.mark.timeout(2400)]

FAULTS = """
import pytest


def test_an_assertion_fails(record):
    result = record("command", run="true")
    assert len(result.summaries) == 2


def test_the_kernel_has_no_events_of_mmap_lock(device, record):
    file = "/sys/kernel/tracing/available_events"
    device.run(f"grep -v mmap_lock {file} > /data/events && mount --bind /data/events {file}")
    try:
        record("command", run="true")
    finally:
        device.run(f"umount {file}")


def test_a_deadline_cannot_be_judged_on_an_emulator(real_time, record):
    record("command", run="true")


def test_the_device_is_lost_in_the_middle(record):
    record("command", run="sleep 600")


def test_nothing_is_left_to_record_on(record):
    record("command", run="true")
"""


def run_pytest(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "--run-dir", str(folder / "runs"), f"--junitxml={folder / 'junit.xml'}", *words],
        cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "ANDROID_SUITE_CACHE": str(CONFIG.cache)},
    )  # fmt: skip


def read_cases(folder: Path) -> dict[str, Xml.Element]:
    found = {case.get("name", ""): case for case in Xml.parse(folder / "junit.xml").getroot().iter("testcase")}
    assert found
    return found


def tell(case: Xml.Element) -> tuple[str, str]:
    """The tag in a test case that says how it ended, and its text; `passed` without one."""
    for child in case:
        if child.tag in ("failure", "error", "skipped"):
            return child.tag, f"{child.get('message')} {child.text}"
    return "passed", ""


def test_all_scenarios_are_green_on_a_virtual_device(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "scenarios", "--kernel", CANDIDATE)
    said, _ = done.communicate(timeout=2300)
    assert done.returncode == 0, said
    cases = read_cases(tmp_path)
    ends = {name: tell(case) for name, case in cases.items()}
    skipped = {name: text for name, (tag, text) in ends.items() if tag == "skipped"}
    assert all("emulated device's times depend on the host" in text for text in skipped.values()), skipped
    assert {tag for tag, _ in ends.values()} <= {"passed", "skipped"}
    recorded = {
        iteration.scenario
        for case in cases.values()
        for found in case.iter("property")
        if found.get("name") == "run"
        for iteration in open_run(Path(found.get("value", ""))).manifest.iterations
    }
    assert recorded >= {
        "app_launch", "trampoline_launch", "launch_background_gc", "gc_stress", "scroll_churn", "smaps_monitor",
        "large_objects", "native_trim", "trim_many", "uffd_heap",
    }  # fmt: skip


def test_failure_error_and_skipped_stand_where_they_belong(tmp_path: Path) -> None:
    (tmp_path / "test_faults.py").write_text(FAULTS)
    with boot_virtual(CANDIDATE, config=CONFIG) as booted:
        running = run_pytest(tmp_path, str(tmp_path / "test_faults.py"), "--serial", booted.device.serial)
        lost = tmp_path / "runs" / "test_the_device_is_lost_in_the_middle-1"
        while not list(lost.glob("raw/*/ftrace/cpu*")) and running.poll() is None:
            time.sleep(0.2)
        (record,) = (one for one in Registry(CONFIG).list_devices() if one.serial == booted.device.serial)
        os.kill(record.pid, signal.SIGKILL)
        said, _ = running.communicate(timeout=900)
    ends = {name: tell(case) for name, case in read_cases(tmp_path).items()}
    assert [tag for tag, _ in ends.values()] == ["failure", "skipped", "skipped", "error", "error"], said
    texts = [text for _, text in ends.values()]
    assert "assert 1 == 2" in texts[0]
    assert "mmap_lock" in texts[1]
    assert "emulated device's times" in texts[2]
    assert "DeviceLost" in texts[3] or "disconnected" in texts[3], texts[3]
    (iteration,) = open_run(lost).manifest.iterations
    assert (iteration.status, iteration.crash) == ("incomplete", None)
