"""Small dense numbers for thread ids and for mm addresses, so that the kernels can index arrays with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from android_suite.analysis.jit import I32, I64, Array, Bools, compiled, frozen

_DENSE_PAIRS = 1 << 24
_LUT_MAX = 1 << 23  # pid_max is at most 1 << 22; anything above comes from a damaged trace


@compiled
def _mark(seen: Bools, ids: I32) -> None:
    for i in range(ids.shape[0]):
        seen[ids[i]] = True


@compiled
def _gather(lut: I32, ids: I32, out: I32) -> None:
    for i in range(ids.shape[0]):
        out[i] = lut[ids[i]]


def group_order(groups: I32, count: int) -> tuple[I64, I64]:
    """Stable counting sort: rows of each group in their order, and where each group starts.

    Returns:
        ``order`` of shape (rows,) and ``starts`` of shape (count + 1,): group g is ``order[starts[g]:starts[g + 1]]``.
    """
    return _count_sort(frozen(np.asarray(groups, np.int32)), count)


@compiled
def _count_sort(groups: I32, count: int) -> tuple[I64, I64]:
    starts = np.zeros(count + 1, np.int64)
    for i in range(groups.shape[0]):
        starts[groups[i] + 1] += 1
    for g in range(count):
        starts[g + 1] += starts[g]
    at = starts[:-1].copy()
    order = np.empty(groups.shape[0], np.int64)
    for i in range(groups.shape[0]):
        g = groups[i]
        order[at[g]] = i
        at[g] += 1
    return order, starts


@dataclass(frozen=True, slots=True)
class TidIndex:
    """``tids[k]`` is the thread of dense number ``k``; ``tids`` is ascending and unique."""

    tids: I32
    _lut: I32 | None

    @classmethod
    def of(cls, columns: list[I32]) -> TidIndex:
        """Numbers every thread that occurs in any of the columns."""
        columns = [frozen(np.asarray(c, np.int32)) for c in columns if len(c)]
        if not columns:
            return cls(np.empty(0, np.int32), np.empty(0, np.int32))
        if min(int(c.min()) for c in columns) < 0 or max(int(c.max()) for c in columns) >= _LUT_MAX:
            return cls(np.unique(np.concatenate([pd.unique(c) for c in columns])).astype(np.int32), None)
        seen = np.zeros(max(int(c.max()) for c in columns) + 1, np.bool_)
        for column in columns:
            _mark(seen, column)
        tids = np.flatnonzero(seen).astype(np.int32)
        lut = np.full(seen.shape[0], -1, np.int32)
        lut[tids] = np.arange(tids.shape[0], dtype=np.int32)
        return cls(tids, lut)

    def number(self, ids: Array) -> I32:
        """Dense numbers of thread ids; -1 for one that is not in the index."""
        ids = frozen(np.asarray(ids, np.int32))
        if self._lut is not None and len(ids) and int(ids.min()) >= 0 and int(ids.max()) < len(self._lut):
            out = np.empty(ids.shape[0], np.int32)
            _gather(self._lut, ids, out)
            return out
        if not len(self.tids):
            return np.full(len(ids), -1, np.int32)
        at = np.searchsorted(self.tids, ids).clip(0, len(self.tids) - 1)
        return np.where(self.tids[at] == ids, at, -1).astype(np.int32)

    def __len__(self) -> int:
        return len(self.tids)


def count_lockers(mmap_lock: pd.DataFrame) -> pd.DataFrame:
    """How often each thread has to do with the lock of each mm.

    Args:
        mmap_lock: frame of MMAP_LOCK.

    Returns:
        Columns tid, mm and n (events), ascending by n.
    """
    index = TidIndex.of([mmap_lock["tid"].to_numpy()])
    mmx, mms = pd.factorize(mmap_lock["mm"].to_numpy())
    pair = index.number(mmap_lock["tid"].to_numpy()).astype(np.int64) * max(len(mms), 1) + mmx
    if len(index) * len(mms) <= _DENSE_PAIRS:
        count = np.bincount(pair, minlength=1)
        pairs = np.flatnonzero(count)
        count = count[pairs]
    else:
        pairs, count = np.unique(pair, return_counts=True)
    found = pd.DataFrame(
        {"tid": index.tids[pairs // max(len(mms), 1)], "mm": mms[pairs % max(len(mms), 1)], "n": count}
    )
    return found.sort_values("n", kind="stable", ignore_index=True)
