"""Which architecture the system call numbers of a text belong to: text carries numbers only."""

from __future__ import annotations

import numpy as np
import pandas as pd

from android_suite.tables import events
from android_suite.trace.core.calls import call_lookup

_MACHINES = ("arm64", "x86_64")
_ON_ALIGNED_MEMORY = [events.SYSCALLS.index(call) for call in ("munmap", "mprotect", "mremap")]
_PAGE_MASK = np.uint64(4095)
_SLICE_ROWS = 1 << 20  # looked at together: what is made beside the table stays small
_ADVICES = np.array([*range(26), 100, 101, 102, 103], dtype=np.uint64)


def infer_call_numbers(syscalls: pd.DataFrame) -> str:
    """Names the calls of ``raw_syscalls`` events in place, where their arguments tell the architecture; '' where not.

    Text carries numbers only. The calls on memory take page-aligned addresses: an architecture is believed when its numbers
    of these calls fit (almost) always and the other's do not.
    """
    fits = dict.fromkeys(_MACHINES, (0, 0))
    for start in range(0, len(syscalls), _SLICE_ROWS):
        part = syscalls.iloc[start : start + _SLICE_ROWS]
        entered = (part["nr"].to_numpy() >= 0) & (part["kind"].to_numpy() == 0)
        nr, arg0, length, arg2 = (part[name].to_numpy()[entered] for name in ("nr", "arg0", "arg1", "arg2"))
        aligned = (arg0 & _PAGE_MASK) == 0
        for machine, (fit, all_) in fits.items():
            call = _calls(machine, nr)
            madvise, others = call == events.SYSCALLS.index("madvise"), np.isin(call, _ON_ALIGNED_MEMORY)
            good = (madvise & aligned & np.isin(arg2, _ADVICES)) | (others & aligned & (length > 0))
            good &= arg0 > np.uint64(65535)
            fits[machine] = fit + int(good.sum()), all_ + int((madvise | others).sum())
    believed = [m for m, (good, all_) in fits.items() if good and good >= 0.95 * all_]
    if len(believed) != 1:
        return ""
    call_column, nr = syscalls["call"].to_numpy(copy=True), syscalls["nr"].to_numpy()
    raw = nr >= 0
    call_column[raw] = _calls(believed[0], nr[raw])
    syscalls["call"] = call_column
    return believed[0]


def _calls(machine: str, nr: np.ndarray) -> np.ndarray:
    """Index into SYSCALLS of each number on that machine."""
    lookup = call_lookup(machine)
    assert lookup is not None
    return np.asarray(np.where((nr >= 0) & (nr < len(lookup)), lookup[np.clip(nr, 0, len(lookup) - 1)], 0), np.int8)
