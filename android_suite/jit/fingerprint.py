"""What the machine code of a loop depends on, as a text: its own instructions and every value it takes from outside.

numba freezes constants of other modules, and whole functions, into the code it makes. A name that holds all of it can
never find code of yesterday's sources, whatever file has changed.
"""

from __future__ import annotations

import dis
from collections.abc import Callable
from types import BuiltinFunctionType, CodeType, ModuleType
from typing import Any

import numpy as np

from android_suite.jit.loop import Loop

_MODULES = ("numpy", "math")  # their contents go with the versions of numpy and Python


def describe_loop(loop: Loop, _within: tuple[Loop, ...] = ()) -> str:
    """Everything that the code of a loop depends on besides versions and the processor.

    Raises:
        TypeError: the loop uses something from outside whose content cannot be told.
    """
    if loop in _within:
        return "recursion"
    function: Any = loop.function
    code: CodeType = function.__code__
    within = (*_within, loop)
    cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
    parts = [
        loop.error_model,
        str(loop.part),
        _describe_code(code),
        repr(function.__defaults__),
        repr(function.__kwdefaults__),
    ]
    parts += [f"{name} = {_describe_value(cell.cell_contents, name, within)}" for name, cell in cells]
    names = sorted(_names(code))
    for name in names:
        if name in function.__globals__:
            try:
                parts.append(f"{name} = {_describe_global(function.__globals__[name], name, names, within)}")
            except TypeError:
                # An attribute may have the name of something in the module; telling them apart is slow.
                if name in _loaded(code):
                    raise
    return "\n".join(parts)


def describe_type(value: Any) -> str:
    """The type of an argument, with all that the code depends on."""
    if isinstance(value, np.ndarray):
        flags = value.flags
        layout = "C" if flags.c_contiguous else "F" if flags.f_contiguous else "A"
        return f"array({describe_dtype(value.dtype)}, {value.ndim}, {layout}, {flags.writeable}, {flags.aligned})"
    if isinstance(value, tuple):
        return f"{_describe_class(value.__class__)}({', '.join(map(describe_type, value))})"
    return _describe_class(value.__class__)


def describe_dtype(dtype: np.dtype[Any]) -> str:
    """A dtype with the places of its fields."""
    if dtype.fields is None:
        return dtype.str
    fields = [f"{name}:{describe_dtype(inner[0])}@{inner[1]}" for name, inner in dtype.fields.items()]
    return f"{{{', '.join(fields)}; {dtype.itemsize}, {dtype.isalignedstruct}}}"


def _names(code: CodeType) -> set[str]:
    """Every global and every attribute that the code names."""
    inner = (c for c in code.co_consts if isinstance(c, CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _loaded(code: CodeType) -> set[str]:
    """The globals alone."""
    inner = (c for c in code.co_consts if isinstance(c, CodeType))
    loads = (str(i.argval) for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME"))
    return set(loads).union(*map(_loaded, inner))


def _describe_global(value: Any, name: str, names: list[str], within: tuple[Loop, ...]) -> str:
    if isinstance(value, ModuleType) and value.__name__ not in _MODULES:
        inside = ((n, getattr(value, n)) for n in names if hasattr(value, n))
        return f"module {[(n, _describe_value(v, f'{name}.{n}', within)) for n, v in inside]}"
    return _describe_value(value, name, within)


def _describe_code(code: CodeType) -> str:
    constants = [_describe_code(c) if isinstance(c, CodeType) else _describe_value(c, "", ()) for c in code.co_consts]
    shape = (code.co_argcount, code.co_kwonlyargcount, code.co_flags, code.co_names, code.co_varnames, code.co_freevars)
    return f"{code.co_code.hex()} {shape} {constants}"


def _describe_value(value: Any, name: str, within: tuple[Loop, ...]) -> str:
    if isinstance(value, Loop):
        return f"loop({describe_loop(value, within)})"
    if value is None or isinstance(value, bool | int | float | complex | str | bytes) or value is Ellipsis:
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, np.dtype):
        return f"dtype {describe_dtype(value)}"
    if isinstance(value, np.ndarray | np.generic):
        return f"array {describe_dtype(value.dtype)} {value.shape} {value.tobytes().hex()}"
    if isinstance(value, tuple | list):
        return f"{_describe_class(type(value))} {[_describe_value(v, name, within) for v in value]}"
    if isinstance(value, frozenset):
        return f"frozenset {sorted(_describe_value(v, name, within) for v in value)}"
    if isinstance(value, ModuleType) and value.__name__ in _MODULES:
        return f"module {value.__name__}"
    if isinstance(value, type | BuiltinFunctionType):
        return _describe_class(value)
    raise TypeError(
        f"{_name(within[-1]) if within else 'a loop'} uses {name}, a {type(value).__name__}: a compiled loop may use other "
        "loops, numbers, texts, dtypes, arrays, tuples of these, numpy and math"
    )


def _describe_class(class_: Any) -> str:
    fields = getattr(class_, "_fields", None)
    return f"{class_.__module__}.{class_.__qualname__}{'' if fields is None else fields}"


def _name(loop: Loop) -> str:
    function: Callable[..., object] = loop.function
    return f"{function.__module__}.{function.__qualname__}"
