"""Tests of an effect beyond a margin between two sets of boots, and the correction for many metrics.

Every test has the same null hypothesis, whatever the number of boots: the effect is no larger than the margin. So WORSE
means the same for few boots and for many.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np
from scipy import stats

from android_suite.stats.resampling import Array, Boots, student_terms, summarize_boots

DRAWS = 9_999  # arrangements to try: all if there are no more than this, else random ones


def attainable_p(n_baseline: int, n_candidate: int, *, paired: bool) -> float:
    """The smallest two-sided p that a permutation test of this many boots can give."""
    arrangements = 2**n_baseline if paired else comb(n_baseline + n_candidate, n_baseline)
    return min(1.0, 2.0 / min(arrangements, DRAWS + 1))


def measure_p(
    baseline: Boots, candidate: Boots, *, paired: bool, margin: float, level: float, seed: int
) -> tuple[float, str]:
    """P of an effect no larger than ``margin``, two-sided, and the test that gave it: ``permutation`` or ``t``.

    Args:
        baseline: samples of each baseline boot; at least two boots.
        candidate: the same of the candidate.
        paired: boots with the same index belong together.
        margin: the largest difference that does not matter, in the metric's unit.
        level: the p needed for a verdict after correction (alpha over the number of metrics). Which test is used
            depends on it and on the number of boots, never on the values.
        seed: of the random arrangements, where there are too many to try all.
    """
    if attainable_p(len(baseline), len(candidate), paired=paired) > level:
        return measure_p_student(baseline, candidate, margin, paired=paired), "t"
    base, cand = summarize_boots(baseline), summarize_boots(candidate)
    return measure_p_permuted(base, cand, margin, paired=paired, seed=seed), "permutation"


def measure_p_permuted(baseline: Array, candidate: Array, margin: float, *, paired: bool, seed: int) -> float:
    """The same by permutation of the signs of pairs, or of the boots between the sides; one number per boot.

    The margin is subtracted from the candidate in the direction of the effect. The rest is tested one-sided against zero
    and its p doubled, because the direction was not known beforehand.
    """
    effect = float(candidate.mean() - baseline.mean())
    if abs(effect) <= margin:
        return 1.0
    # Centred, so that ties are not broken by the rounding of large numbers.
    center = float(baseline.mean())
    base, beyond = baseline - center, candidate - center - np.sign(effect) * margin
    found = stats.permutation_test(
        (beyond - base,) if paired else (beyond, base),
        _mean if paired else _difference,
        permutation_type="samples" if paired else "independent",
        alternative="greater" if effect > 0 else "less",
        n_resamples=DRAWS,
        vectorized=True,
        rng=np.random.default_rng(seed),
    )
    return min(1.0, 2.0 * float(found.pvalue))


def measure_p_student(baseline: Boots, candidate: Boots, margin: float, *, paired: bool) -> float:
    """The same by Student's t over boots (Welch where unpaired), for boots too few for a permutation test.

    It assumes roughly normal boots. To make up for that, the spread is never taken as less than a third of the margin:
    a few equal counts are not a proof.
    """
    effect, error, degrees = student_terms(baseline, candidate, paired=paired, floor=margin / 3.0)
    beyond = abs(effect) - margin
    if beyond <= 0:
        return 1.0
    if error == 0:
        return 0.0
    return min(1.0, 2.0 * float(stats.t.sf(beyond / error, degrees)))


def adjust_holm(p_values: Sequence[float], weights: Sequence[float] | None = None) -> Array:
    """Holm's step-down adjusted p (Holm 1979), in the order given: family-wise, under any dependence.

    Args:
        p_values: of the whole family.
        weights: positive; a test of weight 5 gets five times the share of alpha (Holm 1979, section 4). None: all equal.
    """
    p = np.asarray(p_values, dtype=np.float64)
    weight = np.ones_like(p) if weights is None else np.asarray(weights, dtype=np.float64)
    order = np.argsort(p / weight, kind="stable")
    remaining = np.cumsum(weight[order][::-1])[::-1]
    steps = np.maximum.accumulate(p[order] / weight[order] * remaining)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def _mean(differences: Array, axis: int) -> Array:
    means: Array = np.mean(differences, axis=axis)
    return means


def _difference(candidate: Array, baseline: Array, axis: int) -> Array:
    differences: Array = np.mean(candidate, axis=axis) - np.mean(baseline, axis=axis)
    return differences
