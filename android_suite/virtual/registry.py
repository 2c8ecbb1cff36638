"""The registry of running virtual devices: a folder for each, with its owner, address and console.

A device belongs to the process that started it and dies with it, unless it is detached. Folders that a killed process
left behind are removed when the next device starts or devices are listed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from android_suite.config import Config
from android_suite.errors import MachineError, UsageError
from android_suite.virtual import adb_link
from android_suite.virtual.cache import Cache
from android_suite.virtual.qmp import Qmp

STOP_TIMEOUT_S = 5.0
_STOPPING = "stopping"  # a file in the device's folder


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRecord:
    """The record of one virtual device.

    Attributes:
        id: short name, also of the folder.
        serial: ``127.0.0.1:PORT`` once adbd answers, empty before.
        pid: QEMU's process, 0 before it runs; ``pid_start`` distinguishes it from a later process with the same id.
        owner_pid: the process that started the device; ``owner_start`` likewise.
        detached: whether it outlives its owner.
    """

    id: str
    folder: Path
    serial: str = ""
    pid: int = 0
    pid_start: int = 0
    owner_pid: int
    owner_start: int
    detached: bool
    arch: str
    kernel: str
    release: str | None
    accel: str
    deterministic: bool

    @property
    def console(self) -> Path:
        """The console log."""
        return self.folder / "console.log"

    @property
    def running(self) -> bool:
        """Whether its QEMU is alive."""
        return self.pid != 0 and read_start(self.pid) == self.pid_start


def read_start(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot, or None if there is no such process or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


class Registry:
    """The folders of all virtual devices of this user."""

    def __init__(self, config: Config) -> None:
        self.config, self.cache = config, Cache(config.cache)
        self.root = self.cache.root / "machines"

    def create(
        self, *, detached: bool, arch: str, kernel: str, release: str | None, accel: str, deterministic: bool
    ) -> DeviceRecord:
        """Creates the folder and the record of a new device. Removes abandoned folders first.

        Raises:
            MachineError: the folder cannot be written.
        """
        self.sweep()
        with self.cache.writing(100_000):
            self.root.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(dir=self.root, prefix=".new-"))
            name = f"vd-{made.name.removeprefix('.new-').replace('_', '0').lower()}"
            owner = os.getpid()
            record = DeviceRecord(
                id=name,
                folder=self.root / name,
                owner_pid=owner,
                owner_start=read_start(owner) or 0,
                detached=detached,
                arch=arch,
                kernel=kernel,
                release=release,
                accel=accel,
                deterministic=deterministic,
            )
            _write(made, record)
            # The folder becomes visible only with its record inside.
            made.rename(record.folder)
        return record

    def update(self, record: DeviceRecord) -> None:
        """Writes a changed record."""
        with self.cache.writing(10_000):
            _write(record.folder, record)

    def remove(self, record: DeviceRecord) -> None:
        """Deletes a device's folder."""
        shutil.rmtree(record.folder, ignore_errors=True)

    def list_devices(self) -> list[DeviceRecord]:
        """Devices whose QEMU runs, sorted by name."""
        return [record for record in self._read_all() if record.running]

    def find(self, name: str) -> DeviceRecord:
        """A device by its id or serial.

        Raises:
            UsageError: there is no such device.
        """
        records = self._read_all()
        for record in records:
            if name in (record.id, record.serial):
                return record
        known = ", ".join(record.id for record in records) or "none is running; vdev start starts one"
        raise UsageError(f"no virtual device {name!r}; known: {known}")

    def sweep(self, tell: Callable[[DeviceRecord], None] = lambda _: None) -> list[str]:
        """Ends and deletes devices whose owner has ended; returns their ids.

        Args:
            tell: called with each device before its folder and console are deleted.
        """
        swept = []
        for record in self._read_all():
            owned = read_start(record.owner_pid) == record.owner_start
            if owned or (record.detached and record.running):
                continue
            kill(record)
            if record.serial:
                adb_link.disconnect(self.config, record.serial)
            tell(record)
            self.remove(record)
            swept.append(record.id)
        for folder in self.root.glob(".new-*"):
            with contextlib.suppress(FileNotFoundError):  # another process has just given its device the final name
                if time.time() - folder.stat().st_mtime > 3600:
                    shutil.rmtree(folder, ignore_errors=True)
        return swept

    def _read_all(self) -> list[DeviceRecord]:
        found = []
        for path in sorted(self.root.glob("vd-*/device.json")):
            with contextlib.suppress(OSError, ValueError, TypeError):
                found.append(DeviceRecord(**(json.loads(path.read_text()) | {"folder": path.parent})))
        return found


def stop_device(name: str, *, registry: Registry) -> DeviceRecord:
    """Stops a device by id or serial, no matter which process started it, and removes its folder.

    Raises:
        UsageError: there is no such device.
        MachineError: its QEMU does not end.
    """
    record = registry.find(name)
    if record.serial:
        adb_link.disconnect(registry.config, record.serial)
    with contextlib.suppress(OSError):
        (record.folder / _STOPPING).touch()
    with contextlib.suppress(MachineError), Qmp(record.folder / "qmp", timeout_s=2) as qmp:
        qmp.execute("quit")
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while record.running and time.monotonic() < deadline:
        time.sleep(0.02)
    kill(record)
    registry.remove(record)
    return record


def is_stopping(record: DeviceRecord) -> bool:
    """Whether :func:`stop_device` ends the device or has ended it, in this process or another."""
    return not record.folder.is_dir() or (record.folder / _STOPPING).exists()


def kill(record: DeviceRecord) -> None:
    """Kills a device's QEMU and waits until it has ended.

    Raises:
        MachineError: it still runs after 5 s.
    """
    if not record.running:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(record.pid, signal.SIGKILL)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while record.running:
        if time.monotonic() > deadline:
            raise MachineError(
                f"QEMU (process {record.pid}) does not end; find out why it hangs, then stop {record.id} again"
            )
        time.sleep(0.01)


def _write(folder: Path, record: DeviceRecord) -> None:
    fields = dataclasses.asdict(record)
    del fields["folder"]
    new = folder / ".device.json"
    new.write_text(json.dumps(fields, indent=1))
    new.rename(folder / "device.json")
