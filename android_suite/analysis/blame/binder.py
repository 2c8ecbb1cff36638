"""Binder calls that wait for an answer, followed into the thread that serves them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from android_suite.analysis.ids import TidIndex
from android_suite.analysis.jit import I8, I32, I64, Bools, compiled, frozen
from android_suite.analysis.loss import Losses
from android_suite.analysis.sched import Timeline
from android_suite.tables.blame import BINDER_CALLS
from android_suite.tables.derived import (
    EXACT,
    LOWER_BOUND,
    SLEEPING,
    UNKNOWN,
)
from android_suite.tables.events import BINDER_KINDS, ONE_WAY
from android_suite.tables.schema import make_frame

_SENT = BINDER_KINDS.index("binder_transaction")
_CLIENT, _START, _END, _SERVER, _RECEIVED, _REPLIED, _FAILED, _EVENT = range(8)  # columns of a call


def measure_binder_calls(
    binder: pd.DataFrame, timeline: Timeline, losses: Losses, start_ns: int, end_ns: int
) -> pd.DataFrame:
    """Joins calls, their receipt, the answers and their receipt.

    A call whose answer does not come although its caller goes on has failed: the process that was called died or is frozen.
    A call that a loss of events touches is not trusted. Both have quality unknown. A call of which only the answer is in the
    trace began before it: it is a lower bound from the trace's start.

    Args:
        binder: frame of BINDER.
        timeline: of all threads.
        losses: where the trace is blind.
        start_ns: the trace's start.
        end_ns: the trace's end.

    Returns:
        A frame of BINDER_CALLS, by start.
    """
    if not len(binder):
        return make_frame(BINDER_CALLS)
    kind, tid, to_tid = (binder[c].to_numpy() for c in ("kind", "tid", "to_tid"))
    one_way = (binder["flags"].to_numpy() & np.uint64(ONE_WAY)) != 0
    index = TidIndex.of([tid, to_tid])
    number, _ = pd.factorize(binder["transaction"])
    found = _join(
        frozen(binder["ts_ns"].to_numpy()), frozen(kind), frozen(index.number(tid)), frozen(index.number(to_tid)),
        frozen(number.astype(np.int64)), frozen(binder["reply"].to_numpy()), frozen(one_way),
        frozen(losses.any_cpu.to_ns), len(index),
    )  # fmt: skip
    given = np.flatnonzero(kind != _SENT)
    _end_abandoned(found, index.number(tid[given]), binder["ts_ns"].to_numpy()[given], timeline, index)
    start, end = found[:, _START], found[:, _END]
    open_end = end < 0
    end = np.where(open_end, end_ns, end)
    unsure = (found[:, _FAILED] > 0) | losses.any_cpu.touch(start, end)
    quality = np.where(unsure, UNKNOWN, np.where(open_end, LOWER_BOUND, EXACT))
    event, server = found[:, _EVENT], found[:, _SERVER]
    calls = make_frame(
        BINDER_CALLS,
        {
            "tid": tid[event], "start_ns": start, "end_ns": end, "transaction": binder["transaction"].to_numpy()[event],
            "to_tgid": binder["to_tgid"].to_numpy()[event],
            "server_tid": np.where(server >= 0, np.append(index.tids, np.int32(-1))[server], -1).astype(np.int32),
            "received_ns": found[:, _RECEIVED], "replied_ns": found[:, _REPLIED], "quality": quality.astype(np.int8),
        },
    )  # fmt: skip
    early = _list_early(binder, calls, losses, start_ns)
    return pd.concat([early, calls], ignore_index=True) if len(early) else calls


def _list_early(binder: pd.DataFrame, calls: pd.DataFrame, losses: Losses, start_ns: int) -> pd.DataFrame:
    """The calls that threads waited in when the trace began, as their answers tell; what called is not known."""
    sent = binder[(binder["kind"] == _SENT) & binder["reply"] & (binder["to_tid"] > 0)]
    given = binder.loc[binder["kind"] != _SENT, ["tid", "ts_ns", "transaction"]]
    answers = sent.merge(
        given, left_on=["to_tid", "transaction"], right_on=["tid", "transaction"], suffixes=("", "_got")
    )
    ended = pd.MultiIndex.from_arrays([calls["tid"], calls["end_ns"]])
    known = pd.MultiIndex.from_arrays([answers["to_tid"], answers["ts_ns_got"]]).isin(ended)
    # A call that was taken for a failed one may be answered after all, and a gap may hide the call itself.
    known |= answers["to_tid"].isin(calls.loc[calls["quality"] == UNKNOWN, "tid"]).to_numpy()
    known |= losses.any_cpu.touch(np.full(len(answers), start_ns), answers["ts_ns_got"].to_numpy())
    answers = answers[~known]
    return make_frame(
        BINDER_CALLS,
        {
            "tid": answers["to_tid"], "start_ns": np.full(len(answers), start_ns), "end_ns": answers["ts_ns_got"],
            "transaction": np.full(len(answers), -1, np.int32), "to_tgid": np.full(len(answers), -1, np.int32),
            "server_tid": answers["tid"], "received_ns": np.full(len(answers), -1, np.int64), "replied_ns": answers["ts_ns"],
            "quality": np.full(len(answers), LOWER_BOUND, np.int8),
        },
    )  # fmt: skip


def _end_abandoned(calls: I64, of: I32, when: I64, timeline: Timeline, index: TidIndex) -> None:
    """Marks calls as failed whose caller woke up, was given nothing by binder, and slept again: it waits for something else.

    Only sleeps in S count, because binder waits in no other way; the call itself may sleep in D before. Sleeps while the
    caller serves a call that came meanwhile are that call's.

    Args:
        calls: of _join, changed in place; without an answer are those at the trace's end and those that failed last.
        of: thread of each receipt, as in ``calls``.
        when: time of each receipt (ns).
        timeline: of all threads.
        index: numbers of the threads in ``calls``.
    """
    for row in np.flatnonzero((calls[:, _END] < 0) & (calls[:, _REPLIED] < 0)).tolist():
        caller, since = calls[row, _CLIENT], calls[row, _START]
        begin, end = _list_sleeps(timeline, index.tids[caller], since)
        served = calls[(calls[:, _SERVER] == caller) & (calls[:, _RECEIVED] >= since)]
        until = np.where(served[:, _REPLIED] >= 0, served[:, _REPLIED], np.iinfo(np.int64).max)
        other = ((begin[:, None] >= served[:, _RECEIVED]) & (begin[:, None] < until)).any(axis=1)
        begin, end = begin[~other], end[~other]
        given = when[of == caller]
        idle = np.flatnonzero(np.searchsorted(given, end[:-1]) == np.searchsorted(given, begin[1:], side="right"))
        if len(idle):
            calls[row, _FAILED], calls[row, _END] = 1, end[idle[0]]


def _list_sleeps(timeline: Timeline, tid: int, since: int) -> tuple[I64, I64]:
    """When a thread fell asleep in S, from a time on, and when it woke."""
    number = int(timeline.index.number(np.array([tid], np.int32))[0])
    own = slice(timeline.starts[number], timeline.starts[number + 1]) if number >= 0 else slice(0, 0)
    asleep = (timeline.state[own] == SLEEPING) & (timeline.start_ns[own] >= since)
    begin, end = timeline.start_ns[own][asleep], timeline.end_ns[own][asleep]
    apart = begin[1:] != end[:-1]  # a change of priority cuts a sleep in two
    return (begin[np.append(True, apart)], end[np.append(apart, True)]) if len(begin) else (begin, end)


@compiled
def _join(
    ts: I64, kind: I8, thread: I32, to: I32, number: I64, reply: Bools, one_way: Bools, gap_to: I64, threads: int
) -> I64:
    """Follows the calls that each thread waits in and serves, one inside the other; a gap ends all knowledge of them."""
    n = ts.shape[0]
    numbers = 0
    for i in range(n):
        numbers = max(numbers, number[i] + 1)
    calls = np.full((n, 8), -1, np.int64)
    count, gap = 0, 0
    of_number, answer_to = np.full(numbers, -1, np.int64), np.full(numbers, -1, np.int64)
    waiting, serving = np.full(threads, -1, np.int64), np.full(threads, -1, np.int64)  # innermost call of each thread
    waits_in, serves_in = np.full(n, -1, np.int64), np.full(n, -1, np.int64)  # the next call further out
    for i in range(n):
        if gap < gap_to.shape[0] and ts[i] >= gap_to[gap]:
            while gap < gap_to.shape[0] and ts[i] >= gap_to[gap]:
                gap += 1
            waiting[:] = -1
            serving[:] = -1
        t = thread[i]
        if kind[i] == _SENT and reply[i]:
            c = serving[t]
            if c >= 0 and calls[c, _CLIENT] == to[i]:
                calls[c, _REPLIED] = ts[i]
                answer_to[number[i]] = c
                serving[t] = serves_in[c]
            else:
                serving[t] = -1
        elif kind[i] == _SENT and not one_way[i]:
            outer = waiting[t]
            # A thread that waits for an answer can only call while it serves a call that came meanwhile.
            while outer >= 0 and not (serving[t] >= 0 and calls[serving[t], _RECEIVED] >= calls[outer, _START]):
                calls[outer, _FAILED], calls[outer, _END] = 1, ts[i]
                outer = waits_in[outer]
            calls[count, _CLIENT], calls[count, _START], calls[count, _EVENT] = t, ts[i], i
            waits_in[count] = outer
            waiting[t] = count
            of_number[number[i]] = count
            count += 1
        elif kind[i] != _SENT:
            c, a = of_number[number[i]], answer_to[number[i]]
            if c >= 0 and calls[c, _SERVER] < 0:
                calls[c, _SERVER], calls[c, _RECEIVED] = t, ts[i]
                serves_in[c] = serving[t]
                serving[t] = c
            elif a >= 0 and calls[a, _CLIENT] == t and calls[a, _END] < 0:
                calls[a, _END] = ts[i]
                waiting[t] = waits_in[a]
    return calls[:count]
