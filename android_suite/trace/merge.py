"""Merges the CPUs' events in time order and groups them by table, in compiled loops.

Order within a CPU is never changed: the next event is that of the CPU whose head has the smallest time, the lower stream
on a tie. A clock that runs backwards on one CPU therefore gives a trace that is odd but whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from android_suite.trace.jit import compiled

Array = npt.NDArray[Any]

_NEVER = np.iinfo(np.int64).max  # the time of a stream that has no more events


@compiled
def merge_streams(
    ts: Array, kind: Array, where: Array, size: Array, head: Array, count: Array, more: Array, key: Array, winner: Array,
    out_stream: Array, out_ts: Array, out_kind: Array, out_where: Array, out_size: Array,
) -> int:  # fmt: skip
    """Merges until a stream that has more to come runs dry, or the output is full.

    A tournament: each inner node of a binary tree remembers which stream won below it, so an event costs one match on
    each level, and no match is a jump that the processor could guess wrong.

    Args:
        ts: int64 (streams, capacity): times of the events that are loaded.
        kind: int32, like ``ts``.
        where: uint32, like ``ts``.
        size: int32, like ``ts``.
        head: int64 (streams), in and out: next event of each stream.
        count: int64 (streams): events loaded.
        more: bool (streams): the stream has pages that are not loaded.
        key: int64 (twice a power of two that is at least the streams), scratch: the winner's time at each node.
        winner: int64, like ``key``, scratch: the winner at each node.
        out_stream: int32, out: the stream of each event.
        out_ts: int64, out.
        out_kind: int32, out.
        out_where: uint32, out.
        out_size: int32, out.

    Returns:
        Events merged.
    """
    streams, leaves = ts.shape[0], key.size // 2
    left = 0  # events that are loaded
    for leaf in range(leaves):
        key[leaves + leaf], winner[leaves + leaf] = _NEVER, leaf
        if leaf < streams:
            if head[leaf] < count[leaf]:
                key[leaves + leaf] = ts[leaf, head[leaf]]
                left += count[leaf] - head[leaf]
            elif more[leaf]:
                return 0
    for node in range(leaves - 1, 0, -1):
        best = 2 * node if key[2 * node] <= key[2 * node + 1] else 2 * node + 1
        key[node], winner[node] = key[best], winner[best]
    limit = min(left, out_stream.size)
    for n in range(limit):
        s = winner[1]
        if s >= streams or head[s] >= count[s]:
            # A time of _NEVER is allowed, and ties with the streams that have ended.
            s = 0
            while head[s] >= count[s]:
                s += 1
        at = head[s]
        out_stream[n] = s
        out_ts[n] = ts[s, at]
        out_kind[n] = kind[s, at]
        out_where[n] = where[s, at]
        out_size[n] = size[s, at]
        at += 1
        head[s] = at
        mine = _NEVER
        if at < count[s]:
            mine = ts[s, at]
        elif more[s]:
            return n + 1
        node = leaves + s
        key[node] = mine
        best = s
        while node > 1:
            other = key[node ^ 1]
            # On a tie the left one, which is the lower stream.
            wins = mine < other or (mine == other and node & 1 == 0)
            mine = mine if wins else other
            best = best if wins else winner[node ^ 1]
            node >>= 1
            key[node] = mine
            winner[node] = best
    return limit


@compiled
def group_events(
    kind: Array, where: Array, size: Array, table_of: Array, needed: Array,
    start: Array, order: Array, row: Array, by_kind: Array, rows: Array,
) -> bool:  # fmt: skip
    """Sorts events by kind, stable, and numbers the rows of each table.

    Args:
        kind: int32 (n): small number of the event's kind.
        where: uint32 (n): word of its record.
        size: int32 (n): bytes of its record.
        table_of: int32 (kinds): the table each kind belongs to.
        needed: int32 (kinds): bytes that a record of each kind has to have.
        start: int64 (kinds + 1), out: where each kind starts in ``order``.
        order: int32 (n), out: event positions, by kind.
        row: int32 (n), out, beside ``order``: the event's row in its table.
        by_kind: uint32 (n), out, beside ``order``: the word of its record.
        rows: int64 (tables), out: rows of each table.

    Returns:
        Whether every record is as long as it has to be.
    """
    start[:] = 0
    rows[:] = 0
    kinds = table_of.size
    for i in range(kind.size):
        start[kind[i] + 1] += 1
    for k in range(kinds):
        start[k + 1] += start[k]
    cursor = start[:kinds].copy()
    whole = True
    for i in range(kind.size):
        k = kind[i]
        t = table_of[k]
        at = cursor[k]
        order[at] = i
        row[at] = rows[t]
        by_kind[at] = where[i]
        whole &= size[i] >= needed[k]
        cursor[k] = at + 1
        rows[t] += 1
    return whole
