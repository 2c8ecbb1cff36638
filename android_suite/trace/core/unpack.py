"""Unpacks gzip, xz, bzip2 and zstd data up to a bound, before a reader sees it.

The bound is 256 MiB plus 100 times the packed size, but at most 8 GiB. ftrace text packs about 20 to 1.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import zstandard

from android_suite.errors import TraceError

GZIP_MAGIC, ZSTD_MAGIC, XZ_MAGIC, BZIP2_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"BZh"
_STREAM_FAULTS = (zlib.error, lzma.LZMAError, zstandard.ZstdError, EOFError, OSError, ValueError)
CUT = "it ends too early"
_XZ_MEMORY_BYTES = 1 << 30  # xz -9 needs 65 MiB
_CHUNK_BYTES = 1 << 20
_SMALLEST_BOUND_BYTES, _LARGEST_BOUND_BYTES, _RATIO = 256 << 20, 8 << 30, 100


def bound_bytes(packed_bytes: int) -> int:
    """The largest number of bytes that a packed trace of that size may unpack to."""
    return min(_LARGEST_BOUND_BYTES, _SMALLEST_BOUND_BYTES + _RATIO * packed_bytes)


def unpack_zlib(data: bytes | memoryview, file: Path | str, *, offset: int = 0, bound: int | None = None) -> bytes:
    """Unpacks a zlib or gzip stream (several gzip members are joined, as ``zcat`` does).

    Raises:
        TraceError: the stream is damaged, cut short, or larger than the bound.
    """
    limit = bound_bytes(len(data)) if bound is None else bound
    out, at = io.BytesIO(), 0  # getvalue does not copy
    while at < len(data):
        engine = zlib.decompressobj(wbits=47)  # zlib or gzip, by its header
        try:
            while not engine.eof:
                # Fed in slices, because the engine copies the unused rest each time.
                fed = engine.unconsumed_tail or bytes(data[at : at + _CHUNK_BYTES])
                at += 0 if engine.unconsumed_tail else len(fed)
                piece = engine.decompress(fed, _CHUNK_BYTES)
                out.write(piece)
                check_bound(out.tell(), limit, file)
                if not piece and not fed:
                    raise TraceError(file, offset + at, "the rest of the packed data", hint="Copy the file again.")
        except zlib.error as error:
            raise TraceError(file, offset, f"a whole zlib stream ({error})", hint="Copy the file again.") from error
        at -= len(engine.unused_data)
        if bytes(data[at : at + 2]) != GZIP_MAGIC:
            break  # any other trailing bytes are padding
    return out.getvalue()


def unpack_zstd(data: bytes | memoryview, file: Path | str, *, offset: int = 0, bound: int | None = None) -> bytes:
    """Unpacks zstd frames; the same errors as ``unpack_zlib``."""
    limit = bound_bytes(len(data)) if bound is None else bound
    out = io.BytesIO()
    engine = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    try:
        with engine.stream_reader(io.BytesIO(data), read_across_frames=True) as reader:
            while piece := reader.read(_CHUNK_BYTES):
                out.write(piece)
                check_bound(out.tell(), limit, file)
    except zstandard.ZstdError as error:
        raise TraceError(file, offset, f"whole zstd frames ({error})", hint="Copy the file again.") from error
    if not out.tell():
        raise TraceError(file, offset, "zstd frames with data", hint="Copy the file again.")
    return out.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """The unpacked content of a file."""

    data: bytes
    fault: str = ""  # why the rest could not be unpacked; empty if everything was


def is_packed(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is one stream packed with gzip, xz, bzip2 or zstd."""
    return head.startswith((GZIP_MAGIC, XZ_MAGIC, BZIP2_MAGIC, ZSTD_MAGIC))


def unpack_stream(data: bytes | memoryview, file: Path | str) -> Unpacked:
    """Unpacks a gzip, xz, bzip2 or zstd file. Of a damaged or truncated file, it unpacks what precedes the damage.

    Raises:
        TraceError: nothing can be unpacked, or more than the bound.
    """
    limit, fault = bound_bytes(len(data)), ""
    # At damage, a call gives nothing of its data, so small steps get closer to the damage.
    for step in (_CHUNK_BYTES, min(_CHUNK_BYTES, max(64, len(data) >> 12))):
        out = io.BytesIO()
        try:
            for piece in _pieces(data, step):
                out.write(piece)
                check_bound(out.tell(), limit, file)
        except EOFError:
            fault = CUT
            break
        except _STREAM_FAULTS as error:
            what, where = str(error) or type(error).__name__, "the data shortly before it may be wrong"
            if "data check" in what or "CRC" in what:  # found at the end, the damage may be anywhere
                where = "any of the data may be wrong"
            fault = f"{what}: {where}"
            continue
        return Unpacked(data=out.getvalue())
    if not out.tell():
        raise TraceError(file, 0, f"whole packed data ({fault.partition(':')[0]})", hint="Copy the file again.")
    return Unpacked(data=out.getvalue(), fault=fault)


def peek_stream(data: bytes | memoryview, size: int) -> bytes:
    """The first unpacked bytes of a packed file, at most ``size``; empty if nothing can be unpacked."""
    try:
        return next((piece for piece in _pieces(data, size) if piece), b"")
    except _STREAM_FAULTS:
        return b""


def _pieces(data: bytes | memoryview, step: int) -> Iterator[bytes]:
    head = bytes(data[:8])
    if head.startswith(ZSTD_MAGIC):
        engine = zstandard.ZstdDecompressor(max_window_size=1 << 27)
        with engine.stream_reader(io.BytesIO(data), read_across_frames=True) as reader:
            while piece := reader.read(step):
                yield piece
        return
    magic = next(m for m in (GZIP_MAGIC, XZ_MAGIC, BZIP2_MAGIC) if head.startswith(m))
    at = 0
    while at < len(data):
        if at and bytes(data[at : at + len(magic)]) != magic:
            return  # any other trailing bytes are padding
        inflate = {GZIP_MAGIC: _Gzip, XZ_MAGIC: _xz, BZIP2_MAGIC: bz2.BZ2Decompressor}[magic]()
        while not inflate.eof:
            fed = bytes(data[at : at + step]) if inflate.needs_input else b""
            at += len(fed)
            piece = inflate.decompress(fed, step)
            if not piece and not fed and inflate.needs_input and not inflate.eof:
                raise EOFError(CUT)
            yield piece
        at -= len(inflate.unused_data)


class _Inflate(Protocol):
    """The interface that the standard library's decompressors of bzip2 and xz share."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class _Gzip:
    """zlib's decompressor with the same interface."""

    def __init__(self) -> None:
        self._engine = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._engine.eof

    @property
    def needs_input(self) -> bool:
        return not self._engine.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._engine.unused_data

    def decompress(self, data: bytes, max_length: int = 0) -> bytes:
        return self._engine.decompress(self._engine.unconsumed_tail + data, max_length)


def _xz() -> _Inflate:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)


def check_bound(size: int, limit: int, file: Path | str) -> None:
    """Raises TraceError if a packed file unpacked to more than its bound."""
    if size > limit:
        hint = "If the trace is real, unpack it yourself and give the unpacked file."
        raise TraceError(file, None, f"at most {limit >> 20} MiB of unpacked data", hint=hint)
