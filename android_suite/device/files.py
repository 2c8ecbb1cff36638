"""Reads and writes many small files of the device in one round trip: shell scripts and parsers of their output.

Files of tracefs and procfs have no size, so ``adb pull`` cannot fetch them. A refused write to tracefs fails at
``write``, which a shell redirection reports only as the status of the command. The scripts here check both.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from android_suite.device.numbers import read_count

_MARK = "=android-suite-end-of-file= "


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One value for one file. ``append`` keeps the content, as ``>>`` does (``set_event`` needs it)."""

    path: str
    value: str
    append: bool = False
    optional: bool = False  # a refusal is reported and is not an error


def render_read_script(paths: Sequence[str]) -> str:
    """A script that prints each file, then a line with its status."""
    names = " ".join(shlex.quote(path) for path in paths)
    return f'for f in {names}; do cat "$f" 2>/dev/null; printf "\\n{_MARK}%d\\n" $?; done\n'


def parse_read_output(paths: Sequence[str], output: bytes) -> dict[str, bytes | None]:
    """Splits what :func:`render_read_script` printed; None for a file that could not be read.

    Raises:
        ValueError: the output has fewer files.
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


def render_read_lines_script(paths: Sequence[str]) -> str:
    """A script that prints text files, each line preceded by its file name, and which files exist.

    It uses one process for all files, because starting a process is slow on a busy or an emulated device.
    """
    names = " ".join(shlex.quote(path) for path in paths)
    return (
        f'for f in {names}; do if [ -r "$f" ]; then echo "{_MARK}$f"; fi; done; grep -H "" {names} 2>/dev/null; true\n'
    )


def parse_read_lines_output(paths: Sequence[str], output: str) -> dict[str, str | None]:
    """Text of each file with LF line ends; None for a file that cannot be read.

    Args:
        paths: the paths given to :func:`render_read_lines_script`; none may contain a colon.
        output: the output of its script.
    """
    lines: dict[str, list[str]] = {}
    for line in output.split("\n"):
        if line.startswith(_MARK):
            lines.setdefault(line.removeprefix(_MARK), [])
            continue
        path, colon, text = line.partition(":")
        if colon and path in lines:
            lines[path].append(text)
    return {path: "".join(f"{text}\n" for text in lines[path]) if path in lines else None for path in paths}


Access = Literal["readable", "absent", "denied"]


def render_access_script(paths: Sequence[str]) -> str:
    """A script that opens each file for reading and prints what came of it. Only opening tells what SELinux allows."""
    names = " ".join(shlex.quote(path) for path in paths)
    return (
        f'for f in {names}; do if [ -d "$f" ]; then said=$(ls "$f" 2>&1 >/dev/null); else said=$( {{ : < "$f"; }} 2>&1); fi\n'
        f'echo "{_MARK}"$said; done; true\n'
    )


def parse_access_output(paths: Sequence[str], output: str) -> dict[str, Access]:
    """What :func:`render_access_script` printed.

    Raises:
        ValueError: the output has fewer files.
    """
    told = [line.removeprefix(_MARK).strip() for line in output.splitlines() if line.startswith(_MARK)]
    if len(told) < len(paths):
        raise ValueError(f"the output ends before {paths[len(told)]}")
    return {path: _judge_access(said) for path, said in zip(paths, told, strict=False)}


def _judge_access(said: str) -> Access:
    if not said:
        return "readable"
    return "denied" if "ermission denied" in said or "not permitted" in said else "absent"


def render_write_script(writes: Sequence[Write]) -> str:
    """A script that writes in order and prints the mark and the index of each refused write.

    A value is one write(2) without a line end: Android's printf is toybox's, which writes the pieces of its format one by
    one, and tracefs takes each for a value. An empty value only truncates, which is how tracefs clears a list.
    """
    lines = [
        f"printf %s {shlex.quote(write.value)} {'>>' if write.append else '>'} {shlex.quote(write.path)}"
        f" || echo '{_MARK}{number}'"
        for number, write in enumerate(writes)
    ]
    return "exec 2>&1\n" + "\n".join(lines) + "\ntrue\n"


def parse_write_output(writes: Sequence[Write], output: str) -> Mapping[int, str]:
    """Index of each refused write, with the shell's message."""
    refused: dict[int, str] = {}
    said: list[str] = []
    for line in output.splitlines():
        number = read_count(line.removeprefix(_MARK)) if line.startswith(_MARK) else None
        if number is not None and number < len(writes):
            refused[number] = " ".join(said) or "no reason given"
            said = []
        elif line.strip():
            said.append(line.strip())
    return refused
