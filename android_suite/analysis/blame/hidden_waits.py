"""Waits for monitors that began before the trace, of which it shows the end at the most."""

from __future__ import annotations

import numpy as np
import pandas as pd

from android_suite.analysis.jit import I32
from android_suite.analysis.sched import Timeline
from android_suite.tables.derived import RUNNABLE, RUNNING

_NEVER = np.iinfo(np.int64).max
_BEGIN_OR_END = r"^[BE](?:\||\n?$)"


def find_hidden_waits(marker: pd.DataFrame, timeline: Timeline, tids: I32) -> frozenset[int]:
    """Threads that may have waited for a monitor when the trace began.

    Nothing begins inside of such a wait but the slice in which ART names the owner. So a wait from before the trace is the
    innermost slice, and its thread's first marker is an end that has no begin; if the wait outlasts the trace, there is
    none. A thread that did not sleep before that marker waited for nothing.

    Args:
        marker: frame of MARKER.
        timeline: of all threads.
        tids: threads to look at.
    """
    own = marker[marker["tid"].isin(tids)]
    own = own[own["text"].str.match(_BEGIN_OR_END).to_numpy(dtype=bool)].drop_duplicates("tid")
    begins = own["text"].str.startswith("B").tolist()
    first = dict(zip(own["tid"].tolist(), zip(own["ts_ns"].tolist(), begins, strict=True), strict=True))
    found = set()
    for tid, number in zip(tids.tolist(), timeline.index.number(tids).tolist(), strict=True):
        until, begun = first.get(tid, (_NEVER, False))
        if not begun and _may_have_slept(timeline, number, until):
            found.add(tid)
    return frozenset(found)


def _may_have_slept(timeline: Timeline, number: int, until: int) -> bool:
    """Whether a thread slept before a time, or may have done so before it is first seen."""
    own = slice(timeline.starts[number], timeline.starts[number + 1]) if number >= 0 else slice(0, 0)
    before = timeline.start_ns[own] < until
    state, preempted = timeline.state[own][before], timeline.preempted[own][before]
    if not len(state):
        # Whoever writes a marker runs; without a switch before it, it has run since the trace began.
        return until == _NEVER
    awake = (state == RUNNING) | (state == RUNNABLE)
    ran_first = preempted[0] or not awake[0]  # the first that is seen is that it left its CPU
    return not (ran_first and awake.all())
