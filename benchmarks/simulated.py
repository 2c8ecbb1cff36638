"""Experiments whose truth is known, drawn at random and judged by the code that judges real runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from android_suite.compare.cases import HEADLINE_WEIGHT
from android_suite.model.metrics import CATALOGUE, Margin, Metric, find_metric
from android_suite.stats.decision import Question, judge_family, measure_family
from android_suite.stats.noninferiority import judge_noninferiority
from android_suite.stats.resampling import Boots, measure_effect_interval, measure_level, measure_tail_interval
from android_suite.stats.testing import measure_p_student

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]
CONFIDENCE = 0.95
SAMPLES = 3  # of a metric in a boot
BOOTS = (4, 5, 10, 20)
LEVEL = 100.0
SCREEN = 0.2
TAIL, TAIL_SAMPLES = 0.9, 10  # quantile of all samples, and samples a boot
GATES = 5

# Deviations of a boot, as a factor on the level. Real metrics are of all these kinds.
SHAPES: dict[str, Draw] = {
    "normal": lambda rng, size: 1.0 + 0.03 * rng.normal(size=size),
    "log-normal": lambda rng, size: np.exp(0.25 * rng.normal(size=size)),
    "heavy-tailed (t3)": lambda rng, size: 1.0 + 0.05 * rng.standard_t(3, size=size),
    "rare events": lambda rng, size: np.where(rng.random(size) < 0.3, rng.lognormal(0.0, 0.7, size=size), 0.0),
    "small counts": lambda rng, size: rng.poisson(3.0, size=size) / 3.0,
}


def list_family() -> list[Metric]:
    """The full set of a two-scenario experiment."""
    launch = [m for m in CATALOGUE if "app_launch" in m.scenarios]
    other = [m for m in CATALOGUE if not m.scenarios]
    return [*launch, *other]


def _shape_of(index: int) -> Draw:
    return list(SHAPES.values())[index % len(SHAPES)]


def _pair_shift(rng: np.random.Generator, boots: int) -> Array:
    """What a seed does to a boot; with pairs the same on both kernels."""
    return 0.03 * rng.normal(size=boots)


def draw_family(
    rng: np.random.Generator, boots: int, *, paired: bool, slowdown: float = 0.0, noise: float = 1.0
) -> list[Question]:
    """One A/A experiment over all metrics; ``slowdown`` is planted into the first one, on the candidate's side.

    The first metric varies with boot (2 %) and seed (3 %) only, both times ``noise``; the others have a shape besides.

    The metrics of one boot share a factor, as they do on a device: a slow boot is slow in everything.
    """
    questions = []
    sides = (0.02 * rng.normal(size=boots), 0.02 * rng.normal(size=boots))
    shift = _pair_shift(rng, boots) if paired else np.zeros(boots)
    for index, metric in enumerate(list_family()):
        planted = slowdown if index == 0 else 0.0
        own_shape = np.ones((2, boots)) if index == 0 else _shape_of(index)(rng, (2, boots))
        boots_of: list[list[Array]] = []
        for side, common in enumerate(sides):
            own = shift if paired else _pair_shift(rng, boots)
            factor = (own_shape[side] + noise * (common + own)) * (1.0 + planted * side)
            within = 1.0 + 0.02 * rng.normal(size=(boots, SAMPLES))
            values = np.maximum(LEVEL * factor[:, None] * within, 0.0)
            if metric.unit == "count":
                values = np.round(values / LEVEL * 3.0)
            boots_of.append(list(values))
        margin = 1.0 if index == 0 else metric.margin.width(float(np.mean(boots_of[0])))
        questions.append(
            Question(
                name=f"{index}/{metric.name}",
                baseline=boots_of[0],
                candidate=boots_of[1],
                paired=paired,
                better=metric.better,
                margin=margin,
                weight=HEADLINE_WEIGHT if metric.headline else 1.0,
            )
        )
    return questions


def screen(questions: Sequence[Question], *, keep: Collection[str] = ()) -> list[Question]:
    """The same family, without the permutation tests that cannot matter.

    Where Student's p is above 0.2, the candidate is set equal to the baseline, so that p is 1 at once: no such metric
    comes near the corrected level (below 0.01). The questions named in ``keep`` stay as they are.
    """
    return [
        q
        if q.name in keep or measure_p_student(q.baseline, q.candidate, q.margin, paired=q.paired) <= SCREEN
        else replace(q, candidate=q.baseline)
        for q in questions
    ]


def count_alarms(questions: Sequence[Question], seed: int) -> int:
    """BETTER and WORSE verdicts of one experiment. Intervals are only drawn where the tests do not rule them out."""
    questions = screen(questions)
    _, adjusted, _ = measure_family(questions, confidence=CONFIDENCE, seed=seed)
    suspects = {name for name, p in adjusted.items() if p <= 1 - CONFIDENCE}
    if not suspects:
        return 0
    answers = judge_family(questions, confidence=CONFIDENCE, seed=seed, only=suspects)
    return sum(answer.verdict in ("BETTER", "WORSE") for answer in answers)


def measure_alarms(experiments: int, boots: int, paired: bool) -> float:
    """Share of A/A experiments with any false verdict."""
    rng = np.random.default_rng([boots, paired])
    return (
        sum(count_alarms(draw_family(rng, boots, paired=paired), seed=0) > 0 for _ in range(experiments)) / experiments
    )


def pose_question(
    name: str, metric: Metric, baseline: Boots, candidate: Boots, *, paired: bool, margin: Margin | None = None
) -> Question:
    """The question that `compare` would ask about recorded boots; ``margin`` where other than the catalogue's."""
    return Question(
        name=name,
        baseline=baseline,
        candidate=candidate,
        paired=paired,
        better=metric.better,
        margin=(margin or metric.margin).width(measure_level(baseline)),
        weight=HEADLINE_WEIGHT if metric.headline else 1.0,
    )


def measure_recorded_alarms(samples: pd.DataFrame, experiments: int) -> Iterator[tuple[str, int, bool, float]]:
    """The same over recorded boots of one kernel, drawn with replacement into two sides."""
    label = samples["label"].value_counts().idxmax()
    rows = samples[(samples["label"] == label) & samples["traced"] & (samples["quality"] == "exact")]
    recorded = {
        (str(key[0]), str(key[1])): [boot["value"].to_numpy(np.float64) for _, boot in group.groupby("boot")]
        for key, group in rows.groupby(["scenario", "metric"])
    }
    available = min(len(boots) for boots in recorded.values())
    for boots in BOOTS:
        rng = np.random.default_rng(boots)
        hits = 0
        for _ in range(experiments):
            picks = rng.integers(available, size=(2, boots))
            questions = []
            for (scenario, name), values in recorded.items():
                sides = [[values[i] for i in side] for side in picks]
                questions.append(pose_question(f"{scenario}/{name}", find_metric(name), *sides, paired=False))
            hits += count_alarms(questions, seed=0) > 0
        yield f"recorded ({available} boots of {label})", boots, False, hits / experiments


def measure_coverage(experiments: int, shape: str, boots: int, paired: bool) -> float:
    """How often the interval holds the true effect, zero."""
    rng = np.random.default_rng([boots, paired])
    hits = 0
    for _ in range(experiments):
        sides = [list(SHAPES[shape](rng, (boots, 1)) * (1.0 + 0.02 * rng.normal(size=(boots, SAMPLES)))) for _ in "ab"]
        low, high = measure_effect_interval(sides[0], sides[1], paired=paired, confidence=CONFIDENCE, rng=rng)
        hits += low <= 0 <= high
    return hits / experiments


def measure_tail_coverage(experiments: int, shape: str, boots: int) -> float:
    """The same of the interval of a tail quantile, unpaired."""
    rng = np.random.default_rng(boots)
    hits = 0
    for _ in range(experiments):
        sides = [
            list(SHAPES[shape](rng, (boots, 1)) * (1.0 + 0.2 * rng.normal(size=(boots, TAIL_SAMPLES)))) for _ in "ab"
        ]
        _, (low, high) = measure_tail_interval(sides[0], sides[1], TAIL, paired=False, confidence=CONFIDENCE, rng=rng)
        hits += low <= 0 <= high
    return hits / experiments


def measure_gates(experiments: int, boots: int, effect: float) -> float:
    """Share of experiments in which a gate holds whose metric is worse by ``effect`` margins, among gates that hold.

    With an effect of 1 the gates are as bad as their margins allow, all of them, and the share is that of experiments in
    which any holds: what the confidence promises to keep at 5 %.
    """
    rng = np.random.default_rng([boots, int(10 * effect)])
    hits = 0
    for _ in range(experiments):
        questions = []
        for number, shape in zip(range(GATES), SHAPES.values(), strict=False):
            base, cand = (
                list(LEVEL * (shape(rng, (boots, 1)) + 0.02 * rng.normal(size=(boots, SAMPLES)))) for _ in "ab"
            )
            margin = LEVEL * 0.1
            shifted = [boot + (effect if number == 0 or effect == 1 else 0.0) * margin for boot in cand]
            questions.append(
                Question(
                    name=str(number), baseline=base, candidate=shifted, paired=False, better="lower", margin=margin
                )
            )
        bounds = judge_noninferiority(questions, confidence=CONFIDENCE, seed=0)
        hits += any(b.standing == "held" for b in bounds) if effect == 1 else bounds[0].standing == "held"
    return hits / experiments


def measure_power(experiments: int, noise: float, slowdown: float, boots: int, paired: bool) -> float:
    """Share of experiments that end in WORSE for a planted slowdown of one metric, the others being null."""
    rng = np.random.default_rng([boots, paired, int(slowdown * 1000), int(noise * 10)])
    found = 0
    for _ in range(experiments):
        drawn = draw_family(rng, boots, paired=paired, slowdown=slowdown, noise=noise)
        planted = {drawn[0].name}
        (answer,) = judge_family(screen(drawn, keep=planted), confidence=CONFIDENCE, seed=0, only=planted)
        found += answer.verdict == "WORSE"
    return found / experiments


def measure_meaning(experiments: int, boots: int, effect: float) -> float:
    """Share of WORSE for one metric, alone, whose true effect is ``effect`` margins; spread half a margin, unpaired."""
    rng = np.random.default_rng([boots, int(10 * effect)])
    found = 0
    for _ in range(experiments):
        base, cand = (list(level + 0.5 * rng.normal(size=(boots, 1))) for level in (LEVEL, LEVEL + effect))
        asked = Question(name="m", baseline=base, candidate=cand, paired=False, better="lower", margin=1.0)
        (answer,) = judge_family([asked], confidence=CONFIDENCE, seed=0)
        found += answer.verdict == "WORSE"
    return found / experiments
