"""Opens a trace of any format, which it detects from the content, never from the name."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pandas as pd

from android_suite.errors import TraceError, Unsupported, UsageError
from android_suite.tables.trace import Trace
from android_suite.trace.choose import choose_trace, find_member
from android_suite.trace.core.archive import Member, is_archive, list_members
from android_suite.trace.core.encoding import UTF8_BOM, decode_utf16, find_utf16
from android_suite.trace.core.foreign import KNOWN, is_document, name_binary, name_document
from android_suite.trace.core.unpack import CUT, is_packed, unpack_stream
from android_suite.trace.dat.reader import MAGIC as TRACE_DAT_MAGIC
from android_suite.trace.dat.reader import read_trace_dat
from android_suite.trace.perfetto.wire import looks_like_perfetto
from android_suite.trace.ring.capture_folder import read_raw_capture

_HEAD_BYTES = 4096
_DOCUMENT_BYTES = 1 << 20  # of a JSON document
_LAYERS = 3  # a gzip in a zip occurs; more layers are an attack
_MOST_FILES = 2000  # files of a folder that are examined


def open_trace(path: Path | str) -> Trace:
    """Reads the trace at ``path``, whatever its format.

    Packed traces (gzip, xz, bzip2, zstd) and archives (zip, tar; also a bugreport.zip) are unpacked up to a bound.

    Args:
        path: a file, or a folder that is or contains one raw ftrace capture or contains one trace; ``ARCHIVE!MEMBER``
            for one file of an archive with several traces.

    Raises:
        UsageError: there is no such file or member, it is not a trace, or the archive or folder has several traces.
        TraceError: the trace is damaged.
    """
    place, wanted = _split_member(Path(path))
    if place.is_dir():
        return _open_folder(place)
    try:
        size = place.stat().st_size
        with place.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
            if is_document(head.removeprefix(UTF8_BOM)):  # what kind may be told by a key far behind
                head += stream.read(_DOCUMENT_BYTES)
    except OSError as error:
        raise UsageError(f"{place} cannot be read ({error.strerror}); give {KNOWN}.") from error
    if not place.is_file():
        raise UsageError(f"{place} is not a file; give {KNOWN}.")
    if size == 0:
        raise TraceError(place, 0, "a trace, but the file is empty", hint="Record the trace again and check its size.")
    if is_packed(head) or is_archive(head):
        return _open_packed(place.read_bytes(), place, wanted)
    if not head.startswith(TRACE_DAT_MAGIC):
        _refuse_foreign(head, place)
    if wanted is not None:
        raise _no_archive(place)
    if head.startswith(TRACE_DAT_MAGIC):
        return read_trace_dat(place)
    return _read_perfetto(place) if looks_like_perfetto(head, size) else _read_text(place)


def _split_member(path: Path) -> tuple[Path, str | None]:
    """Splits ARCHIVE!MEMBER into file and member. An existing file with such a name is not split."""
    if path.exists():
        return path, None
    name = str(path)
    for at in range(len(name) - 1, 0, -1):
        if name[at] == "!" and Path(name[:at]).is_file():
            return Path(name[:at]), name[at + 1 :]
    return path, None


def _no_archive(place: Path) -> UsageError:
    return UsageError(f"{place} is not a zip or tar archive, so it has no members; give {place}.")


def find_capture(folder: Path) -> Path:
    """The raw capture of a folder: the folder itself, or the only one below it.

    Raises:
        UsageError: there is none, or more than one.
    """
    for candidate in (folder / "ftrace", folder):
        if (candidate / "meta.json").is_file():
            return candidate
    below = sorted(p.parent for p in folder.glob("**/ftrace/meta.json"))
    if len(below) == 1:
        return below[0]
    if not below:
        raise UsageError(f"{folder} holds no ftrace capture; give {KNOWN}.")
    listed = ", ".join(str(p.relative_to(folder)) for p in below[:4])
    raise UsageError(f"{folder} holds {len(below)} captures ({listed}, ...); give one of them.")


def _open_folder(folder: Path) -> Trace:
    """Reads the raw capture of a folder, or else the only trace among its files (of an unpacked bug report)."""
    captures = any((place / "meta.json").is_file() for place in (folder, folder / "ftrace"))
    if captures or next(folder.glob("**/ftrace/meta.json"), None) is not None:
        return read_raw_capture(find_capture(folder))
    if (folder / "form.template").exists() or (folder / "instrument_data").exists():
        raise UsageError(f"{folder} is a trace of Apple's Instruments; give {KNOWN}.")
    for metadata in folder.glob("**/metadata"):
        if metadata.is_file():
            _refuse_foreign(metadata.read_bytes()[:_HEAD_BYTES], folder)
    files = sorted(islice((f for f in folder.rglob("*") if f.is_file() and not f.is_symlink()), _MOST_FILES))
    if not files:
        raise UsageError(f"{folder} holds no ftrace capture; give {KNOWN}.")

    def reader(file: Path) -> Callable[[int | None], bytes]:
        def read(most: int | None) -> bytes:
            try:
                with file.open("rb") as stream:
                    return stream.read(-1 if most is None else most)
            except OSError:
                return b""

        return read

    members = [Member(name=str(f.relative_to(folder)), size=f.stat().st_size, read=reader(f)) for f in files]
    chosen = choose_trace(members, folder)
    return _with_notes(open_trace(folder / chosen.name), [f"read {chosen.shown} of the folder"])


def _open_packed(data: bytes, name: Path, wanted: str | None = None) -> Trace:
    notes: list[str] = []
    told: list[str] = []  # the notes about damage
    cut = ends_early = False
    for _ in range(_LAYERS):
        if is_packed(data[:_HEAD_BYTES]):
            unpacked = unpack_stream(data, name)
            data = unpacked.data
            if unpacked.fault:
                ends_early = unpacked.fault == CUT and not cut
                cut = True
                told.append(_damage_note(f"the packed file is damaged ({unpacked.fault})"))
                notes.append(told[-1])
        elif is_archive(data[:_HEAD_BYTES]):
            members = list_members(data, name)
            member = choose_trace(members, name, packed=True) if wanted is None else find_member(members, wanted, name)
            wanted = None
            good = member.read_good()
            data = good.data
            notes.append(f"read {member.shown} of the archive")
            if good.fault and not cut:
                notes.append(_damage_note(f"the archive is damaged ({good.fault})"))
            elif not good.fault and ends_early and cut:
                notes[:] = [note for note in notes if note not in told]
                notes.append(f"the archive ends too early, but {member.shown} in it is whole")
            cut = bool(good.fault) or (cut and not ends_early)
            ends_early = False
    if wanted is not None:
        raise _no_archive(name)
    head = data[:_HEAD_BYTES]
    if is_document(head.removeprefix(UTF8_BOM)):
        head = data[:_DOCUMENT_BYTES]
    if is_packed(head) or is_archive(head):
        raise TraceError(name, 0, f"at most {_LAYERS} layers of packing", hint="Unpack the trace yourself.")
    if not data:
        raise TraceError(name, 0, "a trace, but the archive is empty", hint="Pack the trace again.")
    if head.startswith(TRACE_DAT_MAGIC):
        return _with_notes(_open_packed_dat(data, name), notes, cut=cut)
    _refuse_foreign(head, name)
    if looks_like_perfetto(head, len(data)):
        return _with_notes(_read_perfetto(data, name=str(name)), notes, cut=cut)
    if cut and not find_utf16(head):
        data = data[: data.rfind(b"\n") + 1] or data  # a partial line may mean something else
    return _with_notes(_read_text(data, name=str(name)), notes, cut=cut)


def _damage_note(what: str) -> str:
    return f"{what}: the trace ends where the damage begins, and counts from it are lower bounds"


def _with_notes(trace: Trace, notes: Sequence[str], *, cut: bool = False) -> Trace:
    if not notes:
        return trace
    source = trace.source
    return replace(trace, source=replace(source, notes=(*notes, *source.notes), cut=source.cut or cut))


class _MemoryFile:
    """Bytes in memory that have a path. They are freed with the last user and never on disk."""

    def __init__(self, data: bytes) -> None:
        descriptor = os.memfd_create("android-suite-trace")
        weakref.finalize(self, os.close, descriptor)
        self.path = Path(f"/proc/self/fd/{descriptor}")
        with os.fdopen(descriptor, "wb", closefd=False) as stream:
            stream.write(data)


def _open_packed_dat(data: bytes, name: Path) -> Trace:
    """Reads an unpacked trace.dat. Its reader maps it now and when it decodes an event later, so the path must last."""
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


def _refuse_foreign(head: bytes, name: Path) -> None:
    """Raises UsageError if the first bytes show that it is not a kernel trace."""
    text = decode_utf16(head, encoding) if (encoding := find_utf16(head)) else head.removeprefix(UTF8_BOM)
    if (found := name_binary(head) or name_document(text)) is not None:
        what, step = found
        raise UsageError(f"{name} is {what}; {step}.")
    if not head.strip(b"\0"):
        raise UsageError(f"{name} contains only zeros; copy the trace again.")
    if looks_like_perfetto(head, 1 << 62):
        return
    if b"\0" in text.rstrip(b"\0")[:256] and b"# tracer" not in text and b"TRACE:" not in text:
        raise UsageError(f"{name} is binary, but not a trace of a known format; give {KNOWN}.")


# The readers of these two formats import slowly, and most calls need at most one of them.
def _read_perfetto(source: Path | bytes, *, name: str = "trace") -> Trace:
    from android_suite.trace.perfetto.reader import read_perfetto

    return read_perfetto(source, name=name)


def _read_text(source: Path | bytes, *, name: str = "trace") -> Trace:
    from android_suite.trace.text.reader import read_text

    return read_text(source, name=name)
