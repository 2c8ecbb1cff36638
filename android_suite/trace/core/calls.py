"""System calls in columns: names and numbers to indexes into SYSCALLS."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from android_suite.model.syscalls import call_numbers, name_of_entry_point
from android_suite.tables.events import SYSCALLS

_INDEX = {name: index for index, name in enumerate(SYSCALLS)}


def call_of_name(name: str) -> int:
    """Index into SYSCALLS of a call by name (0, 'other', where the tables do not know it)."""
    return _INDEX.get(name_of_entry_point(name), 0)


def call_lookup(machine: str | None) -> npt.NDArray[np.int8] | None:
    """Index into SYSCALLS by system call number; None for a machine whose numbers are not known here."""
    numbers = call_numbers(machine)
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
