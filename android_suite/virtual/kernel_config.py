"""Configurations of the kernels that the suite builds: fragments on top of the smallest kernel, `tinyconfig`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal, get_args

from android_suite.errors import MachineError, UsageError

Configuration = Literal["lab", "gki", "debug"]
CONFIGURATIONS: Final[tuple[Configuration, ...]] = get_args(Configuration)
_FOLDER = Path(__file__).parent / "configs"
# Without these a virtual device cannot measure; a release may have removed or renamed any other option.
_VITAL = frozenset({"CONFIG_FTRACE_SYSCALLS=y", "CONFIG_VIRTIO_NET=y", "CONFIG_RD_ZSTD=y"})
# A fragment has both names of an option that a release renamed; a source takes one of them.
_RENAMED: Final = {"CONFIG_PROC_SYSCTL=y": "CONFIG_SYSCTL=y"}
_UNSET = re.compile(r"# (CONFIG_\w+) is not set")


def read_options(arch: str, configuration: str = "lab", *, lock_stat: bool = False) -> bytes:
    """The fragments of a configuration, in one; where two set an option, the later one counts.

    Args:
        arch: ``arm64`` or ``amd64``.
        configuration: ``lab``, the smallest kernel that a virtual device can use; ``gki``, the same with the options as
            Android's GKI sets them; ``debug``, the same with KASAN, lockdep and the checks of mm.
        lock_stat: with the kernel's own lock statistics.

    Raises:
        UsageError: there is no such configuration.
    """
    if configuration not in CONFIGURATIONS:
        raise UsageError(f"unknown configuration {configuration!r}; use one of {', '.join(CONFIGURATIONS)}")
    names = ["lab", f"lab.{arch}"]
    names += {"lab": [], "gki": ["gki", f"gki.{arch}"], "debug": ["debug"]}[configuration]
    names += ["lock_stat"] if lock_stat else []
    return b"".join((_FOLDER / f"{name}.config").read_bytes() for name in names)


def find_refused(wanted: str, final: str) -> tuple[str, ...]:
    """The lines of a fragment that a final configuration does not have, without those that a later line replaces."""
    last: dict[str, str] = {}
    for line in wanted.splitlines():
        if unset := _UNSET.fullmatch(line):
            last[unset[1]] = line
        elif line.startswith("CONFIG_"):
            last[line.partition("=")[0]] = line
    have = set(final.splitlines())
    named = {line.partition("=")[0] for line in have}
    # An option that the source does not know cannot be set: then it is as wanted.
    return tuple(
        line
        for name, line in last.items()
        if not {line, _RENAMED.get(line)} & have and (not _UNSET.fullmatch(line) or name in named)
    )


def check_config(wanted: str, final: str) -> tuple[str, ...]:
    """The lines of a fragment that this source does not take.

    Raises:
        MachineError: one of them is an option that the suite needs.
    """
    refused = find_refused(wanted, final)
    if lost := sorted(_VITAL & set(refused)):
        raise MachineError(
            f"this source cannot be configured with {', '.join(lost)}; choose another linux-source package"
        )
    return refused
