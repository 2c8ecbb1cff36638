"""One recording at a time on a device; the part that runs there is run by this machine's shells."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from android_suite.device.claim import CLAIM, claim_device
from android_suite.device.device import WORK_FOLDER, Device
from android_suite.device.transport import Command, Completed
from android_suite.errors import AdbTimeout, LabError

SHELLS = [each for each in ("sh", "bash", "busybox", "mksh") if shutil.which(each)]


class LocalStream:
    """A shell of this machine."""

    def __init__(self, argv: list[str]) -> None:
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.status: int | None = None

    def read(self, *, timeout: float) -> bytes:
        assert self.process.stdout
        if not select.select([self.process.stdout], [], [], timeout)[0]:
            raise AdbTimeout("no answer")
        data = os.read(self.process.stdout.fileno(), 4096)
        if not data:
            self.status = self.process.wait()
        return data

    @property
    def stderr(self) -> bytes:
        assert self.process.stderr
        return self.process.stderr.read() if self.status is not None else b""

    def write(self, data: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(data)

    def close_stdin(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()

    def close(self) -> None:
        self.close_stdin()
        self.process.wait(10)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe
            pipe.close()

    def __enter__(self) -> LocalStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class LocalTransport:
    """A device whose work folder is ``folder``; what runs on it is this machine's."""

    def __init__(self, folder: Path, shell: str = "sh") -> None:
        self.folder, self.serial, self.streams = folder, "local", list[LocalStream]()
        self._argv = ["busybox", "sh", "-c"] if shell == "busybox" else [shell, "-c"]

    def _place(self, command: Command) -> str:
        assert isinstance(command, str)
        return command.replace(WORK_FOLDER, str(self.folder))

    def run(self, command: Command, *, timeout: float = 30, stdin: bytes = b"") -> Completed:
        done = subprocess.run([*self._argv, self._place(command)], capture_output=True, timeout=timeout, check=False)
        return Completed(command="", stdout=done.stdout, stderr=done.stderr, status=done.returncode)

    def stream(self, command: Command) -> LocalStream:
        self.streams.append(LocalStream([*self._argv, self._place(command)]))
        return self.streams[-1]


Make = Callable[..., Device]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Each call is another host's view of the one device."""
    return lambda shell="sh": Device(LocalTransport(tmp_path / "work", shell))  # type: ignore[arg-type]


def link(device: Device) -> Path:
    assert isinstance(device.transport, LocalTransport)
    return device.transport.folder / CLAIM.rpartition("/")[2]


@contextmanager
def refused(match: str) -> Iterator[None]:
    with pytest.raises(LabError, match=match) as caught:
        yield
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("shell", SHELLS)
def test_another_host_is_refused_and_told_who_holds_the_device(tmp_path: Path, make: Make, shell: str) -> None:
    device = make(shell)
    with claim_device(device, tmp_path / "one"):
        assert link(device).is_symlink()
        with refused(rf"another recording runs there \(process {os.getpid()} on .* since .*wait for its end"):  # noqa: SIM117
            with claim_device(make(shell), tmp_path / "other"):
                raise AssertionError("two have it")
        assert link(device).is_symlink(), "the holder still has it"
    assert not link(device).is_symlink()
    with claim_device(make(shell), tmp_path / "other"):
        pass


def test_another_process_of_this_host_is_refused_before_the_device_is_touched(tmp_path: Path, make: Make) -> None:
    second = make()
    with claim_device(make(), tmp_path), refused(rf"process {os.getpid()} on "), claim_device(second, tmp_path):
        raise AssertionError("two have it")
    assert isinstance(second.transport, LocalTransport)
    assert second.transport.streams == []
    assert list((tmp_path / "claims").iterdir()) == [], "nothing is left in the cache"


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "left", ["999999999:5:{boot}:process 1", "{pid}:1:{boot}:process 1", "{pid}:{start}:other-boot:x", "?"]
)
def test_what_a_dead_holder_left_is_taken_away(tmp_path: Path, make: Make, shell: str, left: str) -> None:
    device = make(shell)
    start = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    link(device).parent.mkdir()
    link(device).symlink_to(left.format(boot=device.boot_id(), pid=os.getpid(), start=start))
    with claim_device(device, tmp_path):
        assert str(os.getpid()) in str(link(device).readlink())
    assert not link(device).is_symlink()


def test_a_holder_that_was_killed_frees_the_device(tmp_path: Path, make: Make) -> None:
    device = make()
    assert isinstance(device.transport, LocalTransport)
    with claim_device(device, tmp_path / "one"):
        process = device.transport.streams[0].process
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert link(device).is_symlink()
        with claim_device(make(), tmp_path / "other"):
            pass


def test_who_waits_gets_it_next_though_the_holder_comes_back_at_once(tmp_path: Path, make: Make) -> None:
    turns: list[str] = []
    told: list[str] = []
    begun = threading.Event()

    def say(text: str) -> None:
        told.append(text)
        begun.set()

    def wait() -> None:
        with claim_device(make(), tmp_path, wait_s=60, say=say):
            turns.append("other")

    thread = threading.Thread(target=wait)
    with claim_device(make(), tmp_path):
        thread.start()
        assert begun.wait(30)
        turns.append("first")
    with claim_device(make(), tmp_path, wait_s=60):
        turns.append("again")
    thread.join()
    assert turns == ["first", "other", "again"]
    assert "waiting up to 60 s for another recording (process" in told[0]


def test_waiting_has_an_end(tmp_path: Path, make: Make) -> None:
    begun = time.monotonic()
    with claim_device(make(), tmp_path), refused("did not end in 1 s"), claim_device(make(), tmp_path, wait_s=1):
        raise AssertionError("two have it")
    assert time.monotonic() - begun >= 1


def test_what_the_caller_raises_stays_what_it_is(tmp_path: Path, make: Make) -> None:
    device = make()
    with pytest.raises(OSError, match="disk full"), claim_device(device, tmp_path):
        raise OSError("disk full")
    assert not link(device).is_symlink()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, make: Make) -> None:
    device = make()
    link(device).parent.write_text("no folder")
    with refused("cannot claim the device with .*(Not a directory|File exists)"), claim_device(device, tmp_path):
        raise AssertionError("nobody has it")


def test_a_file_in_the_links_place_is_told(tmp_path: Path, make: Make) -> None:
    device = make()
    link(device).parent.mkdir()
    link(device).write_text("")
    with refused("cannot claim the device with .*adb shell rm -rf"), claim_device(device, tmp_path):
        raise AssertionError("nobody has it")


def test_a_file_that_goes_away_while_it_is_looked_at(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its holder removed the one that was waited for, the next holder has another, and removes that just now."""
    same, looks = Path.samefile, list[Path]()

    def samefile(self: Path, other: Path) -> bool:
        looks.append(self)
        if len(looks) == 1:
            self.unlink()
        return same(self, other)

    monkeypatch.setattr(Path, "samefile", samefile)
    with claim_device(make(), tmp_path):
        assert len(looks) == 3  # the queue's file twice, then the device's
        assert len(list((tmp_path / "claims").iterdir())) == 1
