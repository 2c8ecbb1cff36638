"""Intervals: known answers, symmetry, coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from android_suite.stats.resampling import (
    expand_percentiles,
    measure_effect_interval,
    measure_level,
    measure_tail_interval,
    resample_levels,
    student_terms,
)


def boots(rng: np.random.Generator, count: int, samples: int, *, level: float = 10.0) -> list[np.ndarray]:
    return [level + rng.normal() + rng.normal(size=samples) * 0.5 for _ in range(count)]


def test_level_is_the_mean_of_boot_medians() -> None:
    assert measure_level([np.array([1.0, 2.0, 30.0]), np.array([4.0])]) == 3.0


def test_resampled_levels_match_the_plain_computation() -> None:
    rng = np.random.default_rng(1)
    uneven = [rng.normal(size=n) for n in (1, 2, 5, 4)]
    picks = rng.integers(4, size=(4000, 4))
    levels = resample_levels(uneven, np.random.default_rng(2), picks)
    reference_rng = np.random.default_rng(3)
    reference = [
        np.mean([np.median(reference_rng.choice(uneven[i], len(uneven[i]))) for i in row]) for row in picks[:1500]
    ]
    assert levels.mean() == pytest.approx(np.mean(reference), abs=0.05)
    assert levels.std() == pytest.approx(np.std(reference), rel=0.1)


def test_one_sample_a_boot_draws_boots_only() -> None:
    values = np.array([1.0, 5.0, 9.0])
    picks = np.array([[0, 0, 0], [0, 1, 2], [2, 2, 2]])
    levels = resample_levels([np.array([v]) for v in values], np.random.default_rng(0), picks)
    assert levels.tolist() == [1.0, 5.0, 9.0]


def test_memory_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    data = boots(rng, 6, 8)
    picks = rng.integers(6, size=(300, 6))
    whole = resample_levels(data, np.random.default_rng(0), picks)
    monkeypatch.setattr("android_suite.stats.resampling._CHUNK_ELEMENTS", 100)
    assert np.array_equal(resample_levels(data, np.random.default_rng(0), picks), whole)


def test_expansion_gives_students_interval_for_normal_draws() -> None:
    # Hesterberg (2015): percentiles of a bootstrap mean, expanded, come out as Student's interval
    rng = np.random.default_rng(5)
    sample = stats.norm.ppf((np.arange(12) + 0.5) / 12)
    draws = sample[rng.integers(12, size=(40_000, 12))].mean(axis=1)
    low, high = expand_percentiles(draws, boots=12, confidence=0.95)
    reach = stats.t.ppf(0.975, 11) * sample.std(ddof=1) / np.sqrt(12)
    assert (low, high) == pytest.approx((-reach, reach), rel=0.04)


def test_sides_swapped_mirror_the_interval() -> None:
    rng = np.random.default_rng(6)
    a, b = boots(rng, 10, 3), boots(rng, 10, 3, level=12)
    low, high = measure_effect_interval(a, b, paired=False, confidence=0.95, rng=np.random.default_rng(0))
    back = measure_effect_interval(b, a, paired=False, confidence=0.95, rng=np.random.default_rng(0))
    assert back == pytest.approx((-high, -low), abs=0.25)
    assert low < 2 < high


def test_pairing_removes_what_the_pairs_share() -> None:
    rng = np.random.default_rng(7)
    shared = rng.normal(0, 10, 12)
    a = [np.array([s + e]) for s, e in zip(shared, rng.normal(0, 0.2, 12), strict=True)]
    b = [np.array([s + 1 + e]) for s, e in zip(shared, rng.normal(0, 0.2, 12), strict=True)]
    paired = measure_effect_interval(a, b, paired=True, confidence=0.95, rng=np.random.default_rng(0))
    apart = measure_effect_interval(a, b, paired=False, confidence=0.95, rng=np.random.default_rng(0))
    assert 0.5 < paired[0] < 1 < paired[1] < 1.5
    assert apart[1] - apart[0] > 10 * (paired[1] - paired[0])


def test_one_boot_says_nothing() -> None:
    low, high = measure_effect_interval(
        [np.array([1.0, 2.0])], [np.array([9.0])], paired=False, confidence=0.95, rng=np.random.default_rng(0)
    )
    assert (low, high) == (-np.inf, np.inf)


def test_equal_boots_give_a_point() -> None:
    same = [np.array([3.0])] * 5
    interval = measure_effect_interval(same, same, paired=True, confidence=0.95, rng=np.random.default_rng(0))
    assert interval == (0.0, 0.0)


def test_welch_terms_agree_with_scipy() -> None:
    rng = np.random.default_rng(8)
    a, b = rng.normal(size=6), rng.normal(size=9)
    effect, error, degrees = student_terms([np.array([v]) for v in a], [np.array([v]) for v in b], paired=False)
    reference = stats.ttest_ind(b, a, equal_var=False)
    assert effect / error == pytest.approx(reference.statistic)
    assert degrees == pytest.approx(reference.df)


def test_tail_effect_is_of_the_pooled_quantile() -> None:
    rng = np.random.default_rng(9)
    a, b = boots(rng, 8, 20), boots(rng, 8, 20, level=13)
    effect, (low, high) = measure_tail_interval(a, b, 0.95, paired=False, confidence=0.95, rng=np.random.default_rng(0))
    assert effect == pytest.approx(np.quantile(np.concatenate(b), 0.95) - np.quantile(np.concatenate(a), 0.95))
    assert low <= effect <= high


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("count", [4, 8])
def test_coverage_holds_for_few_boots(count: int, paired: bool) -> None:
    rng = np.random.default_rng(10)
    hits = 0
    for _ in range(200):
        a, b = boots(rng, count, 1), boots(rng, count, 1)
        low, high = measure_effect_interval(a, b, paired=paired, confidence=0.95, rng=rng)
        hits += low <= 0 <= high
    assert hits >= 178  # 3 standard errors below 95 % are 181; plain percentiles of 4 boots reach about 160
