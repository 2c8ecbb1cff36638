"""Tables that grow at their end. Every value is written once, to its final place."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from android_suite.tables.schema import Table, make_frame

Array = npt.NDArray[Any]
_FIRST_BYTES = 1 << 16


class GrowingColumn:
    """A column that grows at its end.

    It has its own anonymous memory. When it grows, the kernel moves the pages (mremap), so nothing is copied, and unused
    room takes no memory. Joining a list of pieces would take twice the memory.
    """

    def __init__(self, dtype: Any) -> None:
        self._dtype = np.dtype(dtype)
        self._map: mmap.mmap | None = None
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def extend(self, values: Any) -> None:
        """Adds ``values`` (an array, cast to the column's dtype), all at once."""
        start = self._length
        self._length += len(values)
        if not len(values):
            return
        needed = self._length * self._dtype.itemsize
        if self._map is None:
            size = max(_FIRST_BYTES, 1 << (needed - 1).bit_length())
            self._map = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            self._advise()
        elif needed > len(self._map):
            self._map.resize(1 << (needed - 1).bit_length())
            self._advise()
        self._view()[start:] = values

    def finish(self) -> Array:
        """The whole column; nothing can be added afterwards."""
        return np.empty(0, self._dtype) if self._map is None else self._view()

    def _view(self) -> Array:
        assert self._map is not None
        return np.frombuffer(self._map, self._dtype, self._length)

    def _advise(self) -> None:
        assert self._map is not None
        if len(self._map) >= 1 << 24:  # fewer page faults, and what a huge page wastes is comparatively small
            self._map.madvise(mmap.MADV_HUGEPAGE)


class GrowingTable:
    """A declared table that grows at its end. Texts stay in their original pieces, as Arrow allows."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._columns = {c.name: GrowingColumn(c.dtype) for c in table.columns if c.dtype != "str"}
        self._texts: dict[str, list[Any]] = {c.name: [] for c in table.columns if c.dtype == "str"}

    def extend(self, columns: Mapping[str, Any]) -> None:
        """Adds rows: one array per column, all of the same length; texts as a pandas or Arrow array."""
        for name, column in self._columns.items():
            column.extend(columns[name])
        for name, pieces in self._texts.items():
            made = pa.array(columns[name])
            pieces += made.chunks if isinstance(made, pa.ChunkedArray) else [made]

    def finish(self, rank: Array | None = None) -> pd.DataFrame:
        """The table, sorted by ``seq``; nothing can be added afterwards.

        Args:
            rank: the final ``seq`` by the ``seq`` with which rows were added; None if they are the same.
        """
        columns: dict[str, Any] = {}
        seq = self._columns.pop("seq").finish()
        if rank is not None:
            seq = rank[seq]
        # One chunk may hold pieces of several kinds of event, one after another.
        sorted_ = bool((seq[1:] >= seq[:-1]).all())
        order = None if sorted_ else np.argsort(seq, kind="stable")
        columns["seq"] = seq if order is None else seq[order]
        while self._columns:
            name, column = self._columns.popitem()
            columns[name] = column.finish() if order is None else column.finish()[order]
            del column
        for name, pieces in self._texts.items():
            whole = pa.chunked_array(pieces, pa.large_string())
            columns[name] = pd.array(whole if order is None else whole.take(pa.array(order)), dtype="str")
        self._texts.clear()
        return make_frame(self._table, {c.name: columns[c.name] for c in self._table.columns})
