"""The programs `emulator`, `launch_cvd` and `stop_cvd`, scripted: the device that they start is a scripted phone.

Flags, output, ports, the console and the ways to fail are those of public logs of the real programs. The environment
variable ``SCRIPTED_EMULATOR`` chooses what goes wrong.
"""

from __future__ import annotations

import sys
from pathlib import Path

FAULT = "SCRIPTED_EMULATOR"


def install(folder: Path, *names: str) -> None:
    """Puts programs of this package into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    root = Path(__file__).resolve().parent.parent.parent
    for name in names:
        script = folder / name
        script.write_text(
            f'#!/bin/sh\nPYTHONPATH={root} exec {sys.executable} -m tests.scripted_emulators.{name} "$@"\n'
        )
        script.chmod(0o755)
