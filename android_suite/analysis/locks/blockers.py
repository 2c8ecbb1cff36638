"""Who waited for whom: every stretch in which a hold of another thread kept a wait for mmap_lock from its end."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from android_suite.analysis.locks.mmap_lock import MmapLock
from android_suite.analysis.operations import name_operations
from android_suite.tables.derived import LOCK_BLOCKERS
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import Trace


def measure_blockers(trace: Trace, locks: MmapLock) -> pd.DataFrame:
    """Lists the holders in front of every wait, whatever their priorities; inversions are the part where they are weaker.

    A writer is kept out by every holder, a reader by a writer that holds, or, where readers hold and a writer queues in
    front of it, by these readers (``via`` is that writer). Waits and holds that cannot be trusted are left out, so where
    events were lost some holders may be missing.

    Args:
        trace: for the operations.
        locks: who stood in front of whom.

    Returns:
        A frame of LOCK_BLOCKERS, by wait, start and hold.
    """
    segments = locks.segments
    if not len(segments):
        return make_frame(LOCK_BLOCKERS)
    segments = segments[np.lexsort((segments[:, 2], segments[:, 4], segments[:, 1], segments[:, 0]))]
    new = np.ones(len(segments), np.bool_)
    new[1:] = (segments[1:, [0, 1, 4]] != segments[:-1, [0, 1, 4]]).any(axis=1) | (segments[1:, 2] != segments[:-1, 3])
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(segments)) - 1
    wait, hold, start, via = (segments[first, column] for column in (0, 1, 2, 4))
    end = segments[last, 3]
    order = np.lexsort((hold, start, wait))
    wait, hold, start, end, via = (column[order] for column in (wait, hold, start, end, via))
    held, which = np.unique(hold, return_inverse=True)
    holds, waiters = locks.holds, locks.waits["tid"].to_numpy()
    names = name_operations(
        trace, locks.calls, holds["call"].to_numpy()[held], holds["tid"].to_numpy()[held],
        holds["start_seq"].to_numpy()[held],
    )  # fmt: skip
    downgraded = holds["downgrade_ns"].to_numpy()[hold]
    return make_frame(
        LOCK_BLOCKERS,
        {
            "start_ns": start, "end_ns": end, "wait": wait, "hold": hold, "via": via,
            "mm": locks.waits["mm"].to_numpy()[wait], "waiter_tid": waiters[wait],
            "waiter_write": locks.waits["write"].to_numpy()[wait],
            "via_tid": np.where(via >= 0, waiters[np.maximum(via, 0)], -1).astype(np.int32),
            "holder_tid": holds["tid"].to_numpy()[hold],
            "holder_write": holds["write"].to_numpy()[hold] & ((downgraded < 0) | (downgraded > start)),
            "operation": pd.array(pa.array(names, pa.large_string()).take(pa.array(which.reshape(-1))), dtype="str"),
        },
    )  # fmt: skip
