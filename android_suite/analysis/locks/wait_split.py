"""Splits a wait for mmap_lock into time behind a holder and the thread's own states in the rest."""

from __future__ import annotations

import numpy as np

from android_suite.analysis.jit import I32, I64, Array, compiled, frozen
from android_suite.analysis.sched import Timeline, states_in
from android_suite.tables.derived import DEAD, DISK, RUNNABLE, RUNNING, SLEEPING, STOPPED


def split_waits(timeline: Timeline, tid: I32, start_ns: I64, end_ns: I64, segments: I64) -> dict[str, Array]:
    """Splits waits by what they consist of.

    A wait starts and ends with an event, not with the lock: without any holder it still lasts as long as its two events
    take, and once the lock is free it lasts until the thread gets a CPU.

    Args:
        timeline: of all threads.
        tid: thread of each wait.
        start_ns: of each wait.
        end_ns: of each wait.
        segments: see MmapLock.segments.

    Returns:
        behind_ns, running_ns, runnable_ns, asleep_ns per wait; the rest of its length is not known.
    """
    order = np.lexsort((segments[:, 2], segments[:, 0]))
    pieces = _merge(frozen(segments[order]))
    behind = np.zeros(len(tid), np.int64)
    np.add.at(behind, pieces[:, 0], pieces[:, 2] - pieces[:, 1])
    states = states_in(timeline, tid, start_ns, end_ns)
    inside = states_in(timeline, tid[pieces[:, 0]], pieces[:, 1], pieces[:, 2])
    np.subtract.at(states, pieces[:, 0], inside)
    return {
        "behind_ns": behind, "running_ns": states[:, RUNNING], "runnable_ns": states[:, RUNNABLE],
        "asleep_ns": states[:, [SLEEPING, DISK, STOPPED, DEAD]].sum(axis=1),
    }  # fmt: skip


@compiled
def _merge(segments: I64) -> I64:
    """Joins segments of a wait that overlap or meet, given by wait and start: rows of wait, start, end."""
    out = np.empty((segments.shape[0], 3), np.int64)
    n = 0
    for i in range(segments.shape[0]):
        if n and out[n - 1, 0] == segments[i, 0] and segments[i, 2] <= out[n - 1, 2]:
            out[n - 1, 2] = max(out[n - 1, 2], segments[i, 3])
        else:
            out[n, 0], out[n, 1], out[n, 2] = segments[i, 0], segments[i, 2], segments[i, 3]
            n += 1
    return out[:n]
