"""Machine code that numba made, into this process without numba: llvmlite links it, three of numba's C extensions serve it.

The code calls Python's own API, and numba's C functions for arrays, memory and exceptions. Those are in extension modules
that need nothing of the rest of numba; they are loaded under their own names, so that a later ``import numba`` takes them.
"""

from __future__ import annotations

import builtins
import ctypes
import functools
import importlib.machinery
import importlib.util
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite.binding as llvm


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineCode:
    """A compiled loop.

    Attributes:
        wrapper: symbol of the function that Python calls.
        environment: symbol of the pointer to what it needs of Python's objects.
        constants: those objects (dtypes, classes).
        object_file: ELF (or the host's format), relocatable.
    """

    wrapper: str
    environment: str
    constants: tuple[Any, ...]
    object_file: bytes


def pack(code: MachineCode) -> bytes:
    """For a file."""
    return pickle.dumps((code.wrapper, code.environment, code.constants, code.object_file), protocol=5)


def unpack(packed: bytes) -> MachineCode:
    """The reverse of ``pack``."""
    wrapper, environment, constants, object_file = pickle.loads(packed)
    return MachineCode(wrapper=wrapper, environment=environment, constants=constants, object_file=object_file)


@functools.cache
def processor() -> str:
    """The host's CPU and its instruction set extensions, as LLVM names them."""
    return f"{llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}"


def load_code(function: Callable[..., object], code: MachineCode) -> Callable[..., Any]:
    """Links the code into this process.

    Args:
        function: what it was made of.
        code: of it.

    Returns:
        The compiled function. It does not look whether its arguments have the types it was compiled for.
    """
    serving, engine = _extensions(), _new_engine()
    engine.add_object_file(llvm.ObjectFileRef.from_data(code.object_file))
    engine.finalize_object()
    environment = serving.Environment(function.__globals__)
    environment.consts.extend(code.constants)
    pointer = ctypes.c_void_p.from_address(engine.get_global_value_address(code.environment))
    pointer.value = id(environment)  # the made function keeps the object alive
    module = sys.modules[function.__module__]
    address = engine.get_function_address(code.wrapper)
    made: Callable[..., Any] = serving.make_function(
        module, function.__name__, function.__doc__ or "", address, environment, (engine,)
    )
    return made


@functools.cache
def _target() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple()


def _new_engine() -> Any:
    """A linker of its own for every file: two files may use one name for different inner functions."""
    machine = _target().create_target_machine(jit=True, codemodel="jitdefault")
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)


@functools.cache
def _extensions() -> Any:
    """Makes numba's C functions known to the linker; returns the extension that makes Python functions."""
    functions = _load_extension("numba._dynfunc")
    for module in (_load_extension("numba._helperlib"), functions):
        for name, address in module.c_helpers.items():
            llvm.add_symbol(f"numba_{name}", address)
    for name, address in _load_extension("numba.core.runtime._nrt_python").c_helpers.items():
        llvm.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)
    llvm.add_symbol("_Py_NoneStruct", id(None))
    for name, value in vars(builtins).items():
        if isinstance(value, type) and issubclass(value, BaseException):
            llvm.add_symbol(f"PyExc_{name}", id(value))
    llvm.add_symbol("numba_unpickle", ctypes.cast(_unpickle_function, ctypes.c_void_p).value)
    return functions


@functools.cache
def numba_folder() -> Path:
    """Where the numba is that would be imported."""
    spec = importlib.util.find_spec("numba")
    if spec is None or not spec.origin:
        raise ImportError("numba is not installed: install android-suite with its dependencies")
    return Path(spec.origin).parent


def _load_extension(name: str) -> ModuleType:
    """An extension module of numba without the package around it."""
    if name in sys.modules:
        return sys.modules[name]
    path = numba_folder().joinpath(*name.split(".")[1:])
    file = next(f for s in importlib.machinery.EXTENSION_SUFFIXES if (f := path.with_name(path.name + s)).is_file())
    loader = importlib.machinery.ExtensionFileLoader(name, str(file))
    made = importlib.util.module_from_spec(importlib.machinery.ModuleSpec(name, loader, origin=str(file)))
    loader.exec_module(made)
    return made


@functools.cache
def _unpickled(_address: int, packed: bytes) -> Any:
    return pickle.loads(packed)


def _unpickle(address: int, length: int, _digest: int) -> Any:
    """In place of numba's own, which imports all of numba to give a class of numpy's."""
    return _unpickled(address, ctypes.string_at(address, length))


_unpickle_function = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(_unpickle)
