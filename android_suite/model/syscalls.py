"""System call numbers of the calls that the analysis knows, by machine. Numbers are ABI: they never change."""

from __future__ import annotations

from collections.abc import Mapping

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
_BY_MACHINE: dict[str, Mapping[str, int]] = {
    "aarch64": _GENERIC, "arm64": _GENERIC, "riscv64": _GENERIC, "x86_64": _X86_64, "amd64": _X86_64, "i386": _I386,
    "i686": _I386, "armv7l": _ARM, "armv8l": _ARM, "arm": _ARM,
}  # fmt: skip
# Older kernels name the entry points, not the calls.
_ALIASES = {"mmap_pgoff": "mmap", "mmap2": "mmap", "futex_time32": "futex"}


def name_of_entry_point(name: str) -> str:
    """The call that an entry point of the kernel serves: ``mmap`` for ``mmap_pgoff``; any other name is its own."""
    return _ALIASES.get(name, name)


def call_numbers(machine: str | None) -> Mapping[str, int] | None:
    """Number of each call by name on a machine as ``uname -m`` names it; None for one that is not known here."""
    return _BY_MACHINE.get(machine or "")
