"""What goes wrong on the way, on purpose: whose fault it is, what is kept, and which exit code says so."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from android_suite.cli.main import run
from android_suite.device.connect import connect
from android_suite.device.device import Device
from android_suite.store.run import open_run
from android_suite.virtual.registry import DeviceRecord, Registry
from tests.settings import CONFIG

pytestmark = [pytest.mark.vdev, pytest.mark.timeout(600)]


def record_and_meddle(folder: Path, meddle: Callable[[DeviceRecord], None]) -> int:
    """Records gc_stress and calls ``meddle`` with the device once trace pages have arrived."""
    before = {record.id for record in Registry(CONFIG).list_devices()}
    path = folder / "run"

    def watch() -> None:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            if any(file.stat().st_size > 8192 for file in path.glob("raw/*/ftrace/cpu*.raw")):
                [mine] = [
                    r for r in Registry(CONFIG).list_devices() if r.id not in before and r.owner_pid == os.getpid()
                ]
                meddle(mine)
                return
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    status = run(["record", "gc_stress", "--kernel", "6.17.13", "--set", "duration_ms=60000", "-o", str(path)])
    watcher.join()
    return status


def test_a_killed_qemu_is_the_labs_fault_and_the_evidence_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = record_and_meddle(tmp_path, lambda device: os.kill(device.pid, signal.SIGKILL))
    assert status == 4
    assert "kept in" in capsys.readouterr().err
    manifest = open_run(tmp_path / "run").manifest
    [iteration] = manifest.iterations
    assert iteration.status == "incomplete"
    assert iteration.reason
    assert iteration.crash is None
    assert iteration.trace_digest is not None, "pages that had arrived are sealed, too"


def test_a_panic_of_the_tested_kernel_is_a_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def panic(device: DeviceRecord) -> None:
        Device(connect(CONFIG, device.serial)).transport.run("echo c > /proc/sysrq-trigger &", timeout=5)

    def try_panic(device: DeviceRecord) -> None:
        try:
            panic(device)
        except Exception:  # the device is gone before it can answer
            return

    status = record_and_meddle(tmp_path, try_panic)
    assert status == 1
    assert "crashed" in capsys.readouterr().err
    [iteration] = open_run(tmp_path / "run").manifest.iterations
    assert iteration.crash is not None
    assert iteration.crash.kind == "panic"
    assert "sysrq" in iteration.crash.console.lower()


def test_nothing_of_a_device_is_left_behind(tmp_path: Path) -> None:
    assert run(["record", "command", "--run", "true", "--kernel", "6.17.13", "-o", str(tmp_path / "run")]) == 0
    assert [r for r in Registry(CONFIG).list_devices() if r.owner_pid == os.getpid()] == []


def test_lab_kernels_bring_lock_statistics(lab_kernels: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    image = lab_kernels / "linux-7.3.4-lab-mmap-lock.arm64.Image.gz"
    assert run(["record", "gc_stress", "--kernel", str(image), "--set", "duration_ms=5000", "-o", str(path)]) == 0
    [lock_stat] = path.glob("raw/*/lock_stat.txt")
    assert "mmap_lock" in lock_stat.read_text()
    [vmstat] = path.glob("raw/*/vmstat_after.txt")
    assert "vma_lock_success" in vmstat.read_text()
    assert run(["report", str(path), "--html", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "mmap_lock" in page
    assert "vma_lock_" in page
