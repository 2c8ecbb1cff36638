"""Finds the trace in an archive or folder by content. Several traces are an error, not a choice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from android_suite.errors import TraceError, UsageError
from android_suite.trace.core.archive import Member, is_archive
from android_suite.trace.core.encoding import decode_utf16, find_utf16
from android_suite.trace.core.foreign import KNOWN, name_binary, name_document, name_text
from android_suite.trace.core.unpack import is_packed, peek_stream
from android_suite.trace.dat.reader import MAGIC as TRACE_DAT_MAGIC
from android_suite.trace.perfetto.wire import looks_like_perfetto
from android_suite.trace.text.unwrap import is_html

_HEAD_BYTES = 1 << 16
_LAYERS = 3
_NO_TRACE, _QUOTES_EVENTS, _TRACE = range(3)
_FIRST_LINES = 40
_NAMED = 20  # files of an archive without a trace that are named by their content
_EVENT = re.compile(
    rb"-\d{1,7} +(\( *[\d-]+\) *)?"
    rb"(\[\d{1,4}\] +\S{0,9} *\d{1,10}\.\d{1,9}|\d{1,4}[A-Za-z.#]\S{2,8} +-?\d{1,16}(us.?|\.\d{1,9})): "
)
_ATRACE = re.compile(rb"TRACE:\r?\n")
_HTML_TRACE = re.compile(rb"class\s*=\s*[\"']trace-data[\"']|linuxPerfData\s*=\s*\"", re.IGNORECASE)
_BUG_REPORT = re.compile(r"(^|/)(main_entry\.txt|bugreport-.*\.txt|dumpstate.*\.txt)$")


def choose_trace(members: Sequence[Member], file: Path | str, *, packed: bool = False) -> Member:
    """The only trace among the files of an archive or folder.

    A log that quotes lines of a trace is taken only if there is nothing better.

    Args:
        members: the files.
        file: the archive or folder, for messages.
        packed: whether it is an archive, whose members are named ``ARCHIVE!MEMBER``.

    Raises:
        UsageError: there is none, or more than one.
        TraceError: the archive is damaged.
    """
    if len(members) == 1:
        return members[0]
    weights, faults = [], []
    for member in members:
        try:
            weights.append(_weigh(member))
        except TraceError as error:  # another file of the archive may be whole
            weights.append(_NO_TRACE)
            faults.append(error)
    best = max(weights)
    found = [member for member, weight in zip(members, weights, strict=True) if weight == best]
    if best == _NO_TRACE:
        if faults:
            raise faults[0]
        if (kind := _name_package([member.name for member in members])) is not None:
            raise UsageError(f"{file} is {kind}; give {KNOWN}.")
        largest = max(members, key=lambda member: member.size)
        if any(_BUG_REPORT.search(member.name) for member in members):
            raise UsageError(
                f"{file} is a bug report without a trace; have System Tracing or `perfetto` record while it is taken."
            )
        for member in sorted(members, key=lambda member: -member.size)[:_NAMED]:
            head = b"" if member.size == 0 else member.read(_HEAD_BYTES)
            if named := name_binary(head) or name_document(head) or name_text(head):
                what, step = named
                raise UsageError(f"{file} holds {len(members)} files and no trace; {member.shown} is {what}; {step}.")
        raise UsageError(
            f"{file} holds {len(members)} files and no trace (the largest is {largest.shown}); give {KNOWN}."
        )
    if len(found) > 1:
        listed = ", ".join(member.shown for member in found[:4]) + (", ..." if len(found) > 4 else "")
        one = f"'{file}!{found[0].name}'" if packed else str(Path(file) / found[0].name)
        raise UsageError(f"{file} holds {len(found)} traces ({listed}); give the one you mean, such as {one}.")
    return found[0]


def find_member(members: Sequence[Member], name: str, file: Path | str) -> Member:
    """The member of an archive with that name, or the only one whose path ends with it.

    Raises:
        UsageError: there is none, or more than one.
    """
    exact = [member for member in members if member.name.removeprefix("./") == name.removeprefix("./")]
    found = exact[-1:] or [member for member in members if member.name.endswith(f"/{name}")]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(member.shown for member in (found or members)[:4]) + (
        ", ..." if len(found or members) > 4 else ""
    )
    what = f"{len(found)} files {name}" if found else f"no file {name}"
    raise UsageError(f"{file} holds {what}; give one of its files in full ({listed}).")


def _name_package(names: Sequence[str]) -> str | None:
    """The kind of a well-known document or program that is an archive; None for any other archive."""
    if "[Content_Types].xml" in names:
        return "an Office document"
    if "mimetype" in names:
        return "an OpenDocument file or an e-book"
    if "AndroidManifest.xml" in names:
        return "an Android app (APK)"
    return "a Java archive" if "META-INF/MANIFEST.MF" in names else None


def _weigh(member: Member) -> int:
    head, size = member.read(_HEAD_BYTES), member.size
    for _ in range(_LAYERS):
        if not is_packed(head):
            break
        head = peek_stream(head, _HEAD_BYTES)
        size = max(size, len(head))
    if is_archive(head):
        return _QUOTES_EVENTS  # an archive in the archive: opened only if there is nothing else
    if head.startswith(TRACE_DAT_MAGIC):
        return _TRACE
    if name_binary(head) or name_document(head):
        return _NO_TRACE
    if looks_like_perfetto(head, size) or _ATRACE.search(head[:4096]):
        return _TRACE
    if is_html(head):
        return _TRACE if _HTML_TRACE.search(member.read(None)) else _NO_TRACE
    if encoding := find_utf16(head):
        head = decode_utf16(head, encoding)
    if not _EVENT.search(head):
        return _NO_TRACE
    first = b"\n".join(line for line in head[:16384].splitlines() if line.strip())
    lines = first.splitlines()[:_FIRST_LINES]
    return _TRACE if any(line.startswith(b"# tracer:") or _EVENT.search(line) for line in lines) else _QUOTES_EVENTS
