"""Builds the table of threads, with their names and processes, by the same rules for every format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from android_suite.tables import events
from android_suite.tables.schema import make_frame
from android_suite.trace.core.compiled import compiled

Array = npt.NDArray[Any]

IDLE_COMM = "swapper"
_INT32 = range(-(1 << 31), 1 << 31)
_TID_COLUMNS = ("tid", "prev_tid", "next_tid", "target_tid")
_TABLES = (events.SCHED_SWITCH, events.SCHED_WAKE, events.BLOCKED_REASON, events.PI_SETPRIO, events.TASK)


def make_threads(
    *,
    seen: Iterable[int],
    comms: Sequence[Mapping[int, str]],
    tgids: Mapping[int, int],
    task: pd.DataFrame | None,
    processes: Mapping[int, str],
) -> pd.DataFrame:
    """Makes the THREADS table.

    Args:
        seen: thread ids; those in the mappings are added.
        comms: name by tid from every source, the most trusted first.
        tgids: process by tid, as far as the trace records it.
        task: the trace's TASK table, for the processes of new threads that are not in ``tgids``.
        processes: name by tgid; a process without one gets the name of its main thread.
    """
    groups = {**tgids, **tgids_of_new_threads(task, tgids), 0: 0}
    known: set[int] = set(seen).union(tgids, *comms)
    tids = sorted(tid for tid in known if tid in _INT32)
    comm = {tid: next((one[tid] for one in comms if one.get(tid)), "") for tid in tids}
    if 0 in comm:
        comm[0] = IDLE_COMM
    group = [groups.get(tid, -1) for tid in tids]
    return make_frame(
        events.THREADS,
        {
            "tid": np.array(tids, np.int32),
            "tgid": np.array(group, np.int32),
            "comm": pd.Series(comm.values(), dtype="str"),
            "process": pd.Series([processes.get(g) or (comm.get(g, "") if g >= 0 else "") for g in group], dtype="str"),
        },
    )


def tgids_of_new_threads(task: pd.DataFrame | None, tgids: Mapping[int, int]) -> dict[int, int]:
    """Process by tid of threads that only task_newtask records: the caller's with CLONE_THREAD, else their own."""
    if task is None:
        return {}
    made = task[task["kind"].to_numpy() == events.TASK_KINDS.index("newtask")]
    found: dict[int, int] = {}
    columns = (made[name].tolist() for name in ("target_tid", "tid", "thread_of_caller"))
    for tid, caller, shares in zip(*columns, strict=True):
        if tid not in tgids:
            tgid = (found.get(caller) or tgids.get(caller, -1)) if shares else tid
            if tgid >= 0:
                found[tid] = tgid
    return found


def mark_threads(tables: Mapping[str, pd.DataFrame], seen: Array) -> None:
    """Sets ``seen`` (uint8, by tid) for every thread in sched and task events."""
    for table in _TABLES:
        for column in _TID_COLUMNS:
            if column in table.dtypes:
                mark_seen(tables[table.name][column].to_numpy(), seen)


@compiled
def mark_seen(tid: Array, seen: Array) -> None:
    """Sets ``seen`` of every thread that has a place there."""
    for i in range(len(tid)):
        if 0 <= tid[i] < len(seen):
            seen[tid[i]] = 1
