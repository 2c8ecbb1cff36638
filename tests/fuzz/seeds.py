"""Whole ring-buffer traces for the fuzzer to break: small, because a case costs what it decodes, and of every kind."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest import mock

from android_suite.trace.core.event_format import PageLayout
from android_suite.trace.dat.cursor import Cursor
from android_suite.trace.ring.capture_folder import open_raw_capture
from android_suite.trace.ring.reader import read_ring_buffer_trace
from tests.fuzz.checks import Rows, rows_of
from tests.fuzz.lies import Page, walk_pages
from tests.trace.captures import make_record, write_capture
from tests.trace.pages import PageWriter, make_layout

VARIANTS = 12
SIDE_FILES = {
    "threads.txt": "100 101 t\n", "saved_cmdlines": "100 main\n", "saved_tgids": "101 100\n", "processes.txt": "100 app\n",
    "kallsyms": "ffff800000001000 t f\n", "printk_formats": '0xffff800000002000 : "%d\\n"\n',
}  # fmt: skip
_EVENTS: dict[str, Callable[[int, int], dict[str, object]]] = {
    "sched_switch": lambda i, pid: {
        "prev_comm": f"c{pid}", "prev_pid": pid, "prev_state": i % 5, "next_comm": "x", "next_pid": 1,
    },
    "sched_waking": lambda i, pid: {"comm": "x", "pid": 1, "prio": 98, "target_cpu": 1},
    "mmap_lock_start_locking": lambda i, pid: {"mm": i % 3, "write": i & 1},
    "mmap_lock_acquire_returned": lambda i, pid: {"mm": i % 3, "memcg_path": "/a", "success": 1},
    "contention_begin": lambda i, pid: {"lock_addr": i, "flags": 2},
    "contention_end": lambda i, pid: {"lock_addr": i, "ret": 0},
    "sys_enter_madvise": lambda i, pid: {"start": i, "behavior": 4},
    "sys_exit_madvise": lambda i, pid: {"ret": 0},
    "sys_enter": lambda i, pid: {"id": 233, "args": (1, 2, 3, 4, 5, 6)},
    "print": lambda i, pid: {"buf": f"B|{pid}|slice {i}\n"},
    "task_newtask": lambda i, pid: {"pid": pid + 1, "comm": "new", "clone_flags": 0x10000},
    "sched_process_exec": lambda i, pid: {"filename": "/bin/sh", "pid": pid},
    "sched_blocked_reason": lambda i, pid: {"pid": pid, "caller": 0xFFFF800000001004},
    "sched_pi_setprio": lambda i, pid: {"comm": "x", "pid": pid, "oldprio": 120, "newprio": 98},
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Bytes of a file that whole pages come from, and the rows that come of them alone."""

    cpu: int
    start: int
    end: int
    rows: Rows


@dataclass(frozen=True, kw_only=True)
class Cpu:
    """One CPU's whole pages and the rows of each."""

    cpu: int
    data: bytes
    pages: list[Page]
    rows: list[Rows]


@dataclass(frozen=True, kw_only=True)
class Seed:
    """One whole capture: its folder, its layout, its CPUs."""

    folder: Path
    layout: PageLayout
    formats: tuple[str, ...]
    cpus: dict[int, Cpu]
    rows_without: dict[str, Rows] = field(default_factory=dict)  # all rows but those of one event


def make_seed(scratch: Path, variant: int) -> Seed:
    """A capture with four kinds of events on two CPUs; byte order, page size and size of a long differ from one to the next."""
    rng = random.Random(variant)
    formats = tuple(sorted(rng.sample(sorted(_EVENTS), 4)))
    layout = make_layout(
        big_endian=bool(variant & 1), page_bytes=(512, 1024, 4096)[variant % 3], long_bytes=4 if variant % 4 == 3 else 8
    )
    raw = {cpu: _make_pages(rng, layout, formats) for cpu in (0, 1)}
    folder = write_capture(scratch / f"seed{variant}", layout, raw, files=SIDE_FILES, formats=formats)
    opened = open_raw_capture(folder)
    cpus = {}
    for stream in opened.streams:
        pages = walk_pages(raw[stream.cpu], layout)
        found = rows_of(read_ring_buffer_trace(replace(opened, streams=(stream,))))
        rows, first = [], 0
        for page in pages:
            rows.append(Counter(row for seq, row in found if first <= seq < first + page.events))
            first += page.events
        assert first > 20
        cpus[stream.cpu] = Cpu(cpu=stream.cpu, data=raw[stream.cpu], pages=pages, rows=rows)
    rows_without = {}
    for name in formats:
        others = replace(opened, formats=tuple(form for form in opened.formats if form.name != name))
        rows_without[name] = Counter(row for _, row in rows_of(read_ring_buffer_trace(others)))
    return Seed(folder=folder, layout=layout, formats=formats, cpus=cpus, rows_without=rows_without)


def _make_pages(rng: random.Random, layout: PageLayout, names: tuple[str, ...]) -> bytes:
    writer = PageWriter(layout)
    ts = 1 << 40
    for i in range(rng.choice((25, 35, 50))):
        ts += rng.choice((1, 5, 1000, 1 << 28))
        pid = rng.randrange(100, 108)
        name = names[i] if i < len(names) else rng.choice(names)
        if rng.random() < 0.05:
            writer.lose(rng.choice((None, 3)))
        record = make_record(name, pid, big_endian=layout.big_endian, **_EVENTS[name](i, pid))
        writer.add(
            ts,
            record,
            absolute=rng.random() < 0.05,
            long_form=rng.random() < 0.1,
            discarded=i > 9 and rng.random() < 0.05,
        )
        ts = writer._now
    return writer.finish()


def read_numbers(read: Callable[[], object], data: bytes) -> list[tuple[int, int, str]]:
    """The numbers that reading a trace.dat's headers takes from it: position, bytes, what it is.

    Those of packed sections, whose positions are not the file's, are left out.
    """
    seen: dict[int, tuple[int, int, str]] = {}
    true_number = Cursor.number

    def number(self: Cursor, nbytes: int, what: str) -> int:
        at = self._shift + self.at
        value = true_number(self, nbytes, what)
        if int.from_bytes(data[at : at + nbytes], self.order) == value:  # type: ignore[arg-type]
            seen[at] = (at, nbytes, what)
        return value

    with mock.patch.object(Cursor, "number", number):
        read()
    return sorted(seen.values())
