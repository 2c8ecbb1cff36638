"""A phone that boots a given image through `fastboot`: from memory, or flashed; what it had is put back afterwards."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from android_suite.boot.attached import probe_reboot, restart
from android_suite.boot.booted import Booted, KernelCrashed
from android_suite.boot.fastboot_client import Fastboot
from android_suite.boot.kept import (
    Kept,
    forget,
    hold_phone,
    keep_partitions,
    phone_folder,
    read_kept,
    write_kept,
)
from android_suite.boot.proof import Expected, explain_other, read_expected, read_running
from android_suite.boot.waiting import BOOT_TIMEOUT_S, find_boot_crash, wait_booted
from android_suite.config import Config
from android_suite.device.connect import connect, disconnect
from android_suite.device.device import Device
from android_suite.errors import LabError, NotReady, SuiteError, Unsupported
from android_suite.model.boots import LOGICAL, BootKeys

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds to wait: for Android to boot, for the bootloader or fastbootd, for the bootloader to go away."""

    boot_s: float = BOOT_TIMEOUT_S
    bootloader_s: float = 90.0
    leave_s: float = 30.0


@contextmanager
def boot_fastboot(
    config: Config,
    serial: str,
    image: Path,
    keys: BootKeys,
    *,
    patience: Patience | None = None,
    say: Say = lambda _: None,
) -> Iterator[Booted]:
    """Boots a phone with an image and proves that its kernel runs.

    The phone stays as it is at the end of the block; :func:`restore_phone` puts back what it had.

    Args:
        config: gives the adb server, the cache, and the phone's name in fastboot if that is not its serial.
        serial: serial of the phone in adb.
        image: the image with the kernel.
        keys: ``flash``, ``slot`` and ``release`` of the plan.
        patience: how long to wait.
        say: called with progress messages.

    Raises:
        UsageError: the image does not tell its release.
        KernelCrashed: the kernel crashed while it booted, which the phone's log shows.
        Unsupported: the phone is locked, or cannot keep or boot that.
        NotReady: the phone does not come up, or with another kernel or slot.
        LabError: fastboot or adb failed.
    """
    expected = read_expected(image, keys.release)
    patience = patience or Patience()
    with hold_phone(config, serial):
        phone = _Phone(config, serial, Fastboot(config.fastboot_serial or serial), patience, say)
        before, kept = phone.enter_bootloader(keys)
        target = phone.write(kept, keys)
        if keys.flash is None:
            say(f"{serial}: booting {image.name} from memory")
            phone.client.boot(image)
        else:
            phone.client.reboot()
        device = phone.wait_android(before)
        _check_boot(device, expected, target)
        if keys.flash is not None:
            phone.mark_successful(device)
        boot = device.boot_id()
        yield Booted(
            device=device,
            release=expected.release,
            accel=None,
            crash_probe=lambda: probe_reboot(config, serial, boot_before=boot),
        )


def restore_phone(
    config: Config, serial: str, *, patience: Patience | None = None, say: Say = lambda _: None
) -> Device | None:
    """Puts back what a phone had before :func:`boot_fastboot`: its partitions, its slot and its kernel.

    Returns:
        The phone, freshly booted; None if there was nothing to put back.

    Raises:
        LabError: it could not be put back; it stays kept, and another call tries again.
    """
    if read_kept(config, serial) is None:
        return None
    try:
        with hold_phone(config, serial):
            phone = _Phone(config, serial, Fastboot(config.fastboot_serial or serial), patience or Patience(), say)
            return phone.restore()
    except SuiteError as error:
        error.add_note(
            f"what {serial} had is kept in {phone_folder(config, serial)}; run `android-suite restore --serial {serial}` "
            "to put it back"
        )
        raise


def _check_boot(device: Device, expected: Expected, slot: str) -> None:
    """Refuses another slot or kernel than was asked for.

    Raises:
        KernelCrashed: because the right kernel crashed, which the phone's log shows.
        NotReady: for another reason.
    """
    found = device.read_properties().get("ro.boot.slot_suffix", "").removeprefix("_")
    other = explain_other(read_running(device), expected)
    fell_back = bool(slot) and found != slot
    if not fell_back and other is None:
        return
    if crash := find_boot_crash(device):
        raise KernelCrashed(crash)
    if fell_back:
        raise NotReady(
            f"{device.serial} fell back to slot {found or 'none'}: slot {slot} did not boot (`fastboot getvar all` shows its "
            "tries); boot another kernel, or check that the images fit this phone."
        )
    raise NotReady(
        f"{device.serial} came back with another kernel: {other}; the image did not boot, or is not the one that was "
        "flashed: check that it fits this phone."
    )


class _Phone:
    """One phone, in adb or in fastboot."""

    def __init__(self, config: Config, serial: str, client: Fastboot, patience: Patience, say: Say) -> None:
        self.config, self.serial, self.client, self.patience, self.say = config, serial, client, patience, say

    def find(self) -> Device | None:
        """The phone in adb; None if it is in fastboot mode.

        Raises:
            NotReady: it is in neither.
        """
        if self.client.is_there():
            return None
        try:
            return Device(connect(self.config, self.serial))
        except NotReady as error:
            error.add_note(f"fastboot does not see {self.client.serial} either (`fastboot devices`)")
            raise

    def enter_bootloader(self, keys: BootKeys) -> tuple[str | None, Kept]:
        """Brings the phone into its bootloader, with all kept that ``keys`` will change.

        Returns:
            The boot id that ended, if Android ran, and what is kept.
        """
        device = self.find()
        kept = read_kept(self.config, self.serial)
        if device is None:
            self._leave_fastbootd()
            current = self.client.read_slot()
            kept = kept or write_kept(self.config, Kept(serial=self.serial, slot=current, banner=None))
            names = _name_partitions(keys, _choose_slot(keys, kept.slot))
            if missing := [name for name in names if name not in kept.partitions]:
                raise NotReady(
                    f"{self.serial} shows its bootloader, and what is in {', '.join(missing)} can only be kept from Android; "
                    "start it (`fastboot reboot`), then try again."
                )
            return None, kept
        if kept is None:
            slot = device.read_properties().get("ro.boot.slot_suffix", "").removeprefix("_")
            kept = write_kept(
                self.config, Kept(serial=self.serial, slot=slot, banner=device.read_text("/proc/version"))
            )
        names = _name_partitions(keys, _choose_slot(keys, kept.slot))
        if any(name not in kept.partitions for name in names):
            self.say(f"{self.serial}: keeping what is in {', '.join(names)}")
            kept = keep_partitions(self.config, device, kept, names)
        before = restart(self.config, device, "bootloader")
        disconnect(self.config, self.serial)
        self.client.wait(self.patience.bootloader_s)
        return before, kept

    def _leave_fastbootd(self) -> None:
        if self.client.read_variable("is-userspace") == "yes":
            self.client.reboot("bootloader")
            self.client.wait(self.patience.bootloader_s)

    def write(self, kept: Kept, keys: BootKeys) -> str:
        """Flashes what ``keys`` name and puts back every other partition; returns the slot that will boot."""
        if self.client.read_variable("unlocked") in ("no", "false"):
            raise Unsupported(
                f"{self.serial}: its bootloader is locked; unlock it (`fastboot flashing unlock`, which erases the phone), or "
                "use another phone."
            )
        slot = _choose_slot(keys, kept.slot)
        images = dict(zip(_name_partitions(keys, slot), map(Path, (keys.flash or {}).values()), strict=True))
        folder = phone_folder(self.config, self.serial)
        back = {name: folder / f"{name}.img" for name in kept.changed if name not in images}
        kept = self._flash(kept, {**back, **images})
        self._activate(kept, slot)
        return slot

    def _flash(self, kept: Kept, images: dict[str, Path]) -> Kept:
        """Writes images, those inside `super` from fastbootd; notes each before it is written."""
        for logical in (False, True):
            for name, image in images.items():
                if _is_logical(name) is not logical:
                    continue
                digest = _measure(image)
                if kept.written.get(name, kept.partitions[name]) == digest:
                    continue  # it is there already
                if logical and self.client.read_variable("is-userspace") != "yes":
                    self.client.reboot("fastboot")
                    self.client.wait(self.patience.bootloader_s, mode="fastboot")
                self.say(f"{self.serial}: flashing {name}")
                kept = write_kept(self.config, replace(kept, written={**kept.written, name: "unfinished"}))
                self.client.flash(name, image)
                kept = write_kept(self.config, replace(kept, written={**kept.written, name: digest}))
        return kept

    def _activate(self, kept: Kept, slot: str) -> None:
        current = self.client.read_slot()
        unbootable = self.client.read_variable(f"slot-unbootable:{slot}") == "yes"
        if slot and (slot != current or unbootable):
            write_kept(self.config, replace(kept, slot_changed=True))
            self.client.set_active(slot)

    def wait_android(self, before: str | None) -> Device:
        """Waits until Android is up; finds out if the phone shows its bootloader again instead."""
        begun, left = time.monotonic(), False

        def give_up() -> str | None:
            nonlocal left
            if not self.client.is_there():
                left = True
                return None
            if not left and time.monotonic() - begun < self.patience.leave_s:
                return None
            slots = self.client.describe_slots()
            return (
                f"shows its bootloader again: the kernel did not boot{f' ({slots})' if slots else ''}; boot another one, and "
                "check that the images fit this phone."
            )

        return wait_booted(self.config, self.serial, before=before, timeout=self.patience.boot_s, give_up=give_up)

    def mark_successful(self, device: Device) -> None:
        """Tells the bootloader that the slot is good, or it would fall back after a few more boots."""
        done = device.transport.run(["bootctl", "mark-boot-successful"])
        if done.status != 0:
            self.say(
                f"{self.serial}: bootctl mark-boot-successful failed ({done.complaint}); the phone may change its slot"
            )

    def restore(self) -> Device:
        """See :func:`restore_phone`."""
        before, kept = self.enter_bootloader(BootKeys())
        slot = self.write(kept, BootKeys())
        self.client.reboot()
        device = self.wait_android(before)
        found = device.read_properties().get("ro.boot.slot_suffix", "").removeprefix("_")
        running = read_running(device)
        other = explain_other(running, Expected(release=None, banner=kept.banner))
        if found != slot or (kept.banner is not None and running.banner != kept.banner):
            raise NotReady(
                f"{self.serial} came back from slot {found or 'none'} with {running.banner!r}, not from slot {slot or 'none'} "
                f"with {kept.banner!r} ({other or 'another slot'}); look at its screen, then try again."
            )
        if kept.changed or kept.slot_changed:
            self.mark_successful(device)
        forget(self.config, self.serial)
        parts = f" {', '.join(kept.changed)}" if kept.changed else ""
        self.say(f"{self.serial}: put back{parts or ' nothing, only restarted'}; it runs {running.release}")
        return device


def _choose_slot(keys: BootKeys, own: str) -> str:
    """The slot to boot: ``own`` is the phone's own; empty if it has no slots."""
    if keys.slot == "other":
        return {"a": "b", "b": "a"}.get(own, own)
    return keys.slot if keys.slot and own else own


def _name_partitions(keys: BootKeys, slot: str) -> list[str]:
    return [f"{partition}_{slot}" if slot else partition for partition in keys.flash or {}]


def _is_logical(name: str) -> bool:
    return name in LOGICAL or name.rpartition("_")[0] in LOGICAL


def _measure(image: Path) -> str:
    try:
        with image.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise LabError(f"cannot read {image} ({error.strerror}); restore the file, then try again.") from error
