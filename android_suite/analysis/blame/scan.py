"""The compiled loops of analysis.blame: sleeps inside intervals, one edge for each instant, chains of edges, states at the end.

An edge says that a thread stands behind another one for a while. Threads are numbers of the timeline, -1 for one that is
not known.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from android_suite.analysis.jit import I8, I32, I64, compiled
from android_suite.tables.derived import DISK, RUNNABLE, RUNNING, SLEEPING

DEEPEST = 8  # edges of a chain; what stands behind the last of them is not followed
MASKED = -2  # holder of an edge that hides others: the thread does not wait for anybody then
_RUNNING, _RUNNABLE, _SLEEPING, _DISK = RUNNING, RUNNABLE, SLEEPING, DISK
_NEVER = np.iinfo(np.int64).max


class Rows(NamedTuple):
    """The timeline: rows of thread k are ``starts[k]:starts[k + 1]``; priority -1 unknown."""

    starts: I64
    start: I64
    end: I64
    state: I8
    prio: I32


@compiled
def _first_after(ends: I64, low: int, stop: int, ts: int) -> int:
    """First entry of low:stop that ends after ``ts``."""
    high = stop
    while low < high:
        middle = (low + high) // 2
        if ends[middle] <= ts:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _grow(table: I64, count: int) -> I64:
    if count < table.shape[0]:
        return table
    grown = np.empty((2 * table.shape[0], table.shape[1]), table.dtype)
    grown[:count] = table[:count]
    return grown


@compiled
def sleeping_parts(rows: Rows, thread: I32, begin: I64, end: I64) -> I64:
    """The sleeps (S and D) of threads inside intervals.

    Args:
        rows: the timeline.
        thread: of each interval.
        begin: of each interval.
        end: of each interval.

    Returns:
        Rows of interval, start and end; by interval and time. Stretches that meet are joined.
    """
    out, n = np.empty((64, 3), np.int64), 0
    for q in range(thread.shape[0]):
        if thread[q] < 0:
            continue
        stop = rows.starts[thread[q] + 1]
        at = _first_after(rows.end, rows.starts[thread[q]], stop, begin[q])
        while at < stop and rows.start[at] < end[q]:
            if rows.state[at] == _SLEEPING or rows.state[at] == _DISK:
                low, high = max(rows.start[at], begin[q]), min(rows.end[at], end[q])
                if n and out[n - 1, 0] == q and out[n - 1, 2] == low:
                    out[n - 1, 2] = high
                elif low < high:
                    out = _grow(out, n)
                    out[n, 0], out[n, 1], out[n, 2] = q, low, high
                    n += 1
            at += 1
    return out[:n]


@compiled
def choose_edges(thread: I32, start: I64, end: I64, rank: I64, key: I64, holder: I32) -> I64:
    """One edge for each instant of a thread: the lowest rank, then the largest key; masked time is left out.

    Args:
        thread: of each edge, ascending; then by start.
        start: of each edge.
        end: of each edge.
        rank: of each edge.
        key: of each edge.
        holder: of each edge.

    Returns:
        Rows of edge, start and end; disjoint within a thread, by thread and time.
    """
    out, n = np.empty((64, 3), np.int64), 0
    active, first = np.empty(thread.shape[0] + 1, np.int64), 0
    while first < thread.shape[0]:
        stop = first
        while stop < thread.shape[0] and thread[stop] == thread[first]:
            stop += 1
        count, following, now = 0, first, start[first]
        while following < stop or count > 0:
            if count == 0:
                now = start[following]
            while following < stop and start[following] <= now:
                active[count] = following
                count += 1
                following += 1
            kept = 0
            for i in range(count):
                if end[active[i]] > now:
                    active[kept] = active[i]
                    kept += 1
            count = kept
            if count == 0:
                continue
            best = active[0]
            for i in range(1, count):
                each = active[i]
                if rank[each] < rank[best] or (rank[each] == rank[best] and key[each] > key[best]):
                    best = each
            until = min(end[best], start[following] if following < stop else _NEVER)
            if holder[best] != MASKED:
                if n and out[n - 1, 0] == best and out[n - 1, 2] == now:
                    out[n - 1, 2] = until
                else:
                    out = _grow(out, n)
                    out[n, 0], out[n, 1], out[n, 2] = best, now, until
                    n += 1
            now = until
        first = stop
    return out[:n]


@compiled
def follow(starts: I64, thread: I32, begin: I64, end: I64, holder: I32, roots: I64) -> tuple[I64, I64]:
    """Follows edges from thread to thread, and cuts the time of each root where its chain changes.

    Args:
        starts: edges of thread k are ``starts[k]:starts[k + 1]``, disjoint, by time.
        thread: of each edge.
        begin: of each edge.
        end: of each edge.
        holder: of each edge; -1 unknown.
        roots: edges to begin with.

    Returns:
        Rows of root, start, end, number of edges, and 1 where the chain is not followed further (its last thread waits, too,
        but it is too long, or it comes back to one of its threads); and the edges of each, -1 beyond the last. In no order.
    """
    out, path, n = np.empty((64, 5), np.int64), np.empty((64, DEEPEST), np.int64), 0
    todo, way, left = np.empty((64, 4), np.int64), np.empty((64, DEEPEST), np.int64), 0
    for q in range(roots.shape[0]):
        todo[0, 0], todo[0, 1], todo[0, 2], todo[0, 3] = q, begin[roots[q]], end[roots[q]], 1
        way[0, 0] = roots[q]
        left = 1
        while left:
            left -= 1
            since, until, depth = todo[left, 1], todo[left, 2], todo[left, 3]
            here = way[left].copy()
            last = holder[here[depth - 1]]
            circle = last == thread[roots[q]]
            for i in range(depth - 1):
                circle = circle or holder[here[i]] == last
            at, stop, open_row = 0, 0, -1
            if last >= 0 and not circle:
                stop = starts[last + 1]
                at = _first_after(end, starts[last], stop, since)
            while since < until:
                inside = at < stop and begin[at] < until
                border = max(begin[at], since) if inside else until
                if since < border:
                    out, path = _grow(out, n), _grow(path, n)
                    out[n, 0], out[n, 1], out[n, 2], out[n, 3] = q, since, border, depth
                    out[n, 4] = 1 if circle and last >= 0 else 0
                    path[n, :] = -1
                    path[n, :depth] = here[:depth]
                    n += 1
                if inside and depth == DEEPEST:
                    # The last one waits, too; whatever it waits for, it is the same chain.
                    if open_row < 0 or out[open_row, 2] != border:
                        out, path = _grow(out, n), _grow(path, n)
                        out[n, 0], out[n, 1], out[n, 3], out[n, 4] = q, border, depth, 1
                        path[n, :] = here
                        open_row = n
                        n += 1
                    border = min(end[at], until)
                    out[open_row, 2] = border
                    at += 1
                elif inside:
                    todo, way = _grow(todo, left), _grow(way, left)
                    todo[left, 0], todo[left, 1], todo[left, 2] = q, border, min(end[at], until)
                    todo[left, 3] = depth + 1
                    way[left, :depth] = here[:depth]
                    way[left, depth] = at
                    left += 1
                    border = min(end[at], until)
                    at += 1
                since = border
    return out[:n], path[:n]


@compiled
def spend(rows: Rows, waiter: I32, last: I32, begin: I64, end: I64) -> I64:
    """What the thread at the end of each chain did, and for how long it was the weaker one.

    Returns:
        Rows of running, runnable, blocked (ns; the rest of the time is unknown), inverted (ns), and the time for which both
        priorities are known.
    """
    out = np.zeros((begin.shape[0], 5), np.int64)
    for q in range(begin.shape[0]):
        if last[q] < 0:
            continue
        stop = rows.starts[last[q] + 1]
        at = _first_after(rows.end, rows.starts[last[q]], stop, begin[q])
        w_stop = rows.starts[waiter[q] + 1] if waiter[q] >= 0 else 0
        w = _first_after(rows.end, rows.starts[waiter[q]], w_stop, begin[q]) if waiter[q] >= 0 else 0
        while at < stop and rows.start[at] < end[q]:
            low, high = max(rows.start[at], begin[q]), min(rows.end[at], end[q])
            state = rows.state[at]
            out[q, 0 if state == _RUNNING else 1 if state == _RUNNABLE else 2] += high - low
            while w < w_stop and rows.end[w] <= low:
                w += 1
            each = w
            while each < w_stop and rows.start[each] < high:
                both = min(rows.end[each], high) - max(rows.start[each], low)
                if rows.prio[at] >= 0 and rows.prio[each] >= 0:
                    out[q, 4] += both
                    if rows.prio[at] > rows.prio[each]:
                        out[q, 3] += both
                each += 1
            at += 1
    return out


@compiled
def prio_at(rows: Rows, thread: I32, when: I64) -> I32:
    """The priority of each thread at a time; -1 unknown."""
    out = np.full(when.shape[0], -1, np.int32)
    for q in range(when.shape[0]):
        if thread[q] < 0:
            continue
        stop = rows.starts[thread[q] + 1]
        at = _first_after(rows.end, rows.starts[thread[q]], stop, when[q])
        if at < stop and rows.start[at] <= when[q]:
            out[q] = rows.prio[at]
    return out
