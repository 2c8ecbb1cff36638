"""System calls by name and number. Numbers are ABI: they never change."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from android_suite.model.syscall_table import TABLE

MACHINES = ("arm64", "x86_64", "arm", "i386", "riscv64")  # the columns of TABLE
_MACHINE_OF = {
    "aarch64": "arm64", "arm64": "arm64", "riscv64": "riscv64", "x86_64": "x86_64", "amd64": "x86_64", "i386": "i386",
    "i686": "i386", "armv7l": "arm", "armv8l": "arm", "arm": "arm",
}  # fmt: skip
# Some kernels give the name of the entry point instead of the call.
CALL_ALIASES: Mapping[str, str] = {
    "mmap_pgoff": "mmap", "mmap2": "mmap", "futex_time32": "futex", "newuname": "uname", "newstat": "stat",
    "newfstat": "fstat", "newlstat": "lstat", "sendfile64": "sendfile",
}  # fmt: skip
# The 32-bit machine whose calls a 64-bit kernel also accepts.
COMPAT: Mapping[str, str] = {"arm64": "arm", "x86_64": "i386"}

# The tables store the index of a call in this list; 0 is an unknown call.
CALL_NAMES: tuple[str, ...] = ("other", *(line.split(" ", 1)[0] for line in TABLE.splitlines()))
_INDEX = {name: index for index, name in enumerate(CALL_NAMES)}


def call_of_name(name: str) -> int:
    """Index into CALL_NAMES of a call, from the name that a kernel gives it; 0 if unknown."""
    return _INDEX.get(CALL_ALIASES.get(name, name), 0)


def find_abi(machine: str | None) -> str | None:
    """The entry of MACHINES for an output of ``uname -m``; None if its calls are unknown."""
    return _MACHINE_OF.get(machine or "")


@cache
def numbers_of(abi: str) -> Mapping[int, int]:
    """Maps system call numbers of one of MACHINES to indices into CALL_NAMES."""
    column = 1 + MACHINES.index(abi)
    rows = (line.split(" ") for line in TABLE.splitlines())
    return {int(row[column]): index for index, row in enumerate(rows, start=1) if row[column] != "-"}
