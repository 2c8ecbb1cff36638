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
# Some kernels name the entry point and not the call.
CALL_ALIASES: Mapping[str, str] = {
    "mmap_pgoff": "mmap", "mmap2": "mmap", "futex_time32": "futex", "newuname": "uname", "newstat": "stat",
    "newfstat": "fstat", "newlstat": "lstat", "sendfile64": "sendfile",
}  # fmt: skip
# The 32-bit calls that a 64-bit kernel of this machine also takes.
COMPAT: Mapping[str, str] = {"arm64": "arm", "x86_64": "i386"}

# A call's place here is what the tables store; 0 is a call that is not known.
CALL_NAMES: tuple[str, ...] = ("other", *(line.split(" ", 1)[0] for line in TABLE.splitlines()))
_INDEX = {name: index for index, name in enumerate(CALL_NAMES)}


def call_of_name(name: str) -> int:
    """Index into CALL_NAMES of a call, by the name that a kernel gives it; 0 where it is not known."""
    return _INDEX.get(CALL_ALIASES.get(name, name), 0)


def find_abi(machine: str | None) -> str | None:
    """The one of MACHINES that ``uname -m`` means; None for one whose calls are not known here."""
    return _MACHINE_OF.get(machine or "")


@cache
def numbers_of(abi: str) -> Mapping[int, int]:
    """System call number to index into CALL_NAMES, for one of MACHINES."""
    column = 1 + MACHINES.index(abi)
    rows = (line.split(" ") for line in TABLE.splitlines())
    return {int(row[column]): index for index, row in enumerate(rows, start=1) if row[column] != "-"}
