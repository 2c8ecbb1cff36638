"""System call numbers of the calls that the analysis knows, by machine. Numbers are ABI: they never change."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from android_suite.tables.events import SYSCALLS

_GENERIC = {
    "madvise": 233, "process_madvise": 440, "mmap": 222, "munmap": 215, "mprotect": 226, "mremap": 216, "brk": 214,
    "clone": 220, "clone3": 435, "execve": 221, "exit": 93, "exit_group": 94, "futex": 98, "ioctl": 29, "prctl": 167,
    "userfaultfd": 282, "io_uring_enter": 426,
}  # fmt: skip
_X86_64 = {
    "madvise": 28, "process_madvise": 440, "mmap": 9, "munmap": 11, "mprotect": 10, "mremap": 25, "brk": 12,
    "clone": 56, "clone3": 435, "execve": 59, "exit": 60, "exit_group": 231, "futex": 202, "ioctl": 16, "prctl": 157,
    "userfaultfd": 323, "io_uring_enter": 426,
}  # fmt: skip
_ARM = {
    "madvise": 220, "process_madvise": 440, "mmap": 192, "munmap": 91, "mprotect": 125, "mremap": 163, "brk": 45,
    "clone": 120, "clone3": 435, "execve": 11, "exit": 1, "exit_group": 248, "futex": 240, "ioctl": 54, "prctl": 172,
    "userfaultfd": 388, "io_uring_enter": 426,
}  # fmt: skip
_I386 = {
    "madvise": 219, "process_madvise": 440, "mmap": 192, "munmap": 91, "mprotect": 125, "mremap": 163, "brk": 45,
    "clone": 120, "clone3": 435, "execve": 11, "exit": 1, "exit_group": 252, "futex": 240, "ioctl": 54, "prctl": 172,
    "userfaultfd": 374, "io_uring_enter": 426,
}  # fmt: skip
_BY_MACHINE = {
    "aarch64": _GENERIC, "arm64": _GENERIC, "riscv64": _GENERIC, "x86_64": _X86_64, "amd64": _X86_64, "i386": _I386,
    "i686": _I386, "armv7l": _ARM, "armv8l": _ARM, "arm": _ARM,
}  # fmt: skip
# Older kernels name the entry points, not the calls.
_ALIASES = {"mmap_pgoff": "mmap", "mmap2": "mmap", "futex_time32": "futex"}
_INDEX = {name: index for index, name in enumerate(SYSCALLS)}


def call_of_name(name: str) -> int:
    """Index into SYSCALLS of a call by name (0, 'other', where the tables do not know it)."""
    return _INDEX.get(_ALIASES.get(name, name), 0)


def call_lookup(machine: str | None) -> npt.NDArray[np.int8] | None:
    """Index into SYSCALLS by system call number; None for a machine whose numbers are not known here."""
    numbers = _BY_MACHINE.get(machine or "")
    if numbers is None:
        return None
    table = np.zeros(1024, np.int8)
    for name, number in numbers.items():
        table[number] = _INDEX[name]
    return table


def find_machine(call: npt.NDArray[np.int8], nr: npt.NDArray[np.int32]) -> str | None:
    """A machine on which calls (indexes into SYSCALLS) have these numbers; None if none has, or if they name no call.

    Args:
        call: of any length, with repetitions.
        nr: beside it; -1 where the number is not known.
    """
    pairs = np.unique(call[nr >= 0].astype(np.int64) << 32 | nr[nr >= 0].astype(np.int64))
    calls, numbers = pairs >> 32, pairs & 0xFFFFFFFF
    if not calls.any():
        return None
    for machine in ("aarch64", "x86_64", "armv8l", "i686"):
        lookup = call_lookup(machine)
        assert lookup is not None
        if bool((np.where(numbers < lookup.size, lookup[np.minimum(numbers, lookup.size - 1)], 0) == calls).all()):
            return machine
    return None
