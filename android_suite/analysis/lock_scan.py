"""One pass over mmap_lock, syscall and contention events, in the order of the merged trace.

The kernel keeps, per thread, the call it is in and the locks it waits for or holds; and per mm, who waits and who
holds at this moment, in order of arrival. It writes waits, holds, calls, and segments: stretches of a wait during
which a hold of another thread stands in front of it, whatever the priorities (analysis.inversion looks at those).

Three rules keep it honest on traces that are cut or have lost events. An acquire without a start is a trylock only if
the thread was seen since the last gap; else how it was taken is unknown. After a gap the sets of waiters and holders
start empty, so that a lost release accuses nobody. Intervals over a gap are judged afterwards (analysis.locks).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from android_suite.analysis.jit import I8, I32, I64, Bools, compiled

SLOTS = 4  # locks that one thread may wait for or hold at once: fork takes two, no path more than three
_FREE, _WAITING, _HOLDING = 0, 1, 2
ACQUIRED, FAILED, CUT, LOST = 0, 1, 2, 3  # tables.derived.OUTCOMES
BY_LOCK, BY_TRYLOCK, BY_UNKNOWN, BY_CUT = 0, 1, 2, 3  # tables.derived.HOW
_START, _ACQUIRE = 0, 1  # tables.events.MMAP_LOCK_KINDS
_LCB_READ_WRITE = 2 | 4
NO_WORD = -2  # call of a lock taken where the trace does not tell whether the thread was in a call


class LockEvents(NamedTuple):
    """The mmap_lock table, threads and mms as dense numbers."""

    seq: I64
    ts: I64
    tidx: I32
    mmx: I32
    kind: I8
    write: Bools
    success: Bools


class CallEvents(NamedTuple):
    """The syscall table."""

    seq: I64
    tidx: I32
    kind: I8
    call: I8


class ContentionEvents(NamedTuple):
    """The contention table."""

    seq: I64
    tidx: I32
    kind: I8
    flags: I32


class Waits(NamedTuple):
    """Columns of lock_waits as the kernel fills them."""

    tidx: I32
    mmx: I32
    write: Bools
    start_ns: I64
    end_ns: I64
    start_seq: I64
    end_seq: I64
    outcome: I8
    damaged: Bools  # the events of it do not fit together
    call: I32
    contended: Bools


class Holds(NamedTuple):
    """Columns of lock_holds as the kernel fills them."""

    tidx: I32
    mmx: I32
    write: Bools
    start_ns: I64
    end_ns: I64
    start_seq: I64
    end_seq: I64
    downgrade_ns: I64
    how: I8
    damaged: Bools
    call: I32
    wait: I64


class Calls(NamedTuple):
    """One row a call: rows of its entry and exit in the syscall table (-1 none) and the locks taken inside."""

    tidx: I32
    enter: I64
    exit: I64
    damaged: Bools
    lock_mmx: I32
    lock_wait_ns: I64


# Room for results is not cleared: the kernel writes every field of a row when it begins it.
def _long(rows: int) -> I64:
    return np.empty(rows, np.int64)


def _int(rows: int) -> I32:
    return np.empty(rows, np.int32)


def _small(rows: int) -> I8:
    return np.empty(rows, np.int8)


def _flag(rows: int) -> Bools:
    return np.empty(rows, np.bool_)


def new_waits(rows: int) -> Waits:
    """Room for ``rows`` waits."""
    return Waits(
        tidx=_int(rows), mmx=_int(rows), write=_flag(rows), start_ns=_long(rows), end_ns=_long(rows),
        start_seq=_long(rows), end_seq=_long(rows), outcome=_small(rows), damaged=_flag(rows), call=_int(rows),
        contended=_flag(rows),
    )  # fmt: skip


def new_holds(rows: int) -> Holds:
    """Room for ``rows`` holds."""
    return Holds(
        tidx=_int(rows), mmx=_int(rows), write=_flag(rows), start_ns=_long(rows), end_ns=_long(rows),
        start_seq=_long(rows), end_seq=_long(rows), downgrade_ns=_long(rows), how=_small(rows), damaged=_flag(rows),
        call=_int(rows), wait=_long(rows),
    )  # fmt: skip


def new_calls(rows: int) -> Calls:
    """Room for ``rows`` calls."""
    return Calls(
        tidx=_int(rows), enter=_long(rows), exit=_long(rows), damaged=_flag(rows), lock_mmx=_int(rows),
        lock_wait_ns=_long(rows),
    )  # fmt: skip


@compiled
def _unlink(nxt: I64, prv: I64, head: I64, tail: I64, which: int, slot: int) -> None:
    before, after = prv[slot], nxt[slot]
    if before >= 0:
        nxt[before] = after
    elif head[which] == slot:
        head[which] = after
    else:
        return  # not in the list: it was emptied at a gap
    if after >= 0:
        prv[after] = before
    else:
        tail[which] = before
    nxt[slot] = prv[slot] = -1


@compiled
def _append(nxt: I64, prv: I64, head: I64, tail: I64, which: int, slot: int) -> None:
    nxt[slot], prv[slot] = -1, tail[which]
    if tail[which] >= 0:
        nxt[tail[which]] = slot
    else:
        head[which] = slot
    tail[which] = slot


@compiled
def _emit(
    segments: I64,
    count: int,
    last_segment: I64,
    nxt: I64,
    head: I64,
    mode: Bools,
    row: I64,
    mmx: int,
    since: int,
    now: int,
) -> tuple[I64, int]:
    """Writes who stood in front of whom on this mm between ``since`` and ``now``."""
    writer = -1  # wait row of the writer that queues first
    waiting = head[2 * mmx]
    while waiting >= 0:
        holding = head[2 * mmx + 1]
        while holding >= 0:
            chained = not mode[waiting] and not mode[holding]
            if waiting // SLOTS != holding // SLOTS and (not chained or writer >= 0):
                via = writer if chained else -1
                last = last_segment[waiting]
                if (
                    last >= 0 and segments[last, 0] == row[waiting] and segments[last, 1] == row[holding]
                    and segments[last, 3] == since and segments[last, 4] == via
                ):  # fmt: skip
                    segments[last, 3] = now
                else:
                    if count == segments.shape[0]:
                        grown = np.empty((2 * count, 5), np.int64)
                        grown[:count] = segments
                        segments = grown
                    segments[count, 0], segments[count, 1] = row[waiting], row[holding]
                    segments[count, 2], segments[count, 3], segments[count, 4] = since, now, via
                    last_segment[waiting] = count
                    count += 1
            holding = nxt[holding]
        if writer < 0 and mode[waiting]:
            writer = row[waiting]
        waiting = nxt[waiting]
    return segments, count


@compiled
def scan(
    locks: LockEvents,
    calls_in: CallEvents,
    cons: ContentionEvents,
    n_tids: int,
    n_mms: int,
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
        n_tids: how many threads there are.
        n_mms: how many mms there are.
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
    n_slots = n_tids * SLOTS
    state = np.zeros(n_slots, np.int8)
    mm_of = np.full(n_slots, -1, np.int32)
    mode = np.zeros(n_slots, np.bool_)
    row = np.full(n_slots, -1, np.int64)
    nxt, prv = np.full(n_slots, -1, np.int64), np.full(n_slots, -1, np.int64)
    last_segment = np.full(n_slots, -1, np.int64)
    head, tail = np.full(2 * n_mms, -1, np.int64), np.full(2 * n_mms, -1, np.int64)
    since = np.zeros(n_mms, np.int64)
    seen_epoch = np.full(n_tids, -1, np.int64)
    called_epoch = np.full(n_tids, -1, np.int64)
    call_of = np.full(n_tids, -1, np.int64)
    tried = np.full(n_tids, -1, np.int32)  # mm of the failed trylock that was this thread's last lock event
    con_wait = np.full(cons.seq.shape[0], -1, np.int64)
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
            tried[t] = -1
            if calls_in.kind[j] == 0:
                if call_of[t] >= 0:
                    calls.damaged[call_of[t]] = True
                calls.tidx[n_call], calls.enter[n_call], calls.exit[n_call], calls.lock_mmx[n_call] = t, j, -1, -1
                calls.damaged[n_call], calls.lock_wait_ns[n_call] = False, 0
                call_of[t] = n_call
                n_call += 1
            else:
                c = call_of[t]
                if c >= 0 and calls_in.call[calls.enter[c]] == calls_in.call[j]:
                    calls.exit[c] = j
                else:
                    if c >= 0:
                        calls.damaged[c] = True
                    calls.tidx[n_call], calls.enter[n_call], calls.exit[n_call], calls.lock_mmx[n_call] = t, -1, j, -1
                    calls.damaged[n_call], calls.lock_wait_ns[n_call] = False, 0
                    n_call += 1
                call_of[t] = -1
            seen_epoch[t] = called_epoch[t] = gap  # the gap of the last lock event: never later than the true one
            j += 1
            continue
        if con_seq < lock_seq:
            if cons.kind[k] == 0 and (cons.flags[k] & ~_LCB_READ_WRITE) == 0:
                t = cons.tidx[k]
                for s in range(t * SLOTS, t * SLOTS + SLOTS):
                    if state[s] == _WAITING:
                        con_wait[k] = row[s]
                        waits.contended[row[s]] = True
            k += 1
            continue
        if lock_seq == top:
            break
        ts, t, m, kind, write = locks.ts[i], locks.tidx[i], locks.mmx[i], locks.kind[i], locks.write[i]
        while gap < gaps.shape[0] and (ts > gaps[gap] if gap % 2 == 0 else ts >= gaps[gap]):
            gap += 1
            head[:] = -1
            tail[:] = -1
            nxt[:] = -1
            prv[:] = -1
        if since[m] < ts:
            if head[2 * m] >= 0 and head[2 * m + 1] >= 0:
                segments, n_seg = _emit(segments, n_seg, last_segment, nxt, head, mode, row, m, since[m], ts)
            since[m] = ts
        slot, free = -1, -1
        for s in range(t * SLOTS, t * SLOTS + SLOTS):
            if state[s] == _FREE:
                if free < 0:
                    free = s
            elif mm_of[s] == m:
                slot = s
        if slot < 0 and free < 0:  # cannot be in a whole trace: forget the first
            free = t * SLOTS
            if state[free] == _WAITING:
                waits.outcome[row[free]], waits.damaged[row[free]], waits.end_ns[row[free]] = LOST, True, ts
            else:
                holds.damaged[row[free]], holds.end_ns[row[free]] = True, ts
            _unlink(nxt, prv, head, tail, 2 * mm_of[free] + (state[free] == _HOLDING), free)
            state[free] = _FREE
        in_call = call_of[t]
        born = gap == 0 and born_seq[t] < lock_seq
        known = gap % 2 == 0 and (seen_epoch[t] == gap or (seen_epoch[t] < 0 and born))
        if in_call < 0 and not (called_epoch[t] == gap and gap % 2 == 0) and not (called_epoch[t] < 0 and born):
            in_call = NO_WORD
        seq = lock_seq
        waited = slot >= 0 and state[slot] == _WAITING
        if kind == _START:
            if slot >= 0:  # its end was not seen
                if state[slot] == _WAITING:
                    waits.outcome[row[slot]], waits.damaged[row[slot]], waits.end_ns[row[slot]] = LOST, True, ts
                else:
                    holds.damaged[row[slot]], holds.end_ns[row[slot]] = True, ts
                _unlink(nxt, prv, head, tail, 2 * m + (state[slot] == _HOLDING), slot)
                free = slot
            if in_call >= 0 and calls.lock_mmx[in_call] < 0 and tried[t] != m:
                calls.lock_mmx[in_call] = m
            waits.tidx[n_wait], waits.mmx[n_wait], waits.write[n_wait] = t, m, write
            waits.start_ns[n_wait], waits.start_seq[n_wait] = ts, seq
            waits.end_ns[n_wait], waits.end_seq[n_wait], waits.outcome[n_wait] = end_ns, -1, CUT
            waits.call[n_wait], waits.contended[n_wait], waits.damaged[n_wait] = in_call, False, False
            state[free], mm_of[free], mode[free], row[free] = _WAITING, m, write, n_wait
            last_segment[free] = -1
            if gap % 2 == 0:
                _append(nxt, prv, head, tail, 2 * m, free)
            n_wait += 1
        elif kind == _ACQUIRE:
            how, wait = BY_LOCK, -1
            take = locks.success[i]
            if slot >= 0 and state[slot] == _WAITING:
                wait = row[slot]
                waits.end_ns[wait], waits.end_seq[wait] = ts, seq
                waits.outcome[wait] = ACQUIRED if take else FAILED
                waits.damaged[wait] = mode[slot] != write
                if not known or mode[slot] != write:
                    how = BY_UNKNOWN
                if waits.call[wait] >= 0:
                    calls.lock_wait_ns[waits.call[wait]] += ts - waits.start_ns[wait]
                _unlink(nxt, prv, head, tail, 2 * m, slot)
                state[slot] = _FREE
                free = slot
            elif slot >= 0 and take:
                if mode[slot] and not write:
                    holds.downgrade_ns[row[slot]] = ts
                    mode[slot] = False
                    take = False
                else:  # a second acquire while it holds: the release was not seen
                    holds.damaged[row[slot]], holds.end_ns[row[slot]] = True, ts
                    _unlink(nxt, prv, head, tail, 2 * m + 1, slot)
                    state[slot] = _FREE
                    free = slot
                    how = BY_UNKNOWN
            else:
                how = BY_TRYLOCK if known else BY_UNKNOWN
            if take:
                holds.tidx[n_hold], holds.mmx[n_hold], holds.write[n_hold] = t, m, write
                holds.start_ns[n_hold], holds.start_seq[n_hold] = ts, seq
                holds.end_ns[n_hold], holds.end_seq[n_hold], holds.how[n_hold] = end_ns, -1, how
                holds.damaged[n_hold] = False
                holds.call[n_hold], holds.wait[n_hold], holds.downgrade_ns[n_hold] = in_call, wait, -1
                state[free], mm_of[free], mode[free], row[free] = _HOLDING, m, write, n_hold
                if gap % 2 == 0:
                    _append(nxt, prv, head, tail, 2 * m + 1, free)
                n_hold += 1
        elif slot >= 0 and state[slot] == _HOLDING:
            holds.end_ns[row[slot]], holds.end_seq[row[slot]] = ts, seq
            holds.damaged[row[slot]] |= mode[slot] != write
            _unlink(nxt, prv, head, tail, 2 * m + 1, slot)
            state[slot] = _FREE
        else:  # taken before the trace, or in a gap
            if slot >= 0:
                waits.outcome[row[slot]], waits.damaged[row[slot]], waits.end_ns[row[slot]] = LOST, True, ts
                _unlink(nxt, prv, head, tail, 2 * m, slot)
                state[slot] = _FREE
            holds.tidx[n_hold], holds.mmx[n_hold], holds.write[n_hold] = t, m, write
            holds.start_ns[n_hold], holds.end_ns[n_hold] = start_ns, ts
            holds.start_seq[n_hold], holds.end_seq[n_hold] = -1, seq
            holds.how[n_hold] = BY_CUT
            holds.call[n_hold], holds.wait[n_hold], holds.downgrade_ns[n_hold] = NO_WORD, -1, -1
            holds.damaged[n_hold] = seen_epoch[t] >= 0 or slot >= 0
            n_hold += 1
        tried[t] = m if kind == _ACQUIRE and not locks.success[i] and not waited else -1
        seen_epoch[t] = gap
        i += 1
    for m in range(n_mms):
        if since[m] < end_ns and head[2 * m] >= 0 and head[2 * m + 1] >= 0:
            segments, n_seg = _emit(segments, n_seg, last_segment, nxt, head, mode, row, m, since[m], end_ns)
    return n_wait, n_hold, n_call, segments[:n_seg], con_wait
