"""Small files of the device, many in one round trip: scripts for its shell, and the reading of what they print.

Files of tracefs and procfs have no size, so ``adb pull`` cannot fetch them; and a write to tracefs fails at ``write``,
which a shell's redirection reports only through the status of the command in front of it. Both are checked here.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_MARK = "=android-suite-end-of-file= "


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One value for one file. ``append`` keeps what is there, as ``>>`` does (``set_event`` needs it)."""

    path: str
    value: str
    append: bool = False
    optional: bool = False  # a refusal is reported instead of being an error


def render_read_script(paths: Sequence[str]) -> str:
    """A script that prints each file, then a line with its status."""
    names = " ".join(shlex.quote(path) for path in paths)
    return f'for f in {names}; do cat "$f" 2>/dev/null; printf "\\n{_MARK}%d\\n" $?; done\n'


def parse_read_output(paths: Sequence[str], output: bytes) -> dict[str, bytes | None]:
    """Splits what :func:`render_read_script` printed; None for a file that could not be read.

    Raises:
        ValueError: the output is not of as many files.
    """
    found: dict[str, bytes | None] = {}
    mark = b"\n" + _MARK.encode()
    rest = output
    for path in paths:
        body, cut, rest = rest.partition(mark)
        status, newline, rest = rest.partition(b"\n")
        if not cut or not newline:
            raise ValueError(f"the output ends before {path}")
        found[path] = body if status == b"0" else None
    return found


def render_write_script(writes: Sequence[Write]) -> str:
    """A script that does the writes in order and prints ``N complaint`` for each that was refused."""
    lines = []
    for number, write in enumerate(writes):
        arrow = ">>" if write.append else ">"
        # the group's stderr takes the complaint of a redirection that fails, too
        lines.append(
            f"r=$( {{ printf '%s\\n' {shlex.quote(write.value)} {arrow} {shlex.quote(write.path)}; }} 2>&1 )"
            f" || echo {number} $r"
        )
    return "\n".join(lines) + "\n"


def parse_write_output(writes: Sequence[Write], output: str) -> Mapping[int, str]:
    """Index of each refused write, and what the shell said."""
    refused: dict[int, str] = {}
    for line in output.splitlines():
        number, _, said = line.partition(" ")
        if number.isdigit() and int(number) < len(writes):
            refused[int(number)] = said.strip()
    return refused
