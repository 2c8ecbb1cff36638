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
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path

import pandas as pd

from android_suite.compare.cases import HEADLINE_WEIGHT
from benchmarks.markdown import wrap_page
from benchmarks.simulated import (
    BOOTS,
    GATES,
    SAMPLES,
    SHAPES,
    TAIL_SAMPLES,
    list_family,
    measure_alarms,
    measure_coverage,
    measure_gates,
    measure_meaning,
    measure_power,
    measure_recorded_alarms,
    measure_tail_coverage,
)

AT_ONCE = 2
NOISES = {"quiet": 0.3, "noisy": 1.0}
SLOWDOWNS = (0.02, 0.05, 0.10)

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
        metrics=len(list_family()),
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
        options.write.write_text(wrap_page(text), encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
