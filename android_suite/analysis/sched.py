"""Thread states over time: running, runnable, asleep; with CPU and priority at that time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from android_suite.analysis import sched_scan
from android_suite.analysis.ids import TidIndex
from android_suite.analysis.jit import I8, I32, I64, Array, Bools, compiled, frozen
from android_suite.analysis.loss import Losses
from android_suite.tables import events
from android_suite.tables.derived import DEAD, DISK, RUNNABLE, RUNNING, SLEEPING, STOPPED, THREAD_STATES
from android_suite.tables.schema import make_frame

_BY_LETTER = {
    "R": RUNNABLE, "R+": RUNNABLE, "S": SLEEPING, "I": SLEEPING, "P": SLEEPING, "D": DISK, "K": DISK, "W": DISK,
    "T": STOPPED, "t": STOPPED, "X": DEAD, "x": DEAD, "Z": DEAD, "N": SLEEPING, "?": -1,
}  # fmt: skip
# "?": a gap until the thread is seen again.
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
    starts, out = _scan(switches, wakes, pi, index, end_ns, seen=bool(losses))
    if losses and len(out.start):
        tidx = np.repeat(np.arange(len(index), dtype=np.int32), np.diff(starts))
        tidx, *parts = _clip([tidx, *out[:-1]], out.seen, losses)
        starts = np.searchsorted(tidx, np.arange(len(index) + 1))
        return Timeline(index, starts, index.tids[tidx], *parts)
    return Timeline(index, starts, np.repeat(index.tids, np.diff(starts)), *out[:-1])


def _scan(
    switches: pd.DataFrame, wakes: pd.DataFrame, pi: pd.DataFrame, index: TidIndex, end_ns: int, *, seen: bool
) -> tuple[I64, sched_scan.Columns]:
    """Runs the compiled loops; returns where the rows of each thread start, and the rows. Frees the input on return."""
    sw = sched_scan.Switches(
        _array(switches["seq"]), _array(switches["ts_ns"]), _array(switches["cpu"]), index.number(_array(switches["prev_tid"])),
        _array(switches["prev_prio"]), _array(switches["prev_state"]), index.number(_array(switches["next_tid"])),
        _array(switches["next_prio"]), frozen(_STATE_OF),
    )  # fmt: skip
    wk = sched_scan.Wakes(
        _array(wakes["seq"]), _array(wakes["ts_ns"]), _array(wakes["kind"]), index.number(_array(wakes["target_tid"])),
        _array(wakes["target_prio"]), _array(wakes["target_cpu"]),
    )  # fmt: skip
    boosts = sched_scan.Boosts(
        _array(pi["seq"]), _array(pi["ts_ns"]), index.number(_array(pi["target_tid"])), _array(pi["old_prio"]),
        _array(pi["new_prio"]),
    )  # fmt: skip
    room = sched_scan.count_rows(sw, wk, boosts, len(index))
    stop = np.cumsum(room)
    begin, at = stop - room, stop - room
    rows = np.empty(int(room.sum()), sched_scan.ROW)
    sched_scan.scan(sw, wk, boosts, len(index), end_ns, rows, at)
    starts = np.concatenate([[0], np.cumsum(at - begin)])
    n = int(starts[-1])
    out = sched_scan.Columns(
        np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int8), np.empty(n, np.bool_),
        np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n if seen else 0, np.int64),
    )  # fmt: skip
    sched_scan.split_rows(rows, begin, at, out)
    return starts, out


def _clip(parts: list[Array], seen: I64, losses: Losses) -> list[Array]:
    """Ends each row where the trace turns blind for it.

    Which thread runs on a CPU is known while that CPU loses no events; that a thread does not run, only while no CPU
    does. A boost may come from any CPU, so the priority of a thread that runs on is unknown after a gap elsewhere.
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
        int64 nanoseconds of shape (intervals, 6), columns as STATES; the rest of an interval is unknown.
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
