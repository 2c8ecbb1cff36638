"""Looks up address ranges in map snapshots of a process: in one VMA, over several, or armed with userfaultfd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

UNTOLD, CLEAN, SPANS, ARMED = range(4)  # no snapshot maps the start of the range, or snapshots disagree
_UFFD_FLAGS = r"\b(?:um|uw|ui)\b"  # smaps VmFlags: missing, write-protect, minor faults go to userfaultfd


@dataclass(frozen=True, slots=True, kw_only=True)
class MapSnapshot:
    """The mappings of a process.

    Attributes:
        tgid: the process, by the kernel's id.
        vmas: frame of VMAS.
        taken_ns: when they were read, on the trace's clock; ``alive.AFTER_TRACE``: after its end; None: not known.
    """

    tgid: int
    vmas: pd.DataFrame
    taken_ns: int | None = None


def judge_ranges(
    snapshots: Sequence[pd.DataFrame], address: NDArray[np.uint64], length: NDArray[np.int64]
) -> NDArray[np.int8]:
    """Looks up ranges in snapshots of the same process, taken at any times.

    Args:
        snapshots: frames with columns start, end (addresses, ascending, end exclusive) and vm_flags (as in smaps; may
            be absent for /proc/PID/maps, which cannot show userfaultfd, so that nothing is called clean).
        address: start of each range, untagged.
        length: bytes of each range.

    Returns:
        UNTOLD, CLEAN, SPANS or ARMED for each range: what all snapshots that map its start agree on.
    """
    verdict = np.full(len(address), UNTOLD, np.int8)
    conflict = np.zeros(len(address), np.bool_)
    for snapshot in snapshots:
        if not len(snapshot):
            continue
        one = _judge_by(snapshot, address, length)
        conflict |= (verdict != UNTOLD) & (one != UNTOLD) & (verdict != one)
        verdict = np.where(verdict == UNTOLD, one, verdict)
    return np.where(conflict, UNTOLD, verdict).astype(np.int8)


def _judge_by(snapshot: pd.DataFrame, address: NDArray[np.uint64], length: NDArray[np.int64]) -> NDArray[np.int8]:
    start = snapshot["start"].to_numpy(dtype=np.uint64)
    end = snapshot["end"].to_numpy(dtype=np.uint64)
    order = np.argsort(start, kind="stable")
    start, end = start[order], end[order]
    at = np.searchsorted(start, address, side="right") - 1
    inside = (at >= 0) & (address < end[np.maximum(at, 0)])
    room = end[np.maximum(at, 0)] - address
    spans = length.astype(np.uint64) > room
    if "vm_flags" in snapshot.columns:
        flags = snapshot["vm_flags"].astype("str")
        told = (flags != "").to_numpy(dtype=bool)[order][np.maximum(at, 0)]
        armed = flags.str.contains(_UFFD_FLAGS).to_numpy(dtype=bool)[order][np.maximum(at, 0)]
    else:
        told = armed = np.zeros(len(address), np.bool_)
    return np.select([~inside, spans, armed, told], [UNTOLD, SPANS, ARMED, CLEAN], UNTOLD).astype(np.int8)
