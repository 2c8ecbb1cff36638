"""Small files that unpack to a great deal, of every kind a reader unpacks."""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from unittest import mock

import zstandard

from android_suite.trace.core import unpack
from android_suite.trace.dat import compression as dat_compression
from android_suite.trace.perfetto.wire import write_varint
from tests.fuzz.perfetto import frame
from tests.trace.captures import DatBuffer, make_dat_v7
from tests.trace.pages import make_layout
from tests.trace.samples import TRACE_TEXT

KINDS = (
    "gzip",
    "gzip members",
    "zstd",
    "zstd frames",
    "zip",
    "zip that lies",
    "atrace -z",
    "packets",
    "trace.dat",
    "layers",
)
SMALL_BOUND_BYTES = 2 << 20  # in most cases: what is refused is the same, and it costs a hundredth


@contextlib.contextmanager
def small_bounds() -> Iterator[None]:
    """The readers' own bounds, lowered."""
    with (
        mock.patch.object(unpack, "_SMALLEST_BOUND_BYTES", SMALL_BOUND_BYTES),
        mock.patch.object(unpack, "_RATIO", 20),
        mock.patch.object(dat_compression, "MAX_PLAIN_BYTES", SMALL_BOUND_BYTES),
        mock.patch.object(dat_compression, "MAX_RATIO", 20),
    ):
        yield


@functools.cache
def make_bomb(kind: str, plain_bytes: int, fill: str) -> bytes:
    """A file of that kind that unpacks to about ``plain_bytes`` of zeros or of ftrace text."""
    data = bytes(plain_bytes) if fill == "zeros" else (TRACE_TEXT * (plain_bytes // len(TRACE_TEXT) + 1))[:plain_bytes]
    match kind:
        case "gzip":
            return gzip.compress(data, 9, mtime=0)
        case "gzip members":
            return gzip.compress(data[: plain_bytes // 64], 9, mtime=0) * 64
        case "zstd":
            return zstandard.ZstdCompressor().compress(data)
        case "zstd frames":
            return zstandard.ZstdCompressor().compress(data[: plain_bytes // 64]) * 64
        case "zip":
            return _zip(data)
        case "zip that lies":  # of its size
            packed = bytearray(_zip(data))
            for magic, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
                start = packed.index(magic) + at
                packed[start : start + 4] = struct.pack("<I", 100)
            return bytes(packed)
        case "atrace -z":
            return b"TRACE:\n" + zlib.compress(data, 9)
        case "packets":
            body = zlib.compress(b"\x0a\x04\x40\x01\x50\x01" * (plain_bytes // 6), 9)
            inner = b"\x92\x03" + write_varint(len(body)) + body
            return frame([inner] * 4)
        case "trace.dat":
            layout = make_layout()
            pages = data[: plain_bytes // 4096 * 4096]
            if fill != "zeros":
                pages = (bytes(8) + (8).to_bytes(8, "little") + bytes(4080)) * (plain_bytes // 4096)
            return make_dat_v7(
                layout, [DatBuffer(cpus={0: pages})], compression="zstd", chunk_pages=1024, formats=("sched_waking",)
            )
        case _:
            return _zip(gzip.compress(zstandard.ZstdCompressor().compress(data), 1, mtime=0))


def _zip(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t", data)
    return out.getvalue()
