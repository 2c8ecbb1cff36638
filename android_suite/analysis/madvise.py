"""Classifies madvise calls: which took the VMA's own lock, which fell back to mmap_lock, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from android_suite.analysis import map_snapshots
from android_suite.analysis.locks.mmap_lock import MmapLock
from android_suite.tables import events
from android_suite.tables.derived import EXACT, MADVISE, PATHS, REASONS, UNKNOWN
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import Trace

# Calls that only ever lock the caller's own address space. madvise does too, but cannot prove anything about itself.
_OWN_MM_CALLS = tuple(events.SYSCALLS.index(n) for n in ("mmap", "munmap", "mprotect", "mremap", "brk"))
_MADVISE, _PROCESS_MADVISE = (events.SYSCALLS.index(n) for n in ("madvise", "process_madvise"))
_PER_VMA, _MMAP_LOCK, _PATH_UNKNOWN = (PATHS.index(n) for n in ("per_vma", "mmap_lock", "unknown"))
_EINVAL = -22
_USED = (
    "tid", "call", "start_ns", "end_ns", "start_seq", "arg0", "arg1", "arg2", "arg3", "ret", "quality", "lock_mm", "lock_wait_ns",
)  # fmt: skip
_TAKES_NO_LOCK = (100, 101)  # HWPOISON, SOFT_OFFLINE

# Advices that some kernels do under the VMA lock: the first two in every kernel with the patch, the others only in
# later kernels, which the trace shows. Every other advice needs mmap_lock (mm/madvise.c, get_lock_mode).
_ALWAYS = (4, 24)
_LATER = (8, 102, 103)
# Without map snapshots any single call may be a special case; this many calls that all fell back are not.
_ENOUGH = 100


def measure_madvise(
    trace: Trace, locks: MmapLock, threads: pd.DataFrame, maps: Mapping[int, Sequence[pd.DataFrame]] | None = None
) -> pd.DataFrame:
    """Classifies every madvise and process_madvise call.

    Args:
        trace: shows whether mmap_lock events were recorded at all.
        locks: calls with the first lock taken inside; holds, for writers that were in the way.
        threads: frame of THREAD_ROLES.
        maps: map snapshots by tgid, see analysis.map_snapshots; they give reasons that a trace alone cannot.

    Returns:
        A frame of MADVISE, in order of the calls.
    """
    calls = locks.calls
    kind = calls["call"].to_numpy()
    rows = np.flatnonzero((kind == _MADVISE) | (kind == _PROCESS_MADVISE))
    picked = calls[list(_USED)].take(rows)
    remote_call = (picked["call"] == _PROCESS_MADVISE).to_numpy()
    entered = (picked["start_seq"] >= 0).to_numpy()
    ret = picked["ret"].to_numpy()
    # The top byte of a user address is a tag on arm64 (TBI, MTE); the kernel clears it too.
    address = np.where(remote_call, 0, picked["arg0"].to_numpy() & np.uint64((1 << 56) - 1)).astype(np.uint64)
    asked = np.minimum(picked["arg1"].to_numpy(), np.uint64(np.iinfo(np.int64).max)).astype(np.int64)
    length = np.where(remote_call, np.maximum(ret, 0), asked)
    raw_advice = np.where(remote_call, picked["arg3"].to_numpy(), picked["arg2"].to_numpy()).astype(np.int64)
    advice = np.where(entered, raw_advice.astype(np.int32), np.int32(-1))
    tgid = threads.set_index("tid")["tgid"].reindex(picked["tid"].to_numpy(), fill_value=-1).to_numpy()
    lock_mm = picked["lock_mm"].to_numpy()
    tids = picked["tid"].to_numpy()
    own, _ = _is_own_mm(locks.lockers, _lockers_of(calls, _OWN_MM_CALLS), threads, tids, lock_mm)
    guessed = np.zeros(len(picked), np.bool_)
    if remote_call.any():
        unsure = threads.loc[threads["inferred"] | (threads["tgid"] < 0), "tid"]
        local = _lockers_of(calls, (*_OWN_MM_CALLS, _MADVISE))
        local = local[~local["tid"].isin(unsure)]
        of, at = tids[remote_call], lock_mm[remote_call]
        own[remote_call], known = _is_own_mm(locks.lockers, local, threads, of, at)
        guessed[remote_call] = ~known | np.isin(of, unsure)
    locked = lock_mm != 0
    nothing_done = (length == 0) & ~remote_call | (ret == _EINVAL) | np.isin(advice, _TAKES_NO_LOCK)
    blind = (picked["quality"].to_numpy() != EXACT) | (not records_locks(trace))
    path = np.select(
        [blind, locked & (own | remote_call), locked, nothing_done, remote_call & (ret < 0)],
        [_PATH_UNKNOWN, _MMAP_LOCK, _PATH_UNKNOWN, _PATH_UNKNOWN, _PATH_UNKNOWN],
        _PER_VMA,
    ).astype(np.int8)
    verdict = _judge(maps or {}, tgid, address, length, remote_call)
    writer = np.zeros(len(picked), np.bool_)
    clean = np.flatnonzero(verdict == map_snapshots.CLEAN)  # the others do not need it
    if len(clean):
        writer[clean] = _writer_inside(picked.iloc[clean], locks.holds)
    reason = _reasons(path, advice, verdict, remote_call & locked & ~own, guessed, writer)
    return make_frame(
        MADVISE,
        {
            "tid": picked["tid"], "start_ns": picked["start_ns"], "end_ns": picked["end_ns"],
            "remote_call": remote_call, "address": address, "bytes": length, "advice": advice, "path": path,
            "reason": reason, "lock_wait_ns": picked["lock_wait_ns"], "ret": ret, "call": rows.astype(np.int32),
        },
    )  # fmt: skip


def records_locks(trace: Trace) -> bool:
    """Whether mmap_lock_start_locking was recorded; without it the absence of a lock event proves nothing."""
    enabled = trace.source.enabled_events
    if enabled is not None:
        return "mmap_lock:mmap_lock_start_locking" in enabled
    return bool((trace["mmap_lock"]["kind"] == 0).any())


def _lockers_of(calls: pd.DataFrame, kinds: Sequence[int]) -> pd.DataFrame:
    """Thread and first lock of the calls of these kinds that took one."""
    return calls.loc[calls["call"].isin(kinds) & (calls["lock_mm"] != 0), ["tid", "lock_mm"]]


def _is_own_mm(
    lockers: pd.DataFrame, local: pd.DataFrame, threads: pd.DataFrame, tids: NDArray[np.int32], mms: NDArray[np.uint64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each mm is that of the thread's process, and whether that is known.

    Calls such as mmap and munmap (``local``) only ever lock the caller's own mm, so they prove it. For a process that
    made none it is a guess, because process_madvise and /proc lock the mms of others: the mm that it locks most, or one
    that it locks more than others do, among the mms that no other process has proved to be its own.
    """
    tgid = threads.set_index("tid")["tgid"]

    def process_of(thread: NDArray[np.int32]) -> NDArray[np.int64]:
        found = tgid.reindex(thread, fill_value=-1).to_numpy().astype(np.int64)
        return np.where(found >= 0, found, -1 - thread.astype(np.int64))  # a thread of unknown process is its own

    told = pd.DataFrame({"process": process_of(local["tid"].to_numpy()), "mm": local["lock_mm"].to_numpy()})
    counts = lockers.assign(process=process_of(lockers["tid"].to_numpy()))
    counts = counts.groupby(["process", "mm"])["n"].sum().reset_index().sort_values("n", kind="stable")
    guessed = pd.concat([counts.drop_duplicates(k, keep="last")[["process", "mm"]] for k in ("process", "mm")])
    guessed = guessed[~guessed["process"].isin(told["process"]) & ~guessed["mm"].isin(told["mm"])]
    own = pd.MultiIndex.from_frame(pd.concat([told, guessed]).drop_duplicates())
    # Calls are many, and few threads with few mms make them: each pair is looked up once.
    of_thread, threads_seen = pd.factorize(tids)
    of_mm, mms_seen = pd.factorize(mms)
    of_pair, pairs = pd.factorize(of_thread * len(mms_seen) + of_mm)
    process, mm = process_of(threads_seen[pairs // len(mms_seen)]), mms_seen[pairs % len(mms_seen)]
    known = np.isin(process, told["process"]) | np.isin(mm, told["mm"])
    owns = np.asarray(pd.MultiIndex.from_arrays([process, mm]).isin(own), np.bool_)
    return owns[of_pair], known[of_pair]


def _judge(
    maps: Mapping[int, Sequence[pd.DataFrame]],
    tgid: NDArray[np.int32],
    address: NDArray[np.uint64],
    length: NDArray[np.int64],
    remote_call: NDArray[np.bool_],
) -> NDArray[np.int8]:
    verdict = np.full(len(tgid), map_snapshots.UNTOLD, np.int8)
    for process, snapshots in maps.items():
        of = (tgid == process) & ~remote_call
        verdict[of] = map_snapshots.judge_ranges(snapshots, address[of], length[of])
    return verdict


def _reasons(
    path: NDArray[np.int8],
    advice: NDArray[np.int32],
    verdict: NDArray[np.int8],
    remote: NDArray[np.bool_],
    guessed: NDArray[np.bool_],
    writer_inside: NDArray[np.bool_],
) -> NDArray[np.int8]:
    fell = path == _MMAP_LOCK
    always = np.isin(advice, _ALWAYS)
    capable = (path == _PER_VMA) & ~remote
    clean = verdict == map_snapshots.CLEAN
    if not capable.any():
        easy = fell & always & ~remote
        proven = bool((easy & clean).any()) or int(easy.sum()) >= _ENOUGH
        unpatched, needs_mmap_lock = fell & proven, np.zeros(len(path), np.bool_)
    else:
        unpatched = np.zeros(len(path), np.bool_)
        later = np.isin(advice, _LATER)
        needs_mmap_lock = ~always & ~later & (advice >= 0)
        for one in _LATER:
            of = (advice == one) & fell
            never = not (capable & (advice == one)).any() and ((of & clean).any() or int(of.sum()) >= _ENOUGH)
            needs_mmap_lock |= of & never
    # Where the owner of the locked mm is a guess, so is whether the call was for another process: unknown.
    names = ("unknown", "remote", "unpatched", "advice", "spans_vmas", "userfaultfd", "vma_lock_busy")
    tests = [
        guessed,
        remote,
        unpatched,
        needs_mmap_lock,
        verdict == map_snapshots.SPANS,
        verdict == map_snapshots.ARMED,
        clean & writer_inside,
    ]
    chosen = np.select(tests, [REASONS.index(n) for n in names], REASONS.index("unknown"))
    return np.where(fell, chosen, REASONS.index("")).astype(np.int8)


def _writer_inside(calls: pd.DataFrame, holds: pd.DataFrame) -> NDArray[np.bool_]:
    """Whether another thread held the same mm for write when the call looked for its VMA, at its very start."""
    out = np.zeros(len(calls), np.bool_)
    writes = holds[holds["write"] & (holds["quality"] != UNKNOWN)]
    until = np.where(writes["downgrade_ns"] >= 0, writes["downgrade_ns"], writes["end_ns"])
    for mm in np.unique(calls["lock_mm"].to_numpy()):
        of = np.flatnonzero((calls["lock_mm"] == mm).to_numpy())
        on = (writes["mm"] == mm).to_numpy()
        if mm == 0 or not on.any():
            continue
        begin, end = writes["start_ns"].to_numpy()[on], until[on]
        order = np.argsort(begin, kind="stable")
        begin, end = begin[order], end[order]
        at = np.searchsorted(begin, calls["end_ns"].to_numpy()[of]) - 1
        out[of] = (at >= 0) & (np.maximum(end[np.maximum(at, 0)], 0) >= calls["start_ns"].to_numpy()[of])
    return out
