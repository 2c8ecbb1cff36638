"""``@compiled``: a Python function that runs as machine code, chosen by the types of its arguments.

numba is only the compiler. The machine code it makes is kept on disk (``store``) under a name that holds everything it
depends on, and any later process loads it from there (``loader``): importing numba and scipy takes a second, loading the
code some milliseconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar, cast

from android_suite.jit.loop import Loop

_F = TypeVar("_F", bound=Callable[..., object])


def compiled(error_model: str, *, part: bool = False) -> Callable[[_F], _F]:
    """Decorates a function that shall be compiled (nopython, without the GIL) when it is first called.

    Args:
        error_model: of numba: ``python`` raises where an integer is divided by zero, ``numpy`` does not look.
        part: a part of a long loop: only loops call it, and it makes and returns no array, which numba checks. Its code
            counts no references. Otherwise a call counts one for every array of a tuple of columns, in two atomic
            instructions, if numba cannot prove that it is needless; that can take ten times as long as the rest.
    """
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return lambda function: function

    def decorate(function: _F) -> _F:
        return cast(_F, Loop(function, error_model, _find_code, part=part))

    return decorate


def _find_code(loop: Loop, args: tuple[Any, ...]) -> Callable[..., Any]:
    from android_suite.jit.store import find_code  # slow to import, and many loops are never called

    return find_code(loop, args)
