"""From the numbers of a whole family of metrics to a verdict each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal
from zlib import crc32

import numpy as np
from scipy import stats

from android_suite.stats.resampling import Boots, measure_effect_interval, measure_level, student_terms
from android_suite.stats.testing import adjust_holm, find_boots_limit, measure_p

VerdictName = Literal["BETTER", "WORSE", "SAME", "UNDECIDED"]
Direction = Literal["lower", "higher", "none"]

MIN_BOOTS = 4  # below, nothing is decided: two or three boots agree by chance too easily
POWER = 0.8  # with which boots_to_decide would decide
MAX_BOOTS = 1_000  # more than this is "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One metric to be judged: the samples of each boot of both sides, in the metric's unit.

    ``paired`` says that boots with the same index belong together. ``margin`` is the largest difference that does not
    matter. ``weight`` is its share of alpha against the others'. A side is ``bounded`` where its values are lower bounds
    of the true ones.
    """

    name: str
    baseline: Boots
    candidate: Boots
    paired: bool
    better: Direction
    margin: float
    weight: float = 1.0
    baseline_bounded: bool = False
    candidate_bounded: bool = False

    @property
    def boots(self) -> int:
        """Boots of the smaller side."""
        return min(len(self.baseline), len(self.candidate))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the samples say; None for what they cannot say. ``interval`` is two-sided at the family's confidence."""

    effect: float | None
    interval: tuple[float, float] | None
    p_value: float | None
    p_adjusted: float | None
    method: str
    verdict: VerdictName
    reason: str
    boots_to_decide: int | None


def judge_family(
    questions: Sequence[Question], *, confidence: float, seed: int, only: Collection[str] | None = None
) -> list[Answer]:
    """Judges all metrics of a comparison together, so that their false alarms together stay at 1 - ``confidence``.

    Args:
        questions: one a metric and scenario. Chance is drawn per name, so their order changes nothing.
        confidence: of each interval, and of the whole family against a false BETTER or WORSE.
        seed: of all resampling.
        only: names to answer, where not all; the correction is over all questions nevertheless.

    Returns:
        One answer a question (of ``only``), in their order.
    """
    p_values, adjusted, levels = measure_family(questions, confidence=confidence, seed=seed)
    return [
        _judge(q, p_values.get(q.name), adjusted.get(q.name), levels[q.name], confidence, seed)
        for q in questions
        if only is None or q.name in only
    ]


def measure_family(
    questions: Sequence[Question], *, confidence: float, seed: int
) -> tuple[dict[str, tuple[float, str]], dict[str, float], dict[str, float]]:
    """The tests alone: p and its test, Holm-adjusted p, and the level to be reached at first, each by name.

    Metrics without a better direction are tested and not in the family; those with one boot a side count with p = 1.
    """
    family = [q for q in questions if q.better != "none"]
    total = sum(q.weight for q in family) or 1.0
    levels = {q.name: (1.0 - confidence) * q.weight / max(total, q.weight) for q in questions}
    p_values = {
        q.name: measure_p(q.baseline, q.candidate, paired=q.paired, margin=q.margin, level=levels[q.name], seed=seed)
        for q in questions
        if q.boots >= 2
    }
    adjusted = adjust_holm(
        [p_values[q.name][0] if q.name in p_values else 1.0 for q in family], [q.weight for q in family]
    )
    return p_values, dict(zip((q.name for q in family), adjusted.tolist(), strict=True)), levels


def _judge(
    question: Question,
    tested: tuple[float, str] | None,
    p_adjusted: float | None,
    level: float,
    confidence: float,
    seed: int,
) -> Answer:
    if not question.baseline or not question.candidate:
        missing = "baseline" if not question.baseline else "candidate"
        return Answer(
            effect=None,
            interval=None,
            p_value=None,
            p_adjusted=None,
            method="",
            verdict="UNDECIDED",
            reason=f"the {missing} has no trusted sample",
            boots_to_decide=None,
        )
    effect = measure_level(question.candidate) - measure_level(question.baseline)
    if tested is None:
        return Answer(
            effect=effect,
            interval=None,
            p_value=None,
            p_adjusted=None,
            method="",
            verdict="UNDECIDED",
            reason=f"one boot a side says nothing about other boots; at least {MIN_BOOTS} are needed",
            boots_to_decide=None,
        )
    interval = measure_effect_interval(
        question.baseline,
        question.candidate,
        paired=question.paired,
        confidence=confidence,
        rng=_generator(seed, question.name, 1),
    )
    verdict, reason = _decide(question, effect, interval, p_adjusted, 1.0 - confidence)
    needed = estimate_boots(question, level=level, confidence=confidence) if verdict == "UNDECIDED" else None
    return Answer(
        effect=effect,
        interval=interval,
        p_value=tested[0],
        p_adjusted=p_adjusted,
        method=tested[1],
        verdict=verdict,
        reason=reason,
        boots_to_decide=needed,
    )


def _decide(
    question: Question, effect: float, interval: tuple[float, float], p_adjusted: float | None, alpha: float
) -> tuple[VerdictName, str]:
    low, high = interval
    if question.boots < MIN_BOOTS:
        return "UNDECIDED", f"{question.boots} boots a side; at least {MIN_BOOTS} are needed"
    bounded = question.baseline_bounded or question.candidate_bounded
    if -question.margin <= low and high <= question.margin:
        if bounded:
            return "UNDECIDED", "some samples are only lower bounds, so equality cannot be shown"
        return "SAME", "the interval lies inside the margin"
    excludes_zero = low > 0 or high < 0
    if p_adjusted is None:
        differs = " (it differs)" if excludes_zero else ""
        return "UNDECIDED", f"neither direction of this metric is better{differs}"
    if p_adjusted > alpha or not excludes_zero:
        return "UNDECIDED", "neither a difference nor its absence is shown"
    if abs(effect) <= question.margin:
        return "UNDECIDED", "it differs, by an amount that may or may not matter: the effect lies inside the margin"
    # true values lie at or above lower bounds: a bounded candidate proves only a rise, a bounded baseline only a fall
    if (effect < 0 and question.candidate_bounded) or (effect > 0 and question.baseline_bounded):
        return "UNDECIDED", "the side that looks lower holds lower bounds, so its true values may not be lower"
    better = (effect < 0) == (question.better == "lower")
    return ("BETTER" if better else "WORSE"), "shown after correction for all metrics"


def estimate_boots(question: Question, *, level: float, confidence: float) -> int | None:
    """Boots a side with which this metric would be decided in four of five experiments, or None for no sensible number.

    By the normal approximation from the observed effect and spread: the smaller of what shows a difference (at
    ``level``, two-sided) and of what shows equivalence at ``confidence``.
    """
    if question.boots < 2 or question.baseline_bounded or question.candidate_bounded:
        return None
    effect, error, _ = student_terms(question.baseline, question.candidate, paired=question.paired)
    variance = error**2 * question.boots  # of one boot a side (the smaller side sets the price)
    power = float(stats.norm.ppf(POWER))
    wanted: list[float] = []
    if question.better != "none" and abs(effect) > question.margin:
        # a permutation test is the judge from so many boots on; before it, the margin is part of the test
        reach = float(stats.norm.ppf(1 - level / 2)) + power
        wanted.append(variance * (reach / (abs(effect) - question.margin)) ** 2)
        wanted.append(max(variance * (reach / abs(effect)) ** 2, find_boots_limit(level, paired=question.paired)))
    room = question.margin - abs(effect)
    if room > 0:
        reach = float(stats.norm.ppf((1 + confidence) / 2)) + power
        wanted.append(variance * (reach / room) ** 2)
    if not wanted:
        return None
    # Student's quantiles exceed the normal ones for few boots: two more make up for it
    boots = int(np.ceil(min(wanted))) + 2
    boots = max(boots, MIN_BOOTS, question.boots + 1)
    return boots if boots <= MAX_BOOTS else None


def _generator(seed: int, name: str, purpose: int) -> np.random.Generator:
    return np.random.default_rng([seed & 0xFFFFFFFF, crc32(name.encode()), purpose])
