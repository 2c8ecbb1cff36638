"""The compiled loops of analysis.sched: one pass over switches, wake-ups and boosts, in the order of the merged trace.

The state of a thread and the rows written for it are records, not columns. Threads take turns, and for each an event
touches one cache line instead of one per field. The rows become columns at the end.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from android_suite.analysis.jit import I8, I32, I64, Array, Bools, compiled
from android_suite.tables.derived import DEAD, RUNNABLE, RUNNING

_UNSEEN = -1
_RUNNING, _RUNNABLE, _DEAD = RUNNING, RUNNABLE, DEAD  # of this module, so that the cached code is made anew with them

# What is known of a thread now. ``seen``: when its state last showed; ``since``: when its state or priority did.
_NOW = np.dtype(
    [("since", np.int64), ("seen", np.int64), ("cpu", np.int32), ("prio", np.int32), ("state", np.int8),
     ("preempted", np.bool_)], align=True,
)  # fmt: skip
ROW = np.dtype(
    [("start", np.int64), ("end", np.int64), ("seen", np.int64), ("cpu", np.int32), ("prio", np.int32),
     ("state", np.int8), ("preempted", np.bool_)], align=True,
)  # fmt: skip


class Columns(NamedTuple):
    """Rows of thread_states by thread; ``seen`` may have length 0 where it is not wanted."""

    start: I64
    end: I64
    state: I8
    preempted: Bools
    cpu: I32
    prio: I32
    seen: I64


class Switches(NamedTuple):
    """The sched_switch table, threads as dense numbers; ``states``: index into STATES by that into TASK_STATES."""

    seq: I64
    ts: I64
    cpu: I32
    prev: I32
    prev_prio: I32
    prev_state: I8
    next: I32
    next_prio: I32
    states: I8


class Wakes(NamedTuple):
    """The sched_wake table."""

    seq: I64
    ts: I64
    kind: I8
    target: I32
    prio: I32
    cpu: I32


class Boosts(NamedTuple):
    """The pi_setprio table."""

    seq: I64
    ts: I64
    target: I32
    old: I32
    prio: I32


@compiled
def count_rows(sw: Switches, wk: Wakes, pi: Boosts, n_tids: int) -> I64:
    """How many rows each thread can have at the most: an event ends one, and the trace's end one more."""
    room = np.ones(n_tids, np.int64)
    for numbers in (sw.prev, sw.next, wk.target, pi.target):
        for i in range(numbers.shape[0]):
            if numbers[i] >= 0:
                room[numbers[i]] += 1
    return room


@compiled
def _put(rows: Array, at: I64, now: Array, t: int, ts: int) -> None:
    """Ends what thread ``t`` did until now, if it lasted."""
    was = now[t]
    if was.state < 0 or ts <= was.since:
        return
    row = rows[at[t]]
    row.start, row.end, row.seen, row.cpu, row.prio = was.since, ts, was.seen, was.cpu, was.prio
    row.state, row.preempted = was.state, was.preempted
    at[t] += 1


@compiled
def _put_until(rows: Array, at: I64, now: Array, t: int, ts: int, prio: int) -> None:
    """As _put; ``prio`` is that of the end. If no event told of its change, it is not known when in between it changed.

    Only inheritance has events: setpriority and sched_setscheduler change a priority silently.
    """
    if now[t].prio != prio:
        now[t].prio = -1
    _put(rows, at, now, t, ts)


@compiled
def scan(sw: Switches, wk: Wakes, pi: Boosts, n_tids: int, end_ns: int, rows: Array, at: I64) -> None:
    """Fills ``rows``.

    Args:
        sw: the table.
        wk: the table.
        pi: the table.
        n_tids: how many threads there are.
        end_ns: of the trace.
        rows: room of dtype ROW, each thread's in a stretch of its own.
        at: where each thread's next row goes.
    """
    now = np.zeros(n_tids, _NOW)
    for t in range(n_tids):
        now[t].state, now[t].cpu = _UNSEEN, -1
    top, last_state = np.iinfo(np.int64).max, sw.states.shape[0] - 1
    i, j, k = 0, 0, 0
    switch_seq = sw.seq[0] if sw.seq.shape[0] else top
    wake_seq = wk.seq[0] if wk.seq.shape[0] else top
    boost_seq = pi.seq[0] if pi.seq.shape[0] else top
    while switch_seq < top or wake_seq < top or boost_seq < top:
        if switch_seq < wake_seq and switch_seq < boost_seq:
            ts, cpu = sw.ts[i], sw.cpu[i]
            # What leaves a CPU ran there, and what enters one did not run: else events are missing in between.
            t = sw.prev[i]
            if t >= 0:
                to, state = now[t], sw.states[min(max(sw.prev_state[i], 0), last_state)]
                if to.state == _RUNNING and to.cpu == cpu:
                    _put_until(rows, at, now, t, ts, sw.prev_prio[i])
                to.state, to.preempted, to.prio = state, state == _RUNNABLE, sw.prev_prio[i]
                to.cpu, to.since, to.seen = cpu, ts, ts
            t = sw.next[i]
            if t >= 0:
                to = now[t]
                if to.state > _RUNNING:
                    _put_until(rows, at, now, t, ts, sw.next_prio[i])
                to.state, to.preempted, to.prio = _RUNNING, False, sw.next_prio[i]
                to.cpu, to.since, to.seen = cpu, ts, ts
            i += 1
            switch_seq = sw.seq[i] if i < sw.seq.shape[0] else top
        elif wake_seq < boost_seq:
            t, ts, cpu = wk.target[j], wk.ts[j], wk.cpu[j]
            if t >= 0:
                to = now[t]
                if to.state != _RUNNING and to.state != _RUNNABLE:
                    _put_until(rows, at, now, t, ts, wk.prio[j])
                    to.state, to.preempted, to.prio, to.since, to.seen = _RUNNABLE, False, wk.prio[j], ts, ts
                    if cpu >= 0:
                        to.cpu = cpu
                elif to.state == _RUNNABLE and wk.kind[j] != 0 and not to.preempted and cpu >= 0 and cpu != to.cpu:
                    # sched_wakeup knows the CPU that was chosen; sched_waking only the one before.
                    _put(rows, at, now, t, ts)
                    to.cpu, to.since, to.seen = cpu, ts, ts
            j += 1
            wake_seq = wk.seq[j] if j < wk.seq.shape[0] else top
        else:
            t, ts = pi.target[k], pi.ts[k]
            if t >= 0 and now[t].state != _UNSEEN and (now[t].prio != pi.prio[k] or now[t].prio != pi.old[k]):
                _put_until(rows, at, now, t, ts, pi.old[k])
                now[t].prio, now[t].since = pi.prio[k], ts  # a priority alone says nothing of the state
            k += 1
            boost_seq = pi.seq[k] if k < pi.seq.shape[0] else top
    for t in range(n_tids):
        if now[t].state != _DEAD:
            _put(rows, at, now, t, end_ns)


@compiled
def split_rows(rows: Array, begin: I64, stop: I64, out: Columns) -> None:
    """Moves the rows of all threads together, as columns.

    Args:
        rows: of ``scan``.
        begin: where each thread's rows begin.
        stop: where they end.
        out: room for the rows there are.
    """
    n = 0
    for t in range(begin.shape[0]):
        for i in range(begin[t], stop[t]):
            row = rows[i]
            out.start[n], out.end[n], out.state[n] = row.start, row.end, row.state
            out.preempted[n], out.cpu[n], out.prio[n] = row.preempted, row.cpu, row.prio
            if out.seen.shape[0]:
                out.seen[n] = row.seen
            n += 1
