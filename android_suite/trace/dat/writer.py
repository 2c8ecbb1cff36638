"""Writes a raw capture as trace.dat version 6, which every trace-cmd and KernelShark opens. Pages are copied unchanged."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from android_suite.errors import TraceError
from android_suite.tables.trace import Trace
from android_suite.trace.core.event_format import EventFormat
from android_suite.trace.dat.reader import MAGIC
from android_suite.trace.ring.capture_folder import find_ftrace_folder, open_raw_capture, read_raw_capture
from android_suite.trace.ring.ring_trace import RingBufferTrace

_CPUSTAT, _TRACECLOCK, _UNAME, _VERSION = 2, 4, 5, 9
_WRITER = "android-suite"
CLOCKS = ("local", "global", "counter", "uptime", "perf", "mono", "mono_raw", "boot", "tai")


def write_trace_dat(folder: Path, path: Path, *, trace: Trace | None = None) -> None:
    """Writes the raw capture in ``folder`` to ``path``.

    Args:
        folder: as for ``read_raw_capture``.
        path: the file to write or replace; it stays as it was if writing fails.
        trace: the decoded capture, for the threads' names; None reads it from ``folder``.

    Raises:
        TraceError: the capture cannot be read, or ``path`` cannot be written.
    """
    opened = open_raw_capture(folder)
    place = find_ftrace_folder(Path(folder))
    assert place is not None  # open_raw_capture found it
    threads = (trace or read_raw_capture(folder)).tables["threads"]
    comms = [
        f"{tid} {comm}\n" for tid, comm in zip(threads["tid"].tolist(), threads["comm"].tolist(), strict=True) if comm
    ]
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            _Writer(file, opened).write(place, "".join(comms))
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise TraceError(path, None, f"a place to write to ({error.strerror})", hint="Choose another file.") from error


class _Writer:
    """A file being written, in the byte order of the capture."""

    def __init__(self, file: BinaryIO, opened: RingBufferTrace) -> None:
        self._file, self._opened = file, opened
        self._order = "big" if opened.layout.big_endian else "little"

    def write(self, place: Path, cmdlines: str) -> None:
        """Writes the whole file: headers, options, table of CPUs, pages."""
        opened, file = self._opened, self._file
        file.write(MAGIC + b"6\0" + bytes([opened.layout.big_endian, opened.layout.commit_bytes]))
        self._number(opened.layout.page_bytes, 4)
        for name in ("header_page", "header_event"):
            file.write(name.encode() + b"\0")
            self._block(_read_optional(place / name), 8)
        self._write_formats(opened.formats)
        self._block(_read_optional(place / "kallsyms"), 4)
        self._block(_read_optional(place / "printk_formats"), 4)
        self._block(cmdlines.encode(), 8)
        cpus = {s.cpu: s for s in opened.streams}
        count = max(cpus, default=-1) + 1
        self._number(count, 4)
        file.write(b"options  \0")
        self._write_options(place, range(count))
        file.write(b"flyrecord\0")
        clock = self._clock_text()
        table_at = file.tell()
        file.write(bytes(16 * count))
        self._block(clock, 8)
        places = []
        for cpu in range(count):
            file.write(bytes(-file.tell() % opened.layout.page_bytes))
            start = file.tell()
            if cpu in cpus:
                self._copy_pages(cpus[cpu].file)
            places.append((start, file.tell() - start))
        file.seek(table_at)
        for start, size in places:
            self._number(start, 8)
            self._number(size, 8)
        file.flush()
        os.fsync(file.fileno())

    def _copy_pages(self, source: Path) -> None:
        page = self._opened.layout.page_bytes
        with source.open("rb") as raw:
            whole = raw.seek(0, os.SEEK_END) // page * page  # a partial page would be read as another's head
            raw.seek(0)
            start = self._file.tell()
            shutil.copyfileobj(raw, self._file, 1 << 20)
            self._file.seek(start + whole)
            self._file.truncate()

    def _write_formats(self, formats: Iterable[EventFormat]) -> None:
        systems: dict[str, list[EventFormat]] = {}
        for form in formats:
            systems.setdefault(form.system, []).append(form)
        own = systems.pop("ftrace", [])
        self._number(len(own), 4)
        for form in own:
            self._block(form.text.encode(), 8)
        self._number(len(systems), 4)
        for system, members in systems.items():
            self._file.write(system.encode() + b"\0")
            self._number(len(members), 4)
            for form in members:
                self._block(form.text.encode(), 8)

    def _write_options(self, place: Path, cpus: range) -> None:
        opened = self._opened
        for cpu in cpus:
            stats = _read_optional(place / "stats" / f"cpu{cpu}.txt")
            if stats:
                self._option(_CPUSTAT, f"CPU: {cpu}\n".encode() + stats + b"\0")
        self._option(_TRACECLOCK, self._clock_text() + b"\0")
        if opened.kernel:
            self._option(_UNAME, f"Linux localhost {opened.kernel} #1 {opened.machine or 'unknown'}".encode() + b"\0")
        self._option(_VERSION, _WRITER.encode() + b"\0")
        self._number(0, 2)

    def _clock_text(self) -> bytes:
        clock = self._opened.clock
        names = CLOCKS if clock in CLOCKS else (*CLOCKS, clock)
        return " ".join(f"[{name}]" if name == clock else name for name in names).encode() + b"\n"

    def _option(self, number: int, data: bytes) -> None:
        self._number(number, 2)
        self._block(data, 4)

    def _block(self, data: bytes, size_bytes: int) -> None:
        self._number(len(data), size_bytes)
        self._file.write(data)

    def _number(self, value: int, nbytes: int) -> None:
        self._file.write(value.to_bytes(nbytes, "big" if self._order == "big" else "little"))


def _read_optional(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
