"""Splits a wait for mmap_lock into time behind a holder and the thread's own states in the rest."""

from __future__ import annotations

import numpy as np
import pandas as pd

from android_suite.analysis.jit import I64, compiled, frozen
from android_suite.analysis.sched import Timeline, states_in
from android_suite.tables.derived import DEAD, DISK, RUNNABLE, RUNNING, SLEEPING, STOPPED


def split_waits(timeline: Timeline, waits: pd.DataFrame, segments: I64) -> pd.DataFrame:
    """Splits waits by what they consist of.

    A wait starts and ends with an event, not with the lock: without any holder it still lasts as long as its two events
    take, and once the lock is free it lasts until the thread gets a CPU.

    Args:
        timeline: of all threads.
        waits: frame of LOCK_WAITS.
        segments: see MmapLock.segments.

    Returns:
        The waits with behind_ns, running_ns, runnable_ns and asleep_ns; the rest of their length is not known.
    """
    tid, start_ns, end_ns = (waits[c].to_numpy() for c in ("tid", "start_ns", "end_ns"))
    order = np.lexsort((segments[:, 2], segments[:, 0]))
    pieces = _merge(frozen(segments[order]))
    behind = np.zeros(len(tid), np.int64)
    np.add.at(behind, pieces[:, 0], pieces[:, 2] - pieces[:, 1])
    states = states_in(timeline, tid, start_ns, end_ns)
    inside = states_in(timeline, tid[pieces[:, 0]], pieces[:, 1], pieces[:, 2])
    np.subtract.at(states, pieces[:, 0], inside)
    return waits.assign(
        behind_ns=behind, running_ns=states[:, RUNNING], runnable_ns=states[:, RUNNABLE],
        asleep_ns=states[:, [SLEEPING, DISK, STOPPED, DEAD]].sum(axis=1),
    )  # fmt: skip


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
