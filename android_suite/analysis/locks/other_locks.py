"""Finds waits for locks without mmap_lock events, in contention events or by the caller in sched_blocked_reason.

A holder is told by lock:contended_release, where the kernel has it (see ownership); else the thread that ended the last
sleep is taken for it, because locks that sleep are handed on by the thread that releases them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from android_suite.analysis.enclosing import ThreadIntervals
from android_suite.analysis.jit import Bools
from android_suite.analysis.locks.lock_names import HELD, name_causes
from android_suite.analysis.locks.mmap_lock import MmapLock
from android_suite.analysis.locks.ownership import Takes, join_contention, judge_pieces
from android_suite.analysis.locks.releases import END, HOLDER, WAIT, split_by_release
from android_suite.analysis.loss import Losses
from android_suite.analysis.sched import Timeline
from android_suite.analysis.sleeps import Sleeps, last_sleep
from android_suite.tables.derived import EVIDENCE, EXACT, LOWER_BOUND, OTHER_WAITS, UNKNOWN, WHO_EVIDENCE
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import Trace

I64 = NDArray[np.int64]

_SPIN, _READ, _WRITE, _RT, _PERCPU, _MUTEX = (1 << bit for bit in range(6))
_BY_CONTENTION, _BY_REASON = EVIDENCE.index("contention"), EVIDENCE.index("blocked_reason")
_TOLD, _INFERRED, _UNTOLD = (np.int8(WHO_EVIDENCE.index(name)) for name in ("exact", "inferred", "unknown"))


def measure_other_waits(
    trace: Trace, timeline: Timeline, sleeps: Sleeps, locks: MmapLock, losses: Losses
) -> pd.DataFrame:
    """Collects the weaker evidence; waits that lock_waits already has are left out.

    Args:
        trace: tables contention, contended_release, blocked_reason.
        timeline: of all threads.
        sleeps: in state D, of all threads.
        locks: the waits that are known already.
        losses: where the trace is blind.

    Returns:
        A frame of OTHER_WAITS, by start.
    """
    contended, reasons = _from_contention(trace, locks, losses), _from_reasons(trace, timeline, locks)
    if len(contended) and len(reasons):
        contended, reasons = _join_reasons(contended, reasons)
    parts = [p for p in (contended, reasons) if len(p)]
    if not parts:
        return make_frame(OTHER_WAITS)
    rows = pd.concat(parts).sort_values("start_ns", kind="stable", ignore_index=True)
    rows = _name_by_address(rows)
    rows = rows.assign(**_find_holders(trace, rows, sleeps))
    return make_frame(OTHER_WAITS, {c: rows[c] for c in OTHER_WAITS.dtypes})


def _from_contention(trace: Trace, locks: MmapLock, losses: Losses) -> pd.DataFrame:
    con, inside = trace["contention"], locks.contention_wait >= 0
    # Most is for mmap_lock, whose waits are known: only locks that something else waits for are looked at.
    others = np.unique(con["lock_addr"].to_numpy()[~inside])
    rows = np.flatnonzero(np.isin(con["lock_addr"].to_numpy(), others)) if len(others) else np.empty(0, np.int64)
    con = con.iloc[rows].assign(inside=inside[rows])
    if not len(con):
        return con
    runs = join_contention(con)
    flags, end = runs["flags"].to_numpy(), runs["end_ns"].to_numpy()
    closed = end >= 0
    end = np.where(closed, end, trace.source.end_ns)
    quality = np.where(closed, EXACT, LOWER_BOUND)
    touched = losses.any_cpu.touch(runs["start_ns"].to_numpy(), end)
    kinds = _kind_of(flags)
    if locks.lock_offset is not None:
        mms = runs["lock_addr"].to_numpy() - np.uint64(locks.lock_offset)
        known = np.isin(mms, trace["mmap_lock"]["mm"].unique())
        kinds = np.where(known, "mmap_lock", kinds)
    table = runs[["tid", "lock_addr", "start_ns", "queued_ns"]].assign(
        kind=kinds, write=(flags & _READ) == 0, end_ns=end, evidence=np.int8(_BY_CONTENTION),
        quality=np.where(touched, UNKNOWN, quality).astype(np.int8), caller="", name="", name_evidence=_UNTOLD,
    )  # fmt: skip
    return table[~con["inside"].reindex(runs.index).to_numpy(dtype=bool)]


def _kind_of(flags: NDArray[np.int32]) -> NDArray[np.object_]:
    tests = [(flags & _MUTEX) != 0, (flags & _RT) != 0, (flags & _PERCPU) != 0, (flags & _SPIN) != 0]
    return np.select(tests, ["mutex", "rtmutex", "percpu", "spin"], "rwsem").astype(object)


def _from_reasons(trace: Trace, timeline: Timeline, locks: MmapLock) -> pd.DataFrame:
    reasons = trace["blocked_reason"]
    caller = reasons["caller"].astype("str")
    kind, write, name = name_causes(caller)
    rows = np.flatnonzero(kind != "")
    target, when = reasons["target_tid"].to_numpy()[rows], reasons["ts_ns"].to_numpy()[rows]
    start, end = last_sleep(timeline, target, when)
    wait = locks.waits
    known = np.zeros(len(rows), np.bool_)
    for tid in np.unique(target):
        of, own = target == tid, (wait["tid"] == tid).to_numpy()
        begin = wait["start_ns"].to_numpy()[own]
        at = np.searchsorted(begin, end[of]) - 1
        known[of] = (at >= 0) & (wait["end_ns"].to_numpy()[own][np.maximum(at, 0)] >= end[of]) if own.any() else False
    table = pd.DataFrame(
        {
            "tid": target, "lock_addr": np.uint64(0), "kind": kind[rows], "write": write[rows], "start_ns": start,
            "end_ns": end, "evidence": np.int8(_BY_REASON), "quality": np.int8(EXACT),
            "queued_ns": start, "caller": caller.to_numpy(dtype=object)[rows], "name": name[rows],
            "name_evidence": np.where(name[rows] == "", _UNTOLD, _TOLD),
        },
    )  # fmt: skip
    return table[(start >= 0) & ~known]


def _join_reasons(contended: pd.DataFrame, reasons: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Gives a contended wait the caller and name of its sleep; the reason is then no wait of its own."""
    contended, reasons = contended.reset_index(drop=True), reasons.reset_index(drop=True)
    at = _intervals(contended).find(*(reasons[c].to_numpy() for c in ("tid", "start_ns", "end_ns")))
    fits = (at >= 0) & (reasons["kind"].to_numpy() == contended["kind"].to_numpy()[at])
    rows = at[fits]
    for column in ("caller", "name", "name_evidence"):
        values = contended[column].to_numpy(copy=True)
        values[rows] = reasons[column].to_numpy()[fits]
        contended[column] = values
    return contended, reasons[~fits]


def _name_by_address(rows: pd.DataFrame) -> pd.DataFrame:
    """Gives a lock's name to its other waits, known by the address, unless two names were told for it."""
    told = rows.loc[(rows["name"] != "") & (rows["lock_addr"] != 0), ["lock_addr", "name"]].drop_duplicates()
    if not len(told):
        return rows
    only = told.drop_duplicates("lock_addr", keep=False).set_index("lock_addr")["name"]
    unnamed = ((rows["name"] == "") & rows["lock_addr"].isin(only.index)).to_numpy(dtype=bool)
    name, evidence = rows["name"].to_numpy(dtype=object, copy=True), rows["name_evidence"].to_numpy(copy=True)
    name[unnamed], evidence[unnamed] = only.reindex(rows["lock_addr"][unnamed]).to_numpy(), _INFERRED
    return rows.assign(name=name, name_evidence=evidence)


def _find_holders(trace: Trace, rows: pd.DataFrame, sleeps: Sleeps) -> dict[str, np.ndarray]:
    """The thread that gave each lock back last before the wait's end, and how that is known."""
    holder = np.full(len(rows), -1, np.int32)
    last = _last_sleep_in(rows, sleeps)
    woken = np.append(sleeps.waker, np.int32(-1))[last]
    held = rows["kind"].isin(HELD).to_numpy(dtype=bool)
    by_waker = held & (woken > 0) & (woken != rows["tid"].to_numpy())
    holder[by_waker] = woken[by_waker]
    evidence = np.where(by_waker, _INFERRED, _UNTOLD)
    pieces = _cut_at_releases(trace, rows)
    at, queued = pieces[:, WAIT], rows["queued_ns"].to_numpy()
    holder[at] = pieces[:, HOLDER]
    # While it only spun, others may have had the lock after the last release that was told.
    told = (queued[at] >= 0) & (pieces[:, END] >= queued[at])
    evidence[at] = np.where(told, _TOLD, _INFERRED)
    unsure = rows["quality"].to_numpy() == UNKNOWN
    return {
        "holder_tid": np.where(unsure, -1, holder).astype(np.int32),
        "holder_evidence": np.where(unsure, _UNTOLD, evidence).astype(np.int8),
    }


def split_other_waits(trace: Trace, waits: pd.DataFrame) -> tuple[I64, Bools]:
    """Waits of OTHER_WAITS cut at the releases of their locks.

    Returns:
        Rows as of judge_pieces, and which waits have a release at all.
    """
    pieces = _cut_at_releases(trace, waits)
    of, lock, queued = pieces[:, WAIT], waits["lock_addr"].to_numpy(), waits["queued_ns"].to_numpy()
    released = np.zeros(len(waits), np.bool_)
    released[of] = True
    return judge_pieces(pieces, lock[of], queued[of], Takes.of(trace["contention"], lock[released])), released


def _cut_at_releases(trace: Trace, waits: pd.DataFrame) -> I64:
    releases = trace["contended_release"]
    return split_by_release(
        *(releases[c].to_numpy() for c in ("lock_addr", "ts_ns", "tid")),
        *(waits[c].to_numpy() for c in ("lock_addr", "tid", "start_ns", "end_ns")),
    )


def _last_sleep_in(rows: pd.DataFrame, sleeps: Sleeps) -> I64:
    """Number of the last sleep inside each wait; -1 none."""
    out = np.full(len(rows), -1, np.int64)
    at = _intervals(rows).find(sleeps.tid, sleeps.start_ns, sleeps.end_ns)
    inside = np.flatnonzero(at >= 0)  # ascending in time for each thread, so that the last one stays
    out[at[inside]] = inside
    return out


def _intervals(frame: pd.DataFrame) -> ThreadIntervals:
    return ThreadIntervals.of(*(frame[c].to_numpy() for c in ("tid", "start_ns", "end_ns")))
