"""Finds who woke the threads that draw: each sleep of a UI or render thread with the thread that ended it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from android_suite.analysis.enclosing import find_wakers
from android_suite.analysis.jit import frozen
from android_suite.analysis.sched import Timeline
from android_suite.analysis.threads import RENDER, UI
from android_suite.tables.derived import DISK, SLEEPING, WAKEUPS
from android_suite.tables.events import FRAME_TIMELINE
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import Trace

_RENDER_COMM = "RenderThread"


def pick_wakes(trace: Trace, framestats: pd.DataFrame | None) -> pd.DataFrame:
    """The wake-ups of threads that may draw frames: main threads, and every thread with frames or markers.

    The result is small, so that the whole table can be freed before the roles of threads are known.
    """
    threads = trace["threads"]
    told = [
        trace[FRAME_TIMELINE.name]["tgid"].unique(),
        trace["marker"]["tid"].unique(),
        threads.loc[threads["tid"] == threads["tgid"], "tid"].unique(),
        threads.loc[threads["comm"].str.startswith(_RENDER_COMM), "tid"].unique(),
    ]
    if framestats is not None:
        told.append(framestats["pid"].unique())
    wakes = trace["sched_wake"]
    drawing = wakes["target_tid"].isin(np.unique(np.concatenate(told)))
    return wakes.loc[drawing, ["seq", "ts_ns", "tid", "target_tid"]]


def measure_wakeups(timeline: Timeline, wakes: pd.DataFrame, threads: pd.DataFrame) -> pd.DataFrame:
    """One row per sleep of a UI or render thread that a recorded wake-up ended.

    Args:
        timeline: of all threads.
        wakes: as pick_wakes gives them.
        threads: frame of THREAD_ROLES.

    Returns:
        A frame of WAKEUPS, by thread and time.
    """
    tids = threads.loc[threads["role"].isin((UI, RENDER)) & threads["tid"].isin(wakes["target_tid"].unique()), "tid"]
    numbers = timeline.index.number(tids.to_numpy())
    rows = [np.arange(timeline.starts[k], timeline.starts[k + 1]) for k in np.sort(numbers[numbers >= 0])]
    own = np.concatenate(rows) if rows else np.empty(0, np.int64)
    state = timeline.state[own]
    own = own[(state == SLEEPING) | (state == DISK)]
    tid, start, end = timeline.tid[own], timeline.start_ns[own], timeline.end_ns[own]
    first = _begins(tid, start, end)
    last = np.append(first, len(own))[1:] - 1
    wakes = wakes.sort_values("ts_ns", kind="stable")
    ts, target, seq, by = (frozen(wakes[c].to_numpy()) for c in ("ts_ns", "target_tid", "seq", "tid"))
    waker, when = find_wakers(ts, target, seq, by, frozen(tid[last]), frozen(end[last]))
    seen = when >= 0
    return make_frame(
        WAKEUPS,
        {
            "tid": tid[first][seen], "start_ns": start[first][seen], "end_ns": end[last][seen], "waker_tid": waker[seen],
            "uninterruptible": timeline.state[own][last][seen] == DISK,
        },
    )  # fmt: skip


def _begins(tid: NDArray[np.int32], start: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int64]:
    """First row of each sleep: a change of priority cuts a sleep into rows that follow each other."""
    fresh = np.ones(len(tid), np.bool_)
    fresh[1:] = (tid[1:] != tid[:-1]) | (start[1:] != end[:-1])
    return np.flatnonzero(fresh)
