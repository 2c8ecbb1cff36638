"""Memory that one batch is done with and the next one uses again."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Scratch:
    """Arrays by name.

    New ones for every batch would cost page faults all along: what is freed goes back to the system, which clears it anew.
    """

    def __init__(self) -> None:
        self._held: dict[str, Array] = {}

    def take(self, name: str, size: int, dtype: Any) -> Array:
        """An array of ``size`` values of anything; what was taken by this name before is no longer valid."""
        held = self._held.get(name)
        if held is None or held.size < size:
            held = self._held[name] = np.empty(max(size, 1 << 12), dtype)
        return held[:size]
