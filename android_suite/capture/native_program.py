"""The programs in ``native/``: one C file each."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from android_suite.device.native_program import build_native

NATIVE: Final = Path(__file__).parent / "native"


def build_program(name: str, machine: str, *, cache: Path) -> bytes:
    """The program ``native/NAME.c`` for ``machine`` (from ``uname -m``); see :func:`build_native`.

    Raises:
        Unsupported: no compiler is known for the machine.
        LabError: the compiler is missing or fails.
    """
    return build_native(NATIVE / f"{name}.c", machine, cache=cache)
