"""The metrics of one analysis: the numbers that two kernels are compared by."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from android_suite.analysis.pipeline import Analysis
from android_suite.model.analysis import MetricValue
from android_suite.model.launch import FAILED, STATES
from android_suite.model.metrics import find_metric
from android_suite.tables.derived import EXACT, HOW, MMAP_LOCK, PATHS, QUALITIES, ROLES, UNKNOWN, VMA_LOCK

_UNKNOWN_HOW = HOW.index("unknown")
_Value = tuple[str, float | int | None, int]


def list_metrics(analysis: Analysis) -> list[MetricValue]:
    """Every metric that the analysis can speak of."""
    values = [*_locks(analysis), *_inversions(analysis), *_frames(analysis), *_gc(analysis), *_launches(analysis)]
    rows = []
    for name, value, quality in values:
        metric = find_metric(name)
        known = QUALITIES[UNKNOWN if value is None else quality]
        rows.append(MetricValue(name=name, unit=metric.unit, better=metric.better, value=value, quality=known))
    return rows


def _app_tids(analysis: Analysis, role: str | None = None) -> pd.Series:
    threads = analysis["thread_roles"]
    mine = threads["process"] == analysis.process if analysis.process else threads["role"] >= 0
    return threads.loc[mine if role is None else mine & (threads["role"] == ROLES.index(role)), "tid"]


def _locks(analysis: Analysis) -> Iterator[_Value]:
    yield from _mmap_lock(analysis)
    tids = _app_tids(analysis, "ui")
    own = analysis["vma_waits"]
    own = own[own["tid"].isin(tids) & (own["quality"] != UNKNOWN)]
    known = len(tids) > 0 and ({"sched", "mmap_lock"} <= analysis.recorded or len(own) > 0)
    total = float((own["end_ns"] - own["start_ns"]).sum()) / 1e6
    yield "vmaLockWaitMs_ui", total if known else None, int(not sees_all_vma_waits(analysis, "ui"))


def _mmap_lock(analysis: Analysis) -> Iterator[_Value]:
    recorded = "mmap_lock" in analysis.recorded
    waits, holds = analysis["lock_waits"], analysis["lock_holds"]
    for role in ("ui", "render", "gc"):
        tids = _app_tids(analysis, role)
        own = waits[waits["tid"].isin(tids)]
        # A first acquire without a start may be the end of a wait that began before the trace.
        unsure = (holds["tid"].isin(tids) & (holds["how"] == _UNKNOWN_HOW)).any()
        quality = int(bool(analysis.blind_ns) or bool(unsure) or bool((own["quality"] != EXACT).any()))
        own = own[own["quality"] != UNKNOWN]
        length = (own["end_ns"] - own["start_ns"]).to_numpy() / 1e6
        there = recorded and len(tids) > 0
        yield f"mmapLockWaitMs_{role}", float(length.sum()) if there else None, quality
        if role == "ui":
            # The rest of it is the scheduler's, or the thread's own: no holder was in front.
            yield "mmapLockBehindMs_ui", int(own["behind_ns"].sum()) / 1e6 if there else None, quality
            yield "mmapLockWaitMaxMs_ui", float(length.max(initial=0.0)) if there else None, quality


def sees_all_vma_waits(analysis: Analysis, role: str | None = None) -> bool:
    """Whether every wait of the app for a VMA is known; else those that are found are true and may not be all.

    Such a wait has no event of its own, so it can hide where thread states, mmap_lock events or a stretch of the trace
    are missing, in a hold that began before the trace, and in a sleep inside a write hold whose cause is not known.
    """
    if analysis.blind_ns or not {"sched", "mmap_lock"} <= analysis.recorded:
        return False
    holds, waits, tids = analysis["lock_holds"], analysis["vma_waits"], _app_tids(analysis, role)
    mms = holds.loc[holds["tid"].isin(tids), "mm"].unique()
    on = holds[holds["write"] & (holds["mm"].isin(mms) if role is None else holds["tid"].isin(tids))]
    near = waits[waits["tid"].isin(tids) | (waits["mm"].isin(mms) if role is None else False)]
    hidden = ((on["start_seq"] < 0) | (on["quality"] == UNKNOWN)).any()
    return not hidden and not (near["quality"] != EXACT).any()


def sees_all_mmap_inversions(analysis: Analysis) -> bool:
    """Whether nothing about the mms that the app waited for is missing; else what is found is true and may not be all."""
    waits, holds = analysis["lock_waits"], analysis["lock_holds"]
    own = waits[waits["tid"].isin(_app_tids(analysis))]
    mms = own["mm"].unique()
    on = holds[holds["mm"].isin(mms)]
    beside = waits[waits["mm"].isin(mms)]
    doubtful = (on["quality"] != EXACT).any() or (on["how"] == _UNKNOWN_HOW).any() or (beside["quality"] != EXACT).any()
    found = analysis["inversions"]
    found = found[found["lock"] == MMAP_LOCK]
    return not analysis.blind_ns and not doubtful and not (found["quality"] != EXACT).any()


def sees_all_inversions(analysis: Analysis) -> bool:
    """Whether that is so of both locks."""
    return (
        sees_all_mmap_inversions(analysis)
        and sees_all_vma_waits(analysis)
        and not (analysis["inversions"]["quality"] != EXACT).any()
    )


def _inversions(analysis: Analysis) -> Iterator[_Value]:
    table, tids = analysis["inversions"], _app_tids(analysis)
    table = table[table["waiter_tid"].isin(tids)]
    length = (table["end_ns"] - table["start_ns"]).to_numpy()  # added up as whole ns, so that sums are exact
    quality = int(not sees_all_inversions(analysis))
    known = {"sched", "mmap_lock"} <= analysis.recorded and len(tids) > 0
    threads = analysis["thread_roles"]
    gc = table["holder_tid"].isin(threads.loc[threads["role"] == ROLES.index("gc"), "tid"])
    by_madvise = gc & table["operation"].str.contains("madvise(", regex=False)
    count = len(table[["lock", "wait"]].drop_duplicates())
    on_vma = (table["lock"] == VMA_LOCK).to_numpy()
    yield "invertedMs", int(length.sum()) / 1e6 if known else None, quality
    yield "invertedCount", count if known else None, quality
    yield "invertedLongestMs", int(length.max(initial=0)) / 1e6 if known else None, quality
    yield "invertedMs_gcMadvise", int(length[by_madvise.to_numpy(dtype=bool)].sum()) / 1e6 if known else None, quality
    # A wait for mmap_lock may go on behind a sleep of its holder that is not understood, so both need both to be seen.
    yield "invertedMs_mmapLock", int(length[~on_vma].sum()) / 1e6 if known else None, quality
    seen = known or bool(on_vma.any())
    yield "invertedMs_vmaLock", int(length[on_vma].sum()) / 1e6 if seen else None, quality


def frames_of_app(analysis: Analysis) -> pd.DataFrame:
    """The frames of the app that was asked for; all where none was, or where there is no trace to tell them apart."""
    table, threads = analysis["frames"], analysis["thread_roles"]
    if not analysis.process or not len(threads):
        return table
    return table[table["tgid"].isin(threads.loc[threads["process"] == analysis.process, "tgid"].unique())]


def sees_frames(analysis: Analysis) -> bool:
    """Whether frames could be told: from a source of its own, or from the app's markers."""
    if len(frames_of_app(analysis)) or ("frames" in analysis.recorded and not len(analysis["frames"])):
        return True
    return bool(analysis["slices"]["tid"].isin(_app_tids(analysis)).any())


def _lacks_frames(analysis: Analysis) -> bool:
    """Whether hwui's ring of frames overran between two polls for the app that was asked for."""
    gaps, threads = analysis["frame_gaps"], analysis["thread_roles"]
    if not analysis.process or not len(threads):
        return bool(len(gaps))
    return bool(gaps["pid"].isin(threads.loc[threads["process"] == analysis.process, "tgid"]).any())


def _frames(analysis: Analysis) -> Iterator[_Value]:
    table = frames_of_app(analysis)
    known = table[table["quality"] != UNKNOWN]
    judged = len(known)
    # Gaps of the trace hide frames that are seen by their slices, and none that SurfaceFlinger or hwui counted; hwui's ring
    # has gaps of its own.
    hidden = bool(analysis.blind_ns) and bool((table["source"] == "choreographer").any() or not len(table))
    missing = int(hidden or _lacks_frames(analysis))
    quality = max(missing, int(bool((table["quality"] != EXACT).any())))
    seen = {"sched", "mmap_lock"} <= analysis.recorded
    overrun = known["overrun_ns"].to_numpy() / 1e6
    yield "frameCount", len(table) if sees_frames(analysis) else None, missing
    yield "jankyFramesPct", 100.0 * float(known["janky"].sum()) / judged if judged else None, quality
    for p in (50, 90, 95, 99):
        yield f"frameOverrunMs_p{p}", float(np.percentile(overrun, p)) if judged else None, quality
    blind = int(bool(analysis.blind_ns))
    yield (
        "jankyFromInversionCount",
        int(known["from_inversion"].sum()) if judged and seen else None,
        max(quality, blind),
    )


def _gc(analysis: Analysis) -> Iterator[_Value]:
    tids = _app_tids(analysis)
    cycles = analysis["gc_cycles"]
    cycles = cycles[cycles["tid"].isin(tids)]
    whole = cycles[cycles["quality"] == EXACT]
    edge = int(bool(analysis.blind_ns) or len(whole) < len(cycles))
    length = (whole["end_ns"] - whole["start_ns"]).to_numpy() / 1e6
    # A collection is seen by its slice: where the app's markers were not recorded, none is not the same as no collection.
    yield "gcCount", len(cycles) if len(analysis["slices"]) and len(tids) else None, edge
    yield "gcDurationMs_p50", float(np.median(length)) if len(whole) else None, EXACT
    locked = "mmap_lock" in analysis.recorded and len(cycles)
    yield "gcMmapLockWaitMs", float(cycles["lock_wait_ns"].sum()) / 1e6 if locked else None, edge
    calls = analysis["madvise"]
    calls = calls[calls["tid"].isin(_app_tids(analysis, "gc"))]
    path = np.bincount(calls["path"], minlength=len(PATHS))
    judged = int(path[0] + path[1])
    yield "madviseMmapLockPct_gc", 100.0 * float(path[1]) / judged if judged else None, int(bool(path[2]))


def _launches(analysis: Analysis) -> Iterator[_Value]:
    table = analysis["launches"]
    if not len(table):
        return
    failed = table["outcome"].isin(FAILED)
    judged = failed | (table["outcome"] == "ok")
    share = 100.0 * float(failed.sum()) / float(judged.sum()) if judged.any() else None
    yield "launchFailedPct", share, EXACT
    for name, column in (("timeToInitialDisplayMs", "initial_display_ms"), ("timeToFullDisplayMs", "full_display_ms")):
        for state in STATES:
            whole = table.loc[(table["outcome"] == "ok") & (table["got"] == state)]
            late = table.loc[failed & (table["asked"] == state), "limit_ms"]
            if len(whole) or len(late):
                yield f"{name}_{state}", *_censored_median(whole[column], late, bool(whole["quality"].any()))


def _censored_median(times: pd.Series, longer_than: pd.Series, understated: bool) -> tuple[float | None, int]:
    """The median with its quality; of failed launches only the limit is known that they took longer than.

    They stand above every other launch. Where the middle is one of them, what is known is a lower bound.
    """
    known = np.sort(times.dropna().to_numpy())
    late = np.sort(longer_than.fillna(0.0).to_numpy())
    if not len(known) and not late.any():
        return None, UNKNOWN
    ordered, count = np.concatenate([known, np.maximum(late, known.max(initial=0.0))]), len(known) + len(late)
    value = float(np.median(ordered))
    return value, int(understated or count // 2 >= len(known))
