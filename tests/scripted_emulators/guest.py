"""The device inside: a scripted phone at a given port that runs the kernel of an image."""

from __future__ import annotations

from pathlib import Path

from android_suite.virtual.boot_image import find_kernel
from android_suite.virtual.kernel_image import parse_banner
from tests.scripted_phone import ScriptedPhone

PANIC = (
    "[    0.000000] Linux version 6.6.57 (build-user@build-host) #1 SMP PREEMPT\n"
    "[    1.234567] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n"
)
STOCK = "6.6.30-android15-8-gstock"


def make_guest(image: Path, port: int, fault: str) -> ScriptedPhone:
    """The device, not booted yet. With the fault ``other``, it runs the kernel of its own image instead."""
    banner = parse_banner(find_kernel(image.read_bytes()))
    release = STOCK if fault == "other" or banner is None else banner.split()[2]
    phone = ScriptedPhone(
        kernel=release,
        root="adbd",
        boot_seconds=0.1,
        properties={"ro.boot.qemu": "1", "ro.kernel.qemu": "1", "ro.product.model": "sdk_gphone64_arm64"},
    )
    phone._port = port
    return phone
