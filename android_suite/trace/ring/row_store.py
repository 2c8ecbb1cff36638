"""Stores the rows of a growing table. Columns of the same width share an array, so that one compiled call fills them all.

Finished columns are views of that array, but each returns its pages to the system when its last user releases it: the
analysis drops columns on the way, and 50 million events must stay under 4 GiB.
"""

from __future__ import annotations

import mmap
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from android_suite.tables.schema import Table

Array = npt.NDArray[Any]

WIDTHS: tuple[np.dtype[Any], ...] = (np.dtype(np.int64), np.dtype(np.int32), np.dtype(np.int8))
# Unused room is never touched, so it takes addresses but no memory. Too much room is better than another copy.
_SPARE, _MOST_GROWTH = 2.0, 1024.0
_LARGE_BYTES = 1 << 22  # from this size on huge pages: fewer page faults, and little waste


class RowStore:
    """The rows of ``table`` without its texts. Every used row must be written in every column.

    Attributes:
        place: by column, the index into WIDTHS and ``arrays``, and the row of that array.
        arrays: one array (columns, capacity) per width.
        used: number of filled rows.
    """

    def __init__(self, table: Table) -> None:
        self.place: dict[str, tuple[int, int]] = {}
        self._dtypes: dict[str, np.dtype[Any]] = {c.name: np.dtype(c.dtype) for c in table.columns if c.dtype != "str"}
        columns = [0] * len(WIDTHS)
        for name, dtype in self._dtypes.items():
            width = next(w for w, stored in enumerate(WIDTHS) if stored.itemsize == dtype.itemsize)
            self.place[name] = (width, columns[width])
            columns[width] += 1
        self._memory: list[mmap.mmap | None] = [None] * len(WIDTHS)
        self.arrays: list[Array] = [np.empty((n, 0), dtype) for n, dtype in zip(columns, WIDTHS, strict=True)]
        self.used = 0

    def is_truth(self, column: str) -> bool:
        """Whether the column is declared bool."""
        return self._dtypes[column] == np.bool_

    def make_room(self, rows: int, share: Callable[[], float]) -> None:
        """Makes room for ``rows`` more. With them, ``share`` of the trace is done (0 to 1); the rest may be similar."""
        needed = self.used + rows
        if needed <= self.arrays[0].shape[1]:
            return
        capacity = int(needed * min(max(2.0, _SPARE / max(share(), 1e-9)), _MOST_GROWTH))
        for width, old in enumerate(self.arrays):
            # One width after the other, so that the old rows are freed before the next are copied.
            if not len(old):
                self.arrays[width] = np.empty((0, capacity), old.dtype)
                continue
            memory = mmap.mmap(-1, len(old) * capacity * old.itemsize, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            if len(memory) >= _LARGE_BYTES:
                memory.madvise(mmap.MADV_HUGEPAGE)
            grown = np.frombuffer(memory, old.dtype).reshape(len(old), capacity)
            grown[:, : self.used] = old[:, : self.used]
            self.arrays[width], self._memory[width] = grown, memory

    def columns(self) -> dict[str, Array]:
        """The columns with their declared dtypes, without copying; the store must not be used afterwards."""
        return {
            name: _own_column(self.arrays[width], self._memory[width], column, self.used).view(self._dtypes[name])
            for name, (width, column) in self.place.items()
        }


class _Column:
    """The owner of one column's memory. numpy keeps it as the base of each view of the column."""

    def __init__(self, rows: Array) -> None:
        self.__array_interface__ = rows.__array_interface__
        self._rows = rows


def _own_column(array: Array, memory: mmap.mmap | None, column: int, used: int) -> Array:
    """Rows of one column, whose whole pages return to the system with the last view of them."""
    rows = array[column, :used]
    if memory is None or not used:
        return rows.copy()
    owner = _Column(rows)
    begin = column * array.strides[0]
    first = -(-begin // mmap.PAGESIZE) * mmap.PAGESIZE
    end = (begin + array.strides[0]) // mmap.PAGESIZE * mmap.PAGESIZE
    if end > first:
        weakref.finalize(owner, memory.madvise, mmap.MADV_DONTNEED, first, end - first).atexit = False
    return np.asarray(owner)
