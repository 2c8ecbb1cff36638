"""Scratch memory that batches reuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Scratch:
    """Arrays by name.

    New arrays for every batch would cost page faults, because freed memory goes back to the system, which clears it.
    """

    def __init__(self) -> None:
        self._held: dict[str, Array] = {}

    def take(self, name: str, size: int, dtype: Any) -> Array:
        """An uninitialized array of ``size`` values; an array taken earlier under the same name is no longer valid."""
        held = self._held.get(name)
        if held is None or held.size < size:
            held = self._held[name] = np.empty(max(size, 1 << 12), dtype)
        return held[:size]
