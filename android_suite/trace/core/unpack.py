"""Packed bytes to plain ones, never more than a stated bound: what a trace is wrapped in before a reader sees it.

The bound: 256 MiB plus 100 times the packed size, and never over 8 GiB. ftrace text packs about 20 to 1.
"""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from pathlib import Path

import zstandard

from android_suite.errors import TraceError

GZIP_MAGIC, ZSTD_MAGIC, ZIP_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04"
# What zipfile and its decompressors raise for damaged archives.
_ZIP_FAULTS = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError,
    OSError, LookupError, ArithmeticError,
)  # fmt: skip
_CHUNK_BYTES = 1 << 20
_SMALLEST_BOUND_BYTES, _LARGEST_BOUND_BYTES, _RATIO = 256 << 20, 8 << 30, 100


def bound_bytes(packed_bytes: int) -> int:
    """How many bytes a packed trace of that size may become."""
    return min(_LARGEST_BOUND_BYTES, _SMALLEST_BOUND_BYTES + _RATIO * packed_bytes)


def unpack_zlib(data: bytes | memoryview, file: Path | str, *, offset: int = 0, bound: int | None = None) -> bytes:
    """Unpacks a zlib or gzip stream (several gzip members are joined, as ``zcat`` does).

    Raises:
        TraceError: the stream is damaged, cut short, or larger than the bound.
    """
    limit = bound_bytes(len(data)) if bound is None else bound
    out, at = io.BytesIO(), 0  # its value is handed over without a copy
    while at < len(data):
        engine = zlib.decompressobj(wbits=47)  # zlib or gzip, by its header
        try:
            while not engine.eof:
                # Fed in slices: what the engine leaves over is copied each time.
                fed = engine.unconsumed_tail or bytes(data[at : at + _CHUNK_BYTES])
                at += 0 if engine.unconsumed_tail else len(fed)
                piece = engine.decompress(fed, _CHUNK_BYTES)
                out.write(piece)
                _check_bound(out.tell(), limit, file)
                if not piece and not fed:
                    raise TraceError(file, offset + at, "the rest of the packed data", hint="Copy the file again.")
        except zlib.error as error:
            raise TraceError(file, offset, f"a whole zlib stream ({error})", hint="Copy the file again.") from error
        at -= len(engine.unused_data)
        if bytes(data[at : at + 2]) != GZIP_MAGIC:
            break  # trailing bytes that are no further member are padding
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
                _check_bound(out.tell(), limit, file)
    except zstandard.ZstdError as error:
        raise TraceError(file, offset, f"whole zstd frames ({error})", hint="Copy the file again.") from error
    if not out.tell():
        raise TraceError(file, offset, "zstd frames with data", hint="Copy the file again.")
    return out.getvalue()


def unpack_zip(data: bytes | memoryview, file: Path | str) -> bytes:
    """The largest member of a zip archive: traces are shipped with small notes beside them.

    Raises:
        TraceError: no readable member, or one larger than the bound.
    """
    limit = bound_bytes(len(data))
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [m for m in archive.infolist() if not m.filename.endswith("/")]
            if not members:
                raise TraceError(file, 0, "a trace inside the archive, it is empty", hint="Pack the trace again.")
            member = max(members, key=lambda m: m.file_size)
            out = io.BytesIO()
            with archive.open(member) as stream:
                while piece := stream.read(_CHUNK_BYTES):
                    out.write(piece)
                    _check_bound(out.tell(), limit, file)
            return out.getvalue()
    except _ZIP_FAULTS as error:
        raise TraceError(file, 0, f"a whole zip archive ({error})", hint="Copy the file again.") from error


def _check_bound(size: int, limit: int, file: Path | str) -> None:
    if size > limit:
        hint = "If the trace is real, unpack it yourself and give the unpacked file."
        raise TraceError(file, None, f"at most {limit >> 20} MiB of unpacked data", hint=hint)
