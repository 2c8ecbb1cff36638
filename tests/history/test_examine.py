"""Planted changes are told where, how large and how sure; null stores give the measured rate of false alarms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from android_suite.history.examine import Search, move_to_border, trace_history
from android_suite.model.history import History
from android_suite.report.history_words import describe_chance, summarize_history
from android_suite.stats.change_points import FoundChange
from tests.made_stores import MadeBoot, series_of, stored

KERNELS = ["6.12.1", "6.13.1", "6.14.1", "6.15.1", "6.16.1", "6.17.1"]
WAIT = "mmapLockWaitMs_ui"
FAST = Search(null_series=40)


def traced(boots: list[MadeBoot], **more: object) -> History:
    return trace_history(stored(*boots), store="store", search=FAST, **more)  # type: ignore[arg-type]


def test_a_planted_change_is_told() -> None:
    boots = series_of(KERNELS, [50, 50, 50, 50, 8, 8], 4, np.random.default_rng(2))
    history = traced(boots)
    (series,) = history.series
    (change,) = series.changes
    assert series.points[change.after].name == "6.16.1"
    assert (change.direction, change.beyond_margin, change.inside) == ("better", True, False)
    assert change.before_level == pytest.approx(50, abs=1)
    assert change.effect == pytest.approx(-42, abs=1.5)
    assert change.effect_relative == pytest.approx(-0.84, abs=0.03)
    assert change.chance == 1 / 41
    assert series.false_alarms is not None
    assert history.expected_false_alarms == series.false_alarms.rate
    assert traced(boots) == history, "the same seed gives the same history"


def test_a_small_change_beside_a_large_one_has_a_chance_of_its_own() -> None:
    boots = series_of(KERNELS, [50, 50, 50, 8, 8, 14], 4, np.random.default_rng(3))
    (series,) = traced(boots).series
    assert [(c.after, c.direction) for c in series.changes] == [(3, "better"), (5, "worse")]
    assert [c.chance for c in series.changes] == [1 / 41, 1 / 41]


def test_a_change_within_a_build_is_no_change_of_the_kernel() -> None:
    rng = np.random.default_rng(2)
    boots = series_of(["6.12.1"], [50], 8, rng) + series_of(["6.13.1"], [50], 8, rng)
    moved = [
        b if i < 12 else MadeBoot(kernel=b.kernel, boot=b.boot, at=b.at, values={WAIT: [90 + rng.normal()]})
        for i, b in enumerate(boots)
    ]
    (change,) = traced(moved).series[0].changes
    assert (change.inside, change.after) == (True, 1)


def test_a_place_off_by_a_boot_is_moved_to_the_border() -> None:
    rng = np.random.default_rng(3)
    levels = np.concatenate([rng.normal(10, 1, 8), rng.normal(20, 1, 8)])
    ((change, moved),) = move_to_border(levels, [FoundChange(index=9, p_value=1e-5)], [4, 8, 12], max_p_value=0.001)
    assert (change.index, moved) == (8, -1)
    ((kept, moved),) = move_to_border(levels, [FoundChange(index=8, p_value=1e-9)], [2], max_p_value=1e-12)
    assert (kept.index, moved) == (8, 0)


def test_few_boots_are_too_few() -> None:
    (series,) = traced(series_of(["6.12.1", "6.13.1"], [50, 5], 3, np.random.default_rng(4))).series
    assert (series.status, series.changes, series.false_alarms) == ("too_few", (), None)
    assert "6 exact boots of 2 builds" in series.reason
    (lone,) = traced(series_of(["6.12.1"], [50], 9, np.random.default_rng(4))).series
    assert (lone.status, lone.reason[:24]) == ("too_few", "9 exact boots of 1 build")


def test_a_series_of_bounds_is_not_searched() -> None:
    boots = [
        MadeBoot(kernel=kernel, boot=f"{kernel}{i}", values={WAIT: [(50.0, "lower_bound") if i % 2 else 50.0]})
        for kernel in KERNELS
        for i in range(4)
    ]
    (series,) = traced(boots).series
    assert (series.status, series.changes) == ("not_exact", ())
    assert series.reason == "12 of 24 boots are not exact (events were not enabled)"


def bimodal(low: float, share: float, high: float, kernel: str, rng: np.random.Generator) -> list[MadeBoot]:
    """Boots with eight samples; the median is at 10, where a fifth of the samples always is."""
    found = []
    for boot in range(3):
        places = rng.permutation([10.0] * 4 + [low] * round(share * 8) + [high] * (4 - round(share * 8)))
        values = (places + rng.normal(0, 0.15, 8)).tolist()
        found.append(
            MadeBoot(
                kernel=kernel, boot=f"{kernel}-{boot}", at=f"2026-11-01T1{boot}:00:00+00:00", values={WAIT: values}
            )
        )
    return found


def test_the_modes_changed_beside_a_median_that_stands_still() -> None:
    """Until 6.14 all samples are near 10; from 6.15 on a quarter each are near 5 and 15. No median tells it."""
    rng = np.random.default_rng(5)
    boots = [b for k in KERNELS[:3] for b in bimodal(10.0, 0.25, 10.0, k, rng)]
    boots += [b for k in KERNELS[3:] for b in bimodal(5.0, 0.25, 15.0, k, rng)]
    (series,) = traced(boots).series
    assert series.changes == ()
    (change,) = series.modes
    assert series.points[change.after].name == "6.15.1"
    assert change.median_stands
    assert [round(mode.place) for mode in change.modes] == [5, 10, 15]
    assert [mode.before for mode in change.modes] == [0.0, 1.0, 0.0]
    assert [mode.after for mode in change.modes] == pytest.approx([0.25, 0.5, 0.25])
    assert change.chance == 1 / 41


def test_a_plain_shift_is_no_change_of_modes() -> None:
    rng = np.random.default_rng(6)
    boots = [
        MadeBoot(kernel=k, boot=f"{k}-{i}", values={WAIT: (level + rng.normal(0, 0.3, 8)).tolist()})
        for k, level in zip(KERNELS, [10.0] * 3 + [20.0] * 3, strict=True)
        for i in range(3)
    ]
    (series,) = traced(boots).series
    assert len(series.changes) == 1
    assert series.modes == ()


def test_null_stores_give_about_the_measured_rate_of_false_alarms() -> None:
    """Twenty-five series without any change: as many alarms as their own random orders predict, give or take chance."""
    rng = np.random.default_rng(7)
    alarms, expected = 0, 0.0
    for _ in range(25):
        history = traced(series_of(KERNELS, [50] * 6, 3, rng))
        alarms += len(history.series[0].changes) > 0
        expected += history.expected_false_alarms
    assert abs(alarms - expected) <= 3.5 * max(1.0, expected) ** 0.5
    assert expected < 4


def test_what_chance_gives_often_is_called_weak() -> None:
    (series,) = traced(series_of(KERNELS, [50, 50, 50, 8, 8, 8], 4, np.random.default_rng(2))).series
    change = series.changes[0]
    assert describe_chance(change.chance, series) == "1 of 41"
    assert describe_chance(4 / 41, series) == "4 of 41 (weak)"
    history = traced(series_of(KERNELS, [50, 50, 50, 8, 8, 8], 4, np.random.default_rng(2)))
    assert summarize_history(history) == "1 change of level and 0 changes of modes in 1 series."
    weak = replace(history, series=(replace(series, changes=(change, replace(change, chance=0.2))),))
    assert summarize_history(weak) == "2 changes of level and 0 changes of modes in 1 series, 1 of them weak."
