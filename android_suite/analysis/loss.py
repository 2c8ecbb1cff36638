"""Where the trace is blind: gaps of lost events as sorted disjoint windows, per CPU and for all CPUs together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Windows:
    """Disjoint ascending windows. Their ends are events that were seen, so an interval that only meets an end is whole."""

    from_ns: I64
    to_ns: I64

    @classmethod
    def of(cls, from_ns: I64, to_ns: I64) -> Windows:
        """Merges overlapping windows."""
        order = np.argsort(from_ns, kind="stable")
        start, end = from_ns[order], np.maximum.accumulate(to_ns[order]) if len(order) else to_ns
        first = np.ones(len(start), np.bool_)
        first[1:] = start[1:] > end[:-1]
        last = np.append(np.flatnonzero(first)[1:] - 1, len(start) - 1) if len(start) else np.empty(0, np.int64)
        return cls(start[first], end[last])

    def first_touching(self, start_ns: I64, end_ns: I64) -> I64:
        """For each interval the first window that touches it; -1 where none does."""
        if not len(self.from_ns):
            return np.full(len(start_ns), -1, np.int64)
        at = np.searchsorted(self.to_ns, start_ns, side="right")
        inside = at < len(self.from_ns)
        hit = inside & (self.from_ns[np.minimum(at, len(self.from_ns) - 1)] < end_ns)
        return np.where(hit, at, -1)

    def touch(self, start_ns: I64, end_ns: I64) -> NDArray[np.bool_]:
        """Whether a window touches each interval."""
        return self.first_touching(start_ns, end_ns) >= 0

    def __len__(self) -> int:
        return len(self.from_ns)


@dataclass(frozen=True, slots=True)
class Losses:
    """The blind windows of any CPU together, and of each CPU."""

    any_cpu: Windows
    per_cpu: dict[int, Windows]

    @classmethod
    def of(cls, lost: pd.DataFrame) -> Losses:
        """From the ``lost`` table; a row of CPU -1 is a loss on every CPU."""
        cpu, start, end = (lost[c].to_numpy() for c in ("cpu", "from_ns", "to_ns"))
        everywhere = cpu == -1
        per_cpu = {
            int(c): Windows.of(start[(cpu == c) | everywhere], end[(cpu == c) | everywhere]) for c in np.unique(cpu)
        }
        return cls(Windows.of(start, end), per_cpu)

    def on(self, cpu: int) -> Windows:
        """The windows that concern this CPU."""
        found = self.per_cpu.get(cpu, self.per_cpu.get(-1))
        return found if found is not None else Windows(np.empty(0, np.int64), np.empty(0, np.int64))

    def __bool__(self) -> bool:
        return len(self.any_cpu) > 0
