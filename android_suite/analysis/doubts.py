"""Explains why a number is unknown or a lower bound, with what to enable or change where that helps."""

from __future__ import annotations

import pandas as pd

from android_suite.analysis.clocks import find_monotonic_offset
from android_suite.analysis.gc import sees_collections
from android_suite.analysis.pipeline import Analysis
from android_suite.tables.derived import EXACT, HOW, MMAP_LOCK, ROLES, UNKNOWN

_UNKNOWN_HOW = HOW.index("unknown")
_ENABLE = {
    "sched": "sched events were not recorded; enable events/sched/sched_switch and events/sched/sched_waking",
    "waking": "wake-ups were not recorded; enable events/sched/sched_waking",
    "blocked_reason": "callers of sleeps were not recorded; enable events/sched/sched_blocked_reason",
    "syscall": "system calls were not recorded; enable events/raw_syscalls, or syscalls:sys_enter_madvise and its exit",
    "mmap_lock": "mmap_lock events were not recorded; enable events/mmap_lock",
}
_THREADS = {
    None: "thread",
    "ui": "main thread",
    "render": "RenderThread",
    "gc": "HeapTaskDaemon",
}
NO_MARKERS = "no markers of the app were recorded; record them with atrace (categories gfx, view, dalvik)"
NO_ART_MARKERS = "no markers of ART were recorded; record atrace category dalvik"
SLICED = (
    "frames are known only from the app's slices, which understate how late they were; "
    "record framestats or SurfaceFlinger's FrameTimeline"
)
Reasons = tuple[str, ...]


def say_missing(analysis: Analysis, *groups: str) -> Reasons:
    """Which groups of events that a number needs were not recorded."""
    return tuple(_ENABLE[group] for group in groups if group not in analysis.recorded)


def say_absent(analysis: Analysis, role: str | None = None) -> Reasons:
    """Whether the app lacks a thread of that role in the trace, which makes its numbers unknown, not zero."""
    threads = analysis["thread_roles"]
    if not len(threads):
        return ("no thread was traced; record with tracing on",)
    mine = threads["process"] == analysis.process if analysis.process else threads["role"] >= 0
    if role is not None:
        mine &= threads["role"] == ROLES.index(role)
    if mine.any():
        return ()
    whose = f"of {analysis.process} " if analysis.process else ""
    untold = ((threads["tgid"] < 0) & (threads["tid"] > 0)).any()
    hint = "; set the trace option record-tgid, which records the process of each thread" if untold else ""
    return (f"no {_THREADS[role]} {whose}is in the trace{hint}",)


def say_no_art(analysis: Analysis) -> Reasons:
    """Whether what ART writes was not recorded, so that collections and waits for monitors are unknown, not zero."""
    if sees_collections(analysis.source, analysis["slices"]):
        return ()
    return (NO_ART_MARKERS if len(analysis["slices"]) else NO_MARKERS,)


def say_unexplained(analysis: Analysis, frames: pd.DataFrame) -> Reasons:
    """Why it is unknown which of these frames were late only because of inversion."""
    reasons = [*say_missing(analysis, "sched", "mmap_lock"), *say_absent(analysis)]
    if (frames["source"] == "choreographer").any():
        reasons.append(SLICED)
    if (frames["source"] == "framestats").any() and find_monotonic_offset(analysis.source) is None:
        reasons.append(
            f"framestats do not use the clock of the trace ({analysis.source.clock}); record with clock mono"
        )
    return tuple(reasons)


def doubt_blind(analysis: Analysis) -> Reasons:
    """Whether events of some CPU are missing for a time or could not be read, or the file ends early."""
    reasons: Reasons = (f"the fields of {analysis.unread} events could not be read",) * bool(analysis.unread)
    if analysis.blind_ns == 1 and analysis.source.cut:
        return (*reasons, "the file ends before the recording did")
    if not analysis.blind_ns or (reasons and not analysis.source.lost_events):
        return reasons
    missing = f"events are missing in {analysis.blind_ns / 1e6:.3f} ms of the trace; record with a larger buffer"
    return (*reasons, missing)


def doubt_waits(analysis: Analysis, role: str) -> Reasons:
    """Why the app's threads of a role may have waited for mmap_lock more often or longer than the trace shows."""
    tids = app_tids(analysis, role)
    holds, waits = analysis["lock_holds"], analysis["lock_waits"]
    reasons = list(doubt_blind(analysis))
    # A first acquire without a start may be the end of a wait that began before the trace.
    if (holds["tid"].isin(tids) & (holds["how"] == _UNKNOWN_HOW)).any():
        reasons.append("a wait may have begun before the trace")
    if (waits.loc[waits["tid"].isin(tids), "quality"] != EXACT).any():
        reasons.append("a wait is cut by the edge of the trace or by lost events")
    return tuple(reasons)


def doubt_vma_waits(analysis: Analysis, role: str | None = None) -> Reasons:
    """Why waits of the app for a VMA may be missing; empty if every one is known.

    Such a wait has no event of its own, so it can hide where thread states, mmap_lock events or a stretch of the trace
    are missing, in a hold that began before the trace, and in a sleep of unknown cause inside a write hold.
    """
    reasons = [*doubt_blind(analysis), *say_missing(analysis, "sched", "mmap_lock")]
    if reasons:
        return tuple(reasons)
    holds, waits, tids = analysis["lock_holds"], analysis["vma_waits"], app_tids(analysis, role)
    mms = holds.loc[holds["tid"].isin(tids), "mm"].unique()
    on = holds[holds["write"] & (holds["mm"].isin(mms) if role is None else holds["tid"].isin(tids))]
    near = waits[waits["tid"].isin(tids) | (waits["mm"].isin(mms) if role is None else False)]
    if ((on["start_seq"] < 0) | (on["quality"] == UNKNOWN)).any():
        reasons.append("a write hold of mmap_lock began before the trace and may hide a wait for a VMA")
    if (near["quality"] != EXACT).any():
        reasons.append(
            "a sleep inside a write hold of mmap_lock may be a wait for a VMA; "
            "record events/sched/sched_blocked_reason, or a kprobe on __vma_start_write, to know"
        )
    return tuple(reasons)


def doubt_mmap_inversions(analysis: Analysis) -> Reasons:
    """Why inversions on the mmap_locks that the app waited for may be missing."""
    waits, holds, tids = analysis["lock_waits"], analysis["lock_holds"], app_tids(analysis)
    own = waits[waits["tid"].isin(tids)]
    mms = own["mm"].unique()
    on = holds[holds["mm"].isin(mms)]
    beside = waits[waits["mm"].isin(mms)]
    found = analysis["inversions"]
    found = found[found["lock"] == MMAP_LOCK]
    reasons = list(doubt_blind(analysis))
    if (on["quality"] != EXACT).any() or (on["how"] == _UNKNOWN_HOW).any():
        reasons.append("the start or the end of a hold of mmap_lock is not in the trace")
    if (beside["quality"] != EXACT).any():
        reasons.append("a wait for mmap_lock is cut by the edge of the trace or by lost events")
    if (holds["tid"].isin(tids) & (holds["how"] == _UNKNOWN_HOW)).any():
        reasons.append("a wait may have begun before the trace")
    if unjudged := len(analysis.unjudged.intersection(tids.tolist())):
        reasons.append(f"whether waits of {unjudged} threads were inverted is not known, because a priority is not")
    if (found["quality"] != EXACT).any():
        reasons.append("the end of an inversion, or a priority in it, is not known")
    return tuple(reasons)


def doubt_inversions(analysis: Analysis) -> Reasons:
    """Why inversions on either lock may be missing."""
    reasons = [*doubt_mmap_inversions(analysis), *doubt_vma_waits(analysis)]
    if not reasons and (analysis["inversions"]["quality"] != EXACT).any():
        reasons.append("the end of an inversion, or a priority in it, is not known")
    return tuple(dict.fromkeys(reasons))


def app_tids(analysis: Analysis, role: str | None = None) -> pd.Series:
    """Thread ids of the requested app, or of every process if none was requested; of one role, or of all."""
    threads = analysis["thread_roles"]
    mine = threads["process"] == analysis.process if analysis.process else threads["role"] >= 0
    return threads.loc[mine if role is None else mine & (threads["role"] == ROLES.index(role)), "tid"]
