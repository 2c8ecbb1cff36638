"""A compiled function: machine code, chosen by the types of its arguments."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

_Code = Callable[..., Any]

_lock = threading.RLock()


class Loop:
    """A compiled function. It may call other loops; numba then sees their dispatchers.

    Attributes:
        function: what it was made of.
        error_model: of numba.
        find_code: gives the machine code for arguments of such types.
        part: its code counts no references, and only other loops can call it.
    """

    def __init__(
        self,
        function: Callable[..., object],
        error_model: str,
        find_code: Callable[[Loop, tuple[Any, ...]], _Code],
        *,
        part: bool = False,
    ) -> None:
        self.function, self.error_model, self._find_code, self.part = function, error_model, find_code, part
        self.__doc__, self.__name__, self.__module__ = function.__doc__, function.__name__, function.__module__
        self._dispatcher: Any = None
        self._code: dict[tuple[Any, ...], Callable[..., Any]] = {}

    def __call__(self, *args: Any) -> Any:
        """Runs it; compiles it first where these types are new to this machine."""
        # Runs for every call, so it is short: a type stands for all but arrays and tuples.
        key = tuple(
            [
                (a.dtype, a.ndim, a.flags.num) if (c := a.__class__) is np.ndarray else
                (c, *map(_kind, a)) if issubclass(c, tuple) else c
                for a in args
            ]
        )  # fmt: skip
        code = self._code.get(key)
        if code is None:
            code = self._prepare(key, args)
        return code(*args)

    def _prepare(self, key: tuple[Any, ...], args: tuple[Any, ...]) -> Callable[..., Any]:
        if self.part:
            raise TypeError(f"{self.__name__} is a part of compiled loops; Python cannot call it")
        with _lock:
            code = self._code.get(key)
            if code is None:
                code = self._code[key] = self._find_code(self, args)
        return code

    @property
    def dispatcher(self) -> Any:
        """The function as numba has it."""
        with _lock:
            if self._dispatcher is None:
                import numba

                options = {"nogil": True, "error_model": self.error_model, "_nrt": not self.part}
                self._dispatcher = numba.njit(**options)(self.function)
        return self._dispatcher

    @property
    def _numba_type_(self) -> Any:
        """What numba takes it for where another loop calls it."""
        from numba.core import types

        return types.Dispatcher(self.dispatcher)


def _kind(value: Any) -> Any:
    if value.__class__ is np.ndarray:
        return (value.dtype, value.ndim, value.flags.num)
    if isinstance(value, tuple):
        return (value.__class__, *map(_kind, value))
    return value.__class__
