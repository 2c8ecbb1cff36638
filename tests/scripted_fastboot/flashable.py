"""A scripted phone with a bootloader: what is in adb leaves when fastboot sees it, and comes back with what was flashed."""

from __future__ import annotations

import gzip
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

from android_suite.config import Config
from android_suite.virtual.boot_image import find_kernel
from android_suite.virtual.kernel_image import parse_banner
from tests.scripted_fastboot.bootloader import Bootloader
from tests.scripted_phone import ScriptedPhone
from tests.scripted_phone.call import Call, command

STOCK, BEFORE, AFTER = (f"6.6.{n}-android15-8-g{name}" for n, name in ((30, "stock"), (56, "before"), (57, "after")))
PARTITIONS = ("boot", "init_boot", "vendor_boot", "vendor_dlkm")
PANIC = "[    1.234567] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n"
Fate = Literal["silent", "loop", "bootloader", "slot"]


def make_image(release: str, *, extra: bytes = b"") -> bytes:
    """A boot image of version 4 whose kernel says that it is ``release``, as the phone's /proc/version does."""
    banner = f"Linux version {release} (build-user@build-host) (Android clang 14.0.7) #1 SMP PREEMPT\n"
    kernel = gzip.compress(b"\0" * 56 + b"ARM\x64" + banner.encode() + extra, mtime=0)
    header = b"ANDROID!" + struct.pack("<9I", len(kernel), 0, 0, 1584, 0, 0, 0, 0, 4)
    return header.ljust(4096, b"\0") + kernel


@command("bootctl")
def bootctl(call: Call) -> int:
    """`bootctl mark-boot-successful`, as root."""
    if call.word(1) != "mark-boot-successful" or call.uid:
        call.err("bootctl: permission denied")
        return 77
    call.phone.marked += 1  # type: ignore[attr-defined]
    return 0


class FlashablePhone(ScriptedPhone):
    """Use it in a ``with`` block.

    Attributes:
        fates: what becomes of a release that does not boot: nothing more is heard of it, it restarts for ever, the phone
            shows its bootloader, or it changes to its other slot.
        panics: whether such a release leaves its console in pstore and the reason in the properties.
        marked: how often a boot was marked as successful.
    """

    def __init__(self, **facts: Any) -> None:
        facts = {"root": "adbd", "kernel": STOCK, **facts}
        super().__init__(boot_seconds=0.1, **facts)
        self.fates: dict[str, Fate] = {}
        self.panics = False
        self.marked = 0
        self.bootloader = Bootloader(self._leave_bootloader)
        self.on_reboot = lambda _phone, target: self._go(target)
        for slot in "ab":
            for partition in PARTITIONS:
                content = make_image(STOCK) if partition == "boot" else f"stock {partition}_{slot}\n".encode() * 999
                self.bootloader.partitions[f"{partition}_{slot}"] = content
        self._show_partitions()

    def __enter__(self) -> Self:
        self.bootloader.__enter__()
        return super().__enter__()

    def close(self) -> None:
        """See the base."""
        super().close()
        self.bootloader.close()

    def configure(self, config: Config) -> Config:
        """The settings with the phone's name in fastboot."""
        return replace(config, fastboot_serial=self.bootloader.serial)

    @property
    def stock(self) -> Mapping[str, bytes]:
        """The partitions as they are now, to compare with later."""
        return dict(self.bootloader.partitions)

    def show_bootloader(self) -> None:
        """As if the user held the keys down."""
        self.halt()
        self.bootloader.enter()

    def _go(self, target: str) -> None:
        if target in ("bootloader", "fastboot"):
            self.bootloader.enter("bootloader" if target == "bootloader" else "fastbootd")
        else:
            self._start(None)

    def _leave_bootloader(self, where: str, image: bytes | None) -> None:
        time.sleep(0.1)
        if where == "android":
            self._start(image)
        else:
            self.bootloader.enter("fastbootd" if where == "fastbootd" else "bootloader")

    def _start(self, image: bytes | None) -> None:
        """Boots an image from memory, else what is in the slot that is up."""
        died = ""
        release = _read_release(image) if image is not None else ""
        if image is None or release in self.fates:
            died = release

            def boots(slot: str) -> bool:
                return self.fates.get(self._release_in(slot)) != "slot"

            own = self.bootloader.current
            slot = self.bootloader.choose_slot(boots)
            died = died or (self._release_in(own) if slot != own else "")
            if died and self.fates.get(died) == "bootloader" and image is not None:
                self.bootloader.enter()
                return
            release = self._release_in(slot)
        match self.fates.get(release):
            case "silent":
                return
            case "bootloader":
                self.bootloader.enter()
                return
            case "loop":
                self._loop()
                return
        if died and self.panics:
            self.state.properties |= {"ro.boot.bootreason": "kernel_panic", "sys.boot.reason": "kernel_panic"}
            self.state.pstore = {"console-ramoops-0": PANIC}
        self._up(release)

    def _up(self, release: str) -> None:
        with self._life:
            if not self._closed.is_set():
                self._boot_slot(release)

    def _boot_slot(self, release: str) -> None:
        self.state.slot = f"_{self.bootloader.current}"
        self.state.properties["ro.boot.slot_suffix"] = self.state.slot
        self.state.kernel = release
        self._show_partitions()
        self.boot()

    def _loop(self) -> None:
        """Comes as far as adbd, four times."""
        begin = self.state.begin_boot

        def begin_and_stay() -> None:
            begin()
            self.state.properties["sys.boot_completed"] = ""

        self.state.begin_boot = begin_and_stay  # type: ignore[method-assign]
        for _ in range(12):
            if self._closed.is_set():
                return
            self._up("6.6.0-loop")
            time.sleep(1.5)
            self.halt()

    def _release_in(self, slot: str) -> str:
        return _read_release(self.bootloader.partitions[f"boot_{slot}"])

    def _show_partitions(self) -> None:
        folder = self.jail.root / "dev/block/by-name"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.bootloader.partitions.items():
            with suppress(FileNotFoundError):
                (folder / name).unlink()
            (folder / name).write_bytes(content)
            (folder / name).chmod(0o600)


def _read_release(image: bytes) -> str:
    banner = parse_banner(find_kernel(image))
    return banner.split()[2] if banner else ""


def write_images(folder: Path) -> dict[str, Path]:
    """Boot images of two kernels, by release."""
    made = {release: folder / f"{name}.img" for name, release in (("before", BEFORE), ("after", AFTER))}
    for release, path in made.items():
        path.write_bytes(make_image(release))
    return made
