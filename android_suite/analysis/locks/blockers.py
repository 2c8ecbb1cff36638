"""Lists who waited for whom: every stretch of a wait for a lock during which another thread blocked it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from android_suite.analysis.locks.standoffs import Standoffs
from android_suite.tables.derived import LOCK_BLOCKERS
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import Trace


def measure_blockers(trace: Trace, standoffs: Standoffs) -> pd.DataFrame:
    """Lists the holders in front of every wait, whatever their priorities; inversions are those with a weaker holder.

    Every holder blocks a writer. A writer that holds blocks a reader; so do readers that hold if a writer queues in
    front of it (``via`` is that writer). A thread behind a holder of mmap_lock that itself waits for a VMA is also
    blocked by the VMA's reader (``via`` is that holder). Waits and holds that cannot be trusted are left out, so some
    holders may be missing where events were lost.

    Args:
        trace: for the operations.
        standoffs: who stood in front of whom.

    Returns:
        A frame of LOCK_BLOCKERS, by wait, start and hold.
    """
    segments = standoffs.segments
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
    (lock, wait_row), (holder_lock, hold_row) = standoffs.locate_waits(wait), standoffs.locate_holds(hold)
    names = standoffs.name_operations(trace, hold)
    return make_frame(
        LOCK_BLOCKERS,
        {
            "start_ns": start, "end_ns": end, "lock": lock, "wait": wait_row, "holder_lock": holder_lock,
            "hold": hold_row, "via": standoffs.locate_waits(via)[1], "mm": standoffs.wait_mm[wait],
            "waiter_tid": standoffs.wait_tid[wait], "waiter_write": standoffs.wait_write[wait],
            "via_tid": np.where(via >= 0, standoffs.wait_tid[np.maximum(via, 0)], -1).astype(np.int32),
            "holder_tid": standoffs.hold_tid[hold], "holder_write": standoffs.writes_at(hold, start),
            "operation": pd.array(pa.array(names, pa.large_string()), dtype="str"),
        },
    )  # fmt: skip
