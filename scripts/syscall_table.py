"""Writes android_suite/model/syscall_table.py from the package `system-calls`: ``python -m scripts.syscall_table``.

`system-calls` is made from the tables of the kernel's own releases. See docs/decisions/0006-full-syscall-table.md.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

from android_suite.model.syscalls import CALL_ALIASES, CALL_NAMES, MACHINES

TARGET = Path(__file__).resolve().parent.parent / "android_suite/model/syscall_table.py"
_HEAD = '''"""System call numbers by machine. Written by ``python -m scripts.syscall_table``; do not edit.

One line per call: its name, then its number on {machines}; '-' where there is none.
A name keeps its place: the place is what tables store, so new calls go to the end.
"""

TABLE = """\\
'''


def render_table() -> str:
    """The text of the module, from the installed version of `system-calls`."""
    numbers = {machine: _numbers(machine) for machine in MACHINES}
    found = sorted({name for each in numbers.values() for name in each})
    names = [*CALL_NAMES[1:], *(name for name in found if name not in CALL_NAMES)]
    rows = [" ".join([name, *(str(numbers[m].get(name, "-")) for m in MACHINES)]) for name in names]
    return _HEAD.format(machines=", ".join(MACHINES)) + "\n".join(rows) + '\n"""\n'


def _numbers(machine: str) -> Mapping[str, int]:
    module = importlib.import_module(f"system_calls.tables.{machine}")
    table: dict[str, int] = dict(getattr(module, f"syscalls_{machine}"))
    if machine == "i386":
        table["old_mmap"] = table.pop("mmap")  # takes a pointer to its arguments; mmap2 is what programs call
    named: dict[str, int] = {}
    for name, number in sorted(table.items(), key=lambda item: item[0] in CALL_ALIASES):
        named.setdefault(CALL_ALIASES.get(name, name), number)
    return named


if __name__ == "__main__":
    TARGET.write_text(render_table())
