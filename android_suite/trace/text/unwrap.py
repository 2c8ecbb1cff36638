"""Unwraps ftrace text from systrace html, ``atrace -z``, the JavaScript string of 2012, or gzip."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from android_suite.errors import TraceError
from android_suite.trace.core.encoding import UTF8_BOM, decode_utf16, find_utf16
from android_suite.trace.core.unpack import GZIP_MAGIC, bound_bytes, unpack_zlib

_SECTION = re.compile(rb"<script[^>]{0,200}class\s{0,9}=\s{0,9}[\"']trace-data[\"'][^>]{0,200}>\n?", re.IGNORECASE)
_LEGACY = re.compile(rb"linuxPerfData\s{0,9}=\s{0,9}\"\\?\r?\n?")
_SCRIPT_END = re.compile(rb"</script", re.IGNORECASE)
_HTML = re.compile(rb"\s{0,99}(<!doctype\s+html|<html)", re.IGNORECASE)
_ATRACE = re.compile(rb"TRACE:\r?\n(?=[\x08-\x78][\x01\x5e\x9c\xda])")
_ESCAPED_LINE = re.compile(rb"\\n\\")
_NOT_SPACE, _CPU_COLUMN = re.compile(rb"\S"), re.compile(rb" \[\d{3}\] ")
_HEAD_BYTES = 4096
_RECORD_AGAIN = "Record again with categories such as sched, and check that tracing was permitted."


@dataclass(frozen=True, slots=True, kw_only=True)
class TextParts:
    """The text, the format from which it was unwrapped, and the dump of processes beside it (empty if none)."""

    format: str  # ftrace_text | systrace_html | atrace_z
    text: bytes | memoryview
    process_dump: bytes = b""


def is_html(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is html."""
    return _HTML.match(head.removeprefix(b"\xef\xbb\xbf")) is not None


def unwrap_text(data: bytes | memoryview, file: Path | str) -> TextParts:
    """Unwraps the ftrace text.

    Raises:
        TraceError: html contains no trace, or a packed stream is damaged or unpacks beyond the bound.
    """
    head = bytes(data[:_HEAD_BYTES])
    if head.startswith(GZIP_MAGIC):
        data = unpack_zlib(data, file)
        head = bytes(data[:_HEAD_BYTES])
    if encoding := find_utf16(head):
        data = decode_utf16(data, encoding)
    elif head.startswith(UTF8_BOM):
        data = memoryview(data)[len(UTF8_BOM) :]
    head = bytes(data[:_HEAD_BYTES])
    if b"\r" in head and b"\n" not in head and len(data) > 1:  # lines end as on an old Macintosh
        data = bytes(data).replace(b"\r", b"\n")
    if is_html(head):
        return _unwrap_html(memoryview(data), file)
    if (packed := _ATRACE.search(head)) is not None:
        text = unpack_zlib(memoryview(data)[packed.end() :], file, offset=packed.end(), bound=bound_bytes(len(data)))
        return TextParts(format="atrace_z", text=text)
    if b"\\n\\\n" in head:
        return TextParts(format="ftrace_text", text=_unescape(bytes(data)))
    return TextParts(format="ftrace_text", text=data)


def _unwrap_html(page: memoryview, file: Path | str) -> TextParts:
    sections = []
    for opening in _SECTION.finditer(page):
        closing = _SCRIPT_END.search(page, opening.end())
        sections.append(page[opening.end() : closing.start() if closing else len(page)])
    traces = [s for s in sections if _looks_like_events(s)]
    dumps = [bytes(s) for s in sections if _looks_like_processes(s)]
    if not traces:
        # The viewer's own code, which precedes the data, may quote the beginning of it.
        bodies = []
        for legacy in _LEGACY.finditer(page):
            closing = _SCRIPT_END.search(page, legacy.end())
            bodies.append(page[legacy.end() : closing.start() if closing else len(page)])
        with_events = [body for body in bodies if _CPU_COLUMN.search(body)] or bodies
        traces = [memoryview(_unescape(bytes(b))) if _ESCAPED_LINE.search(b) else b for b in with_events[-1:]]
    if not traces:
        hint = "Only systrace html holds one; give the trace file itself."
        if sections and all(_NOT_SPACE.search(s) is None for s in sections):
            raise TraceError(file, None, "events in the html, its trace-data section is empty", hint=_RECORD_AGAIN)
        if any((first := _NOT_SPACE.search(s)) is not None and first[0] in (b"{", b"[") for s in sections):
            hint = "It holds a JSON trace (Chrome's trace event format); give the trace it was made from."
        raise TraceError(file, None, "a trace-data section in the html", hint=hint)
    text = traces[0] if len(traces) == 1 else b"\n".join(traces)  # nearly always one, which is not copied
    return TextParts(format="systrace_html", text=text, process_dump=b"\n".join(dumps))


def _looks_like_events(section: memoryview) -> bool:
    first = _NOT_SPACE.search(section)
    return (
        first is not None
        and first[0] not in (b"{", b"[")
        and (b"# tracer:" in bytes(section[:_HEAD_BYTES]) or _CPU_COLUMN.search(section) is not None)
    )


def _looks_like_processes(section: memoryview) -> bool:
    first = _NOT_SPACE.search(section)
    return (first is not None and bytes(section[first.start() : first.start() + 5]) == b"USER ") or (
        b"PROCESS DUMP" in bytes(section[:200])
    )


def _unescape(body: bytes) -> bytes:
    r"""Undoes the JavaScript string of a 2012 systrace: lines end with a literal ``\n\``."""
    return body.replace(b"\\n\\\r\n", b"\n").replace(b"\\n\\\n", b"\n").replace(b'\\"', b'"').replace(b'\\n";', b"\n")
