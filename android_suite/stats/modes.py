"""The modes of a distribution: whether it has several, where they are, and which share of the samples each holds.

Whether there are several is decided by Hartigan's dip test (Hartigan and Hartigan 1985, Annals of Statistics 13:70;
package ``diptest``), whose null hypothesis is any distribution with one mode. Where they are is read from a kernel
density estimate: its peaks, separated at the lowest point between them.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MIN_SAMPLES = 20  # the dip test has little power below
DIP_P = 0.05
_GRID = 512
_VALLEY = 0.75  # a valley this deep, against the lower of the peaks beside it, separates two modes
_PEAK = 0.05  # of the highest peak; lower ones are stray samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Modes:
    """Where the samples of a distribution gather. ``places`` has one entry more than ``valleys``; both ascend."""

    places: tuple[float, ...]
    valleys: tuple[float, ...]

    def shares(self, values: Array) -> Array:
        """Share of ``values`` at each mode; shape (modes,)."""
        at = np.searchsorted(np.asarray(self.valleys), values, side="right")
        shares: Array = np.bincount(at, minlength=len(self.places)) / max(1, len(values))
        return shares


def has_several_modes(values: Array) -> bool:
    """Whether the dip test refuses a single mode. Fewer than ``MIN_SAMPLES`` samples never do."""
    if len(values) < MIN_SAMPLES or len(np.unique(values)) < 3:
        return False
    from diptest import diptest

    # The table of critical values needs no simulation, so the answer has no chance in it.
    return bool(diptest(np.sort(values))[1] <= DIP_P)


def find_modes(values: Array) -> Modes | None:
    """The modes of ``values``; None if one mode explains them."""
    if not has_several_modes(values):
        return None
    from scipy.stats import gaussian_kde

    density = gaussian_kde(values, bw_method=0.5 * float(len(values)) ** -0.2)  # half of Scott's: that is for one mode
    width = (values.max() - values.min()) * 0.1
    grid = np.linspace(values.min() - width, values.max() + width, _GRID)
    height = density(grid)
    inner = np.flatnonzero((height[1:-1] > height[:-2]) & (height[1:-1] >= height[2:])) + 1
    peaks: list[int] = []
    for peak in (int(p) for p in inner if height[p] >= _PEAK * height.max()):
        if peaks:
            low = height[peaks[-1] : peak].min()
            if low > _VALLEY * min(height[peaks[-1]], height[peak]):  # one mode with two tips
                peaks[-1] = max(peaks[-1], peak, key=lambda at: float(height[at]))
                continue
        peaks.append(peak)
    if len(peaks) < 2:
        return None
    valleys = [one + int(np.argmin(height[one:other])) for one, other in itertools.pairwise(peaks)]
    return Modes(places=tuple(float(grid[p]) for p in peaks), valleys=tuple(float(grid[v]) for v in valleys))
