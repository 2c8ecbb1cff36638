"""A soak beside a full trace of the same minutes, killed three times: the counts are equal to the last call."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from android_suite.cli.main import run
from android_suite.config import read_config
from android_suite.device.connect import connect
from android_suite.device.device import Device
from android_suite.virtual.kernels import fetch_kernel
from android_suite.virtual.machine import VirtualDevice
from tests.journeys.conftest import BASELINE, CANDIDATE

pytestmark = [pytest.mark.vdev, pytest.mark.timeout(900)]

APP = "com.androidsuite.workload"
TRACEFS = "/sys/kernel/tracing"


@pytest.fixture(params=[BASELINE, CANDIDATE])
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    config = read_config(env=os.environ, folder=Path.cwd())
    with VirtualDevice(kernel=fetch_kernel(request.param, None, config=config), config=config) as machine:
        machine.start()
        yield Device(connect(config, machine.serial))


def start(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "android_suite.cli.main", *words], stdout=subprocess.DEVNULL)


def lines(folder: Path) -> list[dict[str, Any]]:
    try:
        text = (folder / "checkpoints.jsonl").read_text()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def wait_for(process: subprocess.Popen[bytes], done: Callable[[], bool], *, limit_s: float = 300) -> None:
    deadline = time.monotonic() + limit_s
    while not done():
        assert process.poll() is None, "the soak ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.2)


def by_thread(rows: list[dict[str, Any]]) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for row in rows:
        if row["process"] == APP:
            values = tuple(row[name] for name in ("calls", "per_vma", "mmap_lock", "unknown", "bytes"))
            found[row["role"]] = tuple(map(sum, zip(found.get(row["role"], (0,) * 5), values, strict=True)))
    return found


def acquisitions(found: dict[str, Any], mode: str) -> int:
    """Of mmap_lock, by the collector's thread."""
    rows = [row for row in found["locks"] if (row["role"], row["mode"], row["lock"]) == ("gc", mode, "mmap_lock")]
    return sum(row["waits"] for row in rows if row["process"] == APP)


def test_a_soak_that_was_killed_three_times_counts_what_the_trace_shows(
    device: Device, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, trace = tmp_path / "soak", tmp_path / "run"
    more = ["--interval", "1"]
    soak = start("soak", "--minutes", "60", "--entries", "1024", *more, "--serial", device.serial, "--out", str(folder))
    wait_for(soak, lambda: bool(lines(folder)))
    record = start("record", "gc_stress", "--set", "duration_ms=3000", "--serial", device.serial, "-o", str(trace))
    for _ in range(3):
        before = len(lines(folder))
        wait_for(soak, lambda before=before: len(lines(folder)) > before)  # type: ignore[misc]
        soak.send_signal(signal.SIGKILL)
        soak.wait()
        assert f"{TRACEFS}/instances/android_suite_soak" in device.exists([f"{TRACEFS}/instances/android_suite_soak"])
        soak = start("soak", "--resume", str(folder), "--serial", device.serial)
    assert record.wait(timeout=600) == 0
    before = len(lines(folder))
    wait_for(soak, lambda: len(lines(folder)) > before)
    soak.terminate()
    assert soak.wait(timeout=300) == 0

    assert run(["analyze", str(trace), "--json"]) == 0
    analysis = json.loads(capsys.readouterr().out)["iterations"][0]["analysis"]
    assert run(["soak", "report", str(folder), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert by_thread(summary["madvise"]) == by_thread(analysis["madvise"])
    assert by_thread(summary["madvise"])["gc"][0] > 0
    assert len(summary["segments"]) == 1
    assert [each["edge"] for each in lines(folder)].count("resume") == 3
    assert summary["losses"] == []
    assert summary["dropped"] == {}
    # the same acquisitions of mmap_lock; when the app is ended, after the trace, its threads take it a few times more
    for mode in ("read", "write"):
        told, seen = acquisitions(summary, mode), acquisitions(analysis, mode)
        assert seen <= told <= seen + 8

    assert device.run(["ls", f"{TRACEFS}/instances"]).text == ""
    left = device.read_texts([f"{TRACEFS}/{name}" for name in ("synthetic_events", "dynamic_events")])
    assert not "".join(text or "" for text in left.values()).strip()
