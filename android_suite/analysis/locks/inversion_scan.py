"""The compiled loops of analysis.locks.inversion: priorities and states in segments, whom to blame, who ran instead."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from android_suite.analysis.jit import I64, Array, compiled

# Columns of a piece: segment, start, end, state and CPU of the holder, priorities, weaker holders at once.
SEGMENT, START, END, STATE, CPU, WAITER_PRIO, HOLDER_PRIO, COUNT = range(8)


@compiled
def _first_after(row_end: I64, low: int, stop: int, ts: int) -> int:
    """First row of low:stop that ends after ``ts``."""
    high = stop
    while low < high:
        middle = (low + high) // 2
        if row_end[middle] <= ts:
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


class States(NamedTuple):
    """The timeline: rows of thread k are ``starts[k]:starts[k + 1]``; priority -1 unknown."""

    starts: I64
    start: I64
    end: I64
    state: Array
    cpu: Array
    prio: Array


class Segments(NamedTuple):
    """Stretches of a wait behind a hold; threads as numbers of the timeline, -1 for one that it does not have."""

    start: I64
    end: I64
    waiter: Array
    holder: Array


@compiled
def cut_by_priority(rows: States, segments: Segments) -> tuple[I64, I64]:
    """Splits segments where a state or a priority changes, and keeps the parts in which the holder is weaker.

    Args:
        rows: what threads did.
        segments: to be split.

    Returns:
        Pieces of shape (n, 8), ordered by segment and time, and per segment the time for which states or priorities
        are unknown.
    """
    starts, waiter, holder, seg_start, seg_end = (
        rows.starts, segments.waiter, segments.holder, segments.start, segments.end
    )  # fmt: skip
    pieces, count = np.empty((256, 8), np.int64), 0
    blind = np.zeros(seg_start.shape[0], np.int64)
    for s in range(seg_start.shape[0]):
        known = 0
        if waiter[s] >= 0 and holder[s] >= 0:
            w_stop, h_stop = starts[waiter[s] + 1], starts[holder[s] + 1]
            w = _first_after(rows.end, starts[waiter[s]], w_stop, seg_start[s])
            h = _first_after(rows.end, starts[holder[s]], h_stop, seg_start[s])
            while w < w_stop and h < h_stop and rows.start[w] < seg_end[s] and rows.start[h] < seg_end[s]:
                begin = max(seg_start[s], rows.start[w], rows.start[h])
                end = min(seg_end[s], rows.end[w], rows.end[h])
                if begin < end and rows.prio[w] >= 0 and rows.prio[h] >= 0:
                    known += end - begin
                    if rows.prio[h] > rows.prio[w]:
                        pieces = _grow(pieces, count)
                        pieces[count, SEGMENT], pieces[count, START], pieces[count, END] = s, begin, end
                        pieces[count, STATE], pieces[count, CPU] = rows.state[h], rows.cpu[h]
                        pieces[count, WAITER_PRIO], pieces[count, HOLDER_PRIO] = rows.prio[w], rows.prio[h]
                        pieces[count, COUNT] = 1
                        count += 1
                if rows.end[w] < rows.end[h]:
                    w += 1
                else:
                    h += 1
        blind[s] = seg_end[s] - seg_start[s] - known
    return pieces[:count], blind


@compiled
def choose_blamed(pieces: I64, wait: I64, hold: I64, hold_end: I64, hold_tid: Array) -> tuple[I64, I64]:
    """Leaves one piece for each instant of a wait: that of the weaker holder who releases last.

    Args:
        pieces: of cut_by_priority, ordered by wait and start.
        wait: wait row of each piece.
        hold: hold row of each piece.
        hold_end: per hold row.
        hold_tid: per hold row.

    Returns:
        Pieces as before, disjoint within a wait, with COUNT filled; and for each the row of ``pieces`` it is from.
    """
    out, origin, count = np.empty((pieces.shape[0] + 16, 8), np.int64), np.empty((pieces.shape[0] + 16, 1), np.int64), 0
    active = np.empty(pieces.shape[0], np.int64)
    first = 0
    while first < pieces.shape[0]:
        stop = first
        while stop < pieces.shape[0] and wait[stop] == wait[first]:
            stop += 1
        n_active, nxt, now = 0, first, pieces[first, START]
        while nxt < stop or n_active > 0:
            if n_active == 0:
                now = pieces[nxt, START]
            while nxt < stop and pieces[nxt, START] <= now:
                active[n_active] = nxt
                n_active += 1
                nxt += 1
            until = pieces[nxt, START] if nxt < stop else np.iinfo(np.int64).max
            best = active[0]
            for a in range(n_active):
                p = active[a]
                until = min(until, pieces[p, END])
                later = hold_end[hold[p]] - hold_end[hold[best]]
                if later == 0:
                    later = pieces[p, HOLDER_PRIO] - pieces[best, HOLDER_PRIO]
                if later > 0 or (later == 0 and hold_tid[hold[p]] < hold_tid[hold[best]]):
                    best = p
            out, origin = _grow(out, count), _grow(origin, count)
            out[count] = pieces[best]
            out[count, START], out[count, END], out[count, COUNT] = now, until, n_active
            origin[count, 0] = best
            count += 1
            now, kept = until, 0
            for a in range(n_active):
                if pieces[active[a], END] > now:
                    active[kept] = active[a]
                    kept += 1
            n_active = kept
        first = stop
    return out[:count], origin[:count, 0]


class Runs(NamedTuple):
    """Which thread got each CPU when: sched_switch, whose rows of CPU number c are ``order[starts[c]:starts[c + 1]]``."""

    order: I64
    starts: I64
    ts: I64
    prev: Array
    next: Array
    trace_start: int
    trace_end: int


class Intervals(NamedTuple):
    """Times on a CPU (a dense number, -1 unknown), and two threads that do not count there."""

    begin: I64
    end: I64
    cpu: I64
    waiter: Array
    holder: Array


@compiled
def find_intruders(runs: Runs, intervals: Intervals) -> I64:
    """Who ran on a CPU during intervals.

    Args:
        runs: of all CPUs.
        intervals: to look at.

    Returns:
        Rows (interval, tid, ran_ns), one for each time a thread was on the CPU.
    """
    order, ts, begin, end, cpu = runs.order, runs.ts, intervals.begin, intervals.end, intervals.cpu
    out, count = np.empty((64, 3), np.int64), 0
    for q in range(begin.shape[0]):
        if cpu[q] < 0:
            continue
        low, stop = runs.starts[cpu[q]], runs.starts[cpu[q] + 1]
        first, high = low, stop
        while low < high:  # first switch after the interval began
            middle = (low + high) // 2
            if ts[order[middle]] <= begin[q]:
                low = middle + 1
            else:
                high = middle
        at = low - 1
        while at < stop:
            on = ts[order[at]] if at >= first else runs.trace_start
            if on >= end[q]:
                break
            off = ts[order[at + 1]] if at + 1 < stop else runs.trace_end
            tid = runs.next[order[at]] if at >= first else (runs.prev[order[first]] if first < stop else 0)
            ran = min(off, end[q]) - max(on, begin[q])
            if ran > 0 and tid > 0 and tid != intervals.waiter[q] and tid != intervals.holder[q]:
                out = _grow(out, count)
                out[count, 0], out[count, 1], out[count, 2] = q, tid, ran
                count += 1
            at += 1
    return out[:count]
