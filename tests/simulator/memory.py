"""The address space that simulated threads advise on: its mappings, ranges to pick from, and why each falls back."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache

import pandas as pd

DONTNEED, WILLNEED, FREE, COLD = 4, 3, 8, 20
ADVICE_NAMES = {DONTNEED: "MADV_DONTNEED", WILLNEED: "MADV_WILLNEED", FREE: "MADV_FREE", COLD: "MADV_COLD"}
_BASE, _SIZE, _PAGE = 0x70_1000_0000, 0x10_0000, 4096
PLAIN, _ARMED, _COUNT = (0, 1), 2, 4  # mappings that any range may lie in; the one that userfaultfd watches


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """What this kernel does under a VMA lock: nothing, MADV_DONTNEED, or MADV_FREE as well."""

    dontneed: bool
    free: bool

    def covers(self, advice: int) -> bool:
        return self.dontneed and (advice == DONTNEED or (advice == FREE and self.free))


@dataclass(frozen=True, slots=True)
class Advised:
    """A range, the advice on it, and what keeps it off the VMA lock whoever else is there ('' nothing)."""

    address: int
    length: int
    advice: int
    obstacle: str

    @property
    def vma(self) -> int:
        """Number of the mapping that the range begins in."""
        return (self.address - _BASE) // _SIZE


def pick_range(rng: random.Random, patch: Patch) -> Advised:
    """Mostly an easy range; sometimes one that spans two mappings, is watched, or gets another advice."""
    pick = rng.random()
    advice = DONTNEED if pick < 0.8 else FREE if pick < 0.92 else WILLNEED
    pick = rng.random()
    pages = rng.randint(1, 16)
    if pick < 0.7:
        start, obstacle = _BASE + _SIZE * rng.choice(PLAIN) + _PAGE * rng.randint(0, 200), ""
    elif pick < 0.85:
        # The last pages of one mapping and the first of the next.
        start, obstacle = _BASE + _SIZE - _PAGE * rng.randint(1, pages), "spans_vmas"
        pages += 1
    else:
        start, obstacle = _BASE + _SIZE * _ARMED + _PAGE * rng.randint(0, 200), "userfaultfd"
    if not patch.dontneed:
        obstacle = "unpatched"
    elif not patch.covers(advice):
        obstacle = "advice"
    return Advised(start, _PAGE * pages, advice, obstacle)


@cache
def snapshot_maps() -> pd.DataFrame:
    """The mappings as smaps would list them: every process has the same."""
    start = [_BASE + _SIZE * i for i in range(_COUNT)]
    flags = ["rd wr mr mw me ac" + (" um" if i == _ARMED else "") for i in range(_COUNT)]
    return pd.DataFrame(
        {
            "start": pd.array(start, "uint64"),
            "end": pd.array([s + _SIZE for s in start], "uint64"),
            "vm_flags": flags,
        }
    )
