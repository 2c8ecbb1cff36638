"""Merges the CPUs' events in time order and groups them by table, in compiled loops.

The order within a CPU is never changed: the next event is that of the CPU whose next event has the smallest time, on a
tie that of the lower stream. If a CPU's clock runs backwards, the trace is therefore not sorted by time, but complete.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from android_suite.trace.core.compiled import compiled

Array = npt.NDArray[Any]

_NEVER = np.iinfo(np.int64).max  # the time of a stream that has no more events
_FAN = 8


def merge_nodes(streams: int) -> int:
    """Number of nodes that ``merge_streams`` needs: those of a tree whose inner nodes have eight children."""
    leaves, nodes = _FAN, _FAN
    while leaves < streams:
        leaves *= _FAN
        nodes += leaves
    return nodes


@compiled
def merge_streams(
    ts: Array, kind: Array, where: Array, size: Array, head: Array, count: Array, more: Array, key: Array, winner: Array,
    out_stream: Array, out_ts: Array, out_kind: Array, out_where: Array, out_size: Array,
) -> int:  # fmt: skip
    """Merges until a stream with more pages has no loaded events left, or the output is full.

    It is a tournament of eights: each inner node of a tree stores which of the streams below it won, so an event takes one
    round of seven matches per level; up to eight CPUs need one level. A match has no branch that the processor could
    mispredict. (A binary tree took twice the time: it waits for memory at every level.) Positions are unsigned, because
    numba checks each signed one for counting from the end.

    Args:
        ts: int64 (streams, capacity): times of the loaded events.
        kind: int32, like ``ts``.
        where: uint32, like ``ts``.
        size: int32, like ``ts``.
        head: int64 (streams), in and out: next event of each stream.
        count: int64 (streams): loaded events of each.
        more: bool (streams): the stream has pages that are not loaded.
        key: int64 (``merge_nodes``), scratch: the winner's time at each node, leaves first.
        winner: uint64, like ``key``, scratch: the winner at each node.
        out_stream: int32, out: the stream of each event.
        out_ts: int64, out.
        out_kind: int32, out.
        out_where: uint32, out.
        out_size: int32, out.

    Returns:
        The number of merged events.
    """
    streams = ts.shape[0]
    leaves = np.uint64(_FAN)
    while leaves < np.uint64(streams):
        leaves *= np.uint64(_FAN)
    key[:] = _NEVER
    left = 0  # loaded events that remain
    for stream in range(streams):
        if head[stream] < count[stream]:
            key[stream] = ts[stream, head[stream]]
            left += count[stream] - head[stream]
        elif more[stream]:
            return 0
    for leaf in range(leaves):
        winner[leaf] = leaf
    s = np.uint64(0)
    for leaf in range(np.uint64(0), leaves, np.uint64(_FAN)):
        s = _play(key, winner, leaves, leaf)
    limit = min(left, out_stream.size)
    for n in range(limit):
        at = np.uint64(head[s])
        if at >= np.uint64(count[s]):
            # An event may have the time _NEVER, which ties with the streams that have ended.
            s = np.uint64(0)
            while head[s] >= count[s]:
                s += np.uint64(1)
            at = np.uint64(head[s])
        out_stream[n] = s
        out_ts[n] = ts[s, at]
        out_kind[n] = kind[s, at]
        out_where[n] = where[s, at]
        out_size[n] = size[s, at]
        at += np.uint64(1)
        head[s] = at
        mine = _NEVER
        if at < np.uint64(count[s]):
            mine = ts[s, at]
        elif more[s]:
            return n + 1
        key[s] = mine
        s = _play(key, winner, leaves, s)
    return limit


@compiled
def _play(key: Array, winner: Array, leaves: Any, stream: Any) -> Any:
    """Plays the rounds above a stream (uint64, as all positions) whose time has changed; returns the final winner."""
    node, base, width = stream, np.uint64(0), leaves
    while True:
        first = _first_of_eight(key, base + ((node >> np.uint64(3)) << np.uint64(3)))
        best = winner[first]
        if width == np.uint64(_FAN):
            return best
        base += width
        width >>= np.uint64(3)
        node >>= np.uint64(3)
        key[base + node] = key[first]
        winner[base + node] = best


@compiled
def _first_of_eight(key: Array, at: Any) -> Any:
    """Position of the smallest of the eight from ``at`` on; of equals, the first."""
    k0, k1, k2, k3 = key[at], key[at + np.uint64(1)], key[at + np.uint64(2)], key[at + np.uint64(3)]
    k4, k5, k6, k7 = key[at + np.uint64(4)], key[at + np.uint64(5)], key[at + np.uint64(6)], key[at + np.uint64(7)]
    a, a_at = (k1, np.uint64(1)) if k1 < k0 else (k0, np.uint64(0))
    b, b_at = (k3, np.uint64(3)) if k3 < k2 else (k2, np.uint64(2))
    c, c_at = (k5, np.uint64(5)) if k5 < k4 else (k4, np.uint64(4))
    d, d_at = (k7, np.uint64(7)) if k7 < k6 else (k6, np.uint64(6))
    e, e_at = (b, b_at) if b < a else (a, a_at)
    f, f_at = (d, d_at) if d < c else (c, c_at)
    return at + (f_at if f < e else e_at)


@compiled
def group_events(
    kind: Array, where: Array, size: Array, table_of: Array, needed: Array,
    start: Array, order: Array, row: Array, by_kind: Array, rows: Array,
) -> bool:  # fmt: skip
    """Sorts events by kind, stably, and numbers the rows of each table.

    Args:
        kind: int32 (n): small number of the event's kind.
        where: uint32 (n): first word of its record.
        size: int32 (n): size of its record, in bytes.
        table_of: int32 (kinds): the table of each kind.
        needed: int32 (kinds): smallest size of a record of each kind, in bytes.
        start: int64 (kinds + 1), out: where each kind starts in ``order``.
        order: int32 (n), out: event positions, by kind.
        row: int32 (n), out, like ``order``: the event's row in its table.
        by_kind: uint32 (n), out, like ``order``: first word of its record.
        rows: int64 (tables), out: number of rows of each table.

    Returns:
        Whether every record is long enough.
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
