"""Small dense numbers for thread ids and mm addresses, so that compiled loops can index arrays with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from android_suite.analysis.jit import I32, I64, Array, Bools, compiled, frozen

_DENSE_PAIRS = 1 << 24
_TABLE = 1 << 14
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


def count_lockers(index: TidIndex, tidx: I32, mmx: I32, mms: Array) -> pd.DataFrame:
    """Counts the mmap_lock events of each thread on each mm.

    Args:
        index: of the threads.
        tidx: dense number of the thread of each mmap_lock event.
        mmx: dense number of its mm.
        mms: the mms by dense number.

    Returns:
        Columns tid, mm and n (events), ascending by n.
    """
    if len(index) * len(mms) <= _DENSE_PAIRS:
        count = np.zeros((len(index), len(mms)), np.int64)
        _count_pairs(tidx, mmx, count)
        thread, mm = np.nonzero(count)
        n = count[thread, mm]
    else:
        pairs, n = np.unique(tidx.astype(np.int64) * len(mms) + mmx, return_counts=True)
        thread, mm = pairs // len(mms), pairs % len(mms)
    found = pd.DataFrame({"tid": index.tids[thread], "mm": mms[mm], "n": n})
    return found.sort_values("n", kind="stable", ignore_index=True)


def number_mms(mm: Array) -> tuple[I32, Array]:
    """Dense numbers of addresses, in order of appearance, and the addresses by number."""
    numbers = np.empty(len(mm), np.int32)
    keys, slots = np.zeros(_TABLE, np.uint64), np.full(_TABLE, -1, np.int32)
    found = _number(frozen(np.asarray(mm, np.uint64)), keys, slots, numbers)
    if found < 0:  # more processes than the small table has room for
        codes, distinct = pd.factorize(mm)
        return codes.astype(np.int32), distinct
    mms = np.empty(found, np.uint64)
    mms[slots[slots >= 0]] = keys[slots >= 0]
    return numbers, mms


@compiled
def _number(mm: Array, keys: Array, slots: I32, out: I32) -> int:
    mask, found = keys.shape[0] - 1, 0
    for i in range(mm.shape[0]):
        key = mm[i]
        at = int(((key >> np.uint64(6)) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(48)) & mask
        while slots[at] >= 0 and keys[at] != key:
            at = (at + 1) & mask
        if slots[at] < 0:
            if 2 * found > mask:
                return -1
            keys[at], slots[at] = key, found
            found += 1
        out[i] = slots[at]
    return found


@compiled
def _count_pairs(tidx: I32, mmx: I32, count: I64) -> None:
    for i in range(tidx.shape[0]):
        count[tidx[i], mmx[i]] += 1
