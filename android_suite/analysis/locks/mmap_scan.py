"""One pass over mmap_lock, syscall and contention events, in the order of the merged trace.

The loop keeps, per thread, the call it is in and the locks it waits for or holds (analysis.locks.mmap_queue). It writes
waits, holds, calls, and segments: stretches of a wait during which a hold of another thread stands in front of it,
whatever the priorities (those are for analysis.locks.inversion).

Three rules keep it correct on traces that are cut or have lost events. An acquire without a start is a trylock only if
the thread was seen since the last gap; otherwise it is unknown how the lock was taken. After a gap the sets of waiters
and holders start empty, so that a lost release blames no thread. analysis.locks.mmap_lock judges intervals over a gap.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from android_suite.analysis.jit import I32, I64, Array, compiled
from android_suite.analysis.locks import mmap_queue as queue
from android_suite.analysis.locks.mmap_queue import FREE, HOLDING, SLOTS, WAITING
from android_suite.analysis.locks.mmap_rows import CallEvents, Calls, ContentionEvents, Holds, LockEvents, Waits
from android_suite.tables.derived import EXACT, LOWER_BOUND, UNKNOWN

ACQUIRED, FAILED, CUT, LOST = 0, 1, 2, 3  # tables.derived.OUTCOMES
BY_LOCK, BY_TRYLOCK, BY_UNKNOWN, BY_CUT = 0, 1, 2, 3  # tables.derived.HOW
_START, _ACQUIRE = 0, 1  # tables.events.MMAP_LOCK_KINDS
_LCB_READ_WRITE = 2 | 4
CALL_UNKNOWN = -2  # in place of a call: the trace does not show whether the thread was in one

# ``seen``, ``called``: the gap before the thread's last event, before its last system call. ``call``: the one it is in.
# ``locked``: the lock of that call is known. ``tried``: mm of the failed trylock that was its last lock event.
_THREAD = np.dtype(
    [("seen", np.int64), ("called", np.int64), ("call", np.int32), ("tried", np.int32), ("locked", np.bool_)], align=True
)  # fmt: skip


@compiled
def _lose(waits: Waits, holds: Holds, slot: Any, ts: int) -> None:
    """Ends what the slot is about at ``ts``, the first time that shows its end was not seen."""
    if slot.state == WAITING:
        waits.outcome[slot.row], waits.quality[slot.row], waits.end_ns[slot.row] = LOST, UNKNOWN, ts
    else:
        holds.quality[slot.row], holds.end_ns[slot.row] = UNKNOWN, ts


@compiled
def _begin_wait(waits: Waits, n: int, tid: int, mm: int, write: bool, ts: int, seq: int, end_ns: int) -> None:
    """Writes wait ``n`` as it is while its end is not seen."""
    waits.tid[n], waits.mm[n], waits.write[n] = tid, mm, write
    waits.start_ns[n], waits.start_seq[n], waits.end_ns[n], waits.end_seq[n] = ts, seq, end_ns, -1
    waits.outcome[n], waits.quality[n] = CUT, LOWER_BOUND


@compiled
def _put_hold(holds: Holds, n: int, tid: int, mm: int, write: bool, how: int, call: int, wait: int) -> None:
    """Writes what hold ``n`` is; its times and quality are the caller's."""
    holds.tid[n], holds.mm[n], holds.write[n], holds.downgrade_ns[n] = tid, mm, write, -1
    holds.how[n], holds.call[n], holds.wait[n] = how, call, wait


@compiled
def _take_call(
    calls_in: CallEvents, j: int, thread: Any, tid: int, calls: Calls, n: int, start_ns: int, end_ns: int
) -> int:
    """Begins or ends a call by event ``j``; returns how many calls there are then."""
    c, enters, ts, call = thread.call, calls_in.kind[j] == 0, calls_in.ts[j], calls_in.call[j]
    if c >= 0 and (enters or calls.call[c] != call):  # the exit of this one was not seen
        calls.quality[c] = UNKNOWN
        c = -1
    if c >= 0:
        calls.end_ns[c], calls.end_seq[c], calls.ret[c], calls.quality[c] = ts, calls_in.seq[j], calls_in.ret[j], EXACT
    else:
        calls.tid[n], calls.call[n], calls.nr[n] = tid, call, calls_in.nr[j]
        calls.quality[n], calls.lock_mm[n], calls.lock_wait_ns[n] = LOWER_BOUND, 0, 0
        if enters:
            calls.start_ns[n], calls.start_seq[n] = ts, calls_in.seq[j]
            calls.end_ns[n], calls.end_seq[n], calls.ret[n] = end_ns, -1, 0
            calls.arg0[n], calls.arg1[n] = calls_in.arg0[j], calls_in.arg1[j]
            calls.arg2[n], calls.arg3[n] = calls_in.arg2[j], calls_in.arg3[j]
        else:
            calls.start_ns[n], calls.start_seq[n] = start_ns, -1
            calls.end_ns[n], calls.end_seq[n], calls.ret[n] = ts, calls_in.seq[j], calls_in.ret[j]
            calls.arg0[n] = calls.arg1[n] = calls.arg2[n] = calls.arg3[n] = 0
        n += 1
    thread.call, thread.locked, thread.tried = n - 1 if enters else -1, False, -1
    return n


@compiled
def scan(
    locks: LockEvents,
    calls_in: CallEvents,
    cons: ContentionEvents,
    tids: I32,
    mms: Array,
    born_seq: I64,
    gaps: I64,
    start_ns: int,
    end_ns: int,
    waits: Waits,
    holds: Holds,
    calls: Calls,
) -> tuple[int, int, int, I64, I64]:
    """Fills ``waits``, ``holds`` and ``calls``.

    Args:
        locks: mmap_lock events.
        calls_in: syscall events.
        cons: contention events.
        tids: thread ids by dense number.
        mms: addresses by dense number.
        born_seq: per thread, seq of an event that proves it did not wait for a lock at the trace's start.
        gaps: ascending times at which a gap begins or ends; between an even and the next odd one the trace is blind.
        start_ns: of the trace.
        end_ns: of the trace.
        waits: room for the results.
        holds: room for the results.
        calls: room for the results.

    Returns:
        Rows of waits, holds and calls, the segments (wait row, hold row, start, end, wait row of the writer between
        or -1) of shape (n, 5), and for each contention event the wait row it lies in or -1.
    """
    slots, lists = queue.new_slots(tids.shape[0]), queue.new_lists(mms.shape[0])
    threads = np.zeros(tids.shape[0], _THREAD)
    for t in range(threads.shape[0]):
        threads[t].seen = threads[t].called = threads[t].call = threads[t].tried = -1
    since = np.zeros(mms.shape[0], np.int64)
    con_wait = np.full(cons.seq.shape[0], -1, np.int64)
    uncontended = 0 if cons.seq.shape[0] else -1
    segments = np.empty((1024, 5), np.int64)
    n_wait, n_hold, n_call, n_seg, gap = 0, 0, 0, 0, 0
    i, j, k = 0, 0, 0
    top = np.iinfo(np.int64).max
    while True:
        lock_seq = locks.seq[i] if i < locks.seq.shape[0] else top
        call_seq = calls_in.seq[j] if j < calls_in.seq.shape[0] else top
        con_seq = cons.seq[k] if k < cons.seq.shape[0] else top
        if call_seq < lock_seq and call_seq <= con_seq:
            t = calls_in.tidx[j]
            n_call = _take_call(calls_in, j, threads[t], tids[t], calls, n_call, start_ns, end_ns)
            threads[t].seen = threads[t].called = gap  # the gap of the last lock event: never later than the true one
            j += 1
            continue
        if con_seq < lock_seq:
            if cons.kind[k] == 0 and (cons.flags[k] & ~_LCB_READ_WRITE) == 0:
                t = cons.tidx[k]
                for s in range(t * SLOTS, t * SLOTS + SLOTS):
                    if slots[s].state == WAITING:
                        con_wait[k] = slots[s].row
                        waits.contended[slots[s].row] = 1
            k += 1
            continue
        if lock_seq == top:
            break
        ts, t, m, kind, write = locks.ts[i], locks.tidx[i], locks.mmx[i], locks.kind[i], locks.write[i]
        thread = threads[t]
        while gap < gaps.shape[0] and (ts > gaps[gap] if gap % 2 == 0 else ts >= gaps[gap]):
            gap += 1
            queue.forget_all(slots, lists)
        if since[m] < ts:
            waiters, holders = lists[2 * m].head, lists[2 * m + 1].head
            if waiters >= 0 and holders >= 0:
                segments, n_seg = queue.list_segments(segments, n_seg, slots, waiters, holders, since[m], ts)
            since[m] = ts
        at, free = -1, -1
        for s in range(t * SLOTS, t * SLOTS + SLOTS):
            if slots[s].state == FREE:
                if free < 0:
                    free = s
            elif slots[s].mm == m:
                at = s
        if at < 0 and free < 0:  # impossible in a complete trace: drop the first
            free = t * SLOTS
            _lose(waits, holds, slots[free], ts)
            queue.leave(slots, lists, free)
        in_call = thread.call
        born = gap == 0 and born_seq[t] < lock_seq
        known = gap % 2 == 0 and (thread.seen == gap or (thread.seen < 0 and born))
        if in_call < 0 and not (thread.called == gap and gap % 2 == 0) and not (thread.called < 0 and born):
            in_call = CALL_UNKNOWN
        state = slots[at].state if at >= 0 else FREE
        if kind == _START:
            if state != FREE:  # its end was not seen
                _lose(waits, holds, slots[at], ts)
                queue.leave(slots, lists, at)
                free = at
            if in_call >= 0 and not thread.locked and thread.tried != m:
                calls.lock_mm[in_call], thread.locked = mms[m], True
            _begin_wait(waits, n_wait, tids[t], mms[m], write, ts, lock_seq, end_ns)
            waits.call[n_wait], waits.contended[n_wait] = in_call, uncontended
            slot = slots[free]
            slot.state, slot.mm, slot.write, slot.row, slot.segment = WAITING, m, write, n_wait, -1
            if gap % 2 == 0:
                queue.join(slots, lists, free)
            n_wait += 1
        elif kind == _ACQUIRE:
            how, wait = BY_LOCK, -1
            take = locks.success[i]
            if state == WAITING:
                wait, fits = slots[at].row, slots[at].write == write
                waits.end_ns[wait], waits.end_seq[wait] = ts, lock_seq
                waits.outcome[wait] = ACQUIRED if take else FAILED
                waits.quality[wait] = EXACT if fits else UNKNOWN
                if not known or not fits:
                    how = BY_UNKNOWN
                if waits.call[wait] >= 0:
                    calls.lock_wait_ns[waits.call[wait]] += ts - waits.start_ns[wait]
                queue.leave(slots, lists, at)
                free = at
            elif state == HOLDING and take:
                if slots[at].write and not write:
                    holds.downgrade_ns[slots[at].row] = ts
                    slots[at].write = False
                    take = False
                else:  # a second acquire while it holds: the release was not seen
                    _lose(waits, holds, slots[at], ts)
                    queue.leave(slots, lists, at)
                    free = at
                    how = BY_UNKNOWN
            else:
                how = BY_TRYLOCK if known else BY_UNKNOWN
            if take:
                _put_hold(holds, n_hold, tids[t], mms[m], write, how, in_call, wait)
                holds.start_ns[n_hold], holds.start_seq[n_hold] = ts, lock_seq
                holds.end_ns[n_hold], holds.end_seq[n_hold], holds.quality[n_hold] = end_ns, -1, LOWER_BOUND
                slot = slots[free]
                slot.state, slot.mm, slot.write, slot.row = HOLDING, m, write, n_hold
                if gap % 2 == 0:
                    queue.join(slots, lists, free)
                n_hold += 1
        elif state == HOLDING:
            held = slots[at].row
            holds.end_ns[held], holds.end_seq[held] = ts, lock_seq
            holds.quality[held] = EXACT if slots[at].write == write else UNKNOWN
            queue.leave(slots, lists, at)
        else:  # taken before the trace, or in a gap
            if state == WAITING:
                _lose(waits, holds, slots[at], ts)
                queue.leave(slots, lists, at)
            _put_hold(holds, n_hold, tids[t], mms[m], write, BY_CUT, CALL_UNKNOWN, -1)
            holds.start_ns[n_hold], holds.start_seq[n_hold] = start_ns, -1
            holds.end_ns[n_hold], holds.end_seq[n_hold] = ts, lock_seq
            holds.quality[n_hold] = UNKNOWN if thread.seen >= 0 or state == WAITING else LOWER_BOUND
            n_hold += 1
        thread.tried = m if kind == _ACQUIRE and not locks.success[i] and state != WAITING else -1
        thread.seen = gap
        i += 1
    for m in range(mms.shape[0]):
        waiters, holders = lists[2 * m].head, lists[2 * m + 1].head
        if since[m] < end_ns and waiters >= 0 and holders >= 0:
            segments, n_seg = queue.list_segments(segments, n_seg, slots, waiters, holders, since[m], end_ns)
    return n_wait, n_hold, n_call, segments[:n_seg], con_wait
