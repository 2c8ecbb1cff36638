"""One pass over mmap_lock, syscall and contention events, in the order of the merged trace.

The loop keeps, per thread, the call it is in and the locks it waits for or holds (analysis.locks.mmap_queue). It writes
waits, holds, calls, and segments: stretches of a wait during which a hold of another thread stands in front of it,
whatever the priorities (those are for analysis.locks.inversion).

Three rules keep it correct on traces that are cut or have lost events. An acquire without a start is a trylock only if
the thread was seen since the last gap; otherwise it is unknown how the lock was taken. After a gap the sets of waiters
and holders start empty, so that a lost release blames no thread. analysis.locks.mmap_lock judges intervals over a gap.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from android_suite.analysis.jit import I32, I64, Array, compiled, compiled_part
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


class Events(NamedTuple):
    """The events of the three tables; ``seq`` is their common order."""

    locks: LockEvents
    calls: CallEvents
    cons: ContentionEvents


class Names(NamedTuple):
    """Of each thread and each mm, by dense number.

    ``born_seq``: of a thread, seq of an event that proves that it did not wait for a lock when the trace began.
    """

    tids: I32
    mms: Array
    born_seq: I64


class Span(NamedTuple):
    """Times of the trace. Between an even and the next odd one of the ascending ``gaps`` it is blind."""

    gaps: I64
    start_ns: int
    end_ns: int


class Room(NamedTuple):
    """Room for the results."""

    waits: Waits
    holds: Holds
    calls: Calls


class _Event(NamedTuple):
    """A lock event and what is known about its thread.

    Attributes:
        m: dense number of the mm, whose address is ``mm``.
        call: the call that the thread is in, -1 none, or CALL_UNKNOWN.
        known: the thread was seen since the last gap, so that a wait before this event would have been seen, too.
        sighted: the trace is not in a gap.
    """

    ts: int
    seq: int
    tid: int
    m: int
    mm: int
    write: bool
    success: bool
    call: int
    known: bool
    sighted: bool


@compiled_part
def _take_call(calls_in: CallEvents, j: int, thread: Any, tid: int, calls: Calls, n: int, span: Span) -> int:
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
            calls.end_ns[n], calls.end_seq[n], calls.ret[n] = span.end_ns, -1, 0
            calls.arg0[n], calls.arg1[n] = calls_in.arg0[j], calls_in.arg1[j]
            calls.arg2[n], calls.arg3[n] = calls_in.arg2[j], calls_in.arg3[j]
        else:
            calls.start_ns[n], calls.start_seq[n] = span.start_ns, -1
            calls.end_ns[n], calls.end_seq[n], calls.ret[n] = ts, calls_in.seq[j], calls_in.ret[j]
            calls.arg0[n] = calls.arg1[n] = calls.arg2[n] = calls.arg3[n] = 0
        n += 1
    thread.call, thread.locked, thread.tried = n - 1 if enters else -1, False, -1
    return n


@compiled_part
def _mark_contention(cons: ContentionEvents, k: int, slots: Array, waits: Waits, con_wait: I64) -> None:
    """Notes in which wait contention event ``k`` lies, if it is about a lock of this kind."""
    if cons.kind[k] == 0 and (cons.flags[k] & ~_LCB_READ_WRITE) == 0:
        t = cons.tidx[k]
        for s in range(t * SLOTS, t * SLOTS + SLOTS):
            if slots[s].state == WAITING:
                con_wait[k] = slots[s].row
                waits.contended[slots[s].row] = 1


@compiled_part
def _find_slots(slots: Array, t: int, m: int) -> tuple[int, int]:
    """The slot of thread ``t`` for mm ``m`` and its first free slot; -1 if there is none."""
    at, free = -1, -1
    for s in range(t * SLOTS, t * SLOTS + SLOTS):
        if slots[s].state == FREE:
            if free < 0:
                free = s
        elif slots[s].mm == m:
            at = s
    return at, free


@compiled_part
def _find_call(thread: Any, gap: int, born: bool) -> tuple[int, bool]:
    """``call`` and ``known`` of an event; ``born``: the thread was created in the trace, and no gap was since."""
    call, sighted = thread.call, gap % 2 == 0
    if call < 0 and not (thread.called == gap and sighted) and not (thread.called < 0 and born):
        call = CALL_UNKNOWN
    return call, sighted and (thread.seen == gap or (thread.seen < 0 and born))


@compiled_part
def _fill(slots: Array, lists: Array, s: int, state: int, event: _Event, row: int) -> None:
    """Begins a wait or a hold in slot ``s``; in a gap it stays out of the lists."""
    slot = slots[s]
    slot.state, slot.mm, slot.write, slot.row = state, event.m, event.write, row
    if event.sighted:
        queue.join(slots, lists, s)


@compiled_part
def _forget(slots: Array, lists: Array, s: int, room: Room, ts: int) -> None:
    """Ends what slot ``s`` is about at ``ts``, the first time that shows its end was not seen, and frees the slot."""
    slot, waits, holds = slots[s], room.waits, room.holds
    if slot.state == WAITING:
        waits.outcome[slot.row], waits.quality[slot.row], waits.end_ns[slot.row] = LOST, UNKNOWN, ts
    else:
        holds.quality[slot.row], holds.end_ns[slot.row] = UNKNOWN, ts
    queue.leave(slots, lists, s)


@compiled_part
def _begin_wait(
    event: _Event, thread: Any, slots: Array, lists: Array, free: int, room: Room, n: int, end_ns: int
) -> None:
    """Writes wait ``n`` as it is while its end is not seen."""
    waits = room.waits
    if event.call >= 0 and not thread.locked and thread.tried != event.m:
        room.calls.lock_mm[event.call], thread.locked = event.mm, True
    waits.tid[n], waits.mm[n], waits.write[n], waits.call[n] = event.tid, event.mm, event.write, event.call
    waits.start_ns[n], waits.start_seq[n], waits.end_ns[n], waits.end_seq[n] = event.ts, event.seq, end_ns, -1
    waits.outcome[n], waits.quality[n] = CUT, LOWER_BOUND
    slots[free].segment = -1
    _fill(slots, lists, free, WAITING, event, n)


@compiled_part
def _end_wait(event: _Event, slot: Any, room: Room) -> int:
    """Ends the wait in ``slot``; returns how the lock was taken."""
    waits, wait, fits = room.waits, slot.row, slot.write == event.write
    waits.end_ns[wait], waits.end_seq[wait] = event.ts, event.seq
    waits.outcome[wait] = ACQUIRED if event.success else FAILED
    waits.quality[wait] = EXACT if fits else UNKNOWN
    if waits.call[wait] >= 0:
        room.calls.lock_wait_ns[waits.call[wait]] += event.ts - waits.start_ns[wait]
    return BY_LOCK if event.known and fits else BY_UNKNOWN


@compiled_part
def _begin_hold(event: _Event, holds: Holds, n: int, how: int, wait: int, end_ns: int) -> None:
    """Writes hold ``n`` as it is while its end is not seen."""
    holds.tid[n], holds.mm[n], holds.write[n], holds.downgrade_ns[n] = event.tid, event.mm, event.write, -1
    holds.how[n], holds.call[n], holds.wait[n] = how, event.call, wait
    holds.start_ns[n], holds.start_seq[n] = event.ts, event.seq
    holds.end_ns[n], holds.end_seq[n], holds.quality[n] = end_ns, -1, LOWER_BOUND


@compiled_part
def _put_early_hold(event: _Event, holds: Holds, n: int, start_ns: int, quality: int) -> None:
    """Writes hold ``n``, which began before the trace or in a gap, when it ends."""
    holds.tid[n], holds.mm[n], holds.write[n], holds.downgrade_ns[n] = event.tid, event.mm, event.write, -1
    holds.how[n], holds.call[n], holds.wait[n] = BY_CUT, CALL_UNKNOWN, -1
    holds.start_ns[n], holds.start_seq[n] = start_ns, -1
    holds.end_ns[n], holds.end_seq[n], holds.quality[n] = event.ts, event.seq, quality


@compiled_part
def _acquire(event: _Event, slots: Array, lists: Array, at: int, free: int, room: Room, n: int, end_ns: int) -> int:
    """Ends a wait, begins hold ``n`` or downgrades one; returns how many holds there are then."""
    how, wait, take = BY_TRYLOCK if event.known else BY_UNKNOWN, -1, event.success
    state = slots[at].state if at >= 0 else FREE
    if state == WAITING:
        wait, how = slots[at].row, _end_wait(event, slots[at], room)
        queue.leave(slots, lists, at)
        free = at
    elif state == HOLDING and take:
        if slots[at].write and not event.write:
            room.holds.downgrade_ns[slots[at].row] = event.ts
            slots[at].write = False
            take = False
        else:  # a second acquire while it holds: the release was not seen
            _forget(slots, lists, at, room, event.ts)
            free, how = at, BY_UNKNOWN
    if take:
        _begin_hold(event, room.holds, n, how, wait, end_ns)
        _fill(slots, lists, free, HOLDING, event, n)
        n += 1
    return n


@compiled_part
def _release(event: _Event, thread: Any, slots: Array, lists: Array, at: int, room: Room, n: int, start_ns: int) -> int:
    """Ends a hold, or writes hold ``n`` if its begin was not seen; returns how many holds there are then."""
    holds, state = room.holds, slots[at].state if at >= 0 else FREE
    if state == HOLDING:
        held = slots[at].row
        holds.end_ns[held], holds.end_seq[held] = event.ts, event.seq
        holds.quality[held] = EXACT if slots[at].write == event.write else UNKNOWN
        queue.leave(slots, lists, at)
        return n
    if state == WAITING:
        _forget(slots, lists, at, room, event.ts)
    quality = UNKNOWN if thread.seen >= 0 or state == WAITING else LOWER_BOUND
    _put_early_hold(event, holds, n, start_ns, quality)
    return n + 1


@compiled
def scan(events: Events, names: Names, span: Span, room: Room) -> tuple[int, int, int, I64, I64]:
    """Fills ``room``.

    Args:
        events: of the three tables.
        names: of threads and mms.
        span: of the trace.
        room: for the results; see mmap_rows.

    Returns:
        Rows of waits, holds and calls, the segments (wait row, hold row, start, end, wait row of the writer between
        or -1) of shape (n, 5), and for each contention event the wait row it lies in or -1.
    """
    locks, calls_in, cons = events.locks, events.calls, events.cons
    waits, calls = room.waits, room.calls
    tids, mms, gaps, end_ns = names.tids, names.mms, span.gaps, span.end_ns
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
            n_call = _take_call(calls_in, j, threads[t], tids[t], calls, n_call, span)
            threads[t].seen = threads[t].called = gap  # the gap of the last lock event: never later than the true one
            j += 1
            continue
        if con_seq < lock_seq:
            _mark_contention(cons, k, slots, waits, con_wait)
            k += 1
            continue
        if lock_seq == top:
            break
        ts, t, m, kind = locks.ts[i], locks.tidx[i], locks.mmx[i], locks.kind[i]
        thread = threads[t]
        while gap < gaps.shape[0] and (ts > gaps[gap] if gap % 2 == 0 else ts >= gaps[gap]):
            gap += 1
            queue.forget_all(slots, lists)
        if since[m] < ts:
            waiters, holders = lists[2 * m].head, lists[2 * m + 1].head
            if waiters >= 0 and holders >= 0:
                segments, n_seg = queue.list_segments(segments, n_seg, slots, waiters, holders, since[m], ts)
            since[m] = ts
        at, free = _find_slots(slots, t, m)
        if at < 0 and free < 0:  # impossible in a complete trace: drop the first
            free = t * SLOTS
            _forget(slots, lists, free, room, ts)
        sighted = gap % 2 == 0
        call, known = _find_call(thread, gap, gap == 0 and names.born_seq[t] < lock_seq)
        event = _Event(ts, lock_seq, tids[t], m, mms[m], locks.write[i], locks.success[i], call, known, sighted)
        failed = kind == _ACQUIRE and not event.success and (at < 0 or slots[at].state != WAITING)
        if kind == _START:
            if at >= 0:  # its end was not seen
                _forget(slots, lists, at, room, ts)
                free = at
            _begin_wait(event, thread, slots, lists, free, room, n_wait, end_ns)
            waits.contended[n_wait] = uncontended
            n_wait += 1
        elif kind == _ACQUIRE:
            n_hold = _acquire(event, slots, lists, at, free, room, n_hold, end_ns)
        else:
            n_hold = _release(event, thread, slots, lists, at, room, n_hold, span.start_ns)
        thread.tried, thread.seen = m if failed else -1, gap
        i += 1
    for m in range(mms.shape[0]):
        waiters, holders = lists[2 * m].head, lists[2 * m + 1].head
        if since[m] < end_ns and waiters >= 0 and holders >= 0:
            segments, n_seg = queue.list_segments(segments, n_seg, slots, waiters, holders, since[m], end_ns)
    return n_wait, n_hold, n_call, segments[:n_seg], con_wait
