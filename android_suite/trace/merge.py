"""Merges the CPUs' events in time order and groups them by table, in compiled loops.

Order within a CPU is never changed: the next event is that of the CPU whose head has the smallest time, the lower stream
on a tie. A clock that runs backwards on one CPU therefore gives a trace that is odd but whole.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from android_suite.trace.jit import compiled

Array = npt.NDArray[Any]


@compiled
def merge_streams(
    ts: Array, head: Array, count: Array, more: Array, heap: Array, out_stream: Array, out_index: Array
) -> int:
    """Merges until a stream that has more to come runs dry.

    Args:
        ts: int64 (streams, capacity): times of the events that are loaded.
        head: int64 (streams), in and out: next event of each stream.
        count: int64 (streams): events loaded.
        more: bool (streams): the stream has pages that are not loaded.
        heap: int64 (streams), scratch.
        out_stream: int32, out: the stream that comes next.
        out_index: int32, out: which of its events.

    Returns:
        Events merged.
    """
    live = 0
    for s in range(ts.shape[0]):
        if head[s] < count[s]:
            heap[live] = s
            live += 1
        elif more[s]:
            return 0
    for start in range(live // 2 - 1, -1, -1):
        _sift(ts, head, heap, live, start)
    n = 0
    limit = out_stream.size
    while live > 0 and n < limit:
        s = heap[0]
        out_stream[n] = s
        out_index[n] = head[s]
        n += 1
        head[s] += 1
        if head[s] >= count[s]:
            if more[s]:
                break
            live -= 1
            heap[0] = heap[live]
        if live > 1:
            _sift(ts, head, heap, live, 0)
    return n


@compiled
def _sift(ts: Array, head: Array, heap: Array, live: int, start: int) -> None:
    at = start
    moving = heap[at]
    moving_ts = ts[moving, head[moving]]
    while True:
        child = 2 * at + 1
        if child >= live:
            break
        c = heap[child]
        c_ts = ts[c, head[c]]
        if child + 1 < live:
            d = heap[child + 1]
            d_ts = ts[d, head[d]]
            if d_ts < c_ts or (d_ts == c_ts and d < c):
                child, c, c_ts = child + 1, d, d_ts
        if c_ts < moving_ts or (c_ts == moving_ts and c < moving):
            heap[at] = c
            at = child
        else:
            break
    heap[at] = moving


@compiled
def take_merged(
    n: int, stream: Array, index: Array, ts: Array, kind: Array, where: Array, size: Array, dense: Array, cpus: Array,
    out_ts: Array, out_cpu: Array, out_kind: Array, out_where: Array, out_size: Array,
) -> None:  # fmt: skip
    """Copies the columns of ``n`` merged events into merged order; ``dense`` maps an event id to a small number."""
    for i in range(n):
        s = stream[i]
        j = index[i]
        out_ts[i] = ts[s, j]
        out_cpu[i] = cpus[s]
        out_kind[i] = dense[kind[s, j]]
        out_where[i] = where[s, j]
        out_size[i] = size[s, j]


@compiled
def group_events(
    kind: Array, table_of: Array, kinds: int, tables: int, start: Array, order: Array, row: Array, rows: Array
) -> None:
    """Sorts events by kind, stable, and numbers the rows of each table.

    Args:
        kind: int32 (n): small number of the event's kind.
        table_of: int32 (kinds): the table each kind belongs to.
        kinds: how many kinds.
        tables: how many tables.
        start: int64 (kinds + 1), out: where each kind starts in ``order``.
        order: int64 (n), out: event positions, by kind.
        row: int64 (n), out, beside ``order``: the event's row in its table.
        rows: int64 (tables), out: rows of each table.
    """
    start[:] = 0
    rows[:] = 0
    for i in range(kind.size):
        start[kind[i] + 1] += 1
    for k in range(kinds):
        start[k + 1] += start[k]
    cursor = start[:kinds].copy()
    for i in range(kind.size):
        k = kind[i]
        t = table_of[k]
        order[cursor[k]] = i
        row[cursor[k]] = rows[t]
        cursor[k] += 1
        rows[t] += 1
