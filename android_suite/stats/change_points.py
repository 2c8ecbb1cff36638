"""Change points of an ordered series, found by Apache Otava, and how often it finds one where there is none.

Otava (formerly Hunter) splits a series where the energy distance of its two parts is largest, and keeps a split whose
t-test passes. The place of the split was chosen to look different, so its p-value is too small: the share of *null
series* in which it finds something is therefore measured, with the series' own values in random order. Sources: Fleming
et al. 2023, doi:10.1145/3578244.3583719; Matteson and James, arXiv:1306.4933.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from android_suite.errors import Unsupported

Array = NDArray[np.float64]

PACKAGE = "apache-otava==0.8.0"
MAX_P_VALUE = 0.001  # Otava's own default
# Below, a jump of five standard deviations in the middle is found in less than nine of ten series.
MIN_POINTS = 8
WINDOW = 50  # points, Otava's default; a longer series is examined window by window


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundChange:
    """A change between point ``index`` - 1 and point ``index``.

    ``p_value`` is Otava's, before any correction; ``energy`` is the distance of the two parts, in the values' unit, which
    ranks changes whose p-value is 0 because neither part has any spread.
    """

    index: int
    p_value: float
    energy: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NullRate:
    """How often a search found something in null series.

    Attributes:
        strongest: the smallest p-value of each null series; 1 where nothing was found. Shape (null series,).
        energy: of the same change, the largest where several have that p-value; 0 where nothing was found.
    """

    strongest: Array
    energy: Array

    @property
    def rate(self) -> float:
        """Share of null series in which at least one change was found."""
        return float(np.mean(self.strongest < 1.0)) if len(self.strongest) else 0.0

    def chance(self, change: FoundChange) -> float:
        """Share of orders, the real one included, whose strongest change is at least as strong as ``change``."""
        stronger = self.strongest < change.p_value
        equal = (self.strongest == change.p_value) & (self.energy >= change.energy)
        return float((1 + np.count_nonzero(stronger | equal)) / (1 + len(self.strongest)))


def find_change_points(
    values: Sequence[float] | Array, *, max_p_value: float = MAX_P_VALUE, min_points: int = MIN_POINTS
) -> list[FoundChange]:
    """The change points of one series, in order; none if it is shorter than ``min_points``.

    Raises:
        Unsupported: Apache Otava is not installed.
    """
    if len(values) < min_points:
        return []
    compute, _ = _load()
    # A list: of a numpy array Otava takes no window, but the whole (0.8.0, ChangePointDetector.get_change_points).
    with np.errstate(all="ignore"):  # parts without any spread divide by zero
        found, _ = compute([float(value) for value in values], window_len=WINDOW, max_pvalue=max_p_value)
    return [
        FoundChange(index=int(point.index), p_value=float(point.stats.pvalue), energy=float(point.qhat))
        for point in found
    ]


def judge_split(values: Sequence[float] | Array, index: int, *, start: int = 0, end: int | None = None) -> float:
    """Otava's p-value for a change between ``index`` - 1 and ``index`` of ``values[start:end]``; 1 if there is none."""
    _, tester = _load()
    part = np.asarray(values, dtype=np.float64)[start:end]
    left, right = part[: index - start], part[index - start :]
    if not len(left) or not len(right):
        return 1.0
    with np.errstate(all="ignore"):
        p_value = float(tester(MAX_P_VALUE).compare(left, right).pvalue)
    return 1.0 if np.isnan(p_value) else p_value


def measure_null_rate(
    columns: Array,
    *,
    null_series: int,
    rng: np.random.Generator,
    max_p_value: float = MAX_P_VALUE,
    min_points: int = MIN_POINTS,
) -> NullRate:
    """Searches random orders of the same points, in which no place is special.

    Args:
        columns: one series per column, shape (points, series); each order is applied to all columns, and the
            strongest change of any column counts.
        null_series: how many random orders.
        rng: draws the orders.
        max_p_value: as in the search whose rate is measured.
        min_points: the same.
    """
    strongest, energy = np.ones(null_series), np.zeros(null_series)
    if len(columns) >= min_points and any(len(np.unique(column)) > 1 for column in columns.T):
        for number in range(null_series):
            order = rng.permutation(len(columns))
            found = [
                (change.p_value, -change.energy)
                for column in columns.T
                for change in find_change_points(column[order], max_p_value=max_p_value, min_points=min_points)
            ]
            strongest[number], less = min(found, default=(1.0, 0.0))
            energy[number] = -less
    return NullRate(strongest=strongest, energy=energy)


def _load() -> tuple[Any, Any]:  # Otava has no type information
    try:
        from otava.analysis import TTestSignificanceTester, compute_change_points
    except ImportError:
        raise Unsupported(
            "change points are found by Apache Otava, which is not installed here; run "
            f"`python -m pip install --no-deps {PACKAGE}` in the suite's environment (why without its dependencies: "
            "docs/history.md)."
        ) from None
    return compute_change_points, TTestSignificanceTester
