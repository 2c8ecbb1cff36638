"""Finds uninterruptible sleeps, from switch-out to wake-up: who woke the thread, and how long it then was runnable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from android_suite.analysis.enclosing import find_wakers
from android_suite.analysis.jit import I8, I32, I64, compiled, frozen
from android_suite.analysis.sched import Timeline
from android_suite.tables.derived import DISK, RUNNABLE, RUNNING
from android_suite.tables.events import WAKE_KINDS

_WAKING = WAKE_KINDS.index("sched_waking")
_DISK, _RUNNABLE = DISK, RUNNABLE  # of this module, so that the cached code is made anew with them


@dataclass(frozen=True, slots=True)
class Sleeps:
    """One entry per sleep in state D, by thread and time.

    Attributes:
        tid: thread.
        start_ns: switch-out.
        end_ns: wake-up, but not before ``start_ns``; if no wake-up was seen, the end of what is known of the sleep.
        runnable_ns: from the wake-up to the CPU.
        waker: thread that woke it (0: from an interrupt of an idle CPU); -1 if no wake-up was seen.
        wake_seq: seq of the wake-up; -1 as above.
    """

    tid: I32
    start_ns: I64
    end_ns: I64
    runnable_ns: I64
    waker: I32
    wake_seq: I64

    def __len__(self) -> int:
        return len(self.tid)

    def pick(self, rows: np.ndarray) -> Sleeps:
        """Some of them: by mask or by number."""
        return Sleeps(*(getattr(self, name)[rows] for name in self.__slots__))


def measure_sleeps(timeline: Timeline, wakes: pd.DataFrame) -> Sleeps:
    """Finds every uninterruptible sleep.

    Args:
        timeline: of all threads.
        wakes: frame of SCHED_WAKE.
    """
    when = wakes["ts_ns"].to_numpy()
    if (when[1:] < when[:-1]).any():
        wakes = wakes.sort_values("ts_ns", kind="stable")
    first = np.flatnonzero(timeline.state == DISK)
    begins, end, runnable = _join(timeline.tid, timeline.start_ns, timeline.end_ns, timeline.state, first)
    tid = timeline.tid[begins]
    ts, target, seqs, wakers = (frozen(wakes[c].to_numpy()) for c in ("ts_ns", "target_tid", "seq", "tid"))
    waker, seq = find_wakers(ts, target, seqs, wakers, frozen(tid), frozen(end))
    found = Sleeps(tid, timeline.start_ns[begins], end, runnable, waker, seq)
    _wake_before_sleep(found, timeline, begins, wakes)
    return found


def _wake_before_sleep(sleeps: Sleeps, timeline: Timeline, begins: I64, wakes: pd.DataFrame) -> None:
    """Fills in the wakers of sleeps that were over before they began.

    Another CPU may wake the thread between its decision to sleep and its switch-out; it then leaves the CPU in state D
    and is ready to run at once. No wake-up follows such a sleep, and the last one before it came while the thread ran.
    """
    last, before = np.minimum(begins + 1, len(timeline.tid) - 1), np.maximum(begins - 1, 0)
    ran, runs = (timeline.state[row] == RUNNING for row in (before, last))
    ran &= (timeline.tid[before] == sleeps.tid) & (timeline.end_ns[before] == sleeps.start_ns)
    runs &= (timeline.tid[last] == sleeps.tid) & (timeline.start_ns[last] == sleeps.end_ns)
    rows = np.flatnonzero((sleeps.wake_seq < 0) & ran & runs)
    if not len(rows):
        return
    wanted = pd.DataFrame({"target_tid": sleeps.tid[rows], "ts_ns": sleeps.start_ns[rows], "row": rows})
    wakings = wakes.loc[wakes["kind"] == _WAKING, ["target_tid", "ts_ns", "tid", "seq"]]
    wakings = wakings.assign(at_ns=wakings["ts_ns"])
    found = pd.merge_asof(wanted.sort_values("ts_ns", kind="stable"), wakings, on="ts_ns", by="target_tid")
    found = found[found["at_ns"] >= timeline.start_ns[before[found["row"]]]]
    rows = found["row"].to_numpy()
    sleeps.waker[rows], sleeps.wake_seq[rows] = found["tid"], found["seq"]
    sleeps.runnable_ns[rows] = sleeps.end_ns[rows] - sleeps.start_ns[rows]
    sleeps.end_ns[rows] = sleeps.start_ns[rows]


@compiled
def _join(tid: I32, start: I64, end: I64, state: I8, rows: I64) -> tuple[I64, I64, I64]:
    """Joins the rows that a change of priority cut: first row, end and runnable time of each sleep."""
    first, until, ready = np.empty_like(rows), np.empty_like(rows), np.empty_like(rows)
    n, r = 0, 0
    while r < rows.shape[0]:
        at = rows[r]
        first[n] = at
        while at + 1 < tid.shape[0] and tid[at + 1] == tid[at] and start[at + 1] == end[at] and state[at + 1] == _DISK:
            at += 1
        until[n], waited = end[at], 0
        last = at
        while last + 1 < tid.shape[0] and tid[last + 1] == tid[at] and start[last + 1] == end[last] \
                and state[last + 1] == _RUNNABLE:  # fmt: skip
            last += 1
            waited += end[last] - start[last]
        ready[n] = waited
        n += 1
        while r < rows.shape[0] and rows[r] <= at:
            r += 1
    return first[:n], until[:n], ready[:n]


def last_sleep(
    timeline: Timeline, tids: NDArray[np.int32], when: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The uninterruptible sleep each thread was in at that time or had just left: start and end, -1 if none is known.

    The reason of a sleep is recorded when it ends, a moment after or before the wake-up that ends it.
    """
    start, end = np.full(len(tids), -1, np.int64), np.full(len(tids), -1, np.int64)
    for tid in np.unique(tids):
        k = int(timeline.index.number(np.array([tid], np.int32))[0])
        if k < 0:
            continue
        own = slice(int(timeline.starts[k]), int(timeline.starts[k + 1]))
        asleep = timeline.state[own] == DISK
        begin, stop = timeline.start_ns[own][asleep], timeline.end_ns[own][asleep]
        of = tids == tid
        at = np.searchsorted(begin, when[of]) - 1
        found = (
            (at >= 0) & (stop[np.maximum(at, 0)] >= when[of] - 1_000_000) if len(begin) else np.zeros(of.sum(), bool)
        )
        if len(begin):
            start[of] = np.where(found, begin[np.maximum(at, 0)], -1)
            end[of] = np.where(found, stop[np.maximum(at, 0)], -1)
    return start, end
