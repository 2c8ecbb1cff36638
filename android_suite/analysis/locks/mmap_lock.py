"""Waits and holds of mmap_lock, the system calls they happened in, and who stood in front of whom."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from android_suite.analysis.alive import end_by
from android_suite.analysis.ids import TidIndex, count_lockers, number_mms
from android_suite.analysis.jit import Array, frozen
from android_suite.analysis.locks import mmap_rows, mmap_scan
from android_suite.analysis.locks.mmap_edges import list_edge_segments
from android_suite.analysis.loss import Losses
from android_suite.analysis.sched import Timeline, ran_through
from android_suite.tables import events
from android_suite.tables.derived import LOCK_HOLDS, LOCK_WAITS, SYSCALL_CALLS, UNKNOWN
from android_suite.tables.schema import Table, make_frame
from android_suite.tables.trace import Trace

I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class MmapLock:
    """What one pass over the lock events gives.

    Attributes:
        waits, holds: frames of LOCK_WAITS and LOCK_HOLDS; what waits consist of is added by ``wait_split``.
        calls: frame of SYSCALL_CALLS.
        segments: int64 of shape (n, 5): wait row, hold row, start_ns, end_ns, and the wait row of the writer that a
            reader queues behind (-1: the hold itself keeps the waiter out). Only waits and holds that can be trusted.
        contention_wait: per contention event the wait row it lies in, or -1.
        lockers: how often each thread touched each lock, see ids.count_lockers.
        lock_offset: ``lock_addr - mm`` of this kernel (modulo 2**64), or None where the trace does not show it.
    """

    waits: pd.DataFrame
    holds: pd.DataFrame
    calls: pd.DataFrame
    segments: I64
    contention_wait: I64
    lock_offset: int | None
    lockers: pd.DataFrame


def _np(frame: pd.DataFrame, column: str) -> Array:
    return frozen(frame[column].to_numpy())


def scan_mmap_lock(trace: Trace, losses: Losses) -> MmapLock:
    """Rebuilds every wait for mmap_lock, every hold of it, and every system call, from their events alone.

    Args:
        trace: tables mmap_lock, syscall, contention; task and sched_wake show which threads were created in the trace.
        losses: where the trace is blind.

    Returns:
        What ``trust_mmap_lock`` completes.
    """
    index = TidIndex.of([trace[t]["tid"].to_numpy() for t in ("mmap_lock", "syscall", "contention")])
    waits, holds, calls, segments, contention_wait, lockers = _scan(trace, index, losses)
    return MmapLock(
        waits=waits, holds=holds, calls=calls, segments=segments, contention_wait=contention_wait, lock_offset=None,
        lockers=lockers,
    )  # fmt: skip


def trust_mmap_lock(
    found: MmapLock, contention: pd.DataFrame, timeline: Timeline, losses: Losses, ends: pd.Series
) -> MmapLock:
    """Judges what a gap in the trace may have changed, and adds the holds that began before the trace.

    Args:
        found: of ``scan_mmap_lock``; its frames are changed in place.
        contention: the trace's table.
        timeline: thread states; a thread that provably ran through a gap of another CPU keeps its intervals.
        losses: where the trace is blind.
        ends: when threads ended; what one of them did not end itself goes on no longer.
    """
    wait_frame, hold_frame, segments = found.waits, found.holds, found.segments
    for frame in (found.calls, wait_frame, hold_frame):
        _end_with_threads(frame, ends)
    if losses:
        for frame in (found.calls, wait_frame, hold_frame):
            _distrust(frame, timeline, losses)
    segments = np.concatenate([segments, list_edge_segments(wait_frame, hold_frame)])
    for frame, column in (wait_frame, 0), (hold_frame, 1):
        segments[:, 3] = np.minimum(segments[:, 3], frame["end_ns"].to_numpy()[segments[:, column]])
    good_wait, good_hold = (f["quality"].to_numpy() != UNKNOWN for f in (wait_frame, hold_frame))
    via = segments[:, 4]
    trusted = good_wait[segments[:, 0]] & good_hold[segments[:, 1]] & ((via < 0) | good_wait[via])
    segments = segments[trusted & (segments[:, 3] > segments[:, 2])]
    return replace(found, segments=segments, lock_offset=_lock_offset(contention, found.contention_wait, wait_frame))


def _scan(
    trace: Trace, index: TidIndex, losses: Losses
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, I64, I64, pd.DataFrame]:
    """Runs the compiled pass; its input is freed on return.

    Returns:
        Waits, holds and calls, segments, the wait row of each contention event, and MmapLock.lockers.
    """
    lock, call, con = trace["mmap_lock"], trace["syscall"], trace["contention"]
    mmx, mms = number_mms(lock["mm"].to_numpy())
    locks = mmap_rows.LockEvents(
        _np(lock, "seq"), _np(lock, "ts_ns"), index.number(_np(lock, "tid")), mmx, _np(lock, "kind"),
        _np(lock, "write"), _np(lock, "success"),
    )  # fmt: skip
    entries = mmap_rows.CallEvents(
        _np(call, "seq"), _np(call, "ts_ns"), index.number(_np(call, "tid")), _np(call, "kind"), _np(call, "call"),
        _np(call, "nr"), _np(call, "arg0"), _np(call, "arg1"), _np(call, "arg2"), _np(call, "arg3"), _np(call, "ret"),
    )  # fmt: skip
    cons = mmap_rows.ContentionEvents(
        _np(con, "seq"), index.number(_np(con, "tid")), _np(con, "kind"), _np(con, "flags")
    )
    kinds = np.bincount(locks.kind, minlength=3)
    waits, calls = mmap_rows.new_waits(int(kinds[0])), mmap_rows.new_calls(len(call))
    holds = mmap_rows.new_holds(int(kinds[1] + kinds[2]))
    gaps = np.column_stack([losses.any_cpu.from_ns, losses.any_cpu.to_ns]).ravel().astype(np.int64)
    n_wait, n_hold, n_call, segments, con_wait = mmap_scan.scan(
        mmap_scan.Events(locks, entries, cons),
        mmap_scan.Names(index.tids, mms, _born(trace, index)),
        mmap_scan.Span(gaps, trace.source.start_ns, trace.source.end_ns),
        mmap_scan.Room(waits, holds, calls),
    )
    return (
        _frame(LOCK_WAITS, waits, n_wait), _frame(LOCK_HOLDS, holds, n_hold), _frame(SYSCALL_CALLS, calls, n_call),
        segments, con_wait, count_lockers(index, locks.tidx, locks.mmx, mms),
    )  # fmt: skip


def _frame(table: Table, columns: mmap_rows.Waits | mmap_rows.Holds | mmap_rows.Calls, rows: int) -> pd.DataFrame:
    """The first rows of the result columns, without a copy."""
    found = {c: getattr(columns, c)[:rows] for c in columns._fields if c in table.dtypes}
    # analysis.locks.wait_split fills these columns later; until then they are zeros that take no memory.
    later = {c: np.broadcast_to(np.int64(0), rows) for c in table.dtypes if c not in found}
    return make_frame(table, {**found, **later})


def _born(trace: Trace, index: TidIndex) -> I64:
    """Per thread, seq of the first event that shows its creation: it cannot have waited at the trace's start."""
    born = np.full(len(index), np.iinfo(np.int64).max, np.int64)
    made = (events.TASK_KINDS.index("fork"), events.TASK_KINDS.index("newtask"))
    tasks = trace["task"]
    tasks = tasks[tasks["kind"].isin(made)]
    wakes = trace["sched_wake"]
    wakes = wakes[wakes["kind"].to_numpy() == events.WAKE_KINDS.index("sched_wakeup_new")]
    for frame in (tasks, wakes):
        at = index.number(frame["target_tid"].to_numpy())
        np.minimum.at(born, at[at >= 0], frame["seq"].to_numpy()[at >= 0])
    return born


def _end_with_threads(frame: pd.DataFrame, ends: pd.Series) -> None:
    """Cuts at the end of its thread what lasts until the trace's end because its own end was not seen."""
    end = frame["end_ns"].to_numpy()
    until = np.where(frame["end_seq"] >= 0, end, end_by(ends, frame["tid"].to_numpy(), end))
    frame["end_ns"] = np.maximum(until, frame["start_ns"].to_numpy())


def _distrust(frame: pd.DataFrame, timeline: Timeline, losses: Losses) -> None:
    """Marks as unknown what a gap touches, unless its thread provably ran on elsewhere."""
    start, end = frame["start_ns"].to_numpy(), frame["end_ns"].to_numpy()
    rows = np.flatnonzero(losses.any_cpu.touch(start, end))
    safe = ran_through(timeline, frame["tid"].to_numpy()[rows], start[rows], end[rows])
    quality = frame["quality"].to_numpy().copy()
    quality[rows[~safe]] = UNKNOWN
    frame["quality"] = quality


def _lock_offset(con: pd.DataFrame, con_wait: I64, waits: pd.DataFrame) -> int | None:
    """``lock_addr - mm`` if most contention inside waits agrees on it; the hashed addresses of text never do."""
    inside = con_wait >= 0
    if inside.sum() < 2:
        return None
    offset = con["lock_addr"].to_numpy()[inside] - waits["mm"].to_numpy()[con_wait[inside]]
    values, counts = np.unique(offset, return_counts=True)
    best = int(np.argmax(counts))
    # The rwsem lies inside the mm_struct; two equal differences of hashed addresses of one mm prove nothing.
    plausible = int(values[best]) < 1 << 16
    return int(values[best]) if plausible and counts[best] * 2 > counts.sum() else None
