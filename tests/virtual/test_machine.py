"""Journeys on real virtual devices: they boot, answer adb, crash, get killed, and leave nothing behind."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from android_suite.errors import NotReady
from android_suite.virtual import Registry, VirtualDevice, fetch_kernel, stop_device
from android_suite.virtual.adb_link import run_request, run_shell
from android_suite.virtual.cpio import file_node, render_cpio
from android_suite.virtual.registry import read_start
from tests.settings import CONFIG

pytestmark = pytest.mark.vdev

RUN = b"""#!/bin/sh
cd /sys/kernel/tracing
echo mono > trace_clock
echo 16384 > buffer_size_kb
for event in sched/sched_switch sched/sched_waking irq timer; do echo 1 > events/$event/enable; done
echo 1 > tracing_on
find /usr /system | sha256sum > /dev/null
sleep 1
dd if=/dev/urandom bs=1k count=4 2> /dev/null | sha256sum > /data/random
echo 0 > tracing_on
for cpu in per_cpu/cpu*; do
    # Not cat: reading until the buffer is empty must not wait for more.
    timeout 2 dd if=$cpu/trace_pipe_raw of=/data/${cpu#per_cpu/}.raw bs=4096 2> /dev/null
done
"""


def shell(device: VirtualDevice, command: str) -> str:
    return run_shell(CONFIG, device.serial, command).strip()


def wait_dead(pid: int, timeout_s: float = 60) -> bool:
    deadline = time.monotonic() + timeout_s
    while read_start(pid) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    return read_start(pid) is None


@pytest.mark.parametrize(("name", "arch"), [("6.16.12", "arm64"), ("6.17.13", "arm64"), ("6.17.13", "amd64")])
def test_debian_kernel_answers_adb(name: str, arch: str) -> None:
    with VirtualDevice(kernel=fetch_kernel(name, arch, config=CONFIG), config=CONFIG) as device:
        device.start()
        assert shell(device, "uname -r") == f"{name}+deb13-cloud-{arch}" == device.kernel.release
        assert shell(device, "getprop sys.boot_completed") == "1"
        assert "never" in shell(device, "grep -o '\\[never\\]' /sys/kernel/mm/transparent_hugepage/enabled")
        assert [record.serial for record in Registry(CONFIG).list_devices()].count(device.serial) == 1
        folder, pid = device.record.folder, device.record.pid
        assert device.exit_report().kind == "running"
    assert device.exit_report().kind == "stopped"
    assert read_start(pid) is None
    assert not folder.exists()
    assert device.serial not in run_request(CONFIG, "host:devices")
    assert "android-suite: ready" in device.read_console()


@pytest.mark.parametrize("image", ["arm64.Image.gz", "amd64.bzImage"])
def test_lab_kernel_by_path(lab_kernels: Path, image: str) -> None:
    with VirtualDevice(
        kernel=fetch_kernel(str(lab_kernels / f"linux-7.3.4-lab-per-vma.{image}"), config=CONFIG), config=CONFIG
    ) as device:
        device.start()
        assert shell(device, "uname -r") == "7.3.4"
        assert shell(device, "head -1 /proc/lock_stat").startswith("lock_stat version")


def test_two_at_once_with_an_overlay(tmp_path: Path) -> None:
    overlay = tmp_path / "mine.cpio.gz"
    nodes = {"lib/mine": file_node(b"brought along"), "bin/mine": file_node(b"#!/bin/sh\necho ran\n", executable=True)}
    overlay.write_bytes(gzip.compress(render_cpio(nodes)))
    kernel = fetch_kernel("6.17.13", config=CONFIG)
    with (
        VirtualDevice(config=CONFIG, kernel=kernel, overlays=[overlay]) as first,
        VirtualDevice(config=CONFIG, kernel=kernel) as second,
    ):
        first.start()
        second.start()
        assert first.serial != second.serial
        assert shell(first, "cat /lib/mine; /bin/mine") == "brought alongran"
        assert "No such file" in shell(second, "cat /lib/mine 2>&1")


def test_panic_is_data() -> None:
    with VirtualDevice(config=CONFIG, kernel=fetch_kernel("6.17.13", config=CONFIG)) as device:
        device.start()
        shell(device, "echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger")
        report = device.exit_report(wait_s=20)
        assert report.kind == "crashed"
        assert report.crash is not None
        assert "sysrq triggered crash" in report.crash.title + report.crash.excerpt
        assert report.crash.fatal
    assert device.exit_report().kind == "crashed"


def test_killed_qemu_is_the_labs_fault() -> None:
    with VirtualDevice(config=CONFIG, kernel=fetch_kernel("6.17.13", config=CONFIG)) as device:
        device.start()
        os.kill(device.record.pid, signal.SIGKILL)
        report = device.exit_report(wait_s=10)
        assert (report.kind, report.status, report.crash) == ("killed", -9, None)
        assert "killed by signal 9" in report.detail
    assert not device.record.folder.exists()


def test_power_off_is_neither() -> None:
    with VirtualDevice(config=CONFIG, kernel=fetch_kernel("6.17.13", config=CONFIG)) as device:
        device.start()
        shell(device, "poweroff -f")
        assert device.exit_report(wait_s=20).kind == "powered_off"


def test_a_kernel_that_dies_at_boot_says_so(tmp_path: Path) -> None:
    (tmp_path / "o").write_bytes(render_cpio({"init": file_node(b"#!/bin/sh\nexit 3\n", executable=True)}))
    device = VirtualDevice(config=CONFIG, kernel=fetch_kernel("6.17.13", config=CONFIG), overlays=[tmp_path / "o"])
    with pytest.raises(NotReady, match="crashed while it started: Kernel panic - not syncing: Attempted to kill init"):
        device.start()
    report = device.exit_report()
    assert report.kind == "crashed"
    assert Registry(CONFIG).list_devices() == [] or device.record not in Registry(CONFIG).list_devices()


def test_a_kernel_without_a_driver_for_the_card_says_so(tmp_path: Path) -> None:
    (tmp_path / "o").write_bytes(render_cpio({"lib/modules/order": file_node(b"")}))
    device = VirtualDevice(config=CONFIG, kernel=fetch_kernel("6.17.13", config=CONFIG), overlays=[tmp_path / "o"])
    with pytest.raises(NotReady, match=r"kernel 6\.17\.13 found no network card.*CONFIG_VIRTIO_PCI=y"):
        device.start()
    assert not device.record.folder.exists()


def test_a_guest_that_hangs_is_not_ready(tmp_path: Path) -> None:
    (tmp_path / "o").write_bytes(
        render_cpio({"init": file_node(b"#!/bin/sh\n/usr/bin/busybox sleep 1000\n", executable=True)})
    )
    device = VirtualDevice(config=CONFIG, kernel=fetch_kernel("6.17.13", config=CONFIG), overlays=[tmp_path / "o"])
    with pytest.raises(NotReady, match="did not boot within 8 s"):
        device.start(boot_timeout_s=8)
    assert not device.record.folder.exists()


def start_elsewhere(*, detached: bool) -> tuple[subprocess.Popen[str], str]:
    describe = f"VirtualDevice(kernel=fetch_kernel('6.17.13', config=CONFIG), config=CONFIG, detached={detached})"
    say = "device.start(); print(device.record.id, flush=True)"
    # Inside the block before anything is said: a signal may come the moment the name is read.
    body = (
        f"device = {describe}\n{say}\n" if detached else f"with {describe} as device:\n    {say}\n    time.sleep(600)\n"
    )
    # A test run in the background of a shell inherits an ignored SIGINT.
    heard = "import signal, time; signal.signal(signal.SIGINT, signal.default_int_handler)"
    script = f"{heard}\nfrom android_suite.virtual import VirtualDevice, fetch_kernel\nfrom tests.settings import CONFIG\n{body}"
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_stopped_suite_leaves_nothing(number: signal.Signals) -> None:
    process, name = start_elsewhere(detached=False)
    record = Registry(CONFIG).find(name)
    process.send_signal(number)
    process.communicate(timeout=120)
    assert wait_dead(record.pid)
    if number == signal.SIGINT:
        assert not record.folder.exists()
    # What a killed process could not remove goes when the next device starts, which another test may do at any time.
    Registry(CONFIG).sweep()
    deadline = time.monotonic() + 60
    while record.folder.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert record.serial not in run_request(CONFIG, "host:devices")


def test_detached_device_outlives_its_starter() -> None:
    process, name = start_elsewhere(detached=True)
    process.communicate(timeout=120)
    record = Registry(CONFIG).find(name)
    assert record.running
    assert name not in Registry(CONFIG).sweep()  # other tests may have left something
    assert record.running
    assert run_shell(CONFIG, record.serial, "getprop sys.boot_completed").strip() == "1"
    assert "android-suite: ready" in record.console.read_text()
    stop_device(record.serial, registry=Registry(CONFIG))
    assert wait_dead(record.pid)
    assert not record.folder.exists()


@pytest.mark.parametrize("cpus", [1, 2])
def test_deterministic_boots_repeat_to_the_byte(cpus: int) -> None:
    def run(seed: int) -> str:
        with VirtualDevice(
            config=CONFIG,
            kernel=fetch_kernel("6.17.13", config=CONFIG),
            cpus=cpus,
            deterministic=True,
            seed=seed,
            run_files={"/etc/android-suite/run/run.sh": RUN},
        ) as device:
            device.start()
            assert int(shell(device, "cat /data/cpu*.raw | wc -c")) > 20_000
            return shell(device, "sha256sum /data/random /data/*.raw")

    first = run(1)
    with ThreadPoolExecutor(2) as pool:
        at_once = list(pool.map(run, [1, 2]))
    assert at_once[0] == first, "a second device beside it changes nothing"
    assert at_once[1] != first, "the seed reaches the guest's random numbers"


def test_deterministic_lab_kernel_without_pci_hotplug(lab_kernels: Path) -> None:
    kernel = fetch_kernel(str(lab_kernels / "linux-7.3.4-lab-per-vma.arm64.Image.gz"), config=CONFIG)
    run_files = {
        "/etc/android-suite/run/run.sh": b"#!/bin/sh\ncat /proc/uptime > /data/uptime\nls /sys/class/net > /data/net\n"
    }
    with VirtualDevice(config=CONFIG, kernel=kernel, cpus=1, deterministic=True, run_files=run_files) as device:
        device.start()
        assert "eth0" not in shell(device, "cat /data/net"), "nothing of the host may be there inside the window"
        assert shell(device, "uname -r") == "7.3.4"
