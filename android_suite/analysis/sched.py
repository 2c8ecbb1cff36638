"""Thread states over time: running, runnable, asleep; with CPU and priority at that time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from android_suite.analysis.ids import TidIndex
from android_suite.analysis.jit import I8, I32, I64, Array, Bools, compiled, frozen
from android_suite.analysis.loss import Losses
from android_suite.tables import events
from android_suite.tables.derived import DEAD, DISK, RUNNABLE, RUNNING, SLEEPING, STOPPED, THREAD_STATES
from android_suite.tables.schema import make_frame

_BY_LETTER = {
    "R": RUNNABLE, "R+": RUNNABLE, "S": SLEEPING, "I": SLEEPING, "P": SLEEPING, "D": DISK, "K": DISK, "W": DISK,
    "T": STOPPED, "t": STOPPED, "X": DEAD, "x": DEAD, "Z": DEAD, "N": SLEEPING, "?": SLEEPING,
}  # fmt: skip
_DEAD = DEAD
_STATE_OF = np.array([_BY_LETTER[letter] for letter in events.TASK_STATES], np.int8)


@dataclass(frozen=True, slots=True)
class Timeline:
    """The rows of THREAD_STATES by thread: rows of thread number k are ``starts[k]:starts[k + 1]``, ascending in time."""

    index: TidIndex
    starts: I64
    tid: I32
    start_ns: I64
    end_ns: I64
    state: I8
    preempted: Bools
    cpu: I32
    prio: I32

    def to_frame(self) -> pd.DataFrame:
        """As a frame of THREAD_STATES."""
        return make_frame(THREAD_STATES, {c: getattr(self, c) for c in THREAD_STATES.dtypes})


class Rows(NamedTuple):
    """Columns of thread_states, each thread's rows in a stretch of their own; ``seen``: when the state was last told."""

    start: I64
    end: I64
    state: I8
    preempted: Bools
    cpu: I32
    prio: I32
    seen: I64


class Now(NamedTuple):
    """What is known of each thread at this moment; state -1: nothing."""

    state: I8
    since: I64
    seen: I64
    preempted: Bools
    cpu: I32
    prio: I32


class Switches(NamedTuple):
    """The sched_switch table, threads as dense numbers, states as indexes into STATES."""

    seq: I64
    ts: I64
    cpu: I32
    prev: I32
    prev_prio: I32
    prev_state: I8
    next: I32
    next_prio: I32


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
    prio: I32


@compiled
def _put(rows: Rows, at: I64, now: Now, t: int, ts: int) -> None:
    """Ends what thread ``t`` did until now, if it lasted."""
    if now.state[t] < 0 or ts <= now.since[t]:
        return
    n = at[t]
    rows.start[n], rows.end[n], rows.state[n] = now.since[t], ts, now.state[t]
    rows.preempted[n], rows.cpu[n], rows.prio[n], rows.seen[n] = now.preempted[t], now.cpu[t], now.prio[t], now.seen[t]
    at[t] = n + 1


@compiled
def _scan(sw: Switches, wk: Wakes, pi: Boosts, n_tids: int, end_ns: int, rows: Rows, at: I64) -> None:
    """Fills ``rows``; ``at``: where each thread's next row goes."""
    now = Now(
        np.full(n_tids, -1, np.int8), np.zeros(n_tids, np.int64), np.zeros(n_tids, np.int64), np.zeros(n_tids, np.bool_),
        np.full(n_tids, -1, np.int32), np.zeros(n_tids, np.int32),
    )  # fmt: skip
    top = np.iinfo(np.int64).max
    i, j, k = 0, 0, 0
    while i < sw.seq.shape[0] or j < wk.seq.shape[0] or k < pi.seq.shape[0]:
        a = sw.seq[i] if i < sw.seq.shape[0] else top
        b = wk.seq[j] if j < wk.seq.shape[0] else top
        c = pi.seq[k] if k < pi.seq.shape[0] else top
        if a < b and a < c:
            ts, cpu = sw.ts[i], sw.cpu[i]
            # What leaves a CPU ran there, and what enters one did not run: else events are missing in between.
            t = sw.prev[i]
            if t >= 0:
                if now.state[t] == 0 and now.cpu[t] == cpu:
                    _put(rows, at, now, t, ts)
                now.state[t], now.preempted[t], now.prio[t] = sw.prev_state[i], sw.prev_state[i] == 1, sw.prev_prio[i]
                now.cpu[t], now.since[t], now.seen[t] = cpu, ts, ts
            t = sw.next[i]
            if t >= 0:
                if now.state[t] > 0:
                    _put(rows, at, now, t, ts)
                now.state[t], now.preempted[t], now.prio[t] = 0, False, sw.next_prio[i]
                now.cpu[t], now.since[t], now.seen[t] = cpu, ts, ts
            i += 1
        elif b < c:
            t, ts, cpu = wk.target[j], wk.ts[j], wk.cpu[j]
            if t >= 0 and now.state[t] != 0 and now.state[t] != 1:
                _put(rows, at, now, t, ts)
                now.state[t], now.preempted[t], now.prio[t] = 1, False, wk.prio[j]
                now.since[t], now.seen[t] = ts, ts
                if cpu >= 0:
                    now.cpu[t] = cpu
            elif (
                t >= 0
                and now.state[t] == 1
                and wk.kind[j] != 0
                and not now.preempted[t]
                and cpu >= 0
                and cpu != now.cpu[t]
            ):
                # sched_wakeup knows the CPU that was chosen; sched_waking only the one before.
                _put(rows, at, now, t, ts)
                now.cpu[t], now.since[t], now.seen[t] = cpu, ts, ts
            j += 1
        else:
            t, ts = pi.target[k], pi.ts[k]
            if t >= 0 and now.state[t] >= 0 and now.prio[t] != pi.prio[k]:
                _put(rows, at, now, t, ts)
                now.prio[t], now.since[t] = pi.prio[k], ts  # a priority alone says nothing of the state
            k += 1
    for t in range(n_tids):
        if now.state[t] != _DEAD:
            _put(rows, at, now, t, end_ns)


@compiled
def _close_up(rows: Rows, begin: I64, stop: I64) -> int:
    """Moves the rows of all threads together, in place; returns how many there are."""
    n = 0
    for t in range(begin.shape[0]):
        first = n
        for i in range(begin[t], stop[t]):
            rows.start[n], rows.end[n], rows.state[n], rows.preempted[n] = (
                rows.start[i],
                rows.end[i],
                rows.state[i],
                rows.preempted[i],
            )
            rows.cpu[n], rows.prio[n], rows.seen[n] = rows.cpu[i], rows.prio[i], rows.seen[i]
            n += 1
        begin[t] = first
    return n


def measure_thread_states(
    switches: pd.DataFrame, wakes: pd.DataFrame, pi: pd.DataFrame, losses: Losses, end_ns: int
) -> Timeline:
    """Makes the timeline of every thread but the idle ones.

    Args:
        switches: frame of SCHED_SWITCH.
        wakes: frame of SCHED_WAKE.
        pi: frame of PI_SETPRIO.
        losses: where the trace is blind; states are unknown there until the thread is seen again.
        end_ns: the trace's end.
    """
    columns = [switches["prev_tid"], switches["next_tid"], wakes["target_tid"], pi["target_tid"]]
    every = TidIndex.of([c.to_numpy() for c in columns])
    index = TidIndex.of([every.tids[every.tids != 0]])
    letters = np.clip(switches["prev_state"].to_numpy(), 0, len(_STATE_OF) - 1)
    sw = Switches(
        _array(switches["seq"]), _array(switches["ts_ns"]), _array(switches["cpu"]), index.number(_array(switches["prev_tid"])),
        _array(switches["prev_prio"]), _STATE_OF[letters], index.number(_array(switches["next_tid"])),
        _array(switches["next_prio"]),
    )  # fmt: skip
    wk = Wakes(
        _array(wakes["seq"]), _array(wakes["ts_ns"]), _array(wakes["kind"]), index.number(_array(wakes["target_tid"])),
        _array(wakes["target_prio"]), _array(wakes["target_cpu"]),
    )  # fmt: skip
    boosts = Boosts(
        _array(pi["seq"]), _array(pi["ts_ns"]), index.number(_array(pi["target_tid"])), _array(pi["new_prio"])
    )
    # An event ends one row of a thread at the most, and the trace's end one more.
    room = np.ones(len(index), np.int64)
    for numbers in (sw.prev, sw.next, wk.target, boosts.target):
        room += np.bincount(numbers[numbers >= 0], minlength=len(index))
    stop = np.cumsum(room)
    begin, at, total = stop - room, stop - room, int(room.sum())
    rows = Rows(
        np.empty(total, np.int64), np.empty(total, np.int64), np.empty(total, np.int8), np.empty(total, np.bool_),
        np.empty(total, np.int32), np.empty(total, np.int32), np.empty(total, np.int64),
    )  # fmt: skip
    _scan(sw, wk, boosts, len(index), end_ns, rows, at)
    n = _close_up(rows, begin, at)
    starts = np.append(begin, n)
    tidx = np.repeat(np.arange(len(index), dtype=np.int32), np.diff(starts))
    parts: list[Array] = [tidx, *(column[:n] for column in rows)]
    if losses and n:
        parts = _clip(parts[:-1], rows.seen[:n], losses)
        starts = np.searchsorted(parts[0], np.arange(len(index) + 1))
    tidx, start, end, state, preempted, cpu, prio = parts[:7]
    return Timeline(index, starts, index.tids[tidx], start, end, state, preempted, cpu, prio)


def _clip(parts: list[Array], seen: I64, losses: Losses) -> list[Array]:
    """Ends each row where the trace turns blind for it.

    Who runs on a CPU is known as long as that CPU loses nothing; that a thread does not run, only while none does.
    A boost may come from any CPU, so the priority of a thread that runs on is unknown after a gap elsewhere.
    """
    tidx, start, end, state, pre, cpu, prio = parts
    until = np.array(end)
    known = np.array(end)  # until then the priority holds
    at = losses.any_cpu.first_touching(seen, end)
    known[at >= 0] = np.maximum(start, losses.any_cpu.from_ns[at])[at >= 0]
    until[state != RUNNING] = known[state != RUNNING]
    for number in np.unique(cpu):
        windows, here = losses.on(int(number)), (cpu == number) & (state == RUNNING)
        if len(windows) and here.any():
            at = windows.first_touching(seen[here], end[here])
            until[here] = np.where(at >= 0, np.maximum(start[here], windows.from_ns[at]), end[here])
    known = np.minimum(known, until)
    first = [tidx, start, known, state, pre, cpu, prio]
    second = [tidx, known, until, state, pre, cpu, np.full_like(prio, -1)]
    both = [np.concatenate([a[known > start], b[until > known]]) for a, b in zip(first, second, strict=True)]
    order = np.lexsort((both[1], both[0]))
    return [b[order] for b in both]


def _array(column: pd.Series) -> Array:
    return frozen(column.to_numpy())


@compiled
def _sum_states(
    starts: I64, row_start: I64, row_end: I64, row_state: I8, tidx: I32, t0: I64, t1: I64, out: I64
) -> None:
    for q in range(tidx.shape[0]):
        if tidx[q] < 0:
            continue
        low, stop = starts[tidx[q]], starts[tidx[q] + 1]
        high = stop
        while low < high:  # first row that ends after t0
            middle = (low + high) // 2
            if row_end[middle] <= t0[q]:
                low = middle + 1
            else:
                high = middle
        while low < stop and row_start[low] < t1[q]:
            out[q, row_state[low]] += min(row_end[low], t1[q]) - max(row_start[low], t0[q])
            low += 1


def states_in(timeline: Timeline, tids: I32, start_ns: I64, end_ns: I64) -> I64:
    """Time that threads spent in each state within intervals.

    Args:
        timeline: of the whole trace.
        tids: thread of each interval.
        start_ns: start of each interval.
        end_ns: end of each interval.

    Returns:
        int64 nanoseconds of shape (intervals, 6), columns as STATES; what is missing to the length is unknown.
    """
    out = np.zeros((len(tids), 6), np.int64)
    tidx = timeline.index.number(tids)
    begin, end = (frozen(np.asarray(a, np.int64)) for a in (start_ns, end_ns))
    _sum_states(timeline.starts, timeline.start_ns, timeline.end_ns, timeline.state, tidx, begin, end, out)
    return out


def ran_through(timeline: Timeline, tids: I32, start_ns: I64, end_ns: I64) -> Bools:
    """Whether each thread provably ran, on CPUs that lost nothing, during its whole interval."""
    ran = states_in(timeline, tids, start_ns, end_ns)[:, RUNNING] == np.asarray(end_ns) - np.asarray(start_ns)
    at = np.maximum(start_ns + 0, 0)
    inside = states_in(timeline, tids, at, at + 1)[:, RUNNING] == 1
    return np.asarray(ran & inside, np.bool_)
