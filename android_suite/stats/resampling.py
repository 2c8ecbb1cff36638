"""Intervals by resampling boots, then the samples within each drawn boot.

A *boot* is a 1-D float array: the samples of one metric in one boot. Samples of one boot are correlated, so whole boots
are drawn. Percentile intervals of few boots are too narrow. They are expanded as Hesterberg (2015) shows, and below
``FEW_BOOTS`` per side the wider of that and Student's interval is taken: simulated coverage then stays at 94 % or above
for normal, log-normal, zero-inflated and heavy-tailed boots, where plain percentiles fall to 75 % (``docs/power.md``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
Boots = Sequence[Array]

RESAMPLES = 2000
FEW_BOOTS = 12
_CHUNK_ELEMENTS = 2_000_000  # of doubles: bounds the memory of one draw to 16 MB


def measure_level(boots: Boots) -> float:
    """Level of a side: the mean over boots of each boot's median. Effects are differences of levels."""
    return float(np.mean(summarize_boots(boots)))


def summarize_boots(boots: Boots) -> Array:
    """Median of each boot; shape (boots,)."""
    if len({len(boot) for boot in boots}) == 1:
        medians: Array = np.median(np.array(boots, dtype=np.float64), axis=1)
        return medians
    return np.array([np.median(boot) for boot in boots])


def resample_levels(boots: Boots, rng: np.random.Generator, picks: NDArray[np.int64]) -> Array:
    """Levels of resampled sets of boots; shape (resamples,).

    Args:
        boots: the samples of each boot.
        rng: draws the samples within each picked boot.
        picks: which boots each resample holds; shape (resamples, boots).
    """
    levels: Array = _resample_medians(boots, rng, picks).mean(axis=1)
    return levels


def measure_effect_interval(
    baseline: Boots, candidate: Boots, *, paired: bool, confidence: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Interval of the difference of levels, candidate minus baseline.

    Args:
        baseline: samples of each baseline boot.
        candidate: samples of each candidate boot; where ``paired``, in the order of their partners.
        paired: boots with the same index belong together and are drawn together.
        confidence: two-sided, below 1.
        rng: the only source of chance.

    Returns:
        Lower and upper bound; infinite where one boot per side says nothing about the spread.
    """
    n_base, n_cand = len(baseline), len(candidate)
    if min(n_base, n_cand) < 2:
        return -np.inf, np.inf
    picks = rng.integers(n_base, size=(RESAMPLES, n_base))
    other = picks if paired else rng.integers(n_cand, size=(RESAMPLES, n_cand))
    draws = resample_levels(candidate, rng, other) - resample_levels(baseline, rng, picks)
    low, high = expand_percentiles(draws, boots=min(n_base, n_cand), confidence=confidence)
    if min(n_base, n_cand) < FEW_BOOTS:
        center, error, degrees = student_terms(baseline, candidate, paired=paired)
        reach = error * float(stats.t.ppf((1 + confidence) / 2, degrees))
        low, high = min(low, center - reach), max(high, center + reach)
    return float(low), float(high)


def measure_tail_interval(
    baseline: Boots, candidate: Boots, quantile: float, *, paired: bool, confidence: float, rng: np.random.Generator
) -> tuple[float, tuple[float, float]]:
    """Effect on a quantile of all samples together, and its interval.

    Args:
        baseline: samples of each baseline boot; at least two boots.
        candidate: samples of each candidate boot; at least two boots.
        quantile: from 0 to 1.
        paired: as for :func:`measure_effect_interval`.
        confidence: two-sided.
        rng: the only source of chance.
    """
    n_base, n_cand = len(baseline), len(candidate)
    picks = rng.integers(n_base, size=(RESAMPLES, n_base))
    other = picks if paired else rng.integers(n_cand, size=(RESAMPLES, n_cand))
    draws = _resample_pooled(candidate, other, quantile) - _resample_pooled(baseline, picks, quantile)
    effect = float(np.quantile(np.concatenate(candidate), quantile) - np.quantile(np.concatenate(baseline), quantile))
    low, high = expand_percentiles(draws, boots=min(n_base, n_cand), confidence=confidence)
    if min(n_base, n_cand) < FEW_BOOTS:
        # The spread of the boots' own quantiles stands for that of the quantile of all samples.
        own = [[np.quantile(boot, quantile, keepdims=True) for boot in side] for side in (baseline, candidate)]
        _, error, degrees = student_terms(own[0], own[1], paired=paired)
        reach = error * float(stats.t.ppf((1 + confidence) / 2, degrees))
        low, high = min(low, effect - reach), max(high, effect + reach)
    return effect, (float(min(low, effect)), float(max(high, effect)))


def expand_percentiles(draws: Array, *, boots: int, confidence: float) -> tuple[float, float]:
    """Percentile interval of bootstrap draws, widened for a small number of boots (Hesterberg 2015, section 3.3)."""
    reach = np.sqrt(boots / (boots - 1)) * stats.t.ppf((1 + confidence) / 2, boots - 1)
    tail = float(stats.norm.cdf(-reach))
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def student_terms(baseline: Boots, candidate: Boots, *, paired: bool, floor: float = 0.0) -> tuple[float, float, float]:
    """Effect, its standard error over boots, and the degrees of freedom (Welch where unpaired).

    ``floor`` is the least standard deviation that a side may have, in the metric's unit.
    """
    base, cand = summarize_boots(baseline), summarize_boots(candidate)
    if paired:
        spread = max(float(np.std(cand - base, ddof=1)), floor)
        return float(np.mean(cand - base)), spread / np.sqrt(len(base)), len(base) - 1.0
    parts = np.array([max(float(np.var(side, ddof=1)), floor**2) / len(side) for side in (base, cand)])
    total = float(parts.sum())
    bottom = float((parts**2 / np.array([len(base) - 1, len(cand) - 1])).sum())
    degrees = total**2 / bottom if bottom > 0 else float(min(len(base), len(cand)) - 1)
    return float(cand.mean() - base.mean()), float(np.sqrt(total)), degrees


def _resample_medians(boots: Boots, rng: np.random.Generator, picks: NDArray[np.int64]) -> Array:
    counts = np.array([len(boot) for boot in boots])
    width = int(counts.max())
    if width == 1:
        return np.array([boot[0] for boot in boots])[picks]
    table = _pad(boots, width)
    step = max(1, _CHUNK_ELEMENTS // (picks.shape[1] * width))
    out = np.empty(picks.shape)
    for start in range(0, len(picks), step):
        rows = picks[start : start + step]
        drawn = counts[rows][..., None]
        within = (rng.random((*rows.shape, width)) * drawn).astype(np.int64)
        values = table[rows[..., None], within]
        values[np.arange(width) >= drawn] = np.inf
        values.sort(axis=-1)
        middle = (drawn - 1) // 2
        low = np.take_along_axis(values, middle, axis=-1)
        high = np.take_along_axis(values, drawn // 2, axis=-1)
        out[start : start + step] = ((low + high) / 2)[..., 0]
    return out


def _resample_pooled(boots: Boots, picks: NDArray[np.int64], quantile: float) -> Array:
    """Quantile of all samples of the picked boots; boots stay whole, which estimates the spread of clusters best."""
    counts = np.array([len(boot) for boot in boots])
    width = int(counts.max())
    table = _pad(boots, width)
    step = max(1, _CHUNK_ELEMENTS // (picks.shape[1] * width))
    out = np.empty(len(picks))
    for start in range(0, len(picks), step):
        rows = picks[start : start + step]
        values = table[rows].reshape(len(rows), -1)
        values.sort(axis=-1)
        place = quantile * (counts[rows].sum(axis=1) - 1)
        low = np.floor(place).astype(np.int64)
        high = np.ceil(place).astype(np.int64)
        at = np.arange(len(rows))
        # where both are one element, (high - low) x 0 must not meet a padding infinity: low and high are below the count
        out[start : start + step] = values[at, low] + (values[at, high] - values[at, low]) * (place - low)
    return out


def _pad(boots: Boots, width: int) -> Array:
    table = np.full((len(boots), width), np.inf)
    for row, boot in enumerate(boots):
        table[row, : len(boot)] = boot
    return table
