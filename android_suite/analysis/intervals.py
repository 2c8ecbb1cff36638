"""Sets of time as disjoint ascending intervals: their union, intersection, difference and overlap with windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TimeSet:
    """Disjoint, ascending, non-empty intervals, start inclusive, end exclusive, in ns."""

    start: I64
    end: I64

    @classmethod
    def of(cls, start: I64, end: I64) -> TimeSet:
        """The union of intervals in any order; empty ones do not count."""
        start, end = np.asarray(start, np.int64), np.asarray(end, np.int64)
        keep = end > start
        order = np.argsort(start[keep], kind="stable")
        start, end = start[keep][order], end[keep][order]
        if not len(start):
            return cls(start, end)
        reach = np.maximum.accumulate(end)
        first = np.ones(len(start), np.bool_)
        first[1:] = start[1:] > reach[:-1]
        last = np.append(np.flatnonzero(first)[1:] - 1, len(start) - 1)
        return cls(start[first], reach[last])

    def __and__(self, other: TimeSet) -> TimeSet:
        """The time in both."""
        low = np.searchsorted(other.end, self.start, side="right")
        high = np.searchsorted(other.start, self.end, side="left")
        count = np.maximum(high - low, 0)
        mine = np.repeat(np.arange(len(self.start)), count)
        offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        theirs = low[mine] + offset
        return TimeSet(np.maximum(self.start[mine], other.start[theirs]), np.minimum(self.end[mine], other.end[theirs]))

    def __sub__(self, other: TimeSet) -> TimeSet:
        """The time in this one only."""
        edge = np.iinfo(np.int64)
        return self & TimeSet(np.append(edge.min, other.end), np.append(other.start, edge.max))

    def __or__(self, other: TimeSet) -> TimeSet:
        """The time in either."""
        return TimeSet.of(np.append(self.start, other.start), np.append(self.end, other.end))

    def time_in(self, start: I64, end: I64) -> I64:
        """How much of the set lies in each window ``[start, end)``, in ns."""
        return self._before(np.asarray(end, np.int64)) - self._before(np.asarray(start, np.int64))

    def _before(self, when: I64) -> I64:
        length = self.end - self.start
        total = np.concatenate([[0], np.cumsum(length)])
        at = np.searchsorted(self.start, when, side="right") - 1
        if not len(self.start):
            return np.zeros(len(when), np.int64)
        inside = np.minimum(when - self.start[np.maximum(at, 0)], length[np.maximum(at, 0)])
        return np.where(at >= 0, total[np.maximum(at, 0)] + inside, 0).astype(np.int64)


EMPTY = TimeSet(np.empty(0, np.int64), np.empty(0, np.int64))
