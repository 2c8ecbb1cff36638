"""Tests of no difference between two sets of boots, and the correction for many metrics."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np
from scipy import stats

from android_suite.stats.resampling import Array, Boots, student_terms, summarize_boots

EXACT_LIMIT = 20_000  # arrangements: up to here all of them are tried
DRAWS = 9_999  # beyond, so many at random
_TIE = 1e-9  # relative to the sum of magnitudes: arrangements this close to the observed one count as equal to it


def attainable_p(n_baseline: int, n_candidate: int, *, paired: bool) -> float:
    """The smallest two-sided p that a permutation test of so many boots can give."""
    arrangements = 2**n_baseline if paired else comb(n_baseline + n_candidate, n_baseline)
    if arrangements > EXACT_LIMIT:
        return 1.0 / (DRAWS + 1)
    return min(1.0, 2.0 / arrangements)


def permute_paired(differences: Array, *, seed: int) -> float:
    """Two-sided p of a mean difference of zero, by flipping the signs of the differences of pairs.

    All 2^n patterns where these are at most ``EXACT_LIMIT``, else random ones with the observed pattern counted in.
    """
    signs, exact = _sign_patterns(len(differences), seed)
    observed, scale = abs(float(differences.sum())), float(np.abs(differences).sum())
    return _tail(np.abs(signs @ differences), observed, scale=scale, exact=exact)


def permute_unpaired(baseline: Array, candidate: Array, *, seed: int) -> float:
    """Two-sided p of equal means, by dealing the boots anew to the two sides.

    All arrangements where these are at most ``EXACT_LIMIT``, else random ones with the observed one counted in.
    """
    pooled = np.concatenate([candidate, baseline])
    hands, exact = _deals(len(candidate), len(pooled), seed)
    center = float(pooled.mean()) * len(candidate)
    observed, scale = abs(float(candidate.sum()) - center), float(np.abs(pooled).sum())
    return _tail(np.abs(hands @ pooled - center), observed, scale=scale, exact=exact)


def measure_p_beyond_margin(baseline: Boots, candidate: Boots, margin: float, *, paired: bool) -> float:
    """P of a difference no larger than ``margin``, by Student's t over boots (Welch where unpaired).

    For boots too few for a permutation test to decide anything after correction. It assumes roughly normal boots and
    makes up for that twice: only what lies beyond the margin counts, and the spread is never taken as less than a third
    of the margin, so that a few equal counts are not a proof.
    """
    effect, error, degrees = student_terms(baseline, candidate, paired=paired, floor=margin / 3.0)
    beyond = abs(effect) - margin
    if beyond <= 0:
        return 1.0
    if error == 0:
        return 0.0 if beyond > 0 else 1.0
    return min(1.0, 2.0 * float(stats.t.sf(beyond / error, degrees)))


def measure_p(
    baseline: Boots, candidate: Boots, *, paired: bool, margin: float, level: float, seed: int
) -> tuple[float, str]:
    """P of no difference, and the test that gave it: ``permutation`` or ``t``.

    Args:
        baseline: samples of each baseline boot; at least two boots.
        candidate: the same of the candidate.
        paired: boots with the same index belong together.
        margin: the largest difference that does not matter, in the metric's unit.
        level: the p needed for a verdict after correction (alpha over the number of metrics); which test is used
            depends on it and on the number of boots, never on the values.
        seed: of the random arrangements, where there are too many to try all.
    """
    if attainable_p(len(baseline), len(candidate), paired=paired) > level:
        return measure_p_beyond_margin(baseline, candidate, margin, paired=paired), "t"
    base, cand = summarize_boots(baseline), summarize_boots(candidate)
    if paired:
        return permute_paired(cand - base, seed=seed), "permutation"
    return permute_unpaired(base, cand, seed=seed), "permutation"


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


def _tail(sums: Array, observed: float, *, scale: float, exact: bool) -> float:
    reach = observed - _TIE * scale
    extreme = int(np.count_nonzero(sums >= reach))
    return extreme / len(sums) if exact else (extreme + 1) / (len(sums) + 1)


@lru_cache(maxsize=4)
def _sign_patterns(n: int, seed: int) -> tuple[Array, bool]:
    """Rows of +1 and -1 over ``n`` pairs, and whether they are all there are. Metrics of one experiment share them."""
    if 2**n <= EXACT_LIMIT:
        flips = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    else:
        flips = np.random.default_rng(seed).integers(2, size=(DRAWS, n))
    signs: Array = np.where(flips == 1, -1.0, 1.0)
    return signs, 2**n <= EXACT_LIMIT


@lru_cache(maxsize=4)
def _deals(hand: int, total: int, seed: int) -> tuple[Array, bool]:
    """Rows that are 1 at ``hand`` of ``total`` places, else 0, and whether they are all there are."""
    if comb(total, hand) <= EXACT_LIMIT:
        places = np.array(list(combinations(range(total), hand)))
        exact = True
    else:
        places = np.argsort(np.random.default_rng(seed).random((DRAWS, total)), axis=1)[:, :hand]
        exact = False
    rows = np.zeros((len(places), total))
    np.put_along_axis(rows, places, 1.0, axis=1)
    return rows, exact


def find_boots_limit(level: float, *, paired: bool) -> int:
    """Fewest boots a side with which a permutation test can reach ``level``."""
    for n in range(2, 64):
        if attainable_p(n, n, paired=paired) <= level:
            return n
    return 64
