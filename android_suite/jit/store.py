"""Where machine code is kept: one file for each loop and combination of argument types.

A file's name is a digest of all that the code depends on: the loop and everything it uses (``fingerprint``), the types,
the versions of Python, numba, llvmlite and numpy, the processor, and numba's settings. Nothing is ever looked up by a time
stamp, and a file is read only if its content has the digest it was written with.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numpy as np
import platformdirs

from android_suite.jit import loader
from android_suite.jit.fingerprint import describe_loop, describe_type
from android_suite.jit.loop import Loop

FOLDER_VARIABLE = "ANDROID_SUITE_COMPILED"
_FORM = 1  # of the files
_DIGEST_BYTES = 32
_MOST_FILES = 24  # of one loop: types it is used with, times a few versions of the sources


def find_code(loop: Loop, args: tuple[Any, ...]) -> Callable[..., Any]:
    """The machine code of a loop for arguments of these types: from the store, else compiled and put there."""
    text = "\n".join([_environment(), describe_loop(loop), *map(describe_type, args)])
    name = f"{loop.__module__.rpartition('.')[2]}.{loop.__name__}-{hashlib.sha256(text.encode()).hexdigest()[:40]}"
    code = _read(name)
    if code is None:
        from android_suite.jit.compiler import compile_loop

        code = compile_loop(loop, args)
        _write(name, code)
    return loader.load_code(loop.function, code)


@functools.cache
def folder() -> Path | None:
    """Where the files are; None if they can be kept nowhere.

    ``ANDROID_SUITE_COMPILED`` names it; else it is beside the sources, as Python's own compiled files are, and in the
    user's cache where that is read-only.
    """
    chosen = os.environ.get(FOLDER_VARIABLE)
    places = (
        [Path(chosen)] if chosen else
        [Path(__file__).parent / "__pycache__" / "loops", Path(platformdirs.user_cache_dir("android-suite")) / "loops"]
    )  # fmt: skip
    for place in places:
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(place, os.W_OK):
            return place
    return None


@functools.cache
def _environment() -> str:
    """What every loop's code depends on."""
    settings = sorted(
        f"{name}={value}" for name, value in os.environ.items() if name.startswith("NUMBA_") and "CACHE" not in name
    )
    numba_version = (loader.numba_folder() / "_version.py").read_text()
    parts = (
        _FORM, sys.version, platform.machine(), numba_version, llvmlite.__version__, np.__version__,
        loader.processor(), *settings,
    )  # fmt: skip
    return "\n".join(map(str, parts))


def _read(name: str) -> loader.MachineCode | None:
    place = folder()
    if place is None:
        return None
    try:
        content = (place / name).read_bytes()
    except OSError:
        return None
    digest, packed = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    return loader.unpack(packed) if hashlib.sha256(packed).digest() == digest else None


def _write(name: str, code: loader.MachineCode) -> None:
    """Keeps it; where that fails (a full disk) the next process compiles again."""
    place = folder()
    if place is None:
        return
    packed = loader.pack(code)
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".new-", delete=False) as file:
            temporary = Path(file.name)
            file.write(hashlib.sha256(packed).digest() + packed)
        temporary.replace(place / name)
        _forget_old(place, name.rpartition("-")[0])
    except OSError:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _forget_old(place: Path, loop: str) -> None:
    """Code of former sources is never read again; the newest files of each loop stay."""
    files = [f for f in place.glob(f"{loop}-*") if f.is_file()]
    for file in sorted(files, key=lambda f: f.stat().st_mtime)[:-_MOST_FILES]:
        file.unlink(missing_ok=True)
