"""How often the statistics cry wolf, and what they can see: false alarms, coverage and power, by simulation.

    python -m benchmarks.power                        tables on the terminal
    python -m benchmarks.power --write docs/power.md  the same into the docs
    python -m benchmarks.power --samples FILE         A/A over recorded boots (a samples table, Parquet) as well

Everything runs through ``android_suite.stats.decision``, the code that judges real runs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from android_suite.compare.cases import HEADLINE_WEIGHT
from android_suite.model.metrics import CATALOGUE, Margin, Metric, find_metric
from android_suite.stats.decision import Question, judge_family, measure_family
from android_suite.stats.resampling import Boots, measure_effect_interval, measure_level

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]
CONFIDENCE = 0.95
SAMPLES = 3  # of a metric in a boot
BOOTS = (4, 5, 10, 20)
LEVEL = 100.0

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


def count_alarms(questions: Sequence[Question], seed: int) -> int:
    """BETTER and WORSE verdicts of one experiment. Intervals are only drawn where the tests do not rule them out."""
    _, adjusted, _ = measure_family(questions, confidence=CONFIDENCE, seed=seed)
    suspects = {name for name, p in adjusted.items() if p <= 1 - CONFIDENCE}
    if not suspects:
        return 0
    answers = judge_family(questions, confidence=CONFIDENCE, seed=seed, only=suspects)
    return sum(answer.verdict in ("BETTER", "WORSE") for answer in answers)


def measure_alarms(experiments: int) -> Iterator[tuple[str, int, bool, float]]:
    """Share of A/A experiments with any false verdict, for every number of boots."""
    for boots in BOOTS:
        for paired in (False, True):
            rng = np.random.default_rng([boots, paired])
            hits = sum(count_alarms(draw_family(rng, boots, paired=paired), seed=0) > 0 for _ in range(experiments))
            yield "simulated", boots, paired, hits / experiments


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


def measure_coverage(experiments: int) -> Iterator[tuple[str, int, bool, float]]:
    """How often the interval holds the true effect, zero, by shape."""
    for name, shape in SHAPES.items():
        for boots in BOOTS:
            for paired in (False, True):
                rng = np.random.default_rng([boots, paired])
                hits = 0
                for _ in range(experiments):
                    sides = [
                        list(shape(rng, (boots, 1)) * (1.0 + 0.02 * rng.normal(size=(boots, SAMPLES)))) for _ in "ab"
                    ]
                    low, high = measure_effect_interval(
                        sides[0], sides[1], paired=paired, confidence=CONFIDENCE, rng=rng
                    )
                    hits += low <= 0 <= high
                yield name, boots, paired, hits / experiments


def measure_power(experiments: int) -> Iterator[tuple[str, float, int, bool, float]]:
    """Share of experiments that find a planted slowdown of one metric, the others being null."""
    for noise_name, noise in (("quiet", 0.3), ("noisy", 1.0)):
        for slowdown in (0.02, 0.05, 0.10):
            for boots in (5, 10, 20):
                for paired in (False, True):
                    rng = np.random.default_rng([boots, paired, int(slowdown * 100), int(noise * 10)])
                    found = 0
                    for _ in range(experiments):
                        questions = draw_family(rng, boots, paired=paired, slowdown=slowdown, noise=noise)
                        (answer,) = judge_family(questions, confidence=CONFIDENCE, seed=0, only={questions[0].name})
                        found += answer.verdict == "WORSE"
                    yield noise_name, slowdown, boots, paired, found / experiments


def render(experiments: int, recorded: Path | None) -> Iterator[str]:
    """The document, line by line."""
    began = time.monotonic()
    metrics = len(_family())
    yield "# What the statistics can see, and how often they cry wolf"
    yield ""
    yield "Made by `python -m benchmarks.power --write docs/power.md`; every number went through the code that judges real runs."
    yield "What is found of slowdowns planted into recorded boots is on [a page of its own](power-planted.md)."
    yield ""
    yield "## False alarms"
    yield ""
    yield f"A/A experiments: one kernel against itself, {metrics} metrics each (normal, log-normal, heavy-tailed, rare events"
    yield f"and small counts, correlated within a boot), {SAMPLES} samples a boot, {experiments} experiments a row. An alarm is"
    yield "any BETTER or WORSE among all metrics; the stated rate is 5 %. Behind ± stands the standard error of the simulation."
    yield ""
    yield "| boots | boots a kernel | pairing | experiments with a false alarm |"
    yield "| :-- | --: | :-- | --: |"
    rows = list(measure_alarms(experiments))
    if recorded is not None:
        rows += measure_recorded_alarms(pd.read_parquet(recorded), experiments)
    for source, boots, paired, share in rows:
        error = (share * (1 - share) / experiments) ** 0.5
        yield f"| {source} | {boots} | {'paired' if paired else 'unpaired'} | {share:.1%} ± {error:.1%} |"
    yield ""
    yield "## Coverage of the 95 % interval"
    yield ""
    yield "| shape of the boots | pairing | " + " | ".join(f"{boots} boots" for boots in BOOTS) + " |"
    yield "| :-- | :-- |" + " --: |" * len(BOOTS)
    coverage = {
        (name, boots, paired): share for name, boots, paired, share in measure_coverage(max(20, experiments // 8))
    }
    for name in SHAPES:
        for paired in (False, True):
            cells = " | ".join(f"{coverage[name, boots, paired]:.1%}" for boots in BOOTS)
            yield f"| {name} | {'paired' if paired else 'unpaired'} | {cells} |"
    yield ""
    yield "Plain percentile intervals over 4 boots cover 80 %: so they are expanded and, below 12 boots, widened to Student's."
    yield ""
    yield "## Power"
    yield ""
    yield f"One of {metrics} metrics, a headline, is dearer on the candidate, the others are not; margin 1 %, Holm over all"
    yield f"(headlines weigh {HEADLINE_WEIGHT:g} times as much). Boots of the"
    yield "noisy kind vary by 2 % and their seeds by 3 %, which pairing removes; quiet is three tenths of that. Share of"
    yield "experiments that end in WORSE:"
    yield ""
    yield "| spread | slowdown | 5 boots | 5, paired | 10 boots | 10, paired | 20 boots | 20, paired |"
    yield "| :-- | --: | --: | --: | --: | --: | --: | --: |"
    few = max(20, experiments // 20)
    power = {key[:4]: key[4] for key in measure_power(few)}
    for noise in ("quiet", "noisy"):
        for slowdown in (0.02, 0.05, 0.10):
            cells = " | ".join(f"{power[noise, slowdown, n, p]:.0%}" for n in (5, 10, 20) for p in (False, True))
            yield f"| {noise} | {slowdown:.0%} | {cells} |"
    yield ""
    yield (
        f"{few} experiments a cell. With few boots (5; 10 pairs) no permutation test can reach the corrected level; there\n"
        "Student's t beyond the margin decides (see `android_suite/stats/testing.py`). Fewer than 4 boots decide nothing."
    )
    print(f"took {time.monotonic() - began:.0f} s")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.power", description=__doc__.split("\n")[0])
    parser.add_argument("--experiments", type=int, default=4000, help="A/A experiments a row")
    parser.add_argument("--samples", type=Path, help="a recorded samples table (Parquet) for A/A by resampling")
    parser.add_argument("--write", type=Path, help="file to write; the terminal otherwise")
    options = parser.parse_args()
    text = "\n".join(render(options.experiments, options.samples)) + "\n"
    if options.write:
        options.write.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
