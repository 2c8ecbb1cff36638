"""The samples of two kernels to cases: one a metric and scenario, ready for the statistics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from android_suite.compare.boots import group_boots, group_seeds, pair_boots, select_exact, select_trusted
from android_suite.model.comparison import BootValues, Side
from android_suite.model.metrics import CATALOGUE, Margin, Metric, find_metric
from android_suite.stats.decision import Question
from android_suite.stats.resampling import Array, measure_level

HEADLINE_WEIGHT = 5.0  # headlines share most of alpha, so that a long catalogue does not cost them their power


@dataclass(frozen=True, slots=True)
class Case:
    """One metric of one scenario, ready for the statistics."""

    scenario: str
    metric: Metric
    margin: Margin
    question: Question
    sides: tuple[Side, Side]


def build_cases(baseline: pd.DataFrame, candidate: pd.DataFrame, margins: Mapping[str, Margin]) -> Iterator[Case]:
    """Every metric of every scenario that either side has: scenarios alphabetical, metrics in the catalogue's order.

    Args:
        baseline: samples as in ``tables/samples.py``.
        candidate: the same of the candidate.
        margins: by metric name, where other than the catalogue's.
    """
    sides = [_split(side) for side in (baseline, candidate)]
    place = {metric.name: index for index, metric in enumerate(CATALOGUE)}
    keys = sorted({*sides[0], *sides[1]}, key=lambda key: (key[0], place.get(key[1], len(place)), key[1]))
    for key in keys:
        scenario, name = key
        rows = [side.get(key, empty.iloc[:0]) for side, empty in zip(sides, (baseline, candidate), strict=True)]
        some = rows[0] if len(rows[0]) else rows[1]
        metric = find_metric(name, unit=str(some["unit"].iloc[0]), better=some["better"].iloc[0])
        trusted = [select_trusted(side) for side in rows]
        used = [select_exact(side) if len(side) else side for side in trusted]
        boots = [group_boots(side) for side in used]
        seeds = [group_seeds(side) for side in used]
        orders, paired = pair_boots(*seeds)
        chosen = [[boots[i][boot] for boot in orders[i]] for i in (0, 1)]
        margin = margins.get(name, metric.margin)
        bounded = [bool((side["quality"] == "lower_bound").any()) for side in used]
        level = measure_level(chosen[0]) if chosen[0] else 0.0
        yield Case(
            scenario,
            metric,
            margin,
            Question(
                name=f"{scenario}/{name}",
                baseline=chosen[0],
                candidate=chosen[1],
                paired=paired,
                better=metric.better,
                margin=margin.width(level),
                weight=HEADLINE_WEIGHT if metric.headline else 1.0,
                baseline_bounded=bounded[0],
                candidate_bounded=bounded[1],
            ),
            (
                _side(rows[0], trusted[0], orders[0], boots[0], seeds[0]),
                _side(rows[1], trusted[1], orders[1], boots[1], seeds[1]),
            ),
        )


def _split(samples: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    groups = samples.groupby(["scenario", "metric"], sort=True)
    return {(str(key[0]), str(key[1])): rows for key, rows in groups}


def _side(
    rows: pd.DataFrame,
    trusted: pd.DataFrame,
    order: Sequence[str],
    boots: Mapping[str, Array],
    seeds: Mapping[str, tuple[int, ...]],
) -> Side:
    chosen = [boots[boot] for boot in order]
    values = np.concatenate(chosen) if chosen else np.empty(0)
    quantiles = [float(np.quantile(values, q)) if len(values) else None for q in (0.5, 0.9, 0.95, 0.99)]
    return Side(
        boots=len(order),
        samples=len(values),
        level=measure_level(chosen) if chosen else None,
        median=quantiles[0],
        p90=quantiles[1],
        p95=quantiles[2],
        p99=quantiles[3],
        unknown=len(rows) - len(trusted),
        lower_bound=int((trusted["quality"] == "lower_bound").sum()),
        distribution=tuple(
            BootValues(
                boot=boot,
                seed=seeds[boot][0] if len(seeds[boot]) == 1 and seeds[boot][0] >= 0 else None,
                median=float(np.median(boots[boot])),
                values=tuple(boots[boot].tolist()),
            )
            for boot in order
        ),
    )
