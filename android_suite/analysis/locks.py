"""Waits and holds of mmap_lock, the system calls they happened in, and who stood in front of whom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from android_suite.analysis import lock_scan
from android_suite.analysis.ids import TidIndex, count_lockers, number_mms
from android_suite.analysis.jit import I8, Array, Bools, frozen
from android_suite.analysis.lock_edges import list_edge_segments
from android_suite.analysis.loss import Losses
from android_suite.analysis.sched import Timeline, ran_through
from android_suite.tables import events
from android_suite.tables.derived import (
    EXACT,
    LOCK_HOLDS,
    LOCK_WAITS,
    LOWER_BOUND,
    OUTCOMES,
    SYSCALL_CALLS,
    UNKNOWN,
)
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import Trace

I64 = NDArray[np.int64]
CUT, LOST = OUTCOMES.index("cut"), OUTCOMES.index("lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Locks:
    """What one pass over the lock events gives.

    Attributes:
        waits, holds: frames of LOCK_WAITS and LOCK_HOLDS.
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


def measure_locks(trace: Trace, timeline: Timeline, losses: Losses) -> Locks:
    """Rebuilds every wait for mmap_lock, every hold of it, and every system call.

    Args:
        trace: tables mmap_lock, syscall, contention; task and sched_wake tell which threads were born in the trace.
        timeline: thread states; they save intervals of threads that provably ran on through a gap elsewhere.
        losses: where the trace is blind.
    """
    lock, call, con = trace["mmap_lock"], trace["syscall"], trace["contention"]
    index = TidIndex.of([lock["tid"].to_numpy(), call["tid"].to_numpy(), con["tid"].to_numpy()])
    mms, waits, holds, calls, rows, segments, con_wait, lockers = _scan(trace, index, losses)
    n_wait, n_hold, n_call = rows
    calls_frame = _calls_frame(trace, index, mms, calls, n_call)
    del calls  # large, and not part of the frame
    wait_frame = _wait_frame(index, mms, waits, n_wait, has_contention=len(con) > 0)
    hold_frame = _hold_frame(index, mms, holds, n_hold)
    if losses:
        for frame in (calls_frame, wait_frame, hold_frame):
            _distrust(frame, timeline, losses)
    segments = np.concatenate([segments, list_edge_segments(wait_frame, hold_frame)])
    good_wait, good_hold = (f["quality"].to_numpy() != UNKNOWN for f in (wait_frame, hold_frame))
    via = segments[:, 4]
    trusted = good_wait[segments[:, 0]] & good_hold[segments[:, 1]] & ((via < 0) | good_wait[via])
    return Locks(
        waits=wait_frame,
        holds=hold_frame,
        calls=calls_frame,
        segments=segments[trusted & (segments[:, 3] > segments[:, 2])],
        contention_wait=con_wait,
        lock_offset=_lock_offset(con, con_wait, wait_frame),
        lockers=lockers,
    )


def _scan(
    trace: Trace, index: TidIndex, losses: Losses
) -> tuple[
    NDArray[np.uint64], lock_scan.Waits, lock_scan.Holds, lock_scan.Calls, tuple[int, int, int], I64, I64, pd.DataFrame
]:  # fmt: skip
    """Runs the kernel; what it reads is let go with the return, before the frames are built.

    Returns:
        The mms by their numbers, room for waits, holds and calls, how many of them there are, segments, the wait row of
        each contention event, and Locks.lockers.
    """
    lock, call, con = trace["mmap_lock"], trace["syscall"], trace["contention"]
    mmx, mms = number_mms(lock["mm"].to_numpy())
    locks = lock_scan.LockEvents(
        _np(lock, "seq"), _np(lock, "ts_ns"), index.number(_np(lock, "tid")), mmx, _np(lock, "kind"),
        _np(lock, "write"), _np(lock, "success"),
    )  # fmt: skip
    entries = lock_scan.CallEvents(
        _np(call, "seq"), index.number(_np(call, "tid")), _np(call, "kind"), _np(call, "call")
    )
    cons = lock_scan.ContentionEvents(
        _np(con, "seq"), index.number(_np(con, "tid")), _np(con, "kind"), _np(con, "flags")
    )
    kinds = np.bincount(locks.kind, minlength=3)
    waits, calls = lock_scan.new_waits(int(kinds[0])), lock_scan.new_calls(len(call))
    holds = lock_scan.new_holds(int(kinds[1] + kinds[2]))
    gaps = np.column_stack([losses.any_cpu.from_ns, losses.any_cpu.to_ns]).ravel().astype(np.int64)
    start_ns, end_ns = trace.source.start_ns, trace.source.end_ns
    n_wait, n_hold, n_call, segments, con_wait = lock_scan.scan(
        locks, entries, cons, len(index), len(mms), _born(trace, index), gaps, start_ns, end_ns, waits, holds, calls
    )
    lockers = count_lockers(index, locks.tidx, locks.mmx, mms)
    return mms, waits, holds, calls, (n_wait, n_hold, n_call), segments, con_wait, lockers


def _born(trace: Trace, index: TidIndex) -> I64:
    """Per thread the first event that shows it being made, so that it cannot have waited at the trace's start."""
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


def _quality(wrong: Bools, cut: Bools) -> I8:
    return np.where(wrong, np.int8(UNKNOWN), np.where(cut, np.int8(LOWER_BOUND), np.int8(EXACT)))


def _wait_frame(
    index: TidIndex, mms: NDArray[np.uint64], waits: lock_scan.Waits, rows: int, *, has_contention: bool
) -> pd.DataFrame:
    cut = waits.outcome[:rows] == CUT
    quality = _quality(waits.damaged[:rows] | (waits.outcome[:rows] == LOST), cut)
    return make_frame(
        LOCK_WAITS,
        {
            "tid": index.tids[waits.tidx[:rows]],
            "mm": mms[waits.mmx[:rows]] if rows else np.empty(0, np.uint64),
            "quality": quality,
            "contended": waits.contended[:rows].astype(np.int8) if has_contention else np.full(rows, -1, np.int8),
            **{c: getattr(waits, c)[:rows] for c in ("write", "start_ns", "end_ns", "start_seq", "end_seq")},
            "outcome": waits.outcome[:rows],
            "call": waits.call[:rows],
        },
    )


def _hold_frame(index: TidIndex, mms: NDArray[np.uint64], holds: lock_scan.Holds, rows: int) -> pd.DataFrame:
    edge = (holds.start_seq[:rows] < 0) | (holds.end_seq[:rows] < 0)
    quality = _quality(holds.damaged[:rows], edge)
    plain = ("write", "start_ns", "end_ns", "start_seq", "end_seq", "downgrade_ns", "how", "call", "wait")
    return make_frame(
        LOCK_HOLDS,
        {
            "tid": index.tids[holds.tidx[:rows]],
            "mm": mms[holds.mmx[:rows]] if rows else np.empty(0, np.uint64),
            "quality": quality,
            **{c: getattr(holds, c)[:rows] for c in plain},
        },
    )


def _calls_frame(
    trace: Trace, index: TidIndex, mms: NDArray[np.uint64], calls: lock_scan.Calls, rows: int
) -> pd.DataFrame:
    table = trace["syscall"]
    enter, leave = calls.enter[:rows], calls.exit[:rows]
    entered, left = enter >= 0, leave >= 0
    known = np.where(entered, enter, leave)

    def at(column: str, row: I64, seen: NDArray[np.bool_], missing: int) -> NDArray[np.generic]:
        values = table[column].to_numpy()
        if seen.all():
            return values[row]
        return np.where(seen, values[row], values.dtype.type(missing)) if rows else values[:0]

    quality = _quality(calls.damaged[:rows], ~(entered & left))
    locked = calls.lock_mmx[:rows]
    return make_frame(
        SYSCALL_CALLS,
        {
            "tid": index.tids[calls.tidx[:rows]],
            "call": at("call", known, known >= 0, 0),
            "nr": at("nr", known, known >= 0, -1),
            "start_ns": at("ts_ns", enter, entered, trace.source.start_ns),
            "end_ns": at("ts_ns", leave, left, trace.source.end_ns),
            "start_seq": at("seq", enter, entered, -1),
            "end_seq": at("seq", leave, left, -1),
            **{f"arg{i}": at(f"arg{i}", enter, entered, 0) for i in range(4)},
            "ret": at("ret", leave, left, 0),
            "quality": quality,
            "lock_mm": np.where(locked >= 0, mms[np.maximum(locked, 0)] if len(mms) else 0, 0).astype(np.uint64),
            "lock_wait_ns": calls.lock_wait_ns[:rows],
        },
    )


def _distrust(frame: pd.DataFrame, timeline: Timeline, losses: Losses) -> None:
    """Marks as unknown what a gap touches, unless its thread provably ran on elsewhere."""
    start, end = frame["start_ns"].to_numpy(), frame["end_ns"].to_numpy()
    rows = np.flatnonzero(losses.any_cpu.touch(start, end))
    safe = ran_through(timeline, frame["tid"].to_numpy()[rows], start[rows], end[rows])
    quality = frame["quality"].to_numpy().copy()
    quality[rows[~safe]] = UNKNOWN
    frame["quality"] = quality


def _lock_offset(con: pd.DataFrame, con_wait: I64, waits: pd.DataFrame) -> int | None:
    """``lock_addr - mm`` where most contention inside waits agrees on it; hashed addresses of text never do."""
    inside = con_wait >= 0
    if inside.sum() < 2:
        return None
    offset = con["lock_addr"].to_numpy()[inside] - waits["mm"].to_numpy()[con_wait[inside]]
    values, counts = np.unique(offset, return_counts=True)
    best = int(np.argmax(counts))
    # The rwsem lies inside the mm_struct; two equal differences of hashed addresses of one mm prove nothing.
    plausible = int(values[best]) < 1 << 16
    return int(values[best]) if plausible and counts[best] * 2 > counts.sum() else None
