"""Modes: one or several, where, and how many samples each holds."""

from __future__ import annotations

import numpy as np
import pytest

from android_suite.stats.modes import find_modes, has_several_modes


def test_two_modes_and_their_shares() -> None:
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(5, 0.4, 60), rng.normal(15, 0.4, 140)])
    modes = find_modes(values)
    assert modes is not None
    assert modes.places == pytest.approx((5, 15), abs=0.5)
    assert modes.shares(values) == pytest.approx((0.3, 0.7))
    assert modes.shares(np.array([14.0, 16.0])).tolist() == [0.0, 1.0]


def test_three_modes() -> None:
    rng = np.random.default_rng(2)
    values = np.concatenate([rng.normal(place, 0.5, 60) for place in (5, 10, 15)])
    modes = find_modes(values)
    assert modes is not None
    assert modes.places == pytest.approx((5, 10, 15), abs=0.7)


@pytest.mark.parametrize("kind", ["normal", "uniform", "exponential"])
def test_one_mode_is_not_split(kind: str) -> None:
    rng = np.random.default_rng(3)
    several = sum(has_several_modes(getattr(rng, kind)(size=100)) for _ in range(100))
    assert several <= 8, "the dip test holds its level for any distribution with one mode"


def test_few_samples_and_few_values_have_one_mode() -> None:
    assert find_modes(np.array([1.0, 9.0] * 9)) is None
    assert find_modes(np.zeros(50)) is None
    assert find_modes(np.array([0.0, 1.0] * 50)) is None
