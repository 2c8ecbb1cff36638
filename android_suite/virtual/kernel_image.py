"""Reads kernel images and modules: release, embedded configuration, module dependencies. No I/O."""

from __future__ import annotations

import gzip
import io
import lzma
import re
import zlib

import lz4.block
import zstandard

# No unpacked kernel image is larger; more is a compression bomb or not a kernel.
MAX_UNPACKED_BYTES = 512 << 20
_BANNER = re.compile(rb"Linux version (\S+) \([^\n\x00]*\n")
_LZ4_LEGACY = b"\x02\x21\x4c\x18"  # `lz4 -l`, as the kernel's build and GKI's boot-lz4.img have it
_LZ4_BLOCK_BYTES = 8 << 20
_CONFIG_START, _CONFIG_END = b"IKCFG_ST", b"IKCFG_ED"


def parse_arch(image: bytes) -> str | None:
    """``arm64`` or ``amd64`` from the image's header, or None if it is neither."""
    plain = unpack(image[: 1 << 16]) if image[:2] == b"\x1f\x8b" else image
    if plain[56:60] == b"ARM\x64" or (plain[:2] == b"MZ" and plain[4:8] == b"zimg"):
        return "arm64"
    if plain[0x202:0x206] == b"HdrS":
        return "amd64"
    return None


def parse_release(image: bytes) -> str | None:
    """The release (``uname -r``) of a kernel image, or None if it cannot be read."""
    if image[0x202:0x206] == b"HdrS":
        offset = int.from_bytes(image[0x20E:0x210], "little") + 0x200
        word = image[offset : offset + 256].split(b"\0")[0].split(b" ")[0]
        return word.decode("ascii", "replace") or None
    found = _BANNER.search(unpack(image))
    return found[1].decode("ascii", "replace") if found else None


def parse_banner(image: bytes) -> str | None:
    """What ``/proc/version`` of the kernel in an image says, on one line; None if it cannot be read.

    It differs between two builds of one release, which ``uname -r`` does not.
    """
    found = _BANNER.search(unpack(image))
    return found[0].decode("ascii", "replace").strip() if found else None


def parse_config(image: bytes) -> bytes | None:
    """The configuration embedded in an image (``CONFIG_IKCONFIG``), or None."""
    plain = unpack(image)
    start = plain.find(_CONFIG_START)
    end = plain.find(_CONFIG_END, start)
    if start < 0 or end < 0:
        return None
    try:
        return gzip.decompress(plain[start + len(_CONFIG_START) : end])
    except (OSError, EOFError, zlib.error):
        return None


def parse_module_depends(module: bytes) -> list[str]:
    """Names of the modules that a module (an ELF file) needs loaded first."""
    found = re.search(rb"\0depends=([^\0]*)\0", module)
    return [name.decode() for name in found[1].split(b",") if name] if found else []


def unpack(image: bytes) -> bytes:
    """The decompressed image; an image that cannot be unpacked is returned unchanged."""
    if image[0x202:0x206] == b"HdrS":
        # The boot protocol (2.08) gives the offset of the compressed kernel from the protected-mode part.
        base = (image[0x1F1] + 1) * 512
        offset = int.from_bytes(image[0x248:0x24C], "little") + base
        image = image[offset : offset + int.from_bytes(image[0x24C:0x250], "little")]
    elif image[:2] == b"MZ" and image[4:8] == b"zimg":
        offset, size = (int.from_bytes(image[at : at + 4], "little") for at in (8, 12))
        image = image[offset : offset + size]
    try:
        if image[:2] == b"\x1f\x8b":
            return zlib.decompressobj(wbits=31).decompress(image, MAX_UNPACKED_BYTES)
        if image[:4] == b"\x28\xb5\x2f\xfd":
            return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(image)).read(MAX_UNPACKED_BYTES)
        if image[:6] == b"\xfd7zXZ\0":
            return lzma.LZMADecompressor().decompress(image, MAX_UNPACKED_BYTES)
        if image[:4] == _LZ4_LEGACY:
            return _unpack_lz4(image)
    except (zlib.error, zstandard.ZstdError, lzma.LZMAError, lz4.block.LZ4BlockError):
        pass
    return image


def _unpack_lz4(image: bytes) -> bytes:
    """Blocks of a size and as many bytes. What cannot be a size is what the build appended: the size of the whole."""
    out, at = bytearray(), 4
    while at + 4 <= len(image) and len(out) < MAX_UNPACKED_BYTES:
        size = int.from_bytes(image[at : at + 4], "little")
        if not 0 < size <= len(image) - at - 4 or size > _lz4_bound(_LZ4_BLOCK_BYTES):
            break
        out += lz4.block.decompress(image[at + 4 : at + 4 + size], uncompressed_size=_LZ4_BLOCK_BYTES)
        at += 4 + size
    return bytes(out)


def _lz4_bound(size: int) -> int:
    """The most bytes that lz4 makes of ``size`` bytes, as its ``LZ4_compressBound``."""
    return size + size // 255 + 16
