"""Gates: one-sided tests that a metric did not get worse by more than its margin, corrected over the gates alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from android_suite.stats.decision import MAX_BOOTS, MIN_BOOTS, POWER, Question, make_generator
from android_suite.stats.resampling import measure_effect_interval, measure_level, student_terms

Standing = Literal["held", "worse", "open"]

_BOUNDED = "some samples are only lower bounds"  # more boots would decide nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What the samples show about one gate.

    Attributes:
        effect: candidate minus baseline, in the metric's unit; None if a side has no sample.
        interval: bounds of the effect, each at the confidence that the correction leaves to this gate; ``worst`` is
            one of them.
        worst: the worst effect that cannot be excluded; None if nothing is known.
        standing: ``held``: the worst effect lies within the margin; ``worse``: even the best lies beyond it; ``open``:
            neither is shown.
        reason: why it is open; empty otherwise.
        boots_to_decide: boots per side that would make it held or worse in four of five experiments.
    """

    effect: float | None
    interval: tuple[float, float] | None
    worst: float | None
    standing: Standing
    reason: str = ""
    boots_to_decide: int | None = None


def judge_noninferiority(questions: Sequence[Question], *, confidence: float, seed: int) -> list[Bound]:
    """Judges gates together: the chance that any holds although its metric got worse is 1 - ``confidence``.

    These are Holm's steps with bounds instead of p. Each gate begins with an equal share of alpha; gates that hold leave
    theirs to the rest, until no more hold.

    Args:
        questions: one per gate, with the gate's margin; several may be about the same metric.
        confidence: one-sided, of all gates together.
        seed: of all resampling.

    Returns:
        One bound per question, in their order.
    """
    bounds: dict[int, Bound] = {}
    open_ = list(range(len(questions)))
    while open_:
        level = (1.0 - confidence) / len(open_)
        bounds |= {i: _measure_bound(questions[i], level, seed) for i in open_}
        rest = [i for i in open_ if bounds[i].standing != "held"]
        if len(rest) == len(open_):
            break
        open_ = rest
    return [bounds[i] for i in range(len(questions))]


def _measure_bound(question: Question, level: float, seed: int) -> Bound:
    if not question.baseline or not question.candidate:
        return Bound(effect=None, interval=None, worst=None, standing="open", reason=question.obstacle)
    effect = measure_level(question.candidate) - measure_level(question.baseline)
    low, high = interval = measure_effect_interval(
        question.baseline,
        question.candidate,
        paired=question.paired,
        confidence=1.0 - 2.0 * level,
        rng=make_generator(seed, question.name),
    )
    best, worst = {"lower": (low, high), "higher": (-high, -low)}.get(
        question.better, (max(low, -high), max(high, -low))
    )
    told = {"lower": high, "higher": low}.get(question.better, high if high >= -low else low)
    needed = _estimate_boots(question, level)
    # A true value may lie above its lower bound: then the effect may be worse (or less bad) than it looks.
    hides_worse = question.candidate_bounded if question.better == "lower" else question.baseline_bounded
    hides_better = question.baseline_bounded if question.better == "lower" else question.candidate_bounded
    if question.better == "none":
        hides_worse = hides_better = question.baseline_bounded or question.candidate_bounded
    standing: Standing = "open"
    reason = question.obstacle
    if not reason and worst <= question.margin:
        standing, reason = ("open", _BOUNDED) if hides_worse else ("held", "")
    elif not reason and best > question.margin:
        standing, reason = ("open", _BOUNDED) if hides_better else ("worse", "")
    elif not reason:
        reason = "it is not shown whether it got worse by more than the margin"
    return Bound(
        effect=effect,
        interval=interval if np.isfinite(interval).all() else None,
        worst=told if np.isfinite(told) else None,
        standing=standing,
        reason=reason,
        boots_to_decide=needed if standing == "open" and reason != _BOUNDED else None,
    )


def _estimate_boots(question: Question, level: float) -> int | None:
    if question.boots < 2:
        return MIN_BOOTS
    if question.observations is not None and question.observations < MIN_BOOTS:
        return None
    effect, error, _ = student_terms(question.baseline, question.candidate, paired=question.paired)
    harm = {"lower": effect, "higher": -effect}.get(question.better, abs(effect))
    boots = np.arange(max(MIN_BOOTS, question.boots + 1), MAX_BOOTS + 1)
    degrees = boots - 1 if question.paired else 2 * boots - 2
    reach = stats.t.isf(level, degrees) + stats.t.ppf(POWER, degrees)
    enough = boots[error * np.sqrt(question.boots) * reach <= abs(question.margin - harm) * np.sqrt(boots)]
    return int(enough[0]) if len(enough) else None
