from __future__ import annotations

import gzip
import lzma

import pytest
import zstandard

from android_suite.virtual.kernel_image import (
    parse_arch,
    parse_config,
    parse_module_depends,
    parse_release,
    unpack,
)
from android_suite.virtual.kernels import sort_modules

CONFIG = b"CONFIG_LOCK_STAT=y\n"
PLAIN = (
    b"\0" * 56
    + b"ARM\x64"
    + b"\0" * 4000
    + b"Linux version 6.17.13+deb13 (x@y) (gcc) # SMP PREEMPT \n\0"
    + b"IKCFG_ST"
    + gzip.compress(CONFIG)
    + b"IKCFG_ED"
)


def make_bzimage(payload: bytes) -> bytes:
    """A bzImage with one set-up sector: release string at 0x600, payload right behind the set-up part."""
    head = bytearray(2 * 512)
    head[0x1F1] = 1
    head[0x202:0x206] = b"HdrS"
    head[0x20E:0x210] = (0x300 - 0x200).to_bytes(2, "little")
    head[0x300:0x320] = b"7.3.4 (root@vm) #1".ljust(32, b"\0")
    head[0x248:0x24C] = (0).to_bytes(4, "little")
    head[0x24C:0x250] = len(payload).to_bytes(4, "little")
    return bytes(head) + payload


@pytest.mark.parametrize("image", [PLAIN, gzip.compress(PLAIN)])
def test_arm64_image(image: bytes) -> None:
    assert parse_arch(image) == "arm64"
    assert parse_release(image) == "6.17.13+deb13"
    assert parse_config(image) == CONFIG


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, zstandard.ZstdCompressor().compress])
def test_bzimage(compress: object) -> None:
    image = make_bzimage(compress(PLAIN))  # type: ignore[operator]
    assert parse_arch(image) == "amd64"
    assert parse_release(image) == "7.3.4"
    assert parse_config(image) == CONFIG


@pytest.mark.parametrize("image", [b"", b"\x1f\x8b", b"\x89PNG\r\n" * 100, b"HdrS", gzip.compress(b"text", mtime=0)])
def test_not_a_kernel(image: bytes) -> None:
    assert parse_arch(image) is None
    assert parse_config(image) is None


def test_cut_images_do_not_raise() -> None:
    for whole in (make_bzimage(gzip.compress(PLAIN)), gzip.compress(PLAIN)):
        for size in range(0, len(whole), 7):
            parse_arch(whole[:size])
            parse_release(whole[:size])
            parse_config(whole[:size])
            unpack(whole[:size])


def test_modules_come_after_what_they_need() -> None:
    def module(depends: str) -> bytes:
        return f"\x7fELF\0license=GPL\0depends={depends}\0name=x\0".encode()

    assert parse_module_depends(module("a,b")) == ["a", "b"]
    assert parse_module_depends(module("")) == []
    modules = {"virtio_net": module("net_failover"), "net_failover": module("failover"), "failover": module("")}
    assert sort_modules(modules) == ["failover", "net_failover", "virtio_net"]
    assert sort_modules({}) == []
