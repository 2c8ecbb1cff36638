"""Binder calls that wait for an answer, followed into the thread that serves them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from android_suite.analysis.ids import TidIndex
from android_suite.analysis.jit import I8, I32, I64, Bools, compiled, frozen
from android_suite.analysis.loss import Losses
from android_suite.tables.blame import BINDER_CALLS
from android_suite.tables.derived import (
    EXACT,
    LOWER_BOUND,
    UNKNOWN,
)
from android_suite.tables.events import BINDER_KINDS, ONE_WAY
from android_suite.tables.schema import make_frame

_SENT = BINDER_KINDS.index("binder_transaction")
_CLIENT, _START, _END, _SERVER, _RECEIVED, _REPLIED, _FAILED, _EVENT = range(8)  # columns of a call


def measure_binder_calls(binder: pd.DataFrame, losses: Losses, end_ns: int) -> pd.DataFrame:
    """Joins calls, their receipt, the answers and their receipt.

    A call whose answer does not come although its caller goes on to the next one has failed; a call that a loss of events
    touches is not trusted. Both have quality unknown.

    Args:
        binder: frame of BINDER.
        losses: where the trace is blind.
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
    start, end = found[:, _START], found[:, _END]
    open_end = end < 0
    end = np.where(open_end, end_ns, end)
    unsure = (found[:, _FAILED] > 0) | losses.any_cpu.touch(start, end)
    quality = np.where(unsure, UNKNOWN, np.where(open_end, LOWER_BOUND, EXACT))
    event, server = found[:, _EVENT], found[:, _SERVER]
    return make_frame(
        BINDER_CALLS,
        {
            "tid": tid[event], "start_ns": start, "end_ns": end, "transaction": binder["transaction"].to_numpy()[event],
            "to_tgid": binder["to_tgid"].to_numpy()[event],
            "server_tid": np.where(server >= 0, np.append(index.tids, np.int32(-1))[server], -1).astype(np.int32),
            "received_ns": found[:, _RECEIVED], "replied_ns": found[:, _REPLIED], "quality": quality.astype(np.int8),
        },
    )  # fmt: skip


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
