"""Computes the metrics of one analysis: the numbers by which kernels are compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from android_suite.analysis.doubts import (
    NO_ART_MARKERS,
    NO_MARKERS,
    SLICED,
    Reasons,
    app_tids,
    doubt_blind,
    doubt_inversions,
    doubt_vma_waits,
    doubt_waits,
    say_absent,
    say_missing,
    say_unexplained,
)
from android_suite.analysis.frames import sees_views
from android_suite.analysis.gc import sees_collections
from android_suite.analysis.pipeline import Analysis
from android_suite.model.analysis import MetricValue
from android_suite.model.launch import FAILED, STATES
from android_suite.model.metrics import find_metric
from android_suite.model.operation import UNTRACED
from android_suite.tables.blame import LINKS
from android_suite.tables.derived import (
    EXACT,
    LOWER_BOUND,
    PATHS,
    QUALITIES,
    ROLES,
    UNKNOWN,
    VMA_LOCK,
)

READER = "proc_reader"  # the comm of the monitor in the scenario of that name
_NO_FRAMES = "frames were not recorded; record framestats, FrameTimeline or the app's markers (atrace category view)"
_NO_MAIN = (
    "the main thread is not known, because the processes of threads were inferred from markers; "
    "set the trace option record-tgid"
)
_OVERRAN = ("gfxinfo's ring of frames overran between two polls",)
_WHOSE = ("some frames may be its or another process's, which had the same id",)
_NO_CALLS = "system calls were not recorded; enable events/raw_syscalls, or syscalls:sys_enter_madvise and its exit"


@dataclass(frozen=True, slots=True)
class _Value:
    """A metric's value (None: unknown), why it may be larger, and why it is unknown."""

    name: str
    value: float | int | None
    doubts: Reasons = ()
    missing: Reasons = ()


def list_metrics(analysis: Analysis) -> list[MetricValue]:
    """Every metric that applies to the analysis; one that is not exact has the reason."""
    own = [*_checks(analysis), *_page_faults(analysis)]
    found = [
        *_locks(analysis),
        *_inversions(analysis),
        *_blame(analysis),
        *_reader(analysis),
        *_frames(analysis),
        *_gc(analysis),
        *_launches(analysis),
        *own,
    ]
    if own and not analysis.recorded:  # a scenario whose program measures by itself records no events and misses none
        found = own
    rows = []
    for each in found:
        metric = find_metric(each.name)
        why = dict.fromkeys(each.missing if each.value is None else each.doubts)
        quality = UNKNOWN if each.value is None else LOWER_BOUND if why else EXACT
        rows.append(
            MetricValue(
                name=each.name,
                unit=metric.unit,
                better=metric.better,
                value=each.value,
                quality=QUALITIES[quality],
                reason=". ".join(why) or None,
            )
        )
    return rows


def _locks(analysis: Analysis) -> Iterator[_Value]:
    yield from _mmap_lock(analysis)
    tids = app_tids(analysis, "ui")
    own = analysis["vma_waits"]
    own = own[own["tid"].isin(tids) & (own["quality"] != UNKNOWN)]
    missing = (() if len(own) else say_missing(analysis, "sched", "mmap_lock")) or say_absent(analysis, "ui")
    total = None if missing else float((own["end_ns"] - own["start_ns"]).sum()) / 1e6
    yield _Value("vmaLockWaitMs_ui", total, doubt_vma_waits(analysis, "ui"), missing)


def _mmap_lock(analysis: Analysis) -> Iterator[_Value]:
    waits = analysis["lock_waits"]
    for role in ("ui", "render", "gc"):
        own = waits[waits["tid"].isin(app_tids(analysis, role))]
        own = own[own["quality"] != UNKNOWN]
        length = (own["end_ns"] - own["start_ns"]).to_numpy() / 1e6
        missing = say_missing(analysis, "mmap_lock") or say_absent(analysis, role)
        why = (doubt_waits(analysis, role), missing)
        yield _Value(f"mmapLockWaitMs_{role}", None if missing else float(length.sum()), *why)
        if role == "ui":
            # In the rest of a wait no holder was in front: it is due to the scheduler or the thread itself.
            yield _Value("mmapLockBehindMs_ui", None if missing else int(own["behind_ns"].sum()) / 1e6, *why)
            yield _Value("mmapLockWaitMaxMs_ui", None if missing else float(length.max(initial=0.0)), *why)

    holds = analysis["lock_holds"]
    faults = holds[holds["tid"].isin(app_tids(analysis)) & ~holds["write"] & (holds["call"] < 0)]
    untold = ("some holds may be of calls that began before the trace",) * bool((faults["call"] == -2).any())
    missing = say_missing(analysis, "mmap_lock", "syscall") or say_absent(analysis)
    yield _Value("mmapLockFaultCount", None if missing else len(faults), doubt_blind(analysis) + untold, missing)


def _inversions(analysis: Analysis) -> Iterator[_Value]:
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
            yield _Value(name, None if untold else value, doubts + _doubt_madvise(analysis, table[gc]), untold)
        else:
            yield _Value(name, None if missing else value, doubts, missing)
    unseen = missing and not on_vma.any()
    yield _Value("invertedMs_vmaLock", None if unseen else int(length[on_vma].sum()) / 1e6, doubts, missing)


def _doubt_madvise(analysis: Analysis, behind_gc: pd.DataFrame) -> Reasons:
    """Why inversions behind HeapTaskDaemon may be due to its madvise without being counted as such."""
    doubtful = behind_gc["operation"] == "unknown"
    if not len(analysis["madvise"]):  # perhaps other calls were recorded alone
        doubtful |= behind_gc["operation"] == UNTRACED
    many = int(doubtful.sum())
    return (f"what HeapTaskDaemon was doing in {many} inversions is not known",) if many else ()


def _blame(analysis: Analysis) -> Iterator[_Value]:
    """Metrics of a recording of all locks; in others they would be unknown in every comparison."""
    if "binder" not in analysis.recorded:
        return
    table, ui = analysis["blame"], app_tids(analysis, "ui")
    table = table[table["waiter_tid"].isin(app_tids(analysis))]
    length = (table["end_ns"] - table["start_ns"]).to_numpy()
    own, kind = table["waiter_tid"].isin(ui).to_numpy(), table["kind"].to_numpy()
    missing, doubts = say_missing(analysis, "sched") or say_absent(analysis, "ui"), doubt_blind(analysis)
    calls = analysis["binder_calls"]
    failed = calls["tid"].isin(ui) & (calls["quality"] != EXACT)
    cut = ("the begin of some binder calls, or the answer to them, is not in the trace",) if failed.any() else ()
    binder = int(length[own & (kind == LINKS.index("binder"))].sum()) / 1e6
    yield _Value("binderWaitMs_ui", None if missing else binder, doubts + cut, missing)
    unmarked = _say_no_art(analysis)
    silent = missing or unmarked
    in_art = np.isin(kind, [LINKS.index(name) for name in ("monitor", "art_lock")])
    yield _Value("monitorWaitMs_ui", None if silent else int(length[own & in_art].sum()) / 1e6, doubts, silent)
    # The last thread of a chain that is not followed to its end may wait for another one.
    exact = ((table["evidence"] == EXACT) & ~table["cut"]).to_numpy(dtype=bool)
    inverted = table["inverted_ns"].to_numpy()
    if (~exact).any() or table["unjudged_ns"].any():
        doubts += ("some chains are inferred, not followed to their end, or end at an unknown thread",)
    doubts += unmarked + say_missing(analysis, "mmap_lock")
    absent = say_missing(analysis, "sched") or say_absent(analysis)
    yield _Value("blamedInvertedMs", None if absent else int(inverted[exact].sum()) / 1e6, doubts + cut, absent)


def _say_no_art(analysis: Analysis) -> Reasons:
    """Whether what ART writes was not recorded, so that collections and waits for monitors are unknown, not zero."""
    if sees_collections(analysis.source, analysis["slices"]):
        return ()
    return (NO_ART_MARKERS if len(analysis["slices"]) else NO_MARKERS,)


def _reader(analysis: Analysis) -> Iterator[_Value]:
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
    yield _Value("behindReaderMs_mmapLock", None if missing else int(length[~on_vma].sum()) / 1e6, doubts, missing)
    yield _Value("behindReaderMs_vmaLock", None if missing else int(length[on_vma].sum()) / 1e6, doubts, missing)
    for file, own in reads.groupby("file", sort=True):
        yield _Value(f"procReadMs_{file}", float(own["wall_ns"].median()) / 1e6)
        yield _Value(f"procReadCpuMs_{file}", float(own["cpu_ns"].median()) / 1e6)


def frames_of_app(analysis: Analysis) -> pd.DataFrame:
    """The frames of the requested app; all if none was requested, or without a trace to tell apps apart."""
    table, threads = analysis["frames"], analysis["thread_roles"]
    if not analysis.process or not len(threads):
        return table
    return table[table["tgid"].isin(threads.loc[threads["process"] == analysis.process, "tgid"].unique())]


def _count_stray(analysis: Analysis) -> int:
    """Frames of an id that several processes had, which may be of the app that was asked for."""
    return int((analysis["frames"]["tgid"] < 0).sum()) if analysis.process and len(analysis["thread_roles"]) else 0


def sees_frames(analysis: Analysis) -> bool:
    """Whether frames could have been found, from their own source or from the app's markers."""
    if (
        len(frames_of_app(analysis))
        or _count_stray(analysis)
        or ("frames" in analysis.recorded and not len(analysis["frames"]))
    ):
        return True
    marked = bool(analysis["slices"]["tid"].isin(app_tids(analysis)).any())
    return marked and sees_views(analysis.source, analysis["slices"]) and not _has_unknown_main(analysis)


def _has_unknown_main(analysis: Analysis) -> bool:
    """Whether the app's main thread may be among the traced ones without being known as such.

    Markers alone tell the process of a thread. In a pid namespace they tell the number that it has there, which is not
    that of any traced thread.
    """
    threads = analysis["thread_roles"]
    mine = threads[threads["tid"].isin(app_tids(analysis))]
    return bool(mine["inferred"].any()) and not (mine["role"] == ROLES.index("ui")).any()


def _gaps_of_app(analysis: Analysis) -> pd.DataFrame:
    """Where hwui's ring of frames overran between two polls, for the requested app."""
    gaps, threads = analysis["frame_gaps"], analysis["thread_roles"]
    if not analysis.process or not len(threads):
        return gaps
    return gaps[gaps["pid"].isin(threads.loc[threads["process"] == analysis.process, "tgid"])]


def least_overrun(frames: pd.DataFrame, percentile: float, hidden: int = 0) -> float | None:
    """A percentile of the overrun in ms; frames that cannot be judged, and ``hidden`` more, rank below all others.

    None if the percentile falls on one of those.
    """
    known = frames.loc[frames["quality"] != UNKNOWN, "overrun_ns"].to_numpy() / 1e6
    below = len(frames) - len(known) + hidden
    rank = percentile / 100.0 * (len(known) + below - 1) - below
    return float(np.percentile(known, 100.0 * rank / max(len(known) - 1, 1))) if len(known) and rank >= 0 else None


def most_hidden(analysis: Analysis, frames: pd.DataFrame) -> int:
    """The most frames that fit into the gaps, at the shortest distance between frames that was seen."""
    gaps = _gaps_of_app(analysis)
    vsync = frames.sort_values(["tgid", "expected_start_ns"], kind="stable")
    apart = vsync.groupby("tgid")["expected_start_ns"].diff()
    shortest = apart[apart > 0].min() if len(gaps) else np.nan
    return 0 if np.isnan(shortest) else int(((gaps["to_ns"] - gaps["from_ns"]) // int(shortest)).sum())


def _frames(analysis: Analysis) -> Iterator[_Value]:
    table = frames_of_app(analysis)
    known = table[table["quality"] != UNKNOWN]
    judged = len(known)
    # Gaps of the trace hide only frames known from slices, not those that SurfaceFlinger or hwui counted; hwui's ring has
    # gaps of its own.
    sliced = bool((table["source"] == "choreographer").any() or not len(table))
    stray = _count_stray(analysis)
    hidden = (
        (doubt_blind(analysis) if sliced else ()) + _OVERRAN * bool(len(_gaps_of_app(analysis))) + _WHOSE * bool(stray)
    )
    inexact = (SLICED,) * bool((table["quality"] == LOWER_BOUND).any())
    inexact += ("the end or the deadline of some frames is not known",) * (judged < len(table))
    beyond = most_hidden(analysis, table) + stray
    source = () if sees_frames(analysis) else (_NO_MAIN if _has_unknown_main(analysis) else _NO_FRAMES,)
    missing = source or (("it drew no frame",) if not len(table) else ("no frame has a known deadline",))
    yield _Value("frameCount", None if source else len(table), hidden, missing)
    jank = 100.0 * float(known["janky"].sum()) / (len(table) + beyond) if judged else None
    yield _Value("jankyFramesPct", jank, hidden + inexact, missing)
    for p in (50, 90, 95, 99):
        yield _Value(
            f"frameOverrunMs_p{p}",
            least_overrun(table, p, beyond),
            hidden + inexact,
            hidden + inexact if judged else missing,
        )
    unseen = say_unexplained(analysis, table)
    late = int(known["from_inversion"].sum()) if judged and not unseen else None
    doubts = hidden + inexact + doubt_inversions(analysis)
    yield _Value("jankyFromInversionCount", late, doubts, unseen if judged else missing)


def _gc(analysis: Analysis) -> Iterator[_Value]:
    tids = app_tids(analysis)
    cycles = analysis["gc_cycles"]
    cycles = cycles[cycles["tid"].isin(tids)]
    whole = cycles[cycles["quality"] == EXACT]
    cut = ("a collection is cut by the edge of the trace",) if len(whole) < len(cycles) else ()
    edge = doubt_blind(analysis) + cut
    length = (cycles["end_ns"] - cycles["start_ns"]).to_numpy()  # of a cut one, as far as it was seen
    median = _least_median(length, hidden=_most_in_gaps(analysis, length)) if len(whole) else None
    # Collections are known from their slices: if ART's markers were not recorded, their number is unknown, not zero.
    unseen = say_absent(analysis) or (() if len(cycles) else _say_no_art(analysis))
    none = unseen or (edge if len(whole) else ()) or ("no complete garbage collection was recorded",)
    yield _Value("gcCount", None if unseen else len(cycles), edge, unseen)
    yield _Value("gcDurationMs_p50", median, edge, none)
    unlocked = say_missing(analysis, "mmap_lock") or (() if len(cycles) else none)
    yield _Value("gcMmapLockWaitMs", None if unlocked else float(cycles["lock_wait_ns"].sum()) / 1e6, edge, unlocked)
    calls = analysis["madvise"]
    calls = calls[calls["tid"].isin(app_tids(analysis, "gc"))]
    path = np.bincount(calls["path"], minlength=len(PATHS))
    judged = int(path[0] + path[1])
    unknown = (f"the path of {path[2]} calls is not known",) if path[2] else ()
    # Calls of unknown path, and those that the gaps may hide, count as calls that did not take mmap_lock.
    every = len(calls) + _most_in_gaps(analysis, (calls["end_ns"] - calls["start_ns"]).to_numpy())
    yield _Value(
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


def _checks(analysis: Analysis) -> Iterator[_Value]:
    if analysis.checks:
        yield _Value("failedChecksCount", sum(each.result == "failed" for each in analysis.checks))


def _page_faults(analysis: Analysis) -> Iterator[_Value]:
    for cost in analysis.fault_costs:
        yield _Value(f"pageFaultNs_{cost.kind}", cost.page_ns, (cost.doubt,) if cost.doubt else ())


def _launches(analysis: Analysis) -> Iterator[_Value]:
    table = analysis["launches"]
    if not len(table):
        return
    failed = table["outcome"].isin(FAILED)
    judged = failed | (table["outcome"] == "ok")
    share = 100.0 * float(failed.sum()) / float(judged.sum()) if judged.any() else None
    if (table["source"] == "am").any():  # the slices of a trace show only launches that drew
        yield _Value("launchFailedPct", share, (), ("no requested launch could be judged",))
    for name, column in (("timeToInitialDisplayMs", "initial_display_ms"), ("timeToFullDisplayMs", "full_display_ms")):
        for state in STATES:
            whole = table.loc[(table["outcome"] == "ok") & (table["got"] == state)]
            late = table.loc[failed & (table["asked"] == state), "limit_ms"]
            if len(whole) or len(late):
                value, bounded = _censored_median(whole[column], late)
                doubts = ("half of the launches or more failed, so their times are only known to be longer",) * bounded
                if whole["quality"].any():
                    doubts += ("the start or the end of a launch is not known exactly",)
                yield _Value(f"{name}_{state}", value, doubts, (f"no {state} launch reported it",))


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
