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
NUMBERS = {  # of arm64
    "madvise": 233, "process_madvise": 440, "mmap": 222, "munmap": 215, "mprotect": 226, "clone": 220, "read": 63,
}  # fmt: skip
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
    """All events, in the order of the merged trace; a marker of CPU 0 at the start and at the end bounds it."""
    end = place(len(worlds) - 1, apart=apart).ts + END_NS
    rows: list[Row] = [(0, 0, "marker", (0, "start")), (end, 0, "marker", (0, "end"))]
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
    padded = (*args, *([0] * (6 - len(args))))
    row = (at.thread(tid), events.SYSCALL_KINDS.index(kind), events.SYSCALLS.index(call), NUMBERS[call], *padded, ret)
    return ts + at.ts, cpu + at.cpu, "syscall", row


def _page_fault(at: Place, ts, cpu, tid, address, ip, code):  # type: ignore[no-untyped-def]
    return ts + at.ts, cpu + at.cpu, "page_fault", (at.thread(tid), address, ip, code)


def _task(at: Place, ts, cpu, tid, kind, target, thread_of_caller, comm):  # type: ignore[no-untyped-def]
    row = (at.thread(tid), events.TASK_KINDS.index(kind), at.thread(target), thread_of_caller, comm)
    return ts + at.ts, cpu + at.cpu, "task", row


_EACH = {
    "sched_switch": _switch, "sched_wake": _wake, "pi_setprio": _setprio, "mmap_lock": _lock, "contention": _contention,
    "syscall": _syscall, "page_fault": _page_fault, "task": _task,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Gap:
    """Events of one CPU that are not there, and the last and first that are.

    ``at_end``: nothing of that CPU comes after it.
    """

    cpu: int
    from_ns: int
    to_ns: int
    events: int
    at_end: bool


def drop_events(
    rows: list[Row], rng: random.Random, gaps: int, span_ns: int, *, ends_told: bool
) -> tuple[list[Row], list[Gap]]:
    """Loses events as a full buffer does: all of one CPU for a while, several times.

    Args:
        rows: of list_events.
        rng: chooses.
        gaps: how many to try.
        span_ns: longest.
        ends_told: whether the format can say that a CPU's last events are lost; if not, they are not.
    """
    own: dict[int, list[Row]] = {}
    for row in rows:
        own.setdefault(row[1], []).append(row)
    last = {cpu: found[-1] for cpu, found in own.items()}
    cpus, start, end = sorted(own), rows[0][0], rows[-1][0]
    lost: set[tuple[int, int]] = set()
    for _ in range(gaps):
        cpu = rng.choice(cpus)
        begin = rng.randint(start, end)
        stop = begin + rng.randint(100, span_ns)
        found = {(r[0], cpu) for r in own[cpu] if begin <= r[0] < stop}
        if ends_told or (last[cpu][0], cpu) not in found:
            lost |= found
    return [r for r in rows if (r[0], r[1]) not in lost], _gaps(own, lost, start, end)


def drop_heads(rows: list[Row], rng: random.Random) -> tuple[list[Row], list[Gap]]:
    """Loses the oldest events of each CPU, as a ring does that was written round."""
    own: dict[int, list[Row]] = {}
    for row in rows:
        own.setdefault(row[1], []).append(row)
    middle = rng.randint(0, rows[-1][0] // 3)
    lost: set[tuple[int, int]] = set()
    for cpu, found in own.items():
        until = middle + rng.randint(0, 9_000)
        lost |= {(r[0], cpu) for r in found[:-1] if r[0] < until}
    return [r for r in rows if (r[0], r[1]) not in lost], _gaps(own, lost, rows[0][0], rows[-1][0])


def _gaps(own: dict[int, list[Row]], lost: set[tuple[int, int]], start: int, end: int) -> list[Gap]:
    found = []
    for cpu, rows in own.items():
        before, count = start, 0
        for row in rows:
            if (row[0], cpu) in lost:
                count += 1
                continue
            if count:
                found.append(Gap(cpu, before, row[0], count, at_end=False))
            before, count = row[0], 0
        if count:
            found.append(Gap(cpu, before, end, count, at_end=True))
    return found


def make_trace(
    worlds: Sequence[World], rows: Sequence[Row], gaps: Sequence[Gap] = (), *, all_calls: bool
) -> Trace:  # fmt: skip
    """The tables as a reader would give them that loses nothing of what it is told."""
    tables = {t.name: t for t in events.EVENT_TABLES}
    columns: dict[str, list[tuple[object, ...]]] = {}
    for seq, (ts, cpu, table, values) in enumerate(rows):
        columns.setdefault(table, []).append((seq, ts, cpu, *values))
    frames = {
        name: make_frame(tables[name], dict(zip(tables[name].dtypes, map(list, zip(*found, strict=True)), strict=True)))
        for name, found in columns.items()
    }
    frames["threads"] = make_frame(events.THREADS, list_threads(worlds))
    frames["lost"] = make_frame(
        events.LOST,
        {
            "cpu": [g.cpu for g in gaps], "from_ns": [g.from_ns for g in gaps], "to_ns": [g.to_ns for g in gaps],
            "events": [-1] * len(gaps),
        },
    )  # fmt: skip
    source = TraceSource(
        format="simulated", path="", events=len(rows), lost_events=len(gaps), clock="mono", start_ns=rows[0][0],
        end_ns=rows[-1][0], cpus=len({r[1] for r in rows}),
        enabled_events=frozenset(
            {"mmap_lock:mmap_lock_start_locking", "sched:sched_switch"} | ({"raw_syscalls:sys_enter"} if all_calls else set())
        ),
    )  # fmt: skip
    return Trace(source=source, tables=fill_missing(frames))


def list_threads(worlds: Sequence[World]) -> dict[str, list[object]]:
    """Columns of the threads table; a process is called like its main thread, as the kernel knows no better."""
    known = [(n, t) for n, world in enumerate(worlds) for t in world.kernel.threads.values()]
    return {
        "tid": [t.tid + n * _TIDS for n, t in known], "tgid": [t.tgid + n * _TIDS for n, t in known],
        "comm": [t.comm for _, t in known], "process": [f"app{n}.{t.tgid}" for n, t in known],
    }  # fmt: skip
