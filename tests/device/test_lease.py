"""One campaign at a time on a device; the part that runs there is run by this machine's shells."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from android_suite.device import lease as module
from android_suite.device.lease import lease_device, read_lease, remove_lease
from android_suite.device.transport import Command, Completed
from android_suite.errors import LabError, NotReady

SHELLS = [each for each in ("sh", "bash", "mksh") if shutil.which(each)]


@dataclass
class Shell:
    """A device: a shell of this machine in a folder of its own."""

    folder: Path
    shell: str = "sh"
    serial: str = "A1"
    absent: bool = False

    def run(self, command: Command, *, timeout: float = 30, stdin: bytes = b"") -> Completed:
        assert isinstance(command, str)
        line = command.replace("/data/local/tmp", str(self.folder))
        done = subprocess.run([self.shell, "-c", line], capture_output=True, timeout=timeout)
        return Completed(command=command, stdout=done.stdout, stderr=done.stderr, status=done.returncode)

    def open(self) -> Shell:
        if self.absent:
            raise NotReady("A1 is absent")
        return self


@dataclass
class Time:
    """A clock that only moves when somebody sleeps; ``then`` is called at each sleep."""

    now: float = 0.0
    then: Callable[[], None] = lambda: None
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)
        self.then()


@pytest.fixture
def device(tmp_path: Path) -> Shell:
    (tmp_path / "device").mkdir()
    return Shell(tmp_path / "device")


def leased(device: Shell, cache: Path, **more: object):  # type: ignore[no-untyped-def]
    return lease_device(device.open, "A1", cache, holder="qualify x: 1", **more)  # type: ignore[arg-type]


def plant(device: Shell, *, host: str = "other", pid: int = 1, start: int = 1, count: int = 0) -> None:
    link = device.folder / "android-suite-lease"
    link.unlink(missing_ok=True)
    link.symlink_to(f"0123456789ab:{count}:{host}:{pid}:{start}:qualify y")


@pytest.mark.parametrize("shell", SHELLS)
def test_it_is_held_and_given_back(tmp_path: Path, device: Shell, shell: str) -> None:
    device.shell = shell
    with leased(device, tmp_path / "cache") as lease:
        held = read_lease(device)
        assert held is not None
        assert (held.holder, held.pid) == ("qualify x_ 1", os.getpid())
        assert not held.is_gone
        lease._renew()
        assert read_lease(device).count == 1  # type: ignore[union-attr]
        lease.check()
    assert read_lease(device) is None
    assert list(device.folder.iterdir()) == []


def test_a_renewal_that_is_late_does_not_make_it_again(tmp_path: Path, device: Shell) -> None:
    """It was sent before the end, and the device runs it a second later."""
    renewing, removed = threading.Event(), threading.Event()
    run = device.run

    def late(command: Command, **more: float) -> Completed:
        assert isinstance(command, str)
        if "mv -f" in command:
            renewing.set()
            removed.wait(1.0)
        done = run(command, **more)
        if command.startswith("rm -f"):
            removed.set()
        return done

    device.run = late  # type: ignore[method-assign]
    with leased(device, tmp_path / "cache", ttl_s=0.04):
        assert renewing.wait(60)
    assert read_lease(device) is None


def test_a_second_campaign_of_this_host_is_refused(tmp_path: Path, device: Shell) -> None:
    with (
        leased(device, tmp_path / "cache"),
        pytest.raises(LabError, match=rf"in use \(qualify x_ 1, process {os.getpid()} on "),
        leased(device, tmp_path / "cache"),
    ):
        pass


def test_another_host_that_renews_is_refused(tmp_path: Path, device: Shell) -> None:
    plant(device)
    clock = Time()
    clock.then = lambda: plant(device, count=len(clock.slept) // 3)
    with (
        pytest.raises(LabError, match=r"in use \(qualify y, process 1 on other\)"),
        leased(device, tmp_path / "cache", clock=lambda: clock.now, sleep=clock.sleep),
    ):
        pass
    assert read_lease(device) is not None
    assert clock.now < 60


def test_another_host_that_fell_silent_loses_it_after_the_time_and_not_before(tmp_path: Path, device: Shell) -> None:
    plant(device)
    clock = Time()
    with leased(device, tmp_path / "cache", clock=lambda: clock.now, sleep=clock.sleep):
        assert 60 < clock.now < 70
        assert read_lease(device).pid == os.getpid()  # type: ignore[union-attr]


def test_a_process_of_this_host_that_is_gone_loses_it_at_once(tmp_path: Path, device: Shell) -> None:
    plant(device, host=module._host(), pid=os.getpid(), start=1)  # a later process of that number
    clock = Time()
    with leased(device, tmp_path / "cache", clock=lambda: clock.now, sleep=clock.sleep):
        assert clock.now <= 1.0


def test_a_killed_holder_frees_it(tmp_path: Path, device: Shell) -> None:
    code = (
        "import sys, time; from pathlib import Path; from tests.device.test_lease import Shell, leased\n"
        f"with leased(Shell(Path({str(device.folder)!r})), Path({str(tmp_path / 'cache')!r})):\n"
        "    print('held', flush=True); time.sleep(100)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(LabError, match="is in use"), leased(device, tmp_path / "cache"):
            pass
        process.send_signal(signal.SIGKILL)
    with leased(device, tmp_path / "cache") as lease:
        lease.check()


def test_a_holder_that_was_stopped_for_too_long_is_told(tmp_path: Path, device: Shell) -> None:
    with leased(device, tmp_path / "cache") as lease:
        plant(device)
        lease._renew()
        with pytest.raises(LabError, match="the lease was lost to qualify y, process 1 on other"):
            lease.check()
    assert read_lease(device) is not None  # the other's stays
    remove_lease(device)  # type: ignore[arg-type]


def test_a_device_out_of_reach_is_leased_on_the_host_and_on_it_when_it_is_back(tmp_path: Path, device: Shell) -> None:
    device.absent = True
    said: list[str] = []
    with pytest.raises(NotReady), leased(device, tmp_path / "other"):
        device.open()
    with leased(device, tmp_path / "cache", ttl_s=0.4, say=said.append):
        assert "leased on this host only" in said[0]
        device.absent = False
        deadline = time.monotonic() + 30
        while read_lease(device) is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_link_that_makes_no_sense_is_told(tmp_path: Path, device: Shell) -> None:
    (device.folder / "android-suite-lease").symlink_to("nonsense")
    with pytest.raises(LabError, match="cannot lease the device with"), leased(device, tmp_path / "cache"):
        pass


def test_what_this_process_left_on_a_lost_device_is_taken_at_once(tmp_path: Path, device: Shell) -> None:
    clock = Time()
    with leased(device, tmp_path / "cache"):
        device.absent = True
    device.absent = False
    assert read_lease(device) is not None
    with leased(device, tmp_path / "cache", clock=lambda: clock.now, sleep=clock.sleep) as lease:
        lease.check()
        assert clock.now <= 1.0
