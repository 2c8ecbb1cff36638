"""The suite's C programs for devices, compiled on the host for the device's machine and cached.

They are static, so that the same binary runs on bionic and on glibc.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from android_suite.errors import LabError, Unsupported
from android_suite.store.run import write_atomic

_COMPILERS: Final = {"aarch64": "aarch64-linux-gnu-gcc", "x86_64": "x86_64-linux-gnu-gcc"}
_FLAGS: Final = ("-O2", "-static", "-Wall", "-Wextra", "-s")


def build_native(source: Path, machine: str, *, cache: Path) -> bytes:
    """The program in ``source`` for ``machine`` (from ``uname -m``), kept in the suite's cache folder.

    Args:
        source: a C file, or a folder of C files and headers that are one program.
        machine: what it runs on.
        cache: the suite's cache folder.

    Raises:
        Unsupported: no compiler is known for the machine.
        LabError: the compiler is missing or fails.
    """
    if machine not in _COMPILERS:
        raise Unsupported(
            f"programs can be built for {', '.join(_COMPILERS)} and this device is {machine}; use another."
        )
    name = source.stem
    files = sorted(source.glob("*.[ch]")) if source.is_dir() else [source]
    texts = [part for file in files for part in (file.name.encode(), file.read_bytes())]
    compiler = shutil.which(_COMPILERS[machine])
    if compiler is None:
        raise LabError(
            f"{_COMPILERS[machine]} is missing, and {name} cannot be built for the device without it; run `make setup`."
        )
    version = _run([compiler, "-dumpfullversion"])
    key = hashlib.sha256(b"\0".join([*texts, version, " ".join(_FLAGS).encode(), machine.encode()])).hexdigest()
    built = cache / "native" / f"{name}-{machine}-{key[:24]}"
    try:
        return built.read_bytes()
    except FileNotFoundError:
        pass
    part = built.with_name(f".{built.name}.{os.getpid()}")
    try:
        built.parent.mkdir(parents=True, exist_ok=True)
        _run([compiler, *_FLAGS, "-o", str(part), *(str(file) for file in files if file.suffix == ".c")])
        program = part.read_bytes()
    except OSError as error:
        raise LabError(
            f"cannot write {built.parent} ({error.strerror}); free space or set ANDROID_SUITE_CACHE."
        ) from error
    finally:
        part.unlink(missing_ok=True)
    write_atomic(built, program)
    return program


def _run(argv: list[str]) -> bytes:
    try:
        return subprocess.run(argv, check=True, capture_output=True, timeout=120).stdout
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        raise LabError(f"{argv[0]} failed ({said[-1] if said else 'no message'}); run `make setup`.") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"{argv[0]} cannot be run ({error}); run `make setup`.") from error
