"""Metrics of waits for mmap_lock and VMAs, of inversions, and of what a weak monitor costs."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from android_suite.analysis.doubts import (
    Reasons,
    app_tids,
    doubt_blind,
    doubt_inversions,
    doubt_vma_waits,
    doubt_waits,
    say_absent,
    say_missing,
)
from android_suite.analysis.metrics.value import Value
from android_suite.analysis.pipeline import Analysis
from android_suite.model.operation import UNTRACED
from android_suite.tables.derived import ROLES, UNKNOWN, VMA_LOCK

READER = "proc_reader"  # the comm of the monitor in the scenario of that name


def list_locks(analysis: Analysis) -> Iterator[Value]:
    """Waits for mmap_lock and for VMAs."""
    yield from _mmap_lock(analysis)
    tids = app_tids(analysis, "ui")
    own = analysis["vma_waits"]
    own = own[own["tid"].isin(tids) & (own["quality"] != UNKNOWN)]
    missing = (() if len(own) else say_missing(analysis, "sched", "mmap_lock")) or say_absent(analysis, "ui")
    total = None if missing else float((own["end_ns"] - own["start_ns"]).sum()) / 1e6
    yield Value("vmaLockWaitMs_ui", total, doubt_vma_waits(analysis, "ui"), missing)


def _mmap_lock(analysis: Analysis) -> Iterator[Value]:
    waits = analysis["lock_waits"]
    for role in ("ui", "render", "gc"):
        own = waits[waits["tid"].isin(app_tids(analysis, role))]
        own = own[own["quality"] != UNKNOWN]
        length = (own["end_ns"] - own["start_ns"]).to_numpy() / 1e6
        missing = say_missing(analysis, "mmap_lock") or say_absent(analysis, role)
        why = (doubt_waits(analysis, role), missing)
        yield Value(f"mmapLockWaitMs_{role}", None if missing else float(length.sum()), *why)
        if role == "ui":
            # In the rest of a wait no holder was in front: it is due to the scheduler or the thread itself.
            yield Value("mmapLockBehindMs_ui", None if missing else int(own["behind_ns"].sum()) / 1e6, *why)
            yield Value("mmapLockWaitMaxMs_ui", None if missing else float(length.max(initial=0.0)), *why)

    holds = analysis["lock_holds"]
    faults = holds[holds["tid"].isin(app_tids(analysis)) & ~holds["write"] & (holds["call"] < 0)]
    untold = ("some holds may be of calls that began before the trace",) * bool((faults["call"] == -2).any())
    missing = say_missing(analysis, "mmap_lock", "syscall") or say_absent(analysis)
    yield Value("mmapLockFaultCount", None if missing else len(faults), doubt_blind(analysis) + untold, missing)


def list_inversions(analysis: Analysis) -> Iterator[Value]:
    """Time behind weaker holders, by lock."""
    table, tids = analysis["inversions"], app_tids(analysis)
    table = table[table["waiter_tid"].isin(tids)]
    length = (table["end_ns"] - table["start_ns"]).to_numpy()  # added up as whole ns, so that sums are exact
    doubts = doubt_inversions(analysis)
    missing = say_missing(analysis, "sched", "mmap_lock") or say_absent(analysis)
    threads = analysis["thread_roles"]
    gc = table["holder_tid"].isin(threads.loc[threads["role"] == ROLES.index("gc"), "tid"])
    by_madvise = gc & table["operation"].str.contains("madvise(", regex=False)
    on_vma = (table["lock"] == VMA_LOCK).to_numpy()
    values = {
        "invertedMs": int(length.sum()) / 1e6,
        "invertedCount": len(table[["lock", "wait"]].drop_duplicates()),
        "invertedLongestMs": int(length.max(initial=0)) / 1e6,
        "invertedMs_gcMadvise": int(length[by_madvise.to_numpy(dtype=bool)].sum()) / 1e6,
        # A wait for mmap_lock may be due to its holder's wait for a VMA, so each lock's value needs both locks' events.
        "invertedMs_mmapLock": int(length[~on_vma].sum()) / 1e6,
    }
    for name, value in values.items():
        if name == "invertedMs_gcMadvise":
            untold = missing or say_missing(analysis, "syscall")
            yield Value(name, None if untold else value, doubts + _doubt_madvise(analysis, table[gc]), untold)
        else:
            yield Value(name, None if missing else value, doubts, missing)
    unseen = missing and not on_vma.any()
    yield Value("invertedMs_vmaLock", None if unseen else int(length[on_vma].sum()) / 1e6, doubts, missing)


def _doubt_madvise(analysis: Analysis, behind_gc: pd.DataFrame) -> Reasons:
    """Why inversions behind HeapTaskDaemon may be due to its madvise without being counted as such."""
    doubtful = behind_gc["operation"] == "unknown"
    if not len(analysis["madvise"]):  # perhaps other calls were recorded alone
        doubtful |= behind_gc["operation"] == UNTRACED
    many = int(doubtful.sum())
    return (f"what HeapTaskDaemon was doing in {many} inversions is not known",) if many else ()


def list_reader(analysis: Analysis) -> Iterator[Value]:
    """What a weak monitor that reads the app's memory map costs; nothing where none read."""
    reads = analysis["proc_reads"]
    if not len(reads):
        return
    threads = analysis["thread_roles"]
    readers = threads.loc[threads["comm"] == READER, "tid"]
    behind = analysis["lock_blockers"]
    behind = behind[behind["waiter_tid"].isin(app_tids(analysis, "ui")) & behind["holder_tid"].isin(readers)]
    length = (behind["end_ns"] - behind["start_ns"]).to_numpy()
    on_vma = (behind["holder_lock"] == VMA_LOCK).to_numpy()
    missing = say_missing(analysis, "sched", "mmap_lock") or say_absent(analysis, "ui")
    if not missing and not len(readers):
        missing = (f"no thread {READER} is in the trace",)
    doubts = (*doubt_waits(analysis, "ui"), *doubt_vma_waits(analysis, "ui"))
    yield Value("behindReaderMs_mmapLock", None if missing else int(length[~on_vma].sum()) / 1e6, doubts, missing)
    yield Value("behindReaderMs_vmaLock", None if missing else int(length[on_vma].sum()) / 1e6, doubts, missing)
    for file, own in reads.groupby("file", sort=True):
        yield Value(f"procReadMs_{file}", float(own["wall_ns"].median()) / 1e6)
        yield Value(f"procReadCpuMs_{file}", float(own["cpu_ns"].median()) / 1e6)
