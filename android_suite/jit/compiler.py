"""numba as an ahead-of-time compiler: a loop and the types of its arguments to an object file. Slow to import."""

from __future__ import annotations

from typing import Any

import numba

from android_suite.jit.loader import MachineCode
from android_suite.jit.loop import Loop


def compile_loop(loop: Loop, args: tuple[Any, ...]) -> MachineCode:
    """Compiles a loop for arguments of these types, with the loops it calls and with numba's wrapper for Python."""
    signature = tuple(numba.typeof(a) for a in args)
    dispatcher = loop.dispatcher
    dispatcher.compile(signature)
    made = dispatcher.overloads[signature]
    return MachineCode(
        wrapper=made.fndesc.llvm_cpython_wrapper_name,
        environment=made.fndesc.env_name,
        constants=tuple(made.environment.consts),
        object_file=made.library._get_compiled_object(),  # noqa: SLF001  numba has no public way to it
    )
