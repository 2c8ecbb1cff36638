"""Worlds to one trace: each world gets its own threads, CPUs and mms, and its own time or the same as the others."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from android_suite.tables import events
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import Trace, TraceSource, fill_missing
from tests.simulator.world import END_NS, World

_CPUS, _TIDS, _MMS = 4, 1000, 1 << 32
_LETTERS = {letter: i for i, letter in enumerate(events.TASK_STATES)}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a world lies in the trace."""

    cpu: int
    tid: int
    mm: int
    ts: int

    def thread(self, tid: int) -> int:
        """tid in the trace; the idle thread stays 0 everywhere."""
        return tid + self.tid if tid else 0


def place(number: int, *, apart: bool) -> Place:
    """World ``number``'s place; ``apart`` lays the worlds one after the other, else all at the same time."""
    return Place(number * _CPUS, number * _TIDS, number * _MMS, number * 2 * END_NS if apart else 0)


Row = tuple[int, int, str, tuple[object, ...]]  # ts, cpu, table, the other columns in the table's order


def list_events(worlds: Sequence[World], *, apart: bool) -> list[Row]:
    """All events, in the order of the merged trace."""
    rows: list[Row] = []
    for number, world in enumerate(worlds):
        at = place(number, apart=apart)
        for table, found in world.kernel.rows.items():
            rows.extend(_EACH[table](at, *row) for row in found)
    rows.sort(key=lambda row: row[0])
    return rows


def _switch(at: Place, ts, cpu, old, prio, letter, new, new_prio):  # type: ignore[no-untyped-def]
    return ts + at.ts, cpu + at.cpu, "sched_switch", (at.thread(old), prio, _LETTERS[letter], at.thread(new), new_prio)


def _wake(at: Place, ts, cpu, waker, kind, tid, prio, target):  # type: ignore[no-untyped-def]
    row = (at.thread(waker), events.WAKE_KINDS.index(kind), at.thread(tid), prio, target + at.cpu)
    return ts + at.ts, cpu + at.cpu, "sched_wake", row


def _setprio(at: Place, ts, cpu, current, tid, old, new):  # type: ignore[no-untyped-def]
    return ts + at.ts, cpu + at.cpu, "pi_setprio", (at.thread(current), at.thread(tid), old, new)


def _lock(at: Place, ts, cpu, tid, kind, mm, write, success):  # type: ignore[no-untyped-def]
    row = (at.thread(tid), events.MMAP_LOCK_KINDS.index(kind), mm + at.mm, write, success)
    return ts + at.ts, cpu + at.cpu, "mmap_lock", row


def _contention(at: Place, ts, cpu, tid, kind, addr, flags, ret):  # type: ignore[no-untyped-def]
    row = (at.thread(tid), events.CONTENTION_KINDS.index(kind), addr + at.mm, flags, ret)
    return ts + at.ts, cpu + at.cpu, "contention", row


def _syscall(at: Place, ts, cpu, tid, kind, call, args, ret):  # type: ignore[no-untyped-def]
    number = {
        "madvise": 233,
        "process_madvise": 440,
        "mmap": 222,
        "munmap": 215,
        "mprotect": 226,
        "clone": 220,
        "other": 63,
    }
    padded = (*args, *([0] * (6 - len(args))))
    row = (at.thread(tid), events.SYSCALL_KINDS.index(kind), events.SYSCALLS.index(call), number[call], *padded, ret)
    return ts + at.ts, cpu + at.cpu, "syscall", row


_EACH = {
    "sched_switch": _switch, "sched_wake": _wake, "pi_setprio": _setprio, "mmap_lock": _lock, "contention": _contention,
    "syscall": _syscall,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Gap:
    """Events of one CPU that are not there, and the last and first that are."""

    cpu: int
    from_ns: int
    to_ns: int


def drop_events(rows: list[Row], rng: random.Random, gaps: int, span_ns: int) -> tuple[list[Row], list[Gap]]:
    """Loses events as a full buffer does: all of one CPU for a while, several times."""
    start, end = rows[0][0], rows[-1][0]
    found: list[Gap] = []
    for _ in range(gaps):
        cpu = rng.choice(rows)[1]
        begin = rng.randint(start, end)
        stop = begin + rng.randint(100, span_ns)
        lost = [r for r in rows if r[1] == cpu and begin <= r[0] < stop]
        if not lost:
            continue
        before = [r[0] for r in rows if r[1] == cpu and r[0] < begin]
        after = [r[0] for r in rows if r[1] == cpu and r[0] >= stop]
        rows = [r for r in rows if r[1] != cpu or not begin <= r[0] < stop]
        found.append(Gap(cpu, before[-1] if before else start, after[0] if after else end))
    # A gap that swallowed the edge of an older one: its ends must be events that are still there.
    return rows, [_widened(gap, rows, start, end) for gap in found]


def _widened(gap: Gap, rows: list[Row], start: int, end: int) -> Gap:
    own = [r[0] for r in rows if r[1] == gap.cpu]
    return Gap(
        gap.cpu,
        max((t for t in own if t <= gap.from_ns), default=start),
        min((t for t in own if t >= gap.to_ns), default=end),
    )


def make_trace(
    worlds: Sequence[World],
    rows: Sequence[Row],
    *,
    gaps: Sequence[Gap] = (),
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> Trace:
    """The tables as a reader would give them."""
    tables = {t.name: t for t in events.EVENT_TABLES}
    columns: dict[str, list[tuple[object, ...]]] = {}
    for seq, (ts, cpu, table, values) in enumerate(rows):
        columns.setdefault(table, []).append((seq, ts, cpu, *values))
    frames = {
        name: make_frame(tables[name], dict(zip(tables[name].dtypes, map(list, zip(*found, strict=True)), strict=True)))
        for name, found in columns.items()
    }
    known = [(n, world, t) for n, world in enumerate(worlds) for t in world.kernel.threads.values()]
    frames["threads"] = make_frame(
        events.THREADS,
        {
            "tid": [t.tid + n * _TIDS for n, _, t in known], "tgid": [t.tgid + n * _TIDS for n, _, t in known],
            "comm": [t.comm for _, _, t in known], "process": [f"app{n}.{t.tgid}" for n, _, t in known],
        },
    )  # fmt: skip
    frames["lost"] = make_frame(
        events.LOST,
        {
            "cpu": [g.cpu for g in gaps], "from_ns": [g.from_ns for g in gaps], "to_ns": [g.to_ns for g in gaps],
            "events": [-1] * len(gaps),
        },
    )  # fmt: skip
    source = TraceSource(
        format="simulated", path="", events=len(rows), lost_events=len(gaps), clock="mono",
        start_ns=rows[0][0] if start_ns is None else start_ns, end_ns=rows[-1][0] if end_ns is None else end_ns,
        cpus=len({r[1] for r in rows}),
        enabled_events=frozenset(
            {"mmap_lock:mmap_lock_start_locking", "sched:sched_switch"}
            | ({"raw_syscalls:sys_enter"} if all(w.all_calls for w in worlds) else set())
        ),
    )  # fmt: skip
    return Trace(source=source, tables=fill_missing(frames))
