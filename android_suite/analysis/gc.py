"""Finds GC cycles in ART's slices; logcat reports only slow ones, so it never gives a total."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from android_suite.analysis.causes import Waits, trusted_set
from android_suite.analysis.sched import states_in
from android_suite.tables.derived import EXACT, GC_CYCLES, LOWER_BOUND, RUNNABLE, RUNNING
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import TraceSource

# "Background young concurrent copying GC"; other slices speak of GC too ("Lock contention on GC barrier lock").
_CYCLE = (
    r"^(?:([A-Z]\w*) )?"
    r"((?:young |sticky |partial )?(?:concurrent (?:copying|mark compact|mark sweep)|mark sweep|mark compact|semispace))"
    r" GC$"
)
# What ART writes with its category dalvik, beside collections.
_ART = re.compile(
    r"(?:Long )?monitor contention|Lock contention on |JIT |Compiling|VerifyClass|OpenDex|OpenOat|Suspend|GC[: ]|"
    r"(?:Heap|Native) ?Trim|Reclaim|ProcessReferences|MarkStack|L[\w/$]+;$"
)
_OWN_CAPTURE = "ftrace_raw"  # of this suite, which switches the category on


def sees_collections(source: TraceSource, slices: pd.DataFrame) -> bool:
    """Whether ART's markers were recorded, so that no collection in them means that there was none."""
    if not len(slices) or source.format == _OWN_CAPTURE:
        return bool(len(slices))
    return any(name.endswith(" GC") or _ART.match(name) for name in slices["name"].unique())


def measure_gc_cycles(slices: pd.DataFrame, threads: pd.DataFrame, waits: Waits, madvise: pd.DataFrame) -> pd.DataFrame:
    """Finds the cycles and what their thread did in them.

    Args:
        slices: frame of SLICES.
        threads: frame of THREAD_ROLES; the thread is the writer of the slice, because the daemon's comm may be missing.
        waits: thread states and mmap_lock waits.
        madvise: frame of MADVISE; calls that begin inside a cycle are its own.

    Returns:
        A frame of GC_CYCLES, by start.
    """
    nested = slices[slices["name"].str.endswith(" GC") & (slices["depth"] >= 0)]  # few: the expression is slow
    kind, names = pd.factorize(nested["name"])  # once per name, because names repeat
    named = pd.Series(names, dtype="str").str.extract(_CYCLE)
    is_cycle = named[1].notna().to_numpy(dtype=bool)[kind]
    cycles, named = nested[is_cycle], named.iloc[kind[is_cycle]]
    tid, start, end = (cycles[c].to_numpy() for c in ("tid", "start_ns", "end_ns"))
    spent = states_in(waits.timeline, tid, start, end)
    lock_wait = np.zeros(len(cycles), np.int64)
    calls, size = np.zeros(len(cycles), np.int64), np.zeros(len(cycles), np.int64)
    for thread in np.unique(tid):
        of = tid == thread
        lock_wait[of] = trusted_set(waits.lock_waits, int(thread)).time_in(start[of], end[of])
        done = np.flatnonzero(madvise["tid"].to_numpy() == thread)
        done = done[np.argsort(madvise["start_ns"].to_numpy()[done], kind="stable")]
        begins = madvise["start_ns"].to_numpy()[done]
        total = np.concatenate([[0], np.cumsum(madvise["bytes"].to_numpy()[done])])
        first, last = np.searchsorted(begins, start[of]), np.searchsorted(begins, end[of])
        calls[of], size[of] = last - first, total[last] - total[first]
    tgid = threads.set_index("tid")["tgid"].reindex(tid, fill_value=-1).to_numpy()
    return make_frame(
        GC_CYCLES,
        {
            "tid": tid, "tgid": np.where(tgid >= 0, tgid, cycles["tgid"]), "start_ns": start, "end_ns": end,
            "collector": named[1].astype("str"), "cause": named[0].fillna("").astype("str"),
            "running_ns": spent[:, RUNNING], "runnable_ns": spent[:, RUNNABLE], "lock_wait_ns": lock_wait,
            "madvise_calls": calls, "madvise_bytes": size,
            "quality": np.where(cycles["cut"] == 0, EXACT, LOWER_BOUND).astype(np.int8),
        },
    )  # fmt: skip
