"""What a phone had before `fastboot` changed it, kept on the host until it is put back.

::

    CACHE/phones/SERIAL/kept.json      slot, kernel, and which partitions were written
    CACHE/phones/SERIAL/boot_a.img     what was in a partition
    CACHE/phones/SERIAL/lock           held by the process that boots the phone

Everything is on disk before the phone is changed. So a killed run, or one on a phone that does not come up, loses
nothing: the next `qualify`, or `android-suite restore`, puts it back.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from android_suite.config import Config
from android_suite.device.device import Device
from android_suite.device.numbers import read_count
from android_suite.errors import AdbTimeout, LabError, Unsupported
from android_suite.store.run import write_json

_PLACES = ("/dev/block/by-name", "/dev/block/bootdevice/by-name", "/dev/block/mapper")
_SILENCE_S = 60.0
_TOTAL_S = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The state of a phone before the first change.

    Attributes:
        serial: serial of the phone in adb.
        slot: ``a`` or ``b``; empty if the phone has no slots.
        banner: its ``/proc/version``; None if the phone was found in its bootloader.
        partitions: SHA-256 of the kept content of each partition, named with its slot.
        written: SHA-256 of what was written to a partition since.
        slot_changed: whether another slot was made the active one.
    """

    serial: str
    slot: str
    banner: str | None
    partitions: Mapping[str, str] = field(default_factory=dict)
    written: Mapping[str, str] = field(default_factory=dict)
    slot_changed: bool = False

    @property
    def changed(self) -> tuple[str, ...]:
        """The partitions whose content is not the kept one."""
        return tuple(name for name, digest in self.written.items() if digest != self.partitions[name])


def phone_folder(config: Config, serial: str) -> Path:
    """The folder of a phone. A serial may have any character; its digest tells apart what the readable part does not."""
    readable = re.sub(r"[^0-9A-Za-z_.-]", "_", serial)[:40]
    return config.cache / "phones" / f"{readable}-{hashlib.sha256(serial.encode()).hexdigest()[:8]}"


def read_kept(config: Config, serial: str) -> Kept | None:
    """What is kept of a phone; None if nothing is.

    Raises:
        LabError: the file is damaged.
    """
    path = phone_folder(config, serial) / "kept.json"
    try:
        return Kept(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise LabError(
            f"{path} says what {serial} had before and cannot be read ({error}); put the phone's partitions back by hand "
            "from the images beside it, then remove the folder."
        ) from error


def write_kept(config: Config, kept: Kept) -> Kept:
    """Writes it; it is on disk when this returns."""
    write_json(phone_folder(config, kept.serial) / "kept.json", asdict(kept))
    return kept


def forget(config: Config, serial: str) -> None:
    """Removes what was kept, after it was put back; the lock stays."""
    folder = phone_folder(config, serial)
    (folder / "kept.json").unlink(missing_ok=True)
    for image in folder.glob("*.img"):
        image.unlink()


def list_kept(config: Config) -> tuple[Kept, ...]:
    """What is kept of every phone."""
    found = []
    for path in sorted((config.cache / "phones").glob("*/kept.json")):
        try:
            kept = read_kept(config, str(json.loads(path.read_bytes())["serial"]))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
        if kept is not None:
            found.append(kept)
    return tuple(found)


def keep_partitions(config: Config, device: Device, kept: Kept, names: Sequence[str]) -> Kept:
    """Copies partitions that are not kept yet to the host, checks the copies and writes ``kept.json``.

    Raises:
        Unsupported: reading them needs root, or the phone has no such partition.
        LabError: the copy failed or does not fit the disk.
    """
    new = [name for name in names if name not in kept.partitions]
    if new and not device.is_root():
        raise Unsupported(
            f"{device.serial}: to flash {', '.join(new)}, the suite first keeps what is there, which needs root: allow "
            "`adb root` or su, or leave out `flash`, so that the image is booted from memory."
        )
    for name in new:
        digest = _copy_partition(device, name, phone_folder(config, kept.serial) / f"{name}.img")
        kept = replace(kept, partitions={**kept.partitions, name: digest})
    return write_kept(config, kept)


def _copy_partition(device: Device, name: str, target: Path) -> str:
    there = device.exists([f"{place}/{name}" for place in _PLACES])
    path = next((path for place in _PLACES if (path := f"{place}/{name}") in there), None)
    if path is None:
        raise Unsupported(f"{device.serial} has no partition {name}; correct `flash` and `slot` in the plan.")
    expected = device.run(["sha256sum", path], timeout=_SILENCE_S).text.split(" ", 1)[0]
    digest = hashlib.sha256()
    part = target.with_suffix(".part")
    deadline = time.monotonic() + _TOTAL_S
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _check_space(target.parent, device, path)
        with part.open("wb") as file, device.transport.stream(["cat", path]) as stream:
            while data := stream.read(timeout=_SILENCE_S):
                if time.monotonic() > deadline:
                    raise AdbTimeout(f"{device.serial}: {path} was not read in {_TOTAL_S:.0f} s; check the cable.")
                digest.update(data)
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if digest.hexdigest() != expected:
            raise LabError(
                f"{device.serial}: the copy of {path} is not what the phone has; check the cable, try again."
            )
        part.rename(target)
    except OSError as error:
        raise LabError(
            f"cannot keep {path} in {target.parent} ({error.strerror}); free space or set ANDROID_SUITE_CACHE."
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return digest.hexdigest()


def _check_space(folder: Path, device: Device, path: str) -> None:
    """Refuses before the copy begins, so that a full disk is found with the phone as it was."""
    size = read_count(device.transport.run(["blockdev", "--getsize64", path]).text)
    free = shutil.disk_usage(folder).free
    if size is not None and size > free:
        raise LabError(
            f"{path} of {device.serial} has {size >> 20} MiB and {folder} has {free >> 20} MiB free; free space or set "
            "ANDROID_SUITE_CACHE."
        )


@contextmanager
def hold_phone(config: Config, serial: str) -> Iterator[None]:
    """Keeps every other process of this host from booting the phone.

    Raises:
        LabError: another one does, or the folder cannot be written.
    """
    path = phone_folder(config, serial) / "lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise LabError(
            f"cannot write {path} ({error.strerror}); set ANDROID_SUITE_CACHE to a folder of yours."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise LabError(
                f"{serial}: {file.read().strip() or 'another process'} boots this phone; wait for its end."
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()}")
        file.flush()
        yield


def describe_kept(kept: Kept) -> dict[str, Any]:
    """For JSON: what has to be put back."""
    return {"serial": kept.serial, "slot": kept.slot, "kernel": kept.banner, "partitions": list(kept.changed)}
