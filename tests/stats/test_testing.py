"""Known answers of the tests and of the correction."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from android_suite.stats.testing import (
    DRAWS,
    adjust_holm,
    attainable_p,
    find_boots_limit,
    measure_p,
    measure_p_beyond_margin,
    permute_paired,
    permute_unpaired,
)


def boots(values: list[float]) -> list[np.ndarray]:
    return [np.array([value]) for value in values]


def test_holm_gives_the_textbook_steps() -> None:
    # the worked example of the method's usual presentation: 0.01, 0.04, 0.03, 0.005
    assert adjust_holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjust_holm([]).size == 0
    assert adjust_holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])


def test_weights_share_alpha_and_keep_it_whole() -> None:
    p = [0.012, 0.012, 0.012, 0.012]
    assert adjust_holm(p, [1, 1, 1, 1]) == pytest.approx(adjust_holm(p))
    heavy = adjust_holm(p, [5, 1, 1, 1])
    # the heavy one is judged first, at 5/8 of alpha; the rest share what is left by Holm
    assert heavy[0] == pytest.approx(0.012 * 8 / 5)
    assert heavy[1:] == pytest.approx([0.036] * 3)
    # under the null the family-wise error stays below alpha whatever the weights
    rng = np.random.default_rng(0)
    hits = sum((adjust_holm(rng.random(10), [5] * 3 + [1] * 7) <= 0.05).any() for _ in range(2000))
    assert hits / 2000 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)


def test_holm_is_never_above_bonferroni_and_keeps_the_order() -> None:
    p = np.random.default_rng(1).random(200) ** 3
    adjusted = adjust_holm(p)
    assert np.all(adjusted <= np.minimum(p * len(p), 1.0) + 1e-12)
    assert np.all(np.diff(adjusted[np.argsort(p)]) >= 0)


def test_fisher_darwin_maize() -> None:
    # Fisher (1935), The Design of Experiments, section 21: Darwin's 15 pairs of maize, in eighths of an inch. Of the
    # 2^15 sign patterns 1,726 reach the observed sum of 314 in size (863 on each side): 5.267 %.
    differences = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48], dtype=float)
    assert differences.sum() == 314
    signs = 1 - 2 * ((np.arange(2**15)[:, None] >> np.arange(15)) & 1)
    extreme = int((np.abs(signs @ differences) >= 314).sum())
    assert extreme == 1726
    # 2^15 patterns are more than are tried in full: the random ones come close
    assert permute_paired(differences, seed=3) == pytest.approx(0.05267, abs=4 * np.sqrt(0.0527 / DRAWS))


def test_paired_is_exact_for_few_pairs() -> None:
    differences = np.array([3.0, 1.0, 4.0, -1.0, 5.0, 9.0])
    signs = 1 - 2 * ((np.arange(64)[:, None] >> np.arange(6)) & 1)
    expected = (np.abs(signs @ differences) >= abs(differences.sum()) - 1e-9).mean()
    assert permute_paired(differences, seed=0) == expected
    assert permute_paired(np.full(8, 2.0), seed=0) == 2 / 256
    assert permute_paired(np.zeros(5), seed=0) == 1.0


def test_unpaired_agrees_with_scipy() -> None:
    # the mouse data of Efron and Tibshirani (1993), table 2.1: 7 treated, 9 controls
    treated = np.array([94.0, 197, 16, 38, 99, 141, 23])
    control = np.array([52.0, 104, 146, 10, 51, 30, 40, 27, 46])
    p = permute_unpaired(control, treated, seed=0)
    reference = stats.permutation_test(
        (treated, control),
        lambda x, y, axis: np.mean(x, axis=axis) - np.mean(y, axis=axis),
        vectorized=True,
        n_resamples=np.inf,
    ).pvalue
    by_hand = _unpaired_by_hand(control, treated)
    assert p == pytest.approx(by_hand)
    assert p == pytest.approx(reference, abs=0.01)  # scipy doubles the smaller tail, this counts both
    # Efron and Tibshirani give one-sided about 0.14
    assert p / 2 == pytest.approx(0.14, abs=0.01)


def _unpaired_by_hand(baseline: np.ndarray, candidate: np.ndarray) -> float:
    pooled = np.concatenate([candidate, baseline])
    center = pooled.mean() * len(candidate)
    observed = abs(candidate.sum() - center)
    sums = [abs(sum(hand) - center) for hand in combinations(pooled, len(candidate))]
    return float(np.mean([value >= observed - 1e-9 for value in sums]))


def test_random_arrangements_agree_with_the_normal_law() -> None:
    rng = np.random.default_rng(5)
    base, cand = rng.normal(0, 1, 30), rng.normal(0.5, 1, 30)
    p = permute_unpaired(base, cand, seed=1)
    assert p == pytest.approx(stats.ttest_ind(base, cand).pvalue, abs=0.015)
    assert permute_unpaired(base, cand + 100, seed=1) == 1 / (DRAWS + 1)


def test_ties_do_not_depend_on_rounding() -> None:
    base = np.array([0.1, 0.2, 0.3, 0.4])
    assert permute_unpaired(base, base[::-1].copy(), seed=0) == 1.0
    assert permute_unpaired(base + 1e9, base[::-1] + 1e9, seed=0) == 1.0


def test_attainable_p_is_what_the_extreme_gives() -> None:
    assert attainable_p(5, 5, paired=False) == 2 / 252 == permute_unpaired(np.zeros(5), np.arange(1.0, 6), seed=0)
    assert attainable_p(6, 6, paired=True) == 2 / 64 == permute_paired(np.arange(1.0, 7), seed=0)
    assert find_boots_limit(0.05, paired=True) == 6
    assert find_boots_limit(0.05, paired=False) == 4
    assert find_boots_limit(0.05 / 20, paired=True) == 10


def test_student_beyond_the_margin_is_student_at_margin_zero() -> None:
    rng = np.random.default_rng(2)
    base, cand = rng.normal(10, 1, 5), rng.normal(13, 2, 6)
    p = measure_p_beyond_margin(boots(list(base)), boots(list(cand)), 0.0, paired=False)
    assert p == pytest.approx(stats.ttest_ind(cand, base, equal_var=False).pvalue)
    p = measure_p_beyond_margin(boots(list(base)), boots(list(cand[:5])), 0.0, paired=True)
    assert p == pytest.approx(stats.ttest_rel(cand[:5], base).pvalue)


def test_equal_counts_on_few_boots_are_no_proof() -> None:
    # four boots, each exactly one higher: without the floor on the spread this would be p = 0
    assert measure_p_beyond_margin(boots([3.0] * 4), boots([4.0] * 4), 1.0, paired=True) == 1.0
    assert measure_p_beyond_margin(boots([3.0] * 4), boots([4.5] * 4), 1.0, paired=True) > 0.01
    assert measure_p_beyond_margin(boots([100.0] * 4), boots([0.2] * 4), 0.5, paired=True) < 1e-6


def test_which_test_is_used_depends_on_the_number_of_boots_alone() -> None:
    for values in ([1.0, 2, 3, 4, 5, 6], [0.0] * 6):
        _, method = measure_p(boots(values), boots(values), paired=True, margin=1.0, level=0.05, seed=0)
        assert method == "permutation"
        _, method = measure_p(boots(values), boots(values), paired=True, margin=1.0, level=0.01, seed=0)
        assert method == "t"
