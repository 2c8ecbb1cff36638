"""Thread states over time: running, runnable, asleep; with CPU and priority at that time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from android_suite.analysis.ids import TidIndex, group_order
from android_suite.analysis.jit import I8, I32, I64, Array, Bools, compiled, frozen
from android_suite.analysis.loss import Losses
from android_suite.tables import events
from android_suite.tables.derived import DEAD, DISK, RUNNABLE, RUNNING, SLEEPING, STOPPED, THREAD_STATES
from android_suite.tables.schema import make_frame

_BY_LETTER = {
    "R": RUNNABLE, "R+": RUNNABLE, "S": SLEEPING, "I": SLEEPING, "P": SLEEPING, "D": DISK, "K": DISK, "W": DISK,
    "T": STOPPED, "t": STOPPED, "X": DEAD, "x": DEAD, "Z": DEAD, "N": SLEEPING, "?": SLEEPING,
}  # fmt: skip
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


@compiled
def _scan(
    sw_seq: Array, sw_ts: Array, sw_cpu: Array, prev: Array, prev_prio: Array, prev_state: Array, nxt: Array,
    next_prio: Array, wk_seq: Array, wk_ts: Array, wk_kind: Array, wk_to: Array, wk_prio: Array, wk_cpu: Array,
    pi_seq: Array, pi_ts: Array, pi_of: Array, pi_new: Array, n_tids: int, end_ns: int, o_tidx: Array, o_start: Array,
    o_end: Array, o_state: Array, o_pre: Array, o_cpu: Array, o_prio: Array,
    o_seen: Array,
) -> int:  # fmt: skip
    state, since = np.full(n_tids, -1, np.int8), np.zeros(n_tids, np.int64)
    seen = np.zeros(n_tids, np.int64)  # when the state was last told; a priority alone says nothing of it
    pre = np.zeros(n_tids, np.bool_)
    cpu, prio = np.full(n_tids, -1, np.int32), np.zeros(n_tids, np.int32)
    top = np.iinfo(np.int64).max
    n, i, j, k = 0, 0, 0, 0
    while i < sw_seq.shape[0] or j < wk_seq.shape[0] or k < pi_seq.shape[0]:
        a = sw_seq[i] if i < sw_seq.shape[0] else top
        b = wk_seq[j] if j < wk_seq.shape[0] else top
        c = pi_seq[k] if k < pi_seq.shape[0] else top
        if a < b and a < c:
            ts = sw_ts[i]
            for side in range(2):
                t = prev[i] if side == 0 else nxt[i]
                if t < 0:
                    continue
                # What leaves a CPU ran there, and what enters one did not run: else events are missing in between.
                fits = state[t] == 0 and cpu[t] == sw_cpu[i] if side == 0 else state[t] > 0
                if fits and ts > since[t]:
                    o_tidx[n], o_start[n], o_end[n], o_state[n] = t, since[t], ts, state[t]
                    o_pre[n], o_cpu[n], o_prio[n], o_seen[n] = pre[t], cpu[t], prio[t], seen[t]
                    n += 1
                if side == 0:
                    state[t], pre[t], prio[t] = prev_state[i], prev_state[i] == 1, prev_prio[i]
                else:
                    state[t], pre[t], prio[t] = 0, False, next_prio[i]
                cpu[t], since[t], seen[t] = sw_cpu[i], ts, ts
            i += 1
        elif b < c:
            t, ts = wk_to[j], wk_ts[j]
            if t >= 0 and state[t] != 0 and state[t] != 1:
                if state[t] >= 0 and ts > since[t]:
                    o_tidx[n], o_start[n], o_end[n], o_state[n] = t, since[t], ts, state[t]
                    o_pre[n], o_cpu[n], o_prio[n], o_seen[n] = pre[t], cpu[t], prio[t], seen[t]
                    n += 1
                state[t], pre[t], since[t], seen[t], prio[t] = 1, False, ts, ts, wk_prio[j]
                if wk_cpu[j] >= 0:
                    cpu[t] = wk_cpu[j]
            elif t >= 0 and state[t] == 1 and wk_kind[j] != 0 and not pre[t] and wk_cpu[j] >= 0 and wk_cpu[j] != cpu[t]:
                # sched_wakeup knows the CPU that was chosen; sched_waking only the one before.
                if ts > since[t]:
                    o_tidx[n], o_start[n], o_end[n], o_state[n] = t, since[t], ts, 1
                    o_pre[n], o_cpu[n], o_prio[n], o_seen[n] = False, cpu[t], prio[t], seen[t]
                    n += 1
                cpu[t], since[t], seen[t] = wk_cpu[j], ts, ts
            j += 1
        else:
            t, ts = pi_of[k], pi_ts[k]
            if t >= 0 and state[t] >= 0 and prio[t] != pi_new[k]:
                if ts > since[t]:
                    o_tidx[n], o_start[n], o_end[n], o_state[n] = t, since[t], ts, state[t]
                    o_pre[n], o_cpu[n], o_prio[n], o_seen[n] = pre[t], cpu[t], prio[t], seen[t]
                    n += 1
                prio[t], since[t] = pi_new[k], ts
            k += 1
    for t in range(n_tids):
        if state[t] >= 0 and state[t] != 5 and end_ns > since[t]:
            o_tidx[n], o_start[n], o_end[n], o_state[n] = t, since[t], end_ns, state[t]
            o_pre[n], o_cpu[n], o_prio[n], o_seen[n] = pre[t], cpu[t], prio[t], seen[t]
            n += 1
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
    rows = 2 * len(switches) + len(wakes) + len(pi) + len(index)
    tidx, start, end = np.empty(rows, np.int32), np.empty(rows, np.int64), np.empty(rows, np.int64)
    state, pre = np.empty(rows, np.int8), np.empty(rows, np.bool_)
    cpu, prio, seen = np.empty(rows, np.int32), np.empty(rows, np.int32), np.empty(rows, np.int64)
    letters = np.clip(switches["prev_state"].to_numpy(), 0, len(_STATE_OF) - 1)
    n = _scan(
        _array(switches["seq"]), _array(switches["ts_ns"]), _array(switches["cpu"]), index.number(_array(switches["prev_tid"])),
        _array(switches["prev_prio"]), _STATE_OF[letters], index.number(_array(switches["next_tid"])),
        _array(switches["next_prio"]), _array(wakes["seq"]), _array(wakes["ts_ns"]), _array(wakes["kind"]),
        index.number(_array(wakes["target_tid"])), _array(wakes["target_prio"]), _array(wakes["target_cpu"]),
        _array(pi["seq"]), _array(pi["ts_ns"]), index.number(_array(pi["target_tid"])), _array(pi["new_prio"]),
        len(index), end_ns, tidx, start, end, state, pre, cpu, prio, seen,
    )  # fmt: skip
    parts: list[Array] = [tidx[:n], start[:n], end[:n], state[:n], pre[:n], cpu[:n], prio[:n]]
    if losses and n:
        parts = _clip(parts, seen[:n], losses)
    order, starts = group_order(parts[0], len(index))
    tidx, start, end, state, pre, cpu, prio = (p[order] for p in parts)
    return Timeline(index, starts, index.tids[tidx], start, end, state, pre, cpu, prio)


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
