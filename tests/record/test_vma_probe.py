"""The kprobe on `__vma_start_write` is the device's only while a recording runs, however that ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from android_suite.boot.booted import Booted
from android_suite.boot.virtual import boot_virtual
from android_suite.device.device import Device
from android_suite.record.live import RecordOptions, record
from android_suite.store.run import create_run, open_run
from android_suite.trace.ring.capture_folder import read_raw_capture
from android_suite.workload.our_app import PACKAGE
from tests.settings import CONFIG

pytestmark = [pytest.mark.vdev, pytest.mark.timeout(600)]

OTHERS = "p:mine/opened do_sys_openat2"  # somebody else's probe, which is none of the suite's business
# A process in the background of a shell inherits an ignored SIGINT, and Python leaves that as it is.
MAIN = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from android_suite.cli.main import main; main()"
)


@pytest.fixture(scope="module")
def booted() -> Iterator[Booted]:
    with boot_virtual("6.17.13", config=CONFIG) as device:
        device.device.run(f"echo '{OTHERS}' >> /sys/kernel/tracing/kprobe_events")
        yield device


def read_probes(device: Device) -> str:
    return device.run("cat /sys/kernel/tracing/kprobe_events").text


def start(serial: str, out: Path) -> subprocess.Popen[str]:
    """Starts a recording of a minute and returns when events of the probe have arrived."""
    words = ["record", "vma_stress", "--serial", serial, "--set", "duration_ms=60000", "-o", str(out)]
    process = subprocess.Popen([sys.executable, "-c", MAIN, *words], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while sum(file.stat().st_size for file in out.glob("raw/*/ftrace/cpu*.raw")) < 1 << 17:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "no trace arrived"
        time.sleep(0.1)
    return process


def test_after_the_end_only_the_others_are_there(booted: Booted, tmp_path: Path) -> None:
    before = read_probes(booted.device)
    assert before.splitlines() == [OTHERS]
    writer = create_run(tmp_path / "run", label="", mode="realtime")
    options = RecordOptions(cache=CONFIG.cache, parameters={"duration_ms": 1500})
    (iteration,) = record(["vma_stress"], booted.device, writer, options, crash_probe=booted.crash_probe)
    assert (iteration.status, iteration.reason) == ("complete", "")
    probed = read_raw_capture(writer.seal().raw(iteration))["vma_start_write"]
    assert set(probed["kind"]) == {0, 1}, "it was there while the recording ran"
    assert read_probes(booted.device) == before


def test_after_an_interrupt_only_the_others_are_there(booted: Booted, tmp_path: Path) -> None:
    process = start(booted.device.serial, tmp_path / "run")
    assert "__vma_start_write" in read_probes(booted.device)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert read_probes(booted.device).splitlines() == [OTHERS]
    assert open_run(tmp_path / "run").manifest.iterations[0].status == "incomplete"


def test_what_a_killed_recording_left_goes_with_the_next(booted: Booted, tmp_path: Path) -> None:
    process = start(booted.device.serial, tmp_path / "killed")
    assert "__vma_start_write" in read_probes(booted.device)
    process.kill()
    process.communicate()
    booted.device.run(f"am force-stop {PACKAGE}")
    writer = create_run(tmp_path / "next", label="", mode="realtime")
    options = RecordOptions(cache=CONFIG.cache, parameters={"run": "true"})
    (iteration,) = record(["command"], booted.device, writer, options, crash_probe=booted.crash_probe)
    assert (iteration.status, iteration.reason) == ("complete", "")
    assert read_probes(booted.device).splitlines() == [OTHERS]
