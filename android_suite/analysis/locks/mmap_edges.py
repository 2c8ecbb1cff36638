"""Finds who stood behind holds of mmap_lock from before the trace: the one pass over the events sees them too late."""

from __future__ import annotations

import numpy as np
import pandas as pd

from android_suite.analysis.jit import I64
from android_suite.tables.derived import HOW, UNKNOWN

_BEFORE_THE_TRACE = HOW.index("cut")


def list_edge_segments(waits: pd.DataFrame, holds: pd.DataFrame) -> I64:
    """Who stood in front of whom because of a hold that began before the trace.

    Args:
        waits: frame of LOCK_WAITS.
        holds: frame of LOCK_HOLDS; at most one per thread and mm began before the trace.

    Returns:
        Segments as ``MmapLock.segments``, shape (n, 5).
    """
    rows: list[tuple[int, int, int, int, int]] = []
    early = holds[(holds["how"] == _BEFORE_THE_TRACE) & (holds["quality"] != UNKNOWN)]
    for hold, mm, tid, write, end in zip(
        early.index, early["mm"], early["tid"], early["write"], early["end_ns"], strict=True
    ):
        # Every wait in the table began in the trace; those behind this hold began before its release.
        queue = waits[(waits["mm"] == mm) & (waits["start_ns"] < end) & (waits["quality"] != UNKNOWN)]
        writers = queue[queue["write"]]
        for wait, other, exclusive, start, until in zip(
            queue.index, queue["tid"], queue["write"], queue["start_ns"], queue["end_ns"], strict=True
        ):
            if other == tid:
                continue
            via, begin, stop = -1, int(start), min(int(until), int(end))
            if not exclusive and not write:
                ahead = writers[(writers["start_seq"] < queue["start_seq"][wait]) & (writers["end_ns"] > start)]
                if not len(ahead):
                    continue
                via, stop = int(ahead.index[0]), min(stop, int(ahead["end_ns"].iloc[0]))
            if begin < stop:
                rows.append((int(wait), int(hold), begin, stop, via))
    return np.array(rows, np.int64).reshape(-1, 5)
