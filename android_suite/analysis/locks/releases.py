"""lock:contended_release: who gave back a lock while others waited for it, and whether that agrees with what is inferred.

The kernel writes the event in the context of the thread that releases, while anybody is queued for the lock: right after it
let go (rwsem: every reader that releases; mutex, unless it hands the lock to the first in the queue), and before it wakes.
"""

from __future__ import annotations

import numpy as np

from android_suite.analysis.ids import group_order
from android_suite.analysis.jit import I32, I64, Array, compiled, frozen
from android_suite.analysis.locks.mmap_lock import MmapLock
from android_suite.analysis.locks.ownership import Takes, judge_pieces
from android_suite.tables.derived import EXACT, OUTCOMES
from android_suite.tables.trace import Trace

WAIT, START, END, HOLDER = range(4)  # columns of split_by_release
_ACQUIRED = OUTCOMES.index("acquired")


def split_by_release(
    lock: Array, when: I64, by: I32, wanted: Array, waiter: I32, start_ns: I64, end_ns: I64
) -> I64:  # fmt: skip
    """Cuts waits at each release of their lock: the time before a release is due to the thread that releases.

    Args:
        lock: lock of each release, a number that tells locks apart.
        when: time of each release, ascending.
        by: thread that releases.
        wanted: lock of each wait.
        waiter: thread that waits.
        start_ns: of each wait.
        end_ns: of each wait.

    Returns:
        Rows of wait, start, end and holder, by wait and time; nothing after a wait's last release.
    """
    if not len(lock) or not len(wanted):
        return np.empty((0, 4), np.int64)
    locks, of = np.unique(lock, return_inverse=True)
    order, starts = group_order(of.astype(np.int32), len(locks))
    at = np.searchsorted(locks, wanted).clip(0, len(locks) - 1)
    which = np.where(locks[at] == wanted, at, -1)
    return _split(
        frozen(order), frozen(starts), frozen(when), frozen(by), frozen(which), frozen(waiter), frozen(start_ns),
        frozen(end_ns),
    )  # fmt: skip


@compiled
def _split(order: I64, starts: I64, when: I64, by: I32, of: I64, waiter: I32, begin: I64, end: I64) -> I64:
    out, n = np.empty((64, 4), np.int64), 0
    for w in range(of.shape[0]):
        if of[w] < 0:
            continue
        low, stop = starts[of[w]], starts[of[w] + 1]
        high = stop
        while low < high:  # first release after the wait's begin
            middle = (low + high) // 2
            if when[order[middle]] <= begin[w]:
                low = middle + 1
            else:
                high = middle
        since = begin[w]
        while low < stop and when[order[low]] <= end[w]:
            here = order[low]
            if by[here] != waiter[w]:
                if n == out.shape[0]:
                    grown = np.empty((2 * n, 4), np.int64)
                    grown[:n] = out
                    out = grown
                out[n, WAIT], out[n, START], out[n, END], out[n, HOLDER] = w, since, when[here], by[here]
                n += 1
                since = when[here]
            low += 1
    return out[:n]


def split_mmap_waits(trace: Trace, locks: MmapLock) -> I64:
    """The waits for mmap_lock, cut at the releases of it: rows as of split_by_release, with rows of ``locks.waits``."""
    releases = trace["contended_release"]
    if not len(releases):
        return np.empty((0, 4), np.int64)
    inside = locks.contention_wait >= 0
    address = np.zeros(len(locks.waits), np.uint64)  # of the lock, as contention events name it
    address[locks.contention_wait[inside]] = trace["contention"]["lock_addr"].to_numpy()[inside]
    rows = np.flatnonzero(address)
    waits = locks.waits
    pieces = split_by_release(
        releases["lock_addr"].to_numpy(), releases["ts_ns"].to_numpy(), releases["tid"].to_numpy(), address[rows],
        *(waits[c].to_numpy()[rows] for c in ("tid", "start_ns", "end_ns")),
    )  # fmt: skip
    pieces[:, WAIT] = rows[pieces[:, WAIT]]
    return pieces


def judge_mmap_pieces(trace: Trace, locks: MmapLock, pieces: I64) -> I64:
    """The pieces of split_mmap_waits with how each is known, see judge_pieces.

    A thread that waits for mmap_lock spins before it is queued, and contention begins when it is.
    """
    if not len(pieces):
        return np.empty((0, 5), np.int64)
    con = trace["contention"]
    inside = np.flatnonzero((locks.contention_wait >= 0) & (con["kind"] == 0).to_numpy())[::-1]
    of = locks.contention_wait[inside]
    queued, address = np.full(len(locks.waits), -1, np.int64), np.zeros(len(locks.waits), np.uint64)
    queued[of], address[of] = con["ts_ns"].to_numpy()[inside], con["lock_addr"].to_numpy()[inside]
    at = pieces[:, WAIT]
    return judge_pieces(pieces, address[at], queued[at], Takes.of(con, address[at]))


def compare_releases(locks: MmapLock, pieces: I64) -> tuple[int, int, int]:
    """Whether the last thread that the kernel names is the one whose hold is inferred to have ended last.

    Args:
        locks: waits, and who stood in front of whom.
        pieces: of split_mmap_waits.

    Returns:
        Number of contended waits in which both agree, in which they differ, and in which one of them names nobody.
    """
    waits = locks.waits
    asked = (waits["contended"] == 1) & (waits["outcome"] == _ACQUIRED) & (waits["quality"] == EXACT)
    told = np.full(len(waits), -1, np.int64)
    told[pieces[:, WAIT]] = pieces[:, HOLDER]  # by time, so the last one stays
    direct = locks.segments[locks.segments[:, 4] < 0]
    ends = locks.holds["end_ns"].to_numpy()[direct[:, 1]]
    direct = direct[np.argsort(ends, kind="stable")]
    inferred = np.full(len(waits), -1, np.int64)
    inferred[direct[:, 0]] = locks.holds["tid"].to_numpy()[direct[:, 1]]
    told, inferred = told[asked.to_numpy()], inferred[asked.to_numpy()]
    both = (told >= 0) & (inferred >= 0)
    agreed = int((told[both] == inferred[both]).sum())
    return agreed, int(both.sum()) - agreed, int((~both).sum())
