"""How often the statistics cry wolf, and what they can see: false alarms, coverage and power, by simulation.

    python -m benchmarks.power                        tables on the terminal
    python -m benchmarks.power --write docs/power.md  the same into the docs
    python -m benchmarks.power --samples FILE         A/A over recorded boots (a samples table, Parquet) as well

Everything runs through ``android_suite.stats.decision``, the code that judges real runs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

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
AT_ONCE = 2
SCREEN = 0.2
TAIL, TAIL_SAMPLES = 0.9, 10  # quantile of all samples, and samples a boot
GATES = 5

NOISES = {"quiet": 0.3, "noisy": 1.0}
SLOWDOWNS = (0.02, 0.05, 0.10)

# Deviations of a boot, as a factor on the level. Real metrics are of all these kinds.
SHAPES: dict[str, Draw] = {
    "normal": lambda rng, size: 1.0 + 0.03 * rng.normal(size=size),
    "log-normal": lambda rng, size: np.exp(0.25 * rng.normal(size=size)),
    "heavy-tailed (t3)": lambda rng, size: 1.0 + 0.05 * rng.standard_t(3, size=size),
    "rare events": lambda rng, size: np.where(rng.random(size) < 0.3, rng.lognormal(0.0, 0.7, size=size), 0.0),
    "small counts": lambda rng, size: rng.poisson(3.0, size=size) / 3.0,
}


def _family() -> list[Metric]:
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
    for index, metric in enumerate(_family()):
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


def screen(questions: Sequence[Question], *, keep: int = 0) -> list[Question]:
    """The same family, without the permutation tests that cannot matter.

    Where Student's p is above 0.2, the candidate is set equal to the baseline, so that p is 1 at once: no such metric
    comes near the corrected level (below 0.01). The first ``keep`` questions stay as they are.
    """
    return [
        q
        if i < keep or measure_p_student(q.baseline, q.candidate, q.margin, paired=q.paired) <= SCREEN
        else replace(q, candidate=q.baseline)
        for i, q in enumerate(questions)
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
        questions = screen(draw_family(rng, boots, paired=paired, slowdown=slowdown, noise=noise), keep=1)
        (answer,) = judge_family(questions, confidence=CONFIDENCE, seed=0, only={questions[0].name})
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


PAGE = """\
# What the statistics can see, and how often they raise a false alarm

Written by `python -m benchmarks.power --write docs/power.md`. Every number went through the code that judges real runs.
[Planted slowdowns](power-planted.md) does the same with recorded boots.

## False alarms

A/A experiments: one kernel against itself, with {metrics} metrics (normal, log-normal, heavy-tailed, rare events and
small counts, correlated within a boot), {samples} samples per boot and {experiments} experiments per row. An alarm is
any BETTER or WORSE among all metrics; the stated rate is 5 %. The number after ± is the standard error of the
simulation. Metrics without an effect whose Student's p is above 0.2 skip the permutation test, which could not matter.

| boots | boots per kernel | pairing | experiments with a false alarm |
| :-- | --: | :-- | --: |
{alarms}

## WORSE means the same at every number of boots

One metric alone, unpaired, whose boots vary by half a margin; {few} experiments per cell. Share of WORSE by the true
effect. An effect within the margin is not a regression, at any number of boots; the two-sided level of 5 % allows WORSE
in 2.5 % of these experiments.

| true effect, in margins | {heads} |
| --: |{rule}
{meaning}

## Coverage of the 95 % interval

{half} experiments per cell.

| shape of the boots | pairing | {heads} |
| :-- | :-- |{rule}
{coverage}

The same for the interval of the p90 of all samples, {tail_samples} per boot, unpaired:

| shape of the boots | {heads} |
| :-- |{rule}
{tails}

Plain percentile intervals over 4 boots cover only 80 %, so intervals are expanded and, below 12 boots, widened to
Student's.

## Gates

{gates} gates judged together, one for each shape above, margin 10 % of the level, unpaired; {half} experiments per cell.

| share of experiments | {heads} |
| :-- |{rule}
| in which any gate passes, with all metrics worse by their margin (stated: 5 %) | {false_holds} |
| in which the gate on the normal metric passes, with nothing worse | {true_holds} |
| in which it passes, with its metric worse by half the margin | {half_holds} |

## Power

One of {metrics} metrics, a headline, is slower on the candidate, the others are equal; margin 1 %, Holm over all
(headlines have {weight:g} times the weight). Noisy boots vary by 2 % and their seeds by 3 %, which pairing removes;
quiet boots vary by three tenths of that. Share of {few} experiments that end in WORSE:

| spread | slowdown | 5 boots | 5, paired | 10 boots | 10, paired | 20 boots | 20, paired |
| :-- | --: | --: | --: | --: | --: | --: | --: |
{power}

With few boots (5; paired also 10) no permutation test can reach the corrected level, so Student's t decides. Both test
for an effect beyond the margin (see `android_suite/stats/testing.py`). Fewer than 4 boots decide nothing.
"""


def render(experiments: int, recorded: Path | None) -> str:
    """The document."""
    half, few = max(20, experiments // 2), max(20, experiments // 4)
    pairings = (False, True)
    with ProcessPoolExecutor(AT_ONCE) as pool:

        def ask(function: Callable[..., float], size: int, *rows: Sequence[object]) -> dict[tuple[object, ...], float]:
            keys = list(product(*rows))
            return dict(zip(keys, pool.map(partial(_call, function, size), keys), strict=True))

        alarms = ask(measure_alarms, experiments, BOOTS, pairings)
        meaning = ask(measure_meaning, few, BOOTS, (0.9, 2.0, 3.0))
        coverage = ask(measure_coverage, half, list(SHAPES), BOOTS, pairings)
        tails = ask(measure_tail_coverage, half, list(SHAPES), BOOTS)
        gates = ask(measure_gates, half, BOOTS, (1.0, 0.0, 0.5))
        power = ask(measure_power, few, list(NOISES.values()), SLOWDOWNS, (5, 10, 20), pairings)
    rows = [("simulated", boots, paired, alarms[boots, paired]) for boots in BOOTS for paired in pairings]
    if recorded is not None:
        rows += measure_recorded_alarms(pd.read_parquet(recorded), experiments)

    def line(*cells: str) -> str:
        return f"| {' | '.join(cells)} |"

    def name(paired: bool) -> str:
        return "paired" if paired else "unpaired"

    return PAGE.format(
        metrics=len(_family()),
        samples=SAMPLES,
        experiments=experiments,
        half=half,
        few=few,
        heads=" | ".join(f"{boots} boots" for boots in BOOTS),
        rule=" --: |" * len(BOOTS),
        tail_samples=TAIL_SAMPLES,
        gates=GATES,
        weight=HEADLINE_WEIGHT,
        alarms="\n".join(
            line(source, str(boots), name(paired), f"{share:.1%} ± {(share * (1 - share) / experiments) ** 0.5:.1%}")
            for source, boots, paired, share in rows
        ),
        meaning="\n".join(
            line(f"{effect:g}", *(f"{meaning[boots, effect]:.0%}" for boots in BOOTS)) for effect in (0.9, 2.0, 3.0)
        ),
        coverage="\n".join(
            line(shape, name(paired), *(f"{coverage[shape, boots, paired]:.1%}" for boots in BOOTS))
            for shape in SHAPES
            for paired in pairings
        ),
        tails="\n".join(line(shape, *(f"{tails[shape, boots]:.1%}" for boots in BOOTS)) for shape in SHAPES),
        false_holds=" | ".join(f"{gates[boots, 1.0]:.1%}" for boots in BOOTS),
        true_holds=" | ".join(f"{gates[boots, 0.0]:.0%}" for boots in BOOTS),
        half_holds=" | ".join(f"{gates[boots, 0.5]:.0%}" for boots in BOOTS),
        power="\n".join(
            line(
                label,
                f"{slowdown:.0%}",
                *(f"{power[noise, slowdown, boots, paired]:.0%}" for boots in (5, 10, 20) for paired in pairings),
            )
            for label, noise in NOISES.items()
            for slowdown in SLOWDOWNS
        ),
    )


def _call(function: Callable[..., float], size: int, key: tuple[object, ...]) -> float:
    return function(size, *key)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.power", description=__doc__.split("\n")[0])
    parser.add_argument("--experiments", type=int, default=200, help="A/A experiments a row")
    parser.add_argument("--samples", type=Path, help="a recorded samples table (Parquet) for A/A by resampling")
    parser.add_argument("--write", type=Path, help="file to write; the terminal otherwise")
    options = parser.parse_args()
    began = time.monotonic()
    text = render(options.experiments, options.samples)
    print(f"took {time.monotonic() - began:.0f} s", file=sys.stderr)
    if options.write:
        options.write.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
