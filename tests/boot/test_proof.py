"""What an image says of its kernel, and whether that kernel runs."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import lz4.block
import pytest

from android_suite.boot.proof import Expected, explain_other, read_expected
from android_suite.errors import UsageError

RELEASE = "6.6.57-android15-8-gabc"
BANNER = f"Linux version {RELEASE} (build-user@build-host) (clang 18) #1 SMP PREEMPT Thu Jan  1 00:00:00 UTC 1970"
IMAGE = b"\0" * 56 + b"ARM\x64" + bytes(5000) + BANNER.encode() + b"\n" + bytes(9000)


def wrap(kernel: bytes, version: int) -> bytes:
    """As mkbootimg does: pages of 2048 bytes before version 3."""
    page = 4096 if version >= 3 else 2048
    fields = (len(kernel), 0, 0, 0, 0, 0, 0, 0 if version >= 3 else page, version)
    return (b"ANDROID!" + struct.pack("<9I", *fields)).ljust(page, b"\0") + kernel


def pack_lz4(data: bytes) -> bytes:
    """As `lz4 -l` and the kernel's build do, which appends the size."""
    blocks = b""
    for at in range(0, len(data), 8 << 20):
        block = lz4.block.compress(data[at : at + (8 << 20)], store_size=False)
        blocks += struct.pack("<I", len(block)) + block
    return b"\x02\x21\x4c\x18" + blocks + struct.pack("<I", len(data))


@pytest.mark.parametrize("version", [0, 2, 3, 4])
@pytest.mark.parametrize("packed", ["raw", "gzip", "lz4"])
def test_a_boot_image_tells_its_kernel(version: int, packed: str, tmp_path: Path) -> None:
    kernel = {"raw": IMAGE, "gzip": gzip.compress(IMAGE, mtime=0), "lz4": pack_lz4(IMAGE)}[packed]
    (tmp_path / "boot.img").write_bytes(wrap(kernel, version))
    assert read_expected(tmp_path / "boot.img") == Expected(release=RELEASE, banner=BANNER)
    (tmp_path / "Image").write_bytes(kernel)
    assert read_expected(tmp_path / "Image", RELEASE).release == RELEASE


def test_an_lz4_image_of_several_blocks(tmp_path: Path) -> None:
    (tmp_path / "Image.lz4").write_bytes(pack_lz4(bytes(9 << 20) + IMAGE))
    assert read_expected(tmp_path / "Image.lz4").banner == BANNER


@pytest.mark.parametrize(
    ("content", "release", "said"),
    [
        (wrap(b"", 4), None, "the boot image has no kernel"),
        (wrap(IMAGE, 4)[:6000], None, "the boot image is cut off"),
        (b"ANDROID!", None, "the boot image is cut off"),
        (b"nothing", None, 'does not tell the release of its kernel; add release = "..."'),
        (IMAGE, "6.6.58", f"holds Linux {RELEASE}, not 6.6.58; correct `release` or the image"),
        (None, None, "No such file"),
    ],
    ids=["no kernel", "cut off", "only magic", "no release", "another release", "no file"],
)
def test_an_image_that_cannot_be_used(content: bytes | None, release: str | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "boot.img"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_expected(path, release)
    assert said in str(caught.value)


def test_two_builds_of_one_release_are_two_kernels() -> None:
    asked = Expected(release=RELEASE, banner=BANNER)
    assert explain_other(Expected(release=RELEASE, banner=f"{BANNER} "), asked) is None
    twin = Expected(release=RELEASE, banner=BANNER.replace("#1", "#2"))
    assert (explain_other(twin, asked) or "").startswith(f"it runs another build of {RELEASE}")
    other = Expected(release="6.6.30", banner=BANNER.replace("6.6.57", "6.6.30"))
    assert explain_other(other, asked) == f"it runs 6.6.30, not {RELEASE}"
    assert explain_other(other, Expected(release=None)) is None
    assert explain_other(twin, Expected(release=RELEASE)) is None, (
        "nothing more is known of an image without its banner"
    )
