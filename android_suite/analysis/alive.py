"""Who was alive when: which process an id in the evidence beside a trace means, and until when a thread can do anything."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from android_suite.analysis.lives import Lives
from android_suite.tables import events
from android_suite.tables.trace import Trace

Array = npt.NDArray[Any]

AFTER_TRACE = 1 << 62  # the time of what was read when the trace had ended
NOBODY = -1
_DEAD = [events.TASK_STATES.index(letter) for letter in "XZx"]
_EXEC, _EXIT = (events.TASK_KINDS.index(kind) for kind in ("exec", "exit"))


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


def find_ends(trace: Trace, lives: Lives) -> pd.Series:
    """When threads ended, by thread (ns): what one had begun and not ended by then did not go on.

    It is the last time that the trace shows it dead: as it left its CPU, or, without such a switch, as it began to exit;
    or else when the next thread of its id began. A thread whose id an exec took over afterwards has no end.
    """
    switch, task = trace["sched_switch"], trace["task"]
    died = switch.loc[switch["prev_state"].isin(_DEAD) & (switch["prev_tid"] > 0), ["prev_tid", "ts_ns"]]
    left = died.groupby("prev_tid")["ts_ns"].max()
    kind = task["kind"].to_numpy()
    exited, taken = (task.loc[kind == k].groupby("target_tid")["ts_ns"].max() for k in (_EXIT, _EXEC))
    ends = left.combine_first(exited[~exited.index.isin(left.index)])
    alive = taken.reindex(ends.index).fillna(-1) >= ends
    followed = {
        life: begin
        for tid, begins in lives.begins.items()
        for life, begin in zip(lives.ids_of(tid)[:-1], begins.tolist(), strict=True)
    }
    found: pd.Series = ends[~alive].combine_first(pd.Series(followed, dtype="int64")).astype("int64")
    return found


def end_by(ends: pd.Series, tid: Array, end_ns: Array) -> Array:
    """The times, but none after the end of its thread; ``ends`` as find_ends gives it."""
    if not len(ends):
        return end_ns
    at = ends.index.get_indexer(pd.Index(tid))
    out: Array = np.where(at >= 0, np.minimum(end_ns, ends.to_numpy()[np.maximum(at, 0)]), end_ns)
    return out
