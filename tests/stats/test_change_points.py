"""Otava as the suite uses it: known changes are found where they are, and false alarms are measured, not believed."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest

from android_suite.errors import Unsupported
from android_suite.stats.change_points import (
    MIN_POINTS,
    FoundChange,
    NullRate,
    find_change_points,
    judge_split,
    measure_null_rate,
)


def test_a_clear_change_is_found_where_it_is() -> None:
    rng = np.random.default_rng(5)
    values = np.concatenate([rng.normal(100, 1, 12), rng.normal(110, 1, 9), rng.normal(95, 1, 11)])
    found = find_change_points(values)
    assert [change.index for change in found] == [12, 21]
    assert all(change.p_value < 0.001 for change in found)


def test_a_change_in_a_long_series_is_found_beyond_otavas_window() -> None:
    """Of an array Otava 0.8.0 would take the whole instead of a window and give places that do not exist."""
    rng = np.random.default_rng(6)
    values = np.concatenate([rng.normal(10, 1, 130), rng.normal(16, 1, 70)])
    places = [change.index for change in find_change_points(values)]
    assert 130 in places
    assert all(0 < place < 200 for place in places)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([7.0] * 20, []), ([1.0] * 6 + [2.0] * 6, [6]), ([0.0] * 5 + [1.0] * 5, [5]), ([1.0] * 3 + [9.0] * 4, [])],
)
def test_values_without_spread_and_too_few(values: list[float], expected: list[int]) -> None:
    assert len(values) >= MIN_POINTS or not expected
    assert [change.index for change in find_change_points(values)] == expected


def test_false_alarms_are_counted_and_repeat() -> None:
    values = np.random.default_rng(7).normal(50, 3, (14, 1))
    once, again = (measure_null_rate(values, null_series=60, rng=np.random.default_rng(3)) for _ in range(2))
    assert once.strongest.tolist() == again.strongest.tolist()
    found = sum(p < 1 for p in once.strongest)
    assert once.rate == found / 60
    assert once.rate < 0.25
    # With a threshold that lets everything pass, it does find something in most orders: the count is no constant.
    loose = measure_null_rate(values, null_series=30, rng=np.random.default_rng(3), max_p_value=0.05)
    assert loose.rate > once.rate


def test_chance_counts_the_real_order() -> None:
    rate = NullRate(strongest=np.array([1.0, 1e-4, 1e-6, 1.0]), energy=np.array([0.0, 3.0, 9.0, 0.0]))
    assert rate.rate == 0.5
    found = [FoundChange(index=3, p_value=p, energy=5.0) for p in (1e-9, 1e-5, 2e-4)]
    assert [rate.chance(change) for change in found] == [1 / 5, 2 / 5, 3 / 5]


def test_values_without_spread_are_ranked_by_their_distance() -> None:
    """Single values between equal ones have a p-value of 0, too; the real order separates more."""
    values = np.array([100.0] * 30 + [0.1] * 5)
    (change,) = find_change_points(values)
    assert change.p_value == 0.0
    rate = measure_null_rate(values[:, None], null_series=150, rng=np.random.default_rng(1), min_points=2)
    assert np.count_nonzero(rate.strongest == 0.0) > 0
    assert rate.chance(change) == 1 / 151


def test_a_split_is_judged_within_its_part() -> None:
    values = [1.0, 1.1, 0.9, 1.0, 5.0, 5.1, 4.9, 5.0, 99.0]
    assert judge_split(values, 4, end=8) < 1e-6
    assert judge_split(values, 0) == 1.0


def test_without_otava_the_next_step_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *args: Any, **more: Any) -> Any:
        if name.startswith("otava"):
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(Unsupported, match="pip install --no-deps apache-otava=="):
        find_change_points([1.0] * 10)
