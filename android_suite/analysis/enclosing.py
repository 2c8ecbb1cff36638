"""Finds the interval of a thread that encloses another: the hold a sleep lies in, the call a wake-up was made in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from android_suite.analysis.ids import TidIndex, group_order
from android_suite.analysis.jit import I32, I64, Array, Bools, compiled, frozen

_NESTED = 8  # intervals of one thread that may be open at once: locks, not calls; fork holds two mmap_locks


@dataclass(frozen=True, slots=True)
class ThreadIntervals:
    """Intervals by thread and start. Those of one thread may nest a few deep."""

    index: TidIndex
    order: I64
    starts: I64
    begin: I64
    end: I64

    @classmethod
    def of(cls, tids: I32, begin: Array, end: Array) -> ThreadIntervals:
        """Sorts intervals (thread, first and last time or seq, both inclusive), given in any order."""
        index = TidIndex.of([np.asarray(tids, np.int32)])
        by_time = np.argsort(begin, kind="stable")  # quick where they are in order, as they mostly are
        order, starts = group_order(index.number(np.asarray(tids)[by_time]), len(index))
        rows = by_time[order]
        return cls(
            index, frozen(rows), frozen(starts), frozen(np.asarray(begin, np.int64)), frozen(np.asarray(end, np.int64))
        )

    def find(self, tids: I32, begin: Array, end: Array) -> I64:
        """Row of the outermost interval of each thread that encloses ``begin`` to ``end``; -1 where none does."""
        out = np.full(len(tids), -1, np.int64)
        if len(self.order) and len(tids):
            _find(
                self.order, self.starts, self.begin, self.end, frozen(self.index.number(tids)),
                frozen(np.asarray(begin, np.int64)), frozen(np.asarray(end, np.int64)), out,
            )  # fmt: skip
        return out


@compiled
def _find(order: I64, starts: I64, begin: I64, end: I64, of: I32, low: I64, high: I64, out: I64) -> None:
    for q in range(of.shape[0]):
        if of[q] < 0:
            continue
        first, stop = starts[of[q]], starts[of[q] + 1]
        left, right = first, stop
        while left < right:  # first interval that begins after this one
            middle = (left + right) // 2
            if begin[order[middle]] <= low[q]:
                left = middle + 1
            else:
                right = middle
        for at in range(left - 1, max(first, left - _NESTED) - 1, -1):
            if end[order[at]] >= high[q]:
                out[q] = order[at]


@compiled
def find_wakers(ts: I64, target: I32, seq: I64, tid: I32, sleeper: I32, end: I64) -> tuple[I32, I64]:
    """Who ended each sleep: the first wake-up of the sleeper at that time.

    Args:
        ts: of the wake-ups, ascending.
        target: thread that each wakes.
        seq: of each.
        tid: thread that wakes.
        sleeper: thread of each sleep.
        end: of each sleep.

    Returns:
        Waker and seq of the wake-up; -1 where none was recorded.
    """
    waker, when = np.full(end.shape[0], -1, np.int32), np.full(end.shape[0], -1, np.int64)
    for q in range(end.shape[0]):
        left, right = 0, ts.shape[0]
        while left < right:
            middle = (left + right) // 2
            if ts[middle] < end[q]:
                left = middle + 1
            else:
                right = middle
        while left < ts.shape[0] and ts[left] == end[q]:
            if target[left] == sleeper[q]:
                waker[q], when[q] = tid[left], seq[left]
                break
            left += 1
    return waker, when


def look_up_wakers(wakes: pd.DataFrame, sleeper: I32, end: I64) -> tuple[I32, I64]:
    """As `find_wakers`, from a frame with columns ``ts_ns``, ``target_tid``, ``seq`` and ``tid`` in any order."""
    when = wakes["ts_ns"].to_numpy()
    if (when[1:] < when[:-1]).any():
        wakes = wakes.sort_values("ts_ns", kind="stable")
    ts, target, seq, tid = (frozen(wakes[c].to_numpy()) for c in ("ts_ns", "target_tid", "seq", "tid"))
    return find_wakers(ts, target, seq, tid, frozen(sleeper), frozen(end))


def covers(intervals: ThreadIntervals, tids: I32, begin: Array, end: Array) -> Bools:
    """Whether an interval of the thread encloses each ``begin`` to ``end``."""
    return intervals.find(tids, begin, end) >= 0
