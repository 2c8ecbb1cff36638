"""The rows of one table while it grows. Columns of one width stand in one array, so that one compiled call fills them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from android_suite.tables.schema import Table

Array = npt.NDArray[Any]

WIDTHS: tuple[np.dtype[Any], ...] = (np.dtype(np.int64), np.dtype(np.int32), np.dtype(np.int8))
# Room that is not used is never touched, so it takes addresses and no memory: better too much than a further copy.
_SPARE, _MOST_GROWTH = 2.0, 1024.0


class RowStore:
    """Room for the rows of ``table`` but its texts; every row that is used must be written, in every column.

    Attributes:
        place: column to (index into WIDTHS and ``arrays``, row of that array).
        arrays: (columns, capacity) of each width.
        used: rows filled.
    """

    def __init__(self, table: Table) -> None:
        self.place: dict[str, tuple[int, int]] = {}
        self._dtypes: dict[str, np.dtype[Any]] = {c.name: np.dtype(c.dtype) for c in table.columns if c.dtype != "str"}
        columns = [0] * len(WIDTHS)
        for name, dtype in self._dtypes.items():
            width = next(w for w, stored in enumerate(WIDTHS) if stored.itemsize == dtype.itemsize)
            self.place[name] = (width, columns[width])
            columns[width] += 1
        self.arrays: list[Array] = [np.empty((n, 0), dtype) for n, dtype in zip(columns, WIDTHS, strict=True)]
        self.used = 0

    def is_truth(self, column: str) -> bool:
        """Whether it is declared bool."""
        return self._dtypes[column] == np.bool_

    def make_room(self, rows: int, share: Callable[[], float]) -> None:
        """Room for ``rows`` more. With them ``share`` of the trace is done (0 to 1): the rest may be alike."""
        needed = self.used + rows
        if needed <= self.arrays[0].shape[1]:
            return
        capacity = int(needed * min(max(2.0, _SPARE / max(share(), 1e-9)), _MOST_GROWTH))
        for width, old in enumerate(self.arrays):
            # One width after the other: the old rows go before the next are copied.
            grown = np.empty((old.shape[0], capacity), old.dtype)
            grown[:, : self.used] = old[:, : self.used]
            self.arrays[width] = grown

    def columns(self) -> dict[str, Array]:
        """The columns as declared, without copying."""
        return {
            name: self.arrays[width][column, : self.used].view(self._dtypes[name])
            for name, (width, column) in self.place.items()
        }
