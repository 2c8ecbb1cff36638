"""One door to numba: compiled loops over columns, cached on disk.

The loops read hostile input. numba checks no bounds, so every kernel checks its own before it reads, and the tests run
them once more with ``NUMBA_BOUNDSCHECK=1``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

_F = TypeVar("_F", bound=Callable[..., object])


def compiled(function: _F) -> _F:
    """Compiles ``function`` on its first call (nopython, no GIL) and keeps the code on disk."""
    return cast(_F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))
