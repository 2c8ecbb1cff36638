"""Any trace: the format is found from the content, never from the name."""

from __future__ import annotations

import os
import weakref
from dataclasses import replace
from pathlib import Path

import pandas as pd

from android_suite.errors import TraceError, Unsupported, UsageError
from android_suite.tables.trace import Trace
from android_suite.trace.core.unpack import GZIP_MAGIC, ZIP_MAGIC, ZSTD_MAGIC, unpack_zip, unpack_zlib, unpack_zstd
from android_suite.trace.dat.reader import read_trace_dat
from android_suite.trace.perfetto.reader import read_perfetto
from android_suite.trace.perfetto.wire import looks_like_perfetto
from android_suite.trace.ring.capture_folder import read_raw_capture
from android_suite.trace.text.reader import read_text

TRACE_DAT_MAGIC = b"\x17\x08\x44tracing"
_KNOWN = "a run directory, trace.dat, ftrace or systrace text or html, atrace -z output or a Perfetto trace"
_HEAD_BYTES = 4096
_PACKED = (GZIP_MAGIC, ZSTD_MAGIC, ZIP_MAGIC)
_LAYERS = 3  # a gzip in a zip happens; more is an attack
# What people hand over by mistake, by its first bytes.
_OTHERS = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x7fELF", "a program (ELF)"),
    (b"PERFILE2", "a perf.data file"),
    (b"%PDF", "a PDF document"),
    (b"SQLite format 3", "an SQLite database"),
    (b"ANDROID!", "an Android boot image"),
    (b"{", "a JSON document"),
)


def open_trace(path: Path | str) -> Trace:
    """Reads the trace at ``path``, whatever its format; packed traces (gzip, zstd, zip) are unpacked within a bound.

    Args:
        path: a file, or a folder that is (or holds) one raw ftrace capture.

    Raises:
        UsageError: nothing there, nothing a trace could be, or several traces in one folder.
        TraceError: a trace, and damaged.
    """
    place = Path(path)
    if place.is_dir():
        return read_raw_capture(find_capture(place))
    try:
        size = place.stat().st_size
        with place.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError as error:
        raise UsageError(f"{place} cannot be read ({error.strerror}); give {_KNOWN}.") from error
    if not place.is_file():
        raise UsageError(f"{place} is no file; give {_KNOWN}.")
    if size == 0:
        raise TraceError(place, 0, "a trace, the file is empty", hint="Record the trace again and check its size.")
    if head.startswith(_PACKED):
        return _open_packed(place.read_bytes(), place)
    if head.startswith(TRACE_DAT_MAGIC):
        return read_trace_dat(place)
    if looks_like_perfetto(head, size):
        return read_perfetto(place)
    _refuse_others(head, place)
    return read_text(place)


def find_capture(folder: Path) -> Path:
    """The raw capture of a folder: itself, or the only one below it.

    Raises:
        UsageError: there is none, or several to choose from.
    """
    for candidate in (folder / "ftrace", folder):
        if (candidate / "meta.json").is_file():
            return candidate
    below = sorted(p.parent for p in folder.glob("**/ftrace/meta.json"))
    if len(below) == 1:
        return below[0]
    if not below:
        raise UsageError(f"{folder} holds no ftrace capture; give {_KNOWN}.")
    listed = ", ".join(str(p.relative_to(folder)) for p in below[:4])
    raise UsageError(f"{folder} holds {len(below)} captures ({listed}, ...); give one of them.")


def _open_packed(data: bytes, name: Path) -> Trace:
    for _ in range(_LAYERS):
        if data.startswith(GZIP_MAGIC):
            data = unpack_zlib(data, name)
        elif data.startswith(ZSTD_MAGIC):
            data = unpack_zstd(data, name)
        elif data.startswith(ZIP_MAGIC):
            data = unpack_zip(data, name)
    head = data[:_HEAD_BYTES]
    if head.startswith(_PACKED):
        raise TraceError(name, 0, f"at most {_LAYERS} layers of packing", hint="Unpack the trace yourself.")
    if not data:
        raise TraceError(name, 0, "a trace, the archive is empty", hint="Pack the trace again.")
    if head.startswith(TRACE_DAT_MAGIC):
        return _open_packed_dat(data, name)
    if looks_like_perfetto(head, len(data)):
        return read_perfetto(data, name=str(name))
    _refuse_others(head, name)
    return read_text(data, name=str(name))


class _MemoryFile:
    """Bytes under a path, in memory: gone with the last user, nothing left on disk."""

    def __init__(self, data: bytes) -> None:
        descriptor = os.memfd_create("android-suite-trace")
        weakref.finalize(self, os.close, descriptor)
        self.path = Path(f"/proc/self/fd/{descriptor}")
        with os.fdopen(descriptor, "wb", closefd=False) as stream:
            stream.write(data)


def _open_packed_dat(data: bytes, name: Path) -> Trace:
    """trace.dat is mapped by its reader, now and when an event is decoded later: it needs a path for as long."""
    file = _MemoryFile(data)
    try:
        trace = read_trace_dat(file.path)
    except TraceError as error:
        raise TraceError(name, error.offset, f"{error.expected} (in the unpacked trace)") from error
    except Unsupported as error:
        raise Unsupported(str(error).replace(str(file.path), f"{name}, unpacked,")) from error
    decode = trace.decode_event

    def decode_event(event: str, _file: _MemoryFile = file) -> pd.DataFrame:
        assert decode is not None
        return decode(event)

    source = replace(trace.source, path=str(name))
    return replace(trace, source=source, decode_event=decode_event if decode else None)


def _refuse_others(head: bytes, name: Path) -> None:
    for magic, what in _OTHERS:
        if head.startswith(magic):
            raise UsageError(f"{name} is {what}; give {_KNOWN}.")
    if b"\0" in head.rstrip(b"\0")[:256] and b"# tracer" not in head and b"TRACE:" not in head:
        raise UsageError(f"{name} is binary and no trace known here; give {_KNOWN}.")
