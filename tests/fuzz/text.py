"""Broken ftrace text, plain and packed."""

from __future__ import annotations

import bz2
import functools
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

import zstandard

from android_suite.errors import TraceError
from android_suite.trace.detect import open_trace
from android_suite.trace.text.reader import read_text
from android_suite.trace.text.unwrap import unwrap_text
from tests.fuzz.checks import check_analysis, check_kept, check_trace, rows_of
from tests.fuzz.engine import Case, Reader, check_refusal
from tests.fuzz.mutate import first_difference, mutate, mutate_text
from tests.trace.samples import LATENCY_TEXT, SYSTRACE_HTML, TRACE_CMD_TEXT, TRACE_TEXT

TEXTS = (TRACE_TEXT, TRACE_CMD_TEXT, LATENCY_TEXT)
PACKERS = ("atrace -z", "gzip", "zstd", "zip", "xz", "bzip2", "tar", "utf-16", "html", "old html")
LAYERS = PACKERS[:7]  # that other files are packed with, too
ALONE_SHARE = 0.04  # of the batches are read one by one, and compared with the whole text


def pack(how: str, data: bytes) -> bytes:
    """Wraps data as traces are wrapped."""
    match how:
        case "atrace -z":
            return b"capturing trace... done\nTRACE:\n" + zlib.compress(data)
        case "gzip":
            return gzip.compress(data, 1, mtime=0)
        case "zstd":
            return zstandard.ZstdCompressor().compress(data)
        case "zip":
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("notes.txt", "x")
                archive.writestr("t", data)
            return out.getvalue()
        case "xz":
            return lzma.compress(data, preset=0)
        case "bzip2":
            return bz2.compress(data, 1)
        case "tar":
            out = io.BytesIO()
            with tarfile.open(fileobj=out, mode="w") as tar:
                for name, content in (("notes.txt", b"x"), ("t", data)):
                    member = tarfile.TarInfo(name)
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
            return out.getvalue()
        case "utf-16":
            return data.decode("utf-8", "replace").encode("utf-16")
        case "html":
            return SYSTRACE_HTML.replace(b"@", data)
        case _:
            return b'<html><script>\nvar linuxPerfData = "\\\n' + data.replace(b"\n", b"\\n\\\n") + b'";</script>'


@functools.cache
def _whole_rows(text: bytes) -> list[tuple[int, tuple[object, ...]]]:
    return [
        (seq, row) for seq, row in rows_of(read_text(text)) if row[0] != "syscall"
    ]  # numbers are named by all of them


@functools.cache
def _event_ends(text: bytes) -> list[int]:
    """Where the lines of events end, by reading ever more of the text."""
    ends, at, known = [], 0, 0
    for line in text.splitlines(keepends=True):
        at += len(line)
        try:
            now = read_text(text[:at]).source.events
        except TraceError:
            continue
        ends += [at] * (now - known)
        known = now
    return ends


class TextReader(Reader):
    """Ftrace text as it is; lines of many cases are read as one text, a share alone."""

    name = "text"
    batch: ClassVar[int] = 50

    def warm_up(self) -> None:
        for text in TEXTS:
            trace = read_text(text)
            assert not any("could not be read" in note for note in trace.source.notes)
            check_trace(Case.of(0, 0), trace, in_order=True)
            assert len(_event_ends(text)) == trace.source.events > 10
            _whole_rows(text)
            check_analysis(trace)
        self._file = self.scratch / "t.txt"

    def make(self, case: Case) -> tuple[bytes, bytes]:
        text = case.rng.choice(TEXTS)
        return text, mutate_text(case, text, case.rng.choice(TEXTS))

    def read(self, case: Case, made: tuple[bytes, bytes]) -> None:
        text, broken = made
        if case.rng.random() < 0.3:
            self._file.write_bytes(broken)
            trace = open_trace(self._file)
        else:
            dump = broken if case.rng.random() < 0.1 else b""
            trace = read_text(broken, name=str(self._file), process_dump=dump)
        check_trace(case, trace, in_order=True)
        if text != broken and trace.source.format == "ftrace_text":
            case.drawn["read: compared with the whole trace"] += 1
            same = first_difference(text, broken)
            kept = sum(end <= same for end in _event_ends(text))
            rows = [row for seq, row in _whole_rows(text) if seq < kept]
            if any("lines of the tracer itself" in note for note in trace.source.notes):
                # Events came in that a wakeup tracer's own lines only repeat.
                rows = [row for row in rows if row[0] not in ("sched_switch", "sched_wake")]
            check_kept(trace, Counter(rows))

    def read_together(self, cases: Sequence[Case], made: Sequence[tuple[bytes, bytes]]) -> list[bool] | None:
        return _read_joined(cases[0], [broken for _, broken in made], str(self._file))

    def input_bytes(self, made: tuple[bytes, bytes], file: object) -> int | None:
        return len(made[1])


class PackedReader(Reader):
    """Text in every wrapping, broken inside, outside or both."""

    name = "packed"
    batch: ClassVar[int] = 50

    def warm_up(self) -> None:
        self._file = self.scratch / "t.packed"
        for how in PACKERS:
            self._file.write_bytes(pack(how, TRACE_TEXT))
            trace = open_trace(self._file)
            check_trace(Case.of(0, 0), trace, in_order=True)
            assert trace.source.events > 10, how

    def make(self, case: Case) -> bytes:
        text, how = case.rng.choice(TEXTS), case.rng.choice(PACKERS)
        case.drawn[f"wrapped: {how}"] += 1
        inside = case.rng.random() < 0.5
        packed = pack(how, mutate_text(case, text) if inside else text)
        return mutate(case, packed, text) if not inside or case.rng.random() < 0.4 else packed

    def read(self, case: Case, made: bytes) -> None:
        if case.rng.random() < 0.3:
            self._file.write_bytes(made)
            check_trace(case, open_trace(self._file), in_order=True)
        else:
            check_trace(case, read_text(made, name=str(self._file)), in_order=True)

    def read_together(self, cases: Sequence[Case], made: Sequence[bytes]) -> list[bool] | None:
        bodies: list[bytes] = []
        found = []
        for data in made:
            try:
                bodies.append(bytes(unwrap_text(data, str(self._file)).text))
                found.append(True)
            except TraceError as error:
                check_refusal(error, self, data)
                found.append(False)
        return found if _read_joined(cases[0], bodies, str(self._file)) is not None else None


def _read_joined(case: Case, bodies: Sequence[bytes], name: str) -> list[bool] | None:
    """Reads texts as one. Those that hold no event count as decoded here: in a longer text they are lines left out."""
    if case.chance(ALONE_SHARE, "read: batch one by one"):
        return None
    check_trace(case, read_text(b"\n".join(bodies), name=name), in_order=True)
    return [True] * len(bodies)
