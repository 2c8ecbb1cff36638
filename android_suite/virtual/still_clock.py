"""A wall clock that stands still for QEMU in virtual time, so that nothing in the guest depends on how fast the host is.

The reason is in ``native/still_clock.c``, and what was measured in docs/decisions/0040-a-still-clock.md.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from android_suite.errors import MachineError
from android_suite.virtual.cache import Cache

SOURCE = Path(__file__).parent / "native" / "still_clock.c"
_NAME = "still_clock.so"
_ARGV = ("gcc", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-s")


def preload(environment: Mapping[str, str], *, cache: Cache) -> dict[str, str]:
    """The environment for a QEMU whose wall clock stands still; the library is built for this host on first use.

    Raises:
        MachineError: the compiler is missing or fails.
    """
    library = str(_build(cache))
    return {**environment, "LD_PRELOAD": " ".join(filter(None, (library, environment.get("LD_PRELOAD"))))}


def _build(cache: Cache) -> Path:
    if shutil.which(_ARGV[0]) is None:
        raise MachineError(f"{_ARGV[0]} not found; virtual time needs it; run make setup")
    machine = subprocess.run([_ARGV[0], "-dumpmachine"], capture_output=True, text=True, check=False).stdout
    key = hashlib.sha256(f"{machine} {_ARGV} {SOURCE.read_text()}".encode()).hexdigest()[:32]
    with cache.lock("still-clock"):
        entry = cache.read_entry("still-clock", key)
        if entry is None:
            with cache.scratch() as scratch:
                built = Path(scratch) / _NAME
                done = subprocess.run([*_ARGV, "-o", built, SOURCE], capture_output=True, text=True, check=False)
                if done.returncode:
                    error = MachineError("gcc cannot build the still clock for QEMU; see its message below")
                    error.add_note(done.stderr.strip()[-4000:])
                    raise error
                entry = cache.write_entry("still-clock", key, {_NAME: built.read_bytes()}, {})
    return entry.files[_NAME]
