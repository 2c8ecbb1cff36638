"""Reads the suite's own captures: folders of per-CPU ring-buffer pages with the files needed to decode them.

::

    ftrace/cpuN.raw               pages as trace_pipe_raw gave them
    ftrace/meta.json              page_size, clock, long_size, endian, kernel, machine, enabled_events
    ftrace/header_page, header_event, formats/SYSTEM/EVENT
    ftrace/threads_before.txt, processes_before.txt   lists read before the trace (optional)
    ftrace/threads.txt, processes.txt                 lists read after it (optional)
    ftrace/saved_cmdlines, saved_tgids, kallsyms, printk_formats, stats/cpuN.txt   (optional)

Captures of the suite's first version have one file of both lists, the later one first.

Memory: the raw pages are read in bounded chunks and not kept; the tables of a Trace are compact (35 to 86 bytes per row),
so 50 million events (2 GB of pages) stay under 4 GiB.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from android_suite.errors import TraceError
from android_suite.tables.trace import Trace
from android_suite.trace.core.event_format import EventFormat, PageLayout, parse_event_format, parse_header_page
from android_suite.trace.core.side_files import Symbols, parse_pairs
from android_suite.trace.ring.lost import CpuStats, parse_cpu_stats
from android_suite.trace.ring.page_stream import file_stream
from android_suite.trace.ring.reader import read_ring_buffer_trace
from android_suite.trace.ring.ring_trace import RingBufferTrace, ThreadList

MAX_SIDE_FILE_BYTES = 64 << 20
MAX_FORMATS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureMeta:
    """``meta.json``: facts that the pages do not contain."""

    page_bytes: int
    clock: str
    big_endian: bool
    kernel: str | None
    machine: str | None
    enabled_events: frozenset[str] | None


def find_ftrace_folder(folder: Path) -> Path | None:
    """The folder with ``cpuN.raw`` files: ``folder`` or its ``ftrace``; None if neither has any."""
    for place in (folder / "ftrace", folder):
        if place.is_dir() and _cpu_files(place):
            return place
    return None


def read_raw_capture(folder: Path) -> Trace:
    """Decodes a raw capture into the event tables.

    Args:
        folder: the capture's folder, or the one above its ``ftrace``.

    Raises:
        TraceError: a file is missing or cannot be decoded.
    """
    return read_ring_buffer_trace(open_raw_capture(folder))


def open_raw_capture(folder: Path) -> RingBufferTrace:
    """Reads everything but the events: layout, formats, names, counters, and the streams of pages.

    Raises:
        TraceError: a file is missing or malformed.
    """
    folder = Path(folder)
    place = find_ftrace_folder(folder)
    if place is None:
        raise TraceError(
            folder, None, "a folder with ftrace/cpu0.raw", hint="Name the folder of one recorded iteration."
        )
    meta = _read_meta(place / "meta.json")
    layout = _read_layout(place, meta)
    cpus = sorted(_cpu_files(place))
    streams = tuple(file_stream(cpu=cpu, file=place / f"cpu{cpu}.raw") for cpu in cpus)
    after, before = _read_lists(place)
    tgids = {
        t: int(g) for t, g in parse_pairs(_read_text(place / "saved_tgids")).items() if g.isdecimal() and len(g) < 10
    }
    notes = (
        ()
        if any((place / "stats").glob("cpu*.txt"))
        else ("no per-CPU counters: events dropped without a mark would go unnoticed",)
    )
    return RingBufferTrace(
        format="ftrace_raw", path=str(folder), streams=streams, layout=layout, formats=_read_formats(place / "formats"),
        clock=meta.clock, kernel=meta.kernel, machine=meta.machine, stats=_read_stats(place / "stats"),
        before=before, after=after, saved_comms=parse_pairs(_read_text(place / "saved_cmdlines")), tgids=tgids,
        symbols=Symbols(_read_text(place / "kallsyms")), enabled_events=meta.enabled_events, notes=notes,
    )  # fmt: skip


def _cpu_files(place: Path) -> list[int]:
    return [int(m[1]) for f in place.iterdir() if (m := re.fullmatch(r"cpu(\d{1,5})\.raw", f.name)) and f.is_file()]


def _read_text(path: Path) -> str:
    """The text of an optional file; empty if it is not there."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_SIDE_FILE_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise TraceError(path, None, f"a readable file ({error.strerror})") from error


def _read_meta(path: Path) -> CaptureMeta:
    text = _read_text(path)
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TraceError(path, None, "a JSON object that describes the capture") from error
    if not isinstance(raw, dict):
        raise TraceError(path, None, "a JSON object that describes the capture")
    page, endian = raw.get("page_size", 4096), raw.get("endian", "little")
    if type(page) is not int or not 64 <= page <= 1 << 24:
        raise TraceError(path, None, f"page_size between 64 bytes and 16 MiB, found {page!r:.40}")
    if endian not in ("little", "big"):
        raise TraceError(path, None, f"endian 'little' or 'big', found {endian!r:.40}")
    enabled = raw.get("enabled_events")
    return CaptureMeta(
        page_bytes=page, clock=str(raw.get("clock") or "unknown")[:64], big_endian=endian == "big",
        kernel=_name(raw.get("kernel")), machine=_name(raw.get("machine")),
        enabled_events=frozenset({"ftrace:print", *map(str, enabled)}) if isinstance(enabled, list) else None,
    )  # fmt: skip


def _name(value: object) -> str | None:
    return value[:256] if isinstance(value, str) and value else None


def _read_layout(place: Path, meta: CaptureMeta) -> PageLayout:
    path = place / "header_page"
    layout = parse_header_page(_read_text(path), file=path, big_endian=meta.big_endian)
    if layout.page_bytes != meta.page_bytes:
        raise TraceError(path, None, f"pages of {meta.page_bytes} bytes as in meta.json, found {layout.page_bytes}")
    return layout


def _read_formats(folder: Path) -> tuple[EventFormat, ...]:
    files = sorted(f for f in folder.glob("*/*") if f.is_file())
    if not files:
        raise TraceError(folder, None, "event format files formats/SYSTEM/EVENT")
    if len(files) > MAX_FORMATS:
        raise TraceError(folder, None, f"at most {MAX_FORMATS} event formats, found {len(files)}")
    return tuple(parse_event_format(_read_text(f), system=f.parent.name, file=f) for f in files)


def _read_stats(folder: Path) -> dict[int, CpuStats]:
    return {
        int(m[1]): parse_cpu_stats(_read_text(f))
        for f in sorted(folder.glob("cpu*.txt"))
        if (m := re.fullmatch(r"cpu(\d{1,5})\.txt", f.name))
    }


def _read_lists(place: Path) -> tuple[ThreadList, ThreadList]:
    """The lists of threads and processes read after the trace, and those read before it."""
    after, older = _read_threads(place / "threads.txt")
    named, older_named = _read_processes(place / "processes.txt")
    before, _ = _read_threads(place / "threads_before.txt")
    before_named, _ = _read_processes(place / "processes_before.txt")
    return ThreadList(*after, named), ThreadList(*(before if any(before) else older), before_named or older_named)


def _read_threads(path: Path) -> tuple[tuple[dict[int, int], dict[int, str]], tuple[dict[int, int], dict[int, str]]]:
    """``threads.txt``, lines of tgid, tid and comm: tid to tgid and tid to comm, of first lines and of any second ones."""
    first: tuple[dict[int, int], dict[int, str]] = {}, {}
    second: tuple[dict[int, int], dict[int, str]] = {}, {}
    for match in re.finditer(r"^(\d{1,9}) (\d{1,9})(?: (.*))?$", _read_text(path), re.MULTILINE):
        tid = int(match[2])
        tgids, comms = second if tid in first[0] else first
        tgids[tid] = int(match[1])
        if match[3]:
            comms[tid] = match[3].strip()
    return first, second


def _read_processes(path: Path) -> tuple[dict[int, str], dict[int, str]]:
    """``processes.txt``, lines of tgid and command line: names by tgid, of first lines and of any second ones."""
    first: dict[int, str] = {}
    second: dict[int, str] = {}
    for match in re.finditer(r"^(\d{1,9})[ \t]+(\S.*?)\s*$", _read_text(path), re.MULTILINE):
        tgid = int(match[1])
        (second if tgid in first else first)[tgid] = match[2]
    return first, second
