"""Measures scheduling by thread: run time, delays between ready and running, uninterruptible sleep by caller."""

from __future__ import annotations

import numpy as np
import pandas as pd

from android_suite.analysis.jit import I8, I32, I64, Bools, compiled, frozen
from android_suite.analysis.sched import Timeline
from android_suite.analysis.sleeps import Sleeps
from android_suite.tables.derived import DISK, RUNNABLE, RUNNING, SCHEDULING, SLEEPING, UNINTERRUPTIBLE_SLEEPS
from android_suite.tables.schema import make_frame

_RUNNING, _RUNNABLE = RUNNING, RUNNABLE  # of this module, so that the cached code is made anew with them
_TOLD_WITHIN_NS = 1_000_000  # the reason of a sleep is recorded beside the wake-up that ends it
_DELAYS = ("delays", "delay_ns", "delay_max_ns", "preempted_ns")


def measure_scheduling(timeline: Timeline) -> pd.DataFrame:
    """Sums over the whole trace, one row per thread: a frame of SCHEDULING, ascending by thread."""
    count = len(timeline.index)
    states = np.zeros((count, 6), np.int64)
    delays = np.zeros((count, len(_DELAYS)), np.int64)
    _add_up(timeline.starts, timeline.start_ns, timeline.end_ns, timeline.state, timeline.preempted, states, delays)
    columns = {name: delays[:, i] for i, name in enumerate(_DELAYS)}
    return make_frame(
        SCHEDULING,
        {
            "tid": timeline.index.tids, "running_ns": states[:, RUNNING], **columns,
            "sleeping_ns": states[:, SLEEPING], "uninterruptible_ns": states[:, DISK],
        },
    )  # fmt: skip


@compiled
def _add_up(starts: I64, begin: I64, end: I64, state: I8, preempted: Bools, states: I64, delays: I64) -> None:
    """A change of priority cuts a delay into rows that follow each other; they are one delay."""
    for k in range(starts.shape[0] - 1):
        waited = 0
        for row in range(starts[k], starts[k + 1]):
            length = end[row] - begin[row]
            states[k, state[row]] += length
            if state[row] != _RUNNABLE:
                continue
            joined = row > starts[k] and state[row - 1] == _RUNNABLE and end[row - 1] == begin[row]
            waited = waited + length if joined else length
            delays[k, 0] += 0 if joined else 1
            delays[k, 1] += length
            delays[k, 2] = max(delays[k, 2], waited)
            if preempted[row]:
                delays[k, 3] += length


def measure_uninterruptible_sleeps(sleeps: Sleeps, reasons: pd.DataFrame) -> pd.DataFrame:
    """Every sleep in state D, with its caller where sched_blocked_reason names it.

    Args:
        sleeps: as measure_sleeps gives them.
        reasons: frame of BLOCKED_REASON.

    Returns:
        A frame of UNINTERRUPTIBLE_SLEEPS, by thread and time.
    """
    row = _match(
        frozen(sleeps.tid), frozen(sleeps.start_ns), frozen(sleeps.end_ns),
        frozen(reasons["target_tid"].to_numpy()), frozen(reasons["ts_ns"].to_numpy()),
    )  # fmt: skip
    told = np.full(len(sleeps), -1, np.int64)
    told[row[row >= 0]] = np.flatnonzero(row >= 0)
    known = told >= 0
    caller = reasons["caller"].reset_index(drop=True).reindex(told).fillna("") if len(reasons) else [""] * len(sleeps)
    io = np.zeros(len(sleeps), np.bool_)
    io[known] = reasons["io_wait"].to_numpy()[told[known]]
    return make_frame(
        UNINTERRUPTIBLE_SLEEPS,
        {
            "tid": sleeps.tid, "start_ns": sleeps.start_ns, "end_ns": sleeps.end_ns, "runnable_ns": sleeps.runnable_ns,
            "waker_tid": sleeps.waker, "told": known, "io_wait": io, "caller": caller,
        },
    )  # fmt: skip


@compiled
def _match(tid: I32, start: I64, end: I64, target: I32, ts: I64) -> I64:
    """For each reason the sleep it tells of: the last of that thread that began before; -1 where it ended long before."""
    out = np.full(ts.shape[0], -1, np.int64)
    for q in range(ts.shape[0]):
        left, right = 0, tid.shape[0]
        while left < right:  # first sleep that is of a later thread, or of this one and not before the reason
            middle = (left + right) // 2
            if tid[middle] < target[q] or (tid[middle] == target[q] and start[middle] < ts[q]):
                left = middle + 1
            else:
                right = middle
        at = left - 1
        if at >= 0 and tid[at] == target[q] and end[at] >= ts[q] - _TOLD_WITHIN_NS:
            out[q] = at
    return out
