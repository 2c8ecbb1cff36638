"""Judges a family of metrics: a verdict for each from its samples."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal
from zlib import crc32

import numpy as np
from scipy import stats

from android_suite.stats.resampling import Boots, measure_effect_interval, measure_level, student_terms
from android_suite.stats.testing import adjust_holm, measure_p

VerdictName = Literal["BETTER", "WORSE", "SAME", "UNDECIDED"]
Direction = Literal["lower", "higher", "none"]
Lean = Literal["better", "worse"]

MIN_BOOTS = 4  # below, nothing is decided: two or three boots agree by chance too easily
POWER = 0.8  # the chance that as many boots as boots_to_decide decide
MAX_BOOTS = 1_000  # more than this is "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One metric to be judged: the samples of each boot of both sides, in the metric's unit.

    Attributes:
        name: name of the metric and its scenario; it also seeds the random draws.
        baseline: samples of each baseline boot.
        candidate: samples of each candidate boot.
        paired: boots with the same index belong together.
        better: which direction is better; ``none`` for a number that measures work, not quality.
        margin: the largest difference that does not matter.
        weight: its share of alpha relative to the other metrics.
        baseline_bounded: whether samples of the baseline are lower bounds of the true values.
        candidate_bounded: whether samples of the candidate are.
        candidate_failed: whether launches of the candidate failed, so that their time cannot be BETTER.
        doubt: why the numbers of a side are unknown or lower bounds, in the words of the analysis.
        observations: number of distinct observations among the boots, where equal numbers from different seeds count
            once; None: as many as boots.
        repeats: boots that were left out, because another seed gave their number already.
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
    candidate_failed: bool = False
    doubt: str = ""
    observations: int | None = None
    repeats: int = 0

    @property
    def boots(self) -> int:
        """Boots of the smaller side."""
        return min(len(self.baseline), len(self.candidate))

    @property
    def obstacle(self) -> str:
        """Why these boots can decide nothing, whatever their numbers are; empty if they can."""
        if not self.baseline or not self.candidate:
            missing = "either side" if not self.baseline and not self.candidate else "the baseline"
            side = missing if not self.baseline else "the candidate"
            return f"unknown on {side}: {self.doubt or 'no sample can be trusted'}"
        if self.boots < MIN_BOOTS:
            boots = "one boot per side says" if self.boots == 1 else f"{self.boots} boots per side say"
            return f"{boots} too little about other boots; fewer than {MIN_BOOTS} decide nothing"
        if self.observations is not None and self.observations < MIN_BOOTS:
            numbers = (
                "one number, which is one observation" if self.observations == 1 else f"{self.observations} numbers"
            )
            return f"{self.boots} seeds gave {numbers}: equal numbers from different seeds count once"
        return ""

    def proves(self, effect: float) -> bool:
        """Whether the true effect can only be larger than this one, if samples are lower bounds of the true values."""
        return not (self.candidate_bounded if effect < 0 else self.baseline_bounded)

    def direction(self, effect: float) -> Lean | None:
        """Whether an effect of that sign is better or worse; None if neither direction is better."""
        if self.better == "none":
            return None
        return "better" if (effect < 0) == (self.better == "lower") else "worse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the samples of one metric show; None for what they cannot. ``interval`` is two-sided at the confidence asked.

    ``leans`` is the direction of an UNDECIDED metric whose interval excludes zero.
    """

    effect: float | None
    interval: tuple[float, float] | None
    p_value: float | None
    p_adjusted: float | None
    method: str
    verdict: VerdictName
    reason: str
    leans: Lean | None = None
    boots_to_decide: int | None = None


def judge_family(
    questions: Sequence[Question], *, confidence: float, seed: int, only: Collection[str] | None = None
) -> list[Answer]:
    """Judges all metrics of a comparison together; the chance of any false BETTER or WORSE is 1 - ``confidence``.

    Args:
        questions: one per metric and scenario. Random draws depend on the name, so the order changes nothing.
        confidence: of each interval, and of the whole family against a false BETTER or WORSE.
        seed: of all resampling.
        only: names of the questions to answer; None: all. The correction covers all questions in either case.

    Returns:
        One answer per question (in ``only``), in their order.
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
    """Runs the tests alone: p and its test, Holm-adjusted p, and the level of Holm's first step, each by name.

    Metrics without a better direction are tested but not in the family; those with one boot per side count with p = 1.
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
    effect = None
    if question.baseline and question.candidate:
        effect = measure_level(question.candidate) - measure_level(question.baseline)
    if effect is None or tested is None:
        return Answer(
            effect=effect,
            interval=None,
            p_value=None,
            p_adjusted=None,
            method="",
            verdict="UNDECIDED",
            reason=question.obstacle,
            boots_to_decide=None if effect is None else MIN_BOOTS,
        )
    interval = measure_effect_interval(
        question.baseline,
        question.candidate,
        paired=question.paired,
        confidence=confidence,
        rng=make_generator(seed, question.name),
    )
    verdict, reason = _decide(question, effect, interval, p_adjusted, 1.0 - confidence)
    if question.repeats:
        boots = "1 boot repeats" if question.repeats == 1 else f"{question.repeats} boots repeat"
        reason += f"; {boots} the number of another seed, which counts once"
    leans = question.direction(effect)
    hopeless = leans == "better" and question.candidate_failed
    needed = None
    if verdict == "UNDECIDED" and not hopeless:
        needed = estimate_boots(question, level=level, confidence=confidence)
    if needed is not None and not question.obstacle:
        more = needed - question.boots
        reason += f"; {more} more {'boot' if more == 1 else 'boots'} per kernel would decide"
    differs = (interval[0] > 0 or interval[1] < 0) and not question.obstacle and question.proves(effect)
    return Answer(
        effect=effect,
        interval=interval,
        p_value=tested[0],
        p_adjusted=p_adjusted,
        method=tested[1],
        verdict=verdict,
        reason=reason,
        leans=leans if verdict == "UNDECIDED" and differs and not hopeless else None,
        boots_to_decide=needed,
    )


def _decide(
    question: Question, effect: float, interval: tuple[float, float], p_adjusted: float | None, alpha: float
) -> tuple[VerdictName, str]:
    """SAME if the interval lies inside the margin; BETTER or WORSE if it lies beyond and the test confirms it."""
    low, high = interval
    if question.obstacle:
        return "UNDECIDED", question.obstacle
    if -question.margin <= low and high <= question.margin:
        if question.baseline_bounded or question.candidate_bounded:
            return "UNDECIDED", f"some samples are only lower bounds{_why(question)}, so equality cannot be shown"
        return "SAME", "the interval lies inside the margin"
    differs, beyond = low > 0 or high < 0, low > question.margin or high < -question.margin
    if p_adjusted is None:
        return "UNDECIDED", f"neither direction of this metric is better{' (it differs)' if differs else ''}"
    if differs and not question.proves(effect):
        return (
            "UNDECIDED",
            f"the side that looks lower holds lower bounds{_why(question)}, so its true values may not be lower",
        )
    direction = question.direction(effect)
    if direction == "better" and question.candidate_failed:
        return "UNDECIDED", "launches of the candidate failed, so it is not better on the time of those that did not"
    if beyond and p_adjusted <= alpha:
        return (
            "BETTER" if direction == "better" else "WORSE"
        ), "beyond the margin, confirmed after correction for all metrics"
    if beyond:
        return "UNDECIDED", "seen, but not confirmed after correction for all metrics"
    if differs:
        return "UNDECIDED", "there is a difference, but it is not shown to exceed the margin"
    return "UNDECIDED", "the data show neither a difference nor its absence"


def _why(question: Question) -> str:
    return f" ({question.doubt})" if question.doubt else ""


def estimate_boots(question: Question, *, level: float, confidence: float) -> int | None:
    """Boots per side that would decide this metric in four of five experiments, or None if no sensible number would.

    Computed by Student's t from the observed effect and spread: the smaller of the number that shows an effect beyond
    the margin (at ``level``, two-sided) and the number that shows equivalence (at ``confidence``).
    """
    if question.boots < 2 or question.baseline_bounded or question.candidate_bounded:
        return None
    if question.observations is not None and question.observations < MIN_BOOTS:
        return None  # more seeds that change nothing would decide nothing
    effect, error, _ = student_terms(question.baseline, question.candidate, paired=question.paired)
    spread = max(error * np.sqrt(question.boots), question.margin / 3.0)
    boots = np.arange(max(MIN_BOOTS, question.boots + 1), MAX_BOOTS + 1)
    degrees = boots - 1 if question.paired else 2 * boots - 2
    gap = abs(effect) - question.margin
    tail = level / 2 if gap > 0 else (1 - confidence) / 2
    if question.better == "none" and gap > 0:
        return None
    reach = stats.t.isf(tail, degrees) + stats.t.ppf(POWER, degrees)
    enough = boots[spread * reach <= abs(gap) * np.sqrt(boots)]
    return int(enough[0]) if len(enough) else None


def make_generator(seed: int, name: str) -> np.random.Generator:
    """The random generator of one metric; it does not depend on the other metrics."""
    return np.random.default_rng([seed & 0xFFFFFFFF, crc32(name.encode()), 1])
