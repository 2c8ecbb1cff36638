"""Parses /proc/PID/smaps and maps, whose mappings explain why a madvise fell back to mmap_lock."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from android_suite.tables.evidence import VMAS
from android_suite.tables.schema import make_frame

_VMA = re.compile(
    r"^([0-9a-f]{1,16})-([0-9a-f]{1,16}) ([rwxsp-]{4}) [0-9a-f]{1,16} [0-9a-f]{1,4}:[0-9a-f]{1,4} \d+ *(.*)$"
)
_FLAGS = "VmFlags:"
USERFAULTFD_FLAGS = frozenset({"um", "uw", "ui"})


def parse_smaps(text: str) -> pd.DataFrame:
    """Reads smaps or maps of one process (VMAS), in address order as the kernel prints them."""
    starts: list[int] = []
    ends: list[int] = []
    perms: list[str] = []
    names: list[str] = []
    flags: list[str] = []
    for line in text.splitlines():
        if line.startswith(_FLAGS):
            if flags:
                flags[-1] = " ".join(line[len(_FLAGS) :].split())
        elif (match := _VMA.match(line)) is not None:
            starts.append(int(match[1], 16))
            ends.append(int(match[2], 16))
            perms.append(match[3])
            names.append(match[4].rstrip())
            flags.append("")
    if not starts:
        return make_frame(VMAS)
    return make_frame(
        VMAS,
        {
            "start": np.array(starts, dtype=np.uint64), "end": np.array(ends, dtype=np.uint64),
            "perms": pd.Series(perms, dtype="str"), "name": pd.Series(names, dtype="str"),
            "vm_flags": pd.Series(flags, dtype="str"),
        },
    )  # fmt: skip


def is_userfaultfd(vmas: pd.DataFrame) -> np.ndarray:
    """Whether a userfaultfd is registered on each mapping (bool array, one value per row)."""
    return np.array([bool(USERFAULTFD_FLAGS.intersection(flags.split())) for flags in vmas["vm_flags"]], dtype=np.bool_)
