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
    measure_p,
    measure_p_permuted,
    measure_p_student,
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
    signs = 1 - 2 * ((np.arange(2**15)[:, None] >> np.arange(15)) & 1)
    assert int((np.abs(signs @ differences) >= 314).sum()) == 1726
    # 2^15 patterns are more than are tried in full: the random ones come close
    p = measure_p_permuted(np.zeros(15), differences, 0.0, paired=True, seed=3)
    assert p == pytest.approx(0.05267, abs=4 * np.sqrt(0.0527 / DRAWS))


def test_paired_is_exact_for_few_pairs() -> None:
    differences = np.array([3.0, 1.0, 4.0, -1.0, 5.0, 9.0])
    signs = 1 - 2 * ((np.arange(64)[:, None] >> np.arange(6)) & 1)
    expected = 2 * (signs @ differences >= differences.sum() - 1e-9).mean()
    assert measure_p_permuted(np.zeros(6), differences, 0.0, paired=True, seed=0) == expected
    assert measure_p_permuted(np.zeros(8), np.full(8, 2.0), 0.0, paired=True, seed=0) == 2 / 256
    assert measure_p_permuted(np.zeros(5), np.zeros(5), 0.0, paired=True, seed=0) == 1.0


def test_unpaired_deals_every_hand() -> None:
    # the mouse data of Efron and Tibshirani (1993), table 2.1: 7 treated, 9 controls; they give one-sided about 0.14
    treated = np.array([94.0, 197, 16, 38, 99, 141, 23])
    control = np.array([52.0, 104, 146, 10, 51, 30, 40, 27, 46])
    p = measure_p_permuted(control, treated, 0.0, paired=False, seed=0)
    assert p / 2 == pytest.approx(0.14, abs=0.015)
    few, many = control[:4], treated[:5]
    pooled = np.concatenate([many, few])
    sums = [sum(hand) for hand in combinations(pooled, len(many))]
    by_hand = 2 * np.mean([value >= many.sum() - 1e-9 for value in sums])
    assert measure_p_permuted(few, many, 0.0, paired=False, seed=0) == pytest.approx(by_hand)


def test_random_arrangements_agree_with_the_normal_law() -> None:
    rng = np.random.default_rng(5)
    base, cand = rng.normal(0, 1, 30), rng.normal(0.5, 1, 30)
    p = measure_p_permuted(base, cand, 0.0, paired=False, seed=1)
    assert p == pytest.approx(stats.ttest_ind(base, cand).pvalue, abs=0.02)
    assert measure_p_permuted(base, cand + 100, 0.0, paired=False, seed=1) == 2 / (DRAWS + 1)


def test_large_numbers_do_not_hide_a_tie() -> None:
    base, cand = np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0, 4.0])
    small = measure_p_permuted(base, cand, 0.0, paired=False, seed=0)
    assert measure_p_permuted(base + 1e9, cand + 1e9, 0.0, paired=False, seed=0) == small


def test_attainable_p_is_what_the_extreme_gives() -> None:
    ranks = np.arange(1.0, 7)
    assert attainable_p(5, 5, paired=False) == 2 / 252
    assert measure_p_permuted(np.zeros(5), ranks[:5], 0.0, paired=False, seed=0) == pytest.approx(2 / 252)
    assert attainable_p(6, 6, paired=True) == 2 / 64 == measure_p_permuted(np.zeros(6), ranks, 0.0, paired=True, seed=0)


def test_student_beyond_the_margin_is_student_at_margin_zero() -> None:
    rng = np.random.default_rng(2)
    base, cand = rng.normal(10, 1, 5), rng.normal(13, 2, 6)
    p = measure_p_student(boots(list(base)), boots(list(cand)), 0.0, paired=False)
    assert p == pytest.approx(stats.ttest_ind(cand, base, equal_var=False).pvalue)
    p = measure_p_student(boots(list(base)), boots(list(cand[:5])), 0.0, paired=True)
    assert p == pytest.approx(stats.ttest_rel(cand[:5], base).pvalue)


def test_equal_counts_on_few_boots_are_no_proof() -> None:
    # four boots, each exactly one higher: without the floor on the spread this would be p = 0
    assert measure_p_student(boots([3.0] * 4), boots([4.0] * 4), 1.0, paired=True) == 1.0
    assert measure_p_student(boots([3.0] * 4), boots([4.5] * 4), 1.0, paired=True) > 0.01
    assert measure_p_student(boots([100.0] * 4), boots([0.2] * 4), 0.5, paired=True) < 1e-6


def test_which_test_is_used_depends_on_the_number_of_boots_alone() -> None:
    for values in ([1.0, 2, 3, 4, 5, 6], [0.0] * 6):
        _, method = measure_p(boots(values), boots(values), paired=True, margin=1.0, level=0.05, seed=0)
        assert method == "permutation"
        _, method = measure_p(boots(values), boots(values), paired=True, margin=1.0, level=0.01, seed=0)
        assert method == "t"


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("count", [5, 8, 12, 20])
def test_both_tests_ask_for_an_effect_beyond_the_margin(count: int, paired: bool) -> None:
    # A true effect of 0.9 margin is none, however many boots there are; one of 2 margins is one.
    rng = np.random.default_rng([count, paired])
    hits = {0.9: 0, 3.0: 0}
    for _ in range(60):
        base, noise = rng.normal(100, 0.5, count), rng.normal(0, 0.5, count)
        for times in hits:
            cand = base + times + noise if paired else 100 + times + noise
            p, _ = measure_p(boots(list(base)), boots(list(cand)), paired=paired, margin=1.0, level=0.05, seed=0)
            hits[times] += p <= 0.05
    assert hits[0.9] <= 4
    assert hits[3.0] >= 48
