"""Waits for the lock of one VMA: a writer that holds mmap_lock sleeps until the VMA's readers are gone.

Since 6.15 the writer sleeps on ``mm->vma_writer_wait`` until the last reader drops ``vm_refcnt`` and wakes it; from 6.4 to
6.14 the lock was an rw_semaphore per VMA. No tracepoint reports either wait. Both are an uninterruptible sleep inside a
write hold of mmap_lock, and the waker is the holder: the last reader to leave.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from android_suite.analysis.enclosing import ThreadIntervals, covers
from android_suite.analysis.jit import Bools
from android_suite.analysis.locks.mmap_lock import MmapLock
from android_suite.analysis.locks.mmap_scan import CALL_UNKNOWN
from android_suite.analysis.loss import Losses
from android_suite.analysis.operations import FAULT, name_operations, sees_every_syscall
from android_suite.analysis.sched import Timeline
from android_suite.analysis.sleeps import Sleeps, last_sleep
from android_suite.model.operation import UNTRACED
from android_suite.tables import events
from android_suite.tables.derived import EVIDENCE, EXACT, LOWER_BOUND, PATHS, UNKNOWN, VMA_EVIDENCE, VMA_WAITS
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import Trace

TOLD, INFERRED, UNTOLD = (VMA_EVIDENCE.index(n) for n in ("exact", "inferred", "unknown"))
_PER_VMA = PATHS.index("per_vma")
_NEVER = np.iinfo(np.int64).max
# Calls that lock the caller's own mm, so that they show whose it is.
_OF_ITS_OWN = [events.SYSCALLS.index(n) for n in ("madvise", "mmap", "munmap", "mprotect", "mremap", "brk")]

# Functions that sched_blocked_reason names for a VMA writer that waits for readers (in mm/mmap_lock.c, elsewhere in
# older kernels), and for sleeps that are certainly of another kind.
_VMA_WRITER = r"_*vma_(?:start_write|enter_|mark_detached|start_exclude|exclude_)"
_OTHER_CAUSE = (
    r"io_schedule|folio_wait|wait_on_page|bit_wait|(?:__)?mutex_lock|__ww_mutex|(?:__)?rt_mutex|rtlock_|percpu_"
    r"|rwsem_down_read|down_read|synchronize_rcu|wait_rcu|__wait_rcu|balance_dirty|throttle_|shrink_|congestion_wait"
)


def measure_vma_waits(
    trace: Trace,
    timeline: Timeline,
    sleeps: Sleeps,
    locks: MmapLock,
    threads: pd.DataFrame,
    madvise: pd.DataFrame,
    others: pd.DataFrame,
    losses: Losses,
) -> pd.DataFrame:
    """Finds the sleeps that are waits for a VMA's readers, and who the last of them was.

    Evidence is ``exact`` where sched_blocked_reason names the function, or the thread was inside a recorded
    ``__vma_start_write``; ``inferred`` where the states say it: the waker is a thread of the same process inside a per-VMA
    section (a madvise call on the per-VMA path, or a page fault) that it entered before the sleep. Every other sleep in a
    write hold is kept as ``unknown``, unless it is known to be for something else (I/O, a mutex, mmap_lock itself).

    Args:
        trace: tables blocked_reason, vma_start_write, page_fault.
        timeline: of all threads.
        sleeps: in state D, of all threads.
        locks: holds, waits and calls.
        threads: frame of THREAD_ROLES.
        madvise: frame of MADVISE.
        others: frame of OTHER_WAITS.
        losses: where the trace is blind.

    Returns:
        A frame of VMA_WAITS, by thread and start.
    """
    hold = _write_holds(locks.holds).find(sleeps.tid, sleeps.start_ns, sleeps.end_ns)
    named, excluded = _told_by_reason(trace, timeline, sleeps)
    named |= covers(_probed(trace), sleeps.tid, sleeps.start_ns, sleeps.end_ns)
    picked = np.flatnonzero(named | (hold >= 0))
    sleeps, hold, named, excluded = sleeps.pick(picked), hold[picked], named[picked], excluded[picked]
    excluded |= covers(_intervals(locks.waits), sleeps.tid, sleeps.start_ns, sleeps.end_ns)
    excluded |= covers(_intervals(others[_not_a_vma_lock(others)]), sleeps.tid, sleeps.start_ns, sleeps.end_ns)
    kept = np.flatnonzero(named | ~excluded)
    sleeps, hold, named = sleeps.pick(kept), hold[kept], named[kept]
    if not len(sleeps):
        return make_frame(VMA_WAITS)

    calls = locks.calls
    own_call = _intervals(calls).find(sleeps.tid, sleeps.start_ns, sleeps.end_ns)
    woken = sleeps.wake_seq >= 0
    holder_call = _calls_of_wakers(calls, sleeps, losses)
    operation = np.full(len(sleeps), "", np.object_)
    operation[woken] = name_operations(
        trace, calls, holder_call[woken].astype(np.int32), sleeps.waker[woken], sleeps.wake_seq[woken]
    )
    # Where faults have no event of their own (arm64), a thread outside every recorded call is in a fault, or in a call
    # that takes no mmap_lock; such calls wake no thread in state D that is missing in the contention events.
    faulting = np.isin(operation, (FAULT,) if len(trace["page_fault"]) else (FAULT, UNTRACED))
    mm = np.append(locks.holds["mm"].to_numpy(), np.uint64(0))[hold]
    reads = _in_per_vma_section(calls, madvise, holder_call, faulting, sleeps)
    in_call = np.asarray(holder_call >= 0, np.bool_)
    reads &= _same_process(threads, sleeps, locks, mm, in_call, every_call=sees_every_syscall(trace))
    # A gap may hide the wake-up itself, or that the reader left and came back.
    reads &= ~losses.any_cpu.touch(sleeps.start_ns, sleeps.end_ns)
    sure_hold = np.append(locks.holds["quality"].to_numpy(), EXACT)[hold] != UNKNOWN
    evidence = np.select([named, reads & woken & sure_hold], [TOLD, INFERRED], UNTOLD)
    holder = np.where((evidence != UNTOLD) & (sleeps.waker > 0), sleeps.waker, -1)
    quality = np.select([evidence == UNTOLD, ~woken], [UNKNOWN, LOWER_BOUND], EXACT)
    return make_frame(
        VMA_WAITS,
        {
            "tid": sleeps.tid, "mm": mm, "start_ns": sleeps.start_ns,
            "end_ns": sleeps.end_ns, "runnable_ns": sleeps.runnable_ns, "hold": hold, "call": own_call.astype(np.int32),
            "holder_tid": holder.astype(np.int32),
            "holder_call": np.where(holder >= 0, np.maximum(holder_call, -1), -1).astype(np.int32),
            "operation": np.where(holder >= 0, operation, ""), "evidence": evidence.astype(np.int8),
            "quality": quality.astype(np.int8),
        },
    )  # fmt: skip


def without_vma_waits(others: pd.DataFrame, vma_waits: pd.DataFrame) -> pd.DataFrame:
    """Other waits without those (for an rw_semaphore) that turned out to be for a VMA."""
    known = vma_waits[vma_waits["quality"] != UNKNOWN]
    if not len(known) or not len(others):
        return others
    at = _intervals(others).find(*(known[c].to_numpy() for c in ("tid", "start_ns", "end_ns")))
    return others.drop(others.index[np.unique(at[at >= 0])]).reset_index(drop=True)


def _intervals(frame: pd.DataFrame) -> ThreadIntervals:
    return ThreadIntervals.of(*(frame[c].to_numpy() for c in ("tid", "start_ns", "end_ns")))


def _write_holds(holds: pd.DataFrame) -> ThreadIntervals:
    """The time in write mode of each row of ``holds``; empty for a hold for read, so that row numbers stay the same."""
    writes = holds["write"].to_numpy()
    down = holds["downgrade_ns"].to_numpy()
    until = np.where(down >= 0, down, holds["end_ns"].to_numpy())
    start = holds["start_ns"].to_numpy()
    return ThreadIntervals.of(holds["tid"].to_numpy(), start, np.where(writes, until, start - 1))


def _last(end_seq: pd.Series) -> np.ndarray:
    """The seq of each call's end; one beyond every other where it is not in the trace."""
    seq = end_seq.to_numpy()
    return np.where(seq >= 0, seq, _NEVER)


def _probed(trace: Trace) -> ThreadIntervals:
    """The runs of ``__vma_start_write`` between a kprobe at its entry and one at its return.

    None where only entries were recorded: a kernel may allow one probe and not the other.
    """
    probes = trace["vma_start_write"].sort_values(["tid", "seq"], kind="stable")
    if (probes["kind"] == 0).all():
        probes = probes.iloc[:0]
    enters = (probes["kind"] == 0).to_numpy()
    after = np.append(enters[1:], True) | np.append(probes["tid"].to_numpy()[1:] != probes["tid"].to_numpy()[:-1], True)
    paired = enters & ~after
    ts = probes["ts_ns"].to_numpy()
    end = np.where(paired, np.append(ts[1:], trace.source.end_ns), trace.source.end_ns)
    # An entry without its return ran until the trace's end, if it is the thread's last event; else a return was lost.
    last = np.append(probes["tid"].to_numpy()[1:] != probes["tid"].to_numpy()[:-1], True)
    used = enters & (paired | last)
    return ThreadIntervals.of(probes["tid"].to_numpy()[used], ts[used], end[used])


def _told_by_reason(trace: Trace, timeline: Timeline, sleeps: Sleeps) -> tuple[Bools, Bools]:
    """Per sleep, whether sched_blocked_reason says that it was for a VMA, and whether for something else."""
    reasons = trace["blocked_reason"]
    named, excluded = np.zeros(len(sleeps), np.bool_), np.zeros(len(sleeps), np.bool_)
    reasons = reasons[reasons["target_tid"].isin(np.unique(sleeps.tid))]
    if not len(reasons):
        return named, excluded
    caller = reasons["caller"].astype("str")
    writes = caller.str.match(_VMA_WRITER).to_numpy(dtype=bool)
    other = (reasons["io_wait"] | caller.str.match(_OTHER_CAUSE)).to_numpy(dtype=bool) & ~writes
    tid = reasons["target_tid"].to_numpy()
    start, _ = last_sleep(timeline, tid, reasons["ts_ns"].to_numpy())
    rows = ThreadIntervals.of(sleeps.tid, sleeps.start_ns, sleeps.end_ns).find(tid, start, start)
    for said, out in ((writes, named), (other, excluded)):
        out[rows[said & (rows >= 0)]] = True
    return named, excluded


def _not_a_vma_lock(others: pd.DataFrame) -> Bools:
    """Waits that contention events show to be for a lock that is no VMA's: all but an rw_semaphore taken for write."""
    seen = (others["evidence"] == EVIDENCE.index("contention")).to_numpy()
    return np.asarray(seen & ~((others["kind"] == "rwsem") & others["write"]).to_numpy(dtype=bool), np.bool_)


def _in_per_vma_section(
    calls: pd.DataFrame, madvise: pd.DataFrame, call: np.ndarray, faulting: np.ndarray, sleeps: Sleeps
) -> Bools:
    """Whether each waker was, since before the sleep, in a madvise call on the per-VMA path, or in a page fault.

    A reader that comes while a writer waits is turned away, so a call that began later did not hold the VMA.
    """
    per_vma = np.zeros(len(calls) + 1, np.bool_)
    per_vma[madvise["call"].to_numpy()[madvise["path"].to_numpy() == _PER_VMA]] = True
    before = np.append(calls["start_ns"].to_numpy(), _NEVER)[np.maximum(call, -1)] <= sleeps.start_ns
    return np.asarray((call >= 0) & per_vma[np.maximum(call, -1)] & before | (call < 0) & faulting, np.bool_)


def _same_process(
    threads: pd.DataFrame, sleeps: Sleeps, locks: MmapLock, mm: np.ndarray, in_call: Bools, *, every_call: bool
) -> Bools:
    """Whether the waker shares the sleeper's address space, as threads of one process do.

    If the process of either was inferred, the held mm must also be the one that the waker locks most, and locks in calls
    or faults that lock its own (process_madvise and reads of /proc lock that of others; outside of recorded calls is a
    fault only if every call was recorded). And the waker must be in a call: outside of calls, an interrupt may have
    borrowed any thread.
    """
    tgid, inferred = (threads.set_index("tid")[name] for name in ("tgid", "inferred"))
    waiter, waker = (tgid.reindex(t, fill_value=-1).to_numpy() for t in (sleeps.tid, sleeps.waker))
    guessed = np.isin(sleeps.tid, inferred.index[inferred]) | np.isin(sleeps.waker, inferred.index[inferred])
    most = (
        locks.lockers.drop_duplicates("tid", keep="last")
        .set_index("tid")["mm"]
        .reindex(sleeps.waker, fill_value=0)
        .to_numpy()
    )
    calls, holds = locks.calls["call"].to_numpy(), locks.holds
    call = np.append(calls, 0)[np.maximum(holds["call"].to_numpy(), -1)]
    faulted = (holds["call"].to_numpy() == -1) & every_call
    own = holds[faulted | np.isin(call, _OF_ITS_OWN)].drop_duplicates(["tid", "mm"])
    sure = pd.MultiIndex.from_arrays([sleeps.waker, mm]).isin(pd.MultiIndex.from_frame(own[["tid", "mm"]]))
    return np.asarray((waiter > 0) & (waiter == waker) & (~guessed | (in_call & (most == mm) & sure)), np.bool_)


def _calls_of_wakers(calls: pd.DataFrame, sleeps: Sleeps, losses: Losses) -> np.ndarray:
    """Row of the call that each waker was in; -1: in none; CALL_UNKNOWN: the trace does not show it."""
    tid = calls["tid"].to_numpy()
    by_seq = ThreadIntervals.of(tid, calls["start_seq"].to_numpy(), _last(calls["end_seq"]))
    found = by_seq.find(sleeps.waker, sleeps.wake_seq, sleeps.wake_seq)
    # A thread is outside every call if it returned from one since the last gap.
    ended = calls.loc[calls["end_seq"] >= 0, ["tid", "end_seq", "end_ns"]].sort_values("end_seq", kind="stable")
    asked = pd.DataFrame({"tid": sleeps.waker, "end_seq": sleeps.wake_seq}).reset_index()
    asked = asked.sort_values("end_seq", kind="stable")
    back = pd.merge_asof(asked, ended, on="end_seq", by="tid").set_index("index")["end_ns"].reindex(range(len(sleeps)))
    known = back.notna().to_numpy()
    since = np.where(known, back.fillna(0).to_numpy(), 0).astype(np.int64)
    outside = known & ~losses.any_cpu.touch(since, sleeps.end_ns)
    return np.where(sleeps.wake_seq < 0, CALL_UNKNOWN, np.where(found >= 0, found, np.where(outside, -1, CALL_UNKNOWN)))
