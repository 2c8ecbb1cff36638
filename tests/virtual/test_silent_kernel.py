"""A kernel that resets the machine before it has a console: what it would have said is found, on real QEMU."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from android_suite.errors import NotReady
from android_suite.virtual import VirtualDevice
from android_suite.virtual.kernels import KernelImage
from tests.settings import CONFIG

pytestmark = pytest.mark.vdev

SOURCE = Path(__file__).with_name("silent_kernel.c")
CC = ("aarch64-linux-gnu-gcc", "-O1", "-ffreestanding", "-nostdlib", "-static", "-fno-toplevel-reorder")


@pytest.fixture
def silent_kernel(tmp_path: Path) -> KernelImage:
    program, image = tmp_path / "silent", tmp_path / "Image"
    flags = ("-mstrict-align", "-mgeneral-regs-only", "-Wl,--build-id=none,-Ttext=0,-e0")
    subprocess.run([*CC, *flags, "-o", program, SOURCE], check=True)
    subprocess.run(["aarch64-linux-gnu-objcopy", "-O", "binary", program, image], check=True)
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    return KernelImage(name="silent", release=None, arch="arm64", path=image, sha256=digest)


@pytest.mark.parametrize("deterministic", [False, True])
def test_a_silent_end_is_the_kernels_and_its_panic_is_told(silent_kernel: KernelImage, deterministic: bool) -> None:
    with (
        VirtualDevice(kernel=silent_kernel, config=CONFIG, deterministic=deterministic) as device,
        pytest.raises(
            NotReady, match="kernel silent crashed while it started: Kernel panic - not syncing: planted"
        ) as e,
    ):
        device.start()
    assert any("Kernel panic" in note for note in e.value.__notes__)


def test_a_kernel_that_says_nothing_at_all_is_told_so(silent_kernel: KernelImage) -> None:
    image = silent_kernel.path
    image.write_bytes(image.read_bytes().replace(b"earlycon\0", b"nothing!\0"))
    with (
        VirtualDevice(kernel=silent_kernel, config=CONFIG) as device,
        pytest.raises(NotReady, match="kernel silent: the guest restarted without a message before it was ready"),
    ):
        device.start()
