"""Joins the waits and holds of mmap_lock and of VMA locks, with the chains across both.

A thread that waits for mmap_lock may stand behind a holder that itself sleeps for a VMA, which a third thread reads.
analysis.locks.blockers and analysis.locks.inversion treat both locks alike: the rows of lock_waits come first, then
those of vma_waits, and the last reader of a VMA counts as its holder for as long as it was waited for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from android_suite.analysis.jit import I8, I32, I64, Array, Bools
from android_suite.analysis.locks.mmap_lock import MmapLock
from android_suite.analysis.operations import name_operations
from android_suite.tables.derived import UNKNOWN
from android_suite.tables.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Standoffs:
    """Waits and holds of both locks in one numbering; below ``n_waits`` (``n_holds``) it is a row of mmap_lock's table.

    Attributes:
        mmap: waits, holds and calls of mmap_lock.
        vma: frame of VMA_WAITS.
        segments: as MmapLock.segments, over both locks; also chains across them.
        wait_tid, wait_mm, wait_write, wait_quality: by number of a wait.
        hold_tid, hold_write, hold_downgrade_ns, hold_end_ns: by number of a hold; the hold of a VMA's reader ends when
            the writer that it blocked releases mmap_lock.
    """

    mmap: MmapLock
    vma: pd.DataFrame
    segments: I64
    wait_tid: I32
    wait_mm: Array
    wait_write: Bools
    wait_quality: I8
    hold_tid: I32
    hold_write: Bools
    hold_downgrade_ns: I64
    hold_end_ns: I64

    @property
    def n_waits(self) -> int:
        """How many waits are mmap_lock's."""
        return len(self.mmap.waits)

    @property
    def n_holds(self) -> int:
        """How many holds are mmap_lock's."""
        return len(self.mmap.holds)

    def locate_waits(self, numbers: I64) -> tuple[I8, I64]:
        """The lock of each wait, and its row in that lock's table (-1 for a number below 0)."""
        return _locate(numbers, self.n_waits)

    def locate_holds(self, numbers: I64) -> tuple[I8, I64]:
        """The same for holds."""
        return _locate(numbers, self.n_holds)

    def name_operations(self, trace: Trace, numbers: I64) -> np.ndarray:
        """The operation that took each hold, see analysis.operations; a hold that occurs often is named once."""
        occurs = np.zeros(len(self.hold_tid), np.bool_)
        occurs[numbers] = True
        held, which = np.flatnonzero(occurs), np.cumsum(occurs)[numbers] - 1
        names = np.empty(len(held), np.object_)
        of_vma = held >= self.n_holds
        names[of_vma] = self.vma["operation"].to_numpy()[held[of_vma] - self.n_holds]
        rows, holds = held[~of_vma], self.mmap.holds
        names[~of_vma] = name_operations(
            trace, self.mmap.calls, *(holds[c].to_numpy()[rows] for c in ("call", "tid", "start_seq"))
        )
        return np.asarray(names[which], np.object_)

    def writes_at(self, numbers: I64, when: I64) -> Bools:
        """Whether each hold was in write mode at that time."""
        down = self.hold_downgrade_ns[numbers]
        return np.asarray(self.hold_write[numbers] & ((down < 0) | (down > when)), np.bool_)


def _locate(numbers: I64, of_mmap: int) -> tuple[I8, I64]:
    lock = (numbers >= of_mmap).astype(np.int8)
    return lock, np.where(lock == 1, numbers - of_mmap, numbers)


def join_locks(mmap: MmapLock, vma: pd.DataFrame) -> Standoffs:
    """Joins both locks.

    Args:
        mmap: of measure_mmap_lock.
        vma: frame of VMA_WAITS.
    """
    waits, holds = mmap.waits, mmap.holds
    hold = vma["hold"].to_numpy()
    until = np.where(hold >= 0, np.append(holds["end_ns"].to_numpy(), 0)[hold], vma["end_ns"].to_numpy())
    n = len(vma)
    never = np.full(n, -1, np.int64)

    def both(first: pd.Series, second: Array) -> Array:
        mine = first.to_numpy()
        return np.concatenate([mine, np.asarray(second, mine.dtype)])

    return Standoffs(
        mmap=mmap, vma=vma, segments=np.concatenate([mmap.segments, _vma_segments(mmap, vma)]),
        wait_tid=both(waits["tid"], vma["tid"].to_numpy()), wait_mm=both(waits["mm"], vma["mm"].to_numpy()),
        wait_write=both(waits["write"], np.ones(n)), wait_quality=both(waits["quality"], vma["quality"].to_numpy()),
        hold_tid=both(holds["tid"], vma["holder_tid"].to_numpy()), hold_write=both(holds["write"], np.zeros(n)),
        hold_downgrade_ns=both(holds["downgrade_ns"], never), hold_end_ns=both(holds["end_ns"], until),
    )  # fmt: skip


def _vma_segments(mmap: MmapLock, vma: pd.DataFrame) -> I64:
    """Waits for a VMA behind its reader, and waits for mmap_lock behind its holder while that one waits for a VMA."""
    rows = np.flatnonzero(((vma["quality"] != UNKNOWN) & (vma["holder_tid"] >= 0)).to_numpy())
    wait, held = len(mmap.waits) + rows, len(mmap.holds) + rows
    start, end, hold = (vma[c].to_numpy()[rows] for c in ("start_ns", "end_ns", "hold"))
    direct = np.column_stack([wait, held, start, end, np.full(len(rows), -1)]).astype(np.int64).reshape(-1, 5)
    behind = mmap.segments[np.argsort(mmap.segments[:, 1], kind="stable")]
    first, last = (np.searchsorted(behind[:, 1], hold, side) for side in ("left", "right"))
    count = np.where(hold >= 0, last - first, 0)
    of = np.repeat(np.arange(len(rows)), count)
    on = behind[first[of] + np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)]
    begin, stop = np.maximum(on[:, 2], start[of]), np.minimum(on[:, 3], end[of])
    waiter, reader = mmap.waits["tid"].to_numpy()[on[:, 0]], vma["holder_tid"].to_numpy()[rows[of]]
    across = np.column_stack([on[:, 0], held[of], begin, stop, wait[of]])[(begin < stop) & (waiter != reader)]
    return np.concatenate([direct, across]).astype(np.int64)
