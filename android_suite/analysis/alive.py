"""Which process a process id in the evidence beside a trace means: the one that was alive at that time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from android_suite.analysis.lives import Lives
from android_suite.tables import events
from android_suite.tables.trace import Trace

Array = npt.NDArray[Any]

AFTER_TRACE = 1 << 62  # the time of what was read when the trace had ended
NOBODY = -1
_DEAD = [events.TASK_STATES.index(letter) for letter in "XZx"]
_EXEC = events.TASK_KINDS.index("exec")


def place_processes(trace: Trace, lives: Lives, pid: Array, ts_ns: Array | None) -> Array:
    """The ids that an analysis has for processes.

    Args:
        trace: with the threads of one id told apart.
        lives: as split_lives gives them.
        pid: the kernel's ids.
        ts_ns: when each was read or happened, on the trace's clock; None: not known.

    Returns:
        int32: ``pid`` where the id was not used again, else that of the process of that time. NOBODY where that process
        was dead by then, so that the id is of one that the trace does not know; and without a time where several
        processes had the id.
    """
    out = pid.astype(np.int32, copy=True)
    if ts_ns is not None:
        out = lives.place(out, ts_ns)
        for one in np.unique(out).tolist():
            rows = out == one
            out[rows] = np.where(ts_ns[rows] > _find_death(trace, one), NOBODY, one)
        return out
    groups = dict(zip(trace["threads"]["tid"].tolist(), trace["threads"]["tgid"].tolist(), strict=True))
    for one in np.unique(out[np.isin(out, lives.reused)]).tolist():
        leaders = [life for life in lives.ids_of(one) if groups.get(life, -1) in (-1, life)]
        out[out == one] = leaders[0] if len(leaders) == 1 else NOBODY
    return out


def _find_death(trace: Trace, tid: int) -> int:
    """When that thread left its CPU for good (ns); beyond every time where it did not in the trace."""
    switch, task = trace["sched_switch"], trace["task"]
    died = switch["ts_ns"].to_numpy()[
        (switch["prev_tid"].to_numpy() == tid) & switch["prev_state"].isin(_DEAD).to_numpy()
    ]
    if not len(died):
        return AFTER_TRACE + 1
    # An exec by another thread takes the id of the main thread, which is dead by then.
    taken = task["ts_ns"].to_numpy()[(task["target_tid"].to_numpy() == tid) & (task["kind"].to_numpy() == _EXEC)]
    return int(died.max()) if not (taken >= died.max()).any() else AFTER_TRACE + 1
