"""How far lock:contended_release proves for whom a thread waited.

A release is told only while somebody is queued for the lock, so it proves who had the lock, and not since when:

- A thread that spins for a mutex (``contention_begin`` with the flags MUTEX and SPIN) is not queued. Until it is, owners
  may pass the lock on by paths without any event, so the one that the next release names is a guess.
- From then on every release is told, and a thread that finds the lock free takes it. So whom the first release behind that
  names had the lock all the time.
- Who is named next took the lock at some time in between. When, its own ``contention_end`` tells. Until then it was ahead
  if it had been queued before; else nobody had the lock. A thread that never had to wait (a trylock) has no such event.

A mutex may be passed on in the less than a microsecond between the two steps that queue a thread; that is not seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from android_suite.analysis.ids import group_order
from android_suite.analysis.jit import I32, I64, Array, compiled, frozen
from android_suite.tables.derived import WHO_EVIDENCE

EVIDENCE = 4  # column of judge_pieces behind those of split_by_release
_TOLD, _INFERRED = (WHO_EVIDENCE.index(name) for name in ("exact", "inferred"))
_SPINS = 1 << 0 | 1 << 5  # LCB_F_SPIN and LCB_F_MUTEX
_NEVER = np.iinfo(np.int64).max


def join_contention(contention: pd.DataFrame) -> pd.DataFrame:
    """Joins begins and ends of contention.

    A mutex may begin more than once before its one end (spinning, asleep, spinning again): that is one row.

    Args:
        contention: frame of CONTENTION, or some of its rows; columns beyond those are left alone.

    Returns:
        By thread, lock and time: tid, lock_addr, flags (of the last begin), start_ns, queued_ns (when it was queued; -1: it
        only spun), end_ns (-1: open), acquired. The index is that of the first begin.
    """
    con = contention.sort_values(["tid", "lock_addr", "seq"], kind="stable")
    tid, lock, ts = (con[c].to_numpy() for c in ("tid", "lock_addr", "ts_ns"))
    begins, flags = (con["kind"] == 0).to_numpy(), con["flags"].to_numpy()
    same = np.zeros(len(con), np.bool_)
    same[1:] = (tid[1:] == tid[:-1]) & (lock[1:] == lock[:-1])
    goes_on = same & begins
    goes_on[1:] &= begins[:-1]
    opens = begins & ~goes_on
    first = np.flatnonzero(opens)
    run = np.cumsum(opens) - 1
    n = len(first)

    def pick(rows: Array) -> I64:
        """The first of these rows in each run; -1 none."""
        rows = rows[run[rows] >= 0]
        out = np.full(n, -1, np.int64)
        out[run[rows][::-1]] = rows[::-1]
        return out

    queued = pick(np.flatnonzero(begins & ((flags & _SPINS) != _SPINS)))
    closing = pick(np.flatnonzero(same & ~begins))
    last = np.full(n, -1, np.int64)
    last[run[begins & (run >= 0)]] = np.flatnonzero(begins & (run >= 0))
    return pd.DataFrame(
        {
            "tid": tid[first], "lock_addr": lock[first], "flags": flags[last], "start_ns": ts[first],
            "queued_ns": np.where(queued >= 0, ts[queued], -1), "end_ns": np.where(closing >= 0, ts[closing], -1),
            "acquired": (closing >= 0) & (con["ret"].to_numpy()[closing] == 0),
        },
        index=con.index[first],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Takes:
    """When threads took locks that they had to wait for, by time; ``queued_ns`` -1: by spinning alone."""

    lock: Array
    tid: I32
    when_ns: I64
    queued_ns: I64

    @classmethod
    def of(cls, contention: pd.DataFrame, wanted: Array) -> Takes:
        """From a frame of CONTENTION, for the locks ``wanted``."""
        rows = contention[contention["lock_addr"].isin(np.unique(wanted))]
        runs = join_contention(rows)
        runs = runs[runs["acquired"]].sort_values("end_ns", kind="stable")
        return cls(*(runs[c].to_numpy() for c in ("lock_addr", "tid", "end_ns", "queued_ns")))


def judge_pieces(pieces: I64, lock: Array, queued_ns: I64, takes: Takes) -> I64:
    """Cuts the pieces of waits where what is known of their holder changes.

    Args:
        pieces: of split_by_release: wait, start, end and holder.
        lock: of each piece.
        queued_ns: when the waiter of each piece was queued; -1 never.
        takes: of these locks.

    Returns:
        Rows of wait, start, end, holder and evidence (index into WHO_EVIDENCE). The time in which nobody had the lock is
        left out.
    """
    if not len(pieces):
        return np.empty((0, 5), np.int64)
    of_lock, _ = pd.factorize(np.concatenate([lock, takes.lock]))
    of_tid, _ = pd.factorize(np.concatenate([pieces[:, 3], takes.tid.astype(np.int64)]))
    pair, different = pd.factorize(of_lock.astype(np.int64) * (int(of_tid.max()) + 1) + of_tid)
    order, starts = group_order(pair[len(pieces) :].astype(np.int32), len(different))
    queued = np.where(queued_ns >= 0, queued_ns, _NEVER)
    return _judge(
        frozen(pieces), frozen(pair[: len(pieces)].astype(np.int64)), frozen(queued), frozen(order), frozen(starts),
        frozen(takes.when_ns.astype(np.int64)), frozen(takes.queued_ns.astype(np.int64)),
    )  # fmt: skip


@compiled
def _judge(pieces: I64, pair: I64, queued: I64, order: I64, starts: I64, taken: I64, taker_queued: I64) -> I64:
    out, n = np.empty((3 * pieces.shape[0], 5), np.int64), 0
    for p in range(pieces.shape[0]):
        start, end, since = pieces[p, 1], pieces[p, 2], queued[p]
        low, stop = starts[pair[p]], starts[pair[p] + 1]
        high = stop
        while low < high:  # first take after the piece's end
            middle = (low + high) // 2
            if taken[order[middle]] <= end:
                low = middle + 1
            else:
                high = middle
        held = start  # since when the holder had the lock, or was ahead of the waiter
        proven = start <= since
        if low > starts[pair[p]] and taken[order[low - 1]] > start:
            take = order[low - 1]
            proven = True
            if taker_queued[take] < 0 or taker_queued[take] >= since:
                held = taken[take]
        border = min(max(held, since), end) if proven else end
        if held < border:
            out[n, 0], out[n, 1], out[n, 2], out[n, 3], out[n, 4] = pieces[p, 0], held, border, pieces[p, 3], _INFERRED
            n += 1
        if border < end:
            out[n, 0], out[n, 1], out[n, 2], out[n, 3], out[n, 4] = pieces[p, 0], border, end, pieces[p, 3], _TOLD
            n += 1
    return out[:n]
