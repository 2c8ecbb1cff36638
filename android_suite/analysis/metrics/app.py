"""Metrics of garbage collections, of HeapTaskDaemon's madvise, and of launches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from android_suite.analysis.doubts import Reasons, app_tids, doubt_blind, say_absent, say_missing, say_no_art
from android_suite.analysis.metrics.value import Value
from android_suite.analysis.pipeline import Analysis
from android_suite.model.launch import FAILED, STATES
from android_suite.tables.derived import EXACT, PATHS

_NO_CALLS = "system calls were not recorded; enable events/raw_syscalls, or syscalls:sys_enter_madvise and its exit"


def list_gc(analysis: Analysis) -> Iterator[Value]:
    """Collections, and how HeapTaskDaemon's madvise calls went."""
    tids = app_tids(analysis)
    cycles = analysis["gc_cycles"]
    cycles = cycles[cycles["tid"].isin(tids)]
    whole = cycles[cycles["quality"] == EXACT]
    cut = ("a collection is cut by the edge of the trace",) if len(whole) < len(cycles) else ()
    edge = doubt_blind(analysis) + cut
    length = (cycles["end_ns"] - cycles["start_ns"]).to_numpy()  # of a cut one, as far as it was seen
    median = _least_median(length, hidden=_most_in_gaps(analysis, length)) if len(whole) else None
    # Collections are known from their slices: if ART's markers were not recorded, their number is unknown, not zero.
    unseen = say_absent(analysis) or (() if len(cycles) else say_no_art(analysis))
    none = unseen or (edge if len(whole) else ()) or ("no complete garbage collection was recorded",)
    yield Value("gcCount", None if unseen else len(cycles), edge, unseen)
    yield Value("gcDurationMs_p50", median, edge, none)
    unlocked = say_missing(analysis, "mmap_lock") or (() if len(cycles) else none)
    yield Value("gcMmapLockWaitMs", None if unlocked else float(cycles["lock_wait_ns"].sum()) / 1e6, edge, unlocked)
    calls = analysis["madvise"]
    calls = calls[calls["tid"].isin(app_tids(analysis, "gc"))]
    path = np.bincount(calls["path"], minlength=len(PATHS))
    judged = int(path[0] + path[1])
    unknown = (f"the path of {path[2]} calls is not known",) if path[2] else ()
    # Calls of unknown path, and those that the gaps may hide, count as calls that did not take mmap_lock.
    every = len(calls) + _most_in_gaps(analysis, (calls["end_ns"] - calls["start_ns"]).to_numpy())
    yield Value(
        "madviseMmapLockPct_gc",
        100.0 * float(path[1]) / every if judged else None,
        unknown + doubt_blind(analysis),
        _no_madvise(analysis, len(calls)),
    )


def _most_in_gaps(analysis: Analysis, lengths_ns: NDArray[np.int64]) -> int:
    """The most further ones of a thread that fit into the gaps of the trace, at the shortest length that was seen."""
    return analysis.blind_ns // max(int(lengths_ns.min(initial=analysis.blind_ns + 1)), 1)


def _least_median(lengths_ns: NDArray[np.int64], *, hidden: int) -> float | None:
    """The median in ms, with so many hidden ones below all others; None if it falls on one of those."""
    rank = (len(lengths_ns) + hidden - 1) / 2 - hidden
    return float(np.percentile(lengths_ns, 100.0 * rank / max(len(lengths_ns) - 1, 1))) / 1e6 if rank >= 0 else None


def _no_madvise(analysis: Analysis, calls: int) -> Reasons:
    """Why the shares of the paths are unknown."""
    if calls:
        return say_missing(analysis, "mmap_lock") or ("the path of HeapTaskDaemon's madvise calls is not known",)
    if "syscall" not in analysis.recorded:
        return (_NO_CALLS,)
    return say_absent(analysis, "gc") or ("HeapTaskDaemon made no madvise call",)


def list_launches(analysis: Analysis) -> Iterator[Value]:
    """Launches, by their state; nothing without any."""
    table = analysis["launches"]
    if not len(table):
        return
    failed = table["outcome"].isin(FAILED)
    judged = failed | (table["outcome"] == "ok")
    share = 100.0 * float(failed.sum()) / float(judged.sum()) if judged.any() else None
    if (table["source"] == "am").any():  # the slices of a trace show only launches that drew
        yield Value("launchFailedPct", share, (), ("no requested launch could be judged",))
    for name, column in (("timeToInitialDisplayMs", "initial_display_ms"), ("timeToFullDisplayMs", "full_display_ms")):
        for state in STATES:
            whole = table.loc[(table["outcome"] == "ok") & (table["got"] == state)]
            late = table.loc[failed & (table["asked"] == state), "limit_ms"]
            if len(whole) or len(late):
                value, bounded = _censored_median(whole[column], late)
                doubts = ("half of the launches or more failed, so their times are only known to be longer",) * bounded
                if whole["quality"].any():
                    doubts += ("the start or the end of a launch is not known exactly",)
                yield Value(f"{name}_{state}", value, doubts, (f"no {state} launch reported it",))


def _censored_median(times: pd.Series, longer_than: pd.Series) -> tuple[float | None, bool]:
    """The median, and whether it is only a lower bound.

    Failed launches, of which only the limit is known, rank above all others. If the median falls on one of them, it is
    a lower bound.
    """
    known = np.sort(times.dropna().to_numpy())
    late = np.sort(longer_than.fillna(0.0).to_numpy())
    if not len(known) and not late.any():
        return None, False
    ordered, count = np.concatenate([known, np.maximum(late, known.max(initial=0.0))]), len(known) + len(late)
    return float(np.median(ordered)), count // 2 >= len(known)
