"""The samples of two kernels to cases: one a metric and scenario, ready for the statistics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from android_suite.compare.boots import (
    group_boots,
    pick_observations,
    rank_failed,
    select_exact,
    select_trusted,
)
from android_suite.compare.pairs import Seeds, pair_boots
from android_suite.model.comparison import BootValues, Side
from android_suite.model.metrics import CATALOGUE, Margin, Metric, find_metric
from android_suite.stats.decision import MIN_BOOTS, Question
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


@dataclass(frozen=True, slots=True)
class _Rows:
    """One side of one metric: all rows, those to trust, and what their boots hold."""

    rows: pd.DataFrame
    trusted: pd.DataFrame
    used: pd.DataFrame
    boots: Mapping[str, Array]
    failed: Mapping[str, NDArray[np.bool_]]  # which values are of launches that failed

    def count(self, of: pd.DataFrame, quality: str) -> int:
        return int((of["quality"] == quality).sum())


def build_cases(
    baseline: pd.DataFrame,
    candidate: pd.DataFrame,
    margins: Mapping[str, Margin],
    *,
    seeds: tuple[Mapping[str, Seeds], Mapping[str, Seeds]],
    virtual: bool = False,
    varied: Set[str] = frozenset(),
) -> Iterator[Case]:
    """Every metric of every scenario that either side has: scenarios alphabetical, metrics in the catalogue's order.

    Args:
        baseline: samples as in ``tables/samples.py``.
        candidate: the same of the candidate.
        margins: by metric name, where other than the catalogue's.
        seeds: of each side, by scenario and boot.
        virtual: both ran in virtual time.
        varied: scenarios in which something differs between seeds, whatever their metrics are.
    """
    sides = [_split(side) for side in (baseline, candidate)]
    place = {metric.name: index for index, metric in enumerate(CATALOGUE)}
    keys = sorted({*sides[0], *sides[1]}, key=lambda key: (key[0], place.get(key[1], len(place)), key[1]))
    pairs = {name: pair_boots(seeds[0].get(name, {}), seeds[1].get(name, {})) for name in {key[0] for key in keys}}
    varied = {name for name, _ in keys if name in varied or _seeds_change_something(sides, name)}
    for key in keys:
        scenario, name = key
        rows = [side.get(key, empty.iloc[:0]) for side, empty in zip(sides, (baseline, candidate), strict=True)]
        some = rows[0] if len(rows[0]) else rows[1]
        metric = find_metric(name, unit=str(some["unit"].iloc[0]), better=some["better"].iloc[0])
        one, other = _read(rows)
        orders = _order(pairs[scenario], one.boots, other.boots)
        chosen = [[side.boots[boot] for boot in order] for side, order in zip((one, other), orders, strict=True)]
        if metric.per_boot == "mean":
            chosen = [[boot.mean(keepdims=True) for boot in side] for side in chosen]
        margin = margins.get(name, metric.margin)
        paired = bool(pairs[scenario])
        observations, repeats = None, 0
        if all(chosen) and all(seeds[i][scenario].get(boot) for i in (0, 1) for boot in orders[i]):
            sets = [(chosen[0], chosen[1])] * 2 if paired else [(side, side) for side in chosen]
            picked = [pick_observations(*each, metric.unit, virtual=virtual) for each in sets]
            observations = min(map(len, picked)) if scenario in varied or not virtual else 1
            if observations >= MIN_BOOTS:  # else nothing is decided, and all are shown
                repeats = max(len(orders[i]) - len(picked[i]) for i in (0, 1))
                orders = ([orders[0][k] for k in picked[0]], [orders[1][k] for k in picked[1]])
                chosen = [[chosen[i][k] for k in picked[i]] for i in (0, 1)]
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
                margin=margin.width(measure_level(chosen[0]) if chosen[0] else 0.0),
                weight=HEADLINE_WEIGHT if metric.headline else 1.0,
                baseline_bounded=_bounded(one, orders[0]),
                candidate_bounded=_bounded(other, orders[1]),
                candidate_failed=any(other.failed[boot].any() for boot in orders[1]),
                doubt=_doubt(one, other),
                observations=observations,
                repeats=repeats,
            ),
            (
                _side(one, orders[0], chosen[0], seeds[0].get(scenario, {})),
                _side(other, orders[1], chosen[1], seeds[1].get(scenario, {})),
            ),
        )


def _split(samples: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    groups = samples.groupby(["scenario", "metric"], sort=True)
    return {(str(key[0]), str(key[1])): rows for key, rows in groups}


def _seeds_change_something(sides: Sequence[Mapping[tuple[str, str], pd.DataFrame]], scenario: str) -> bool:
    """Whether any metric of a scenario differs between boots of one side."""
    for side in sides:
        for (of, _), rows in side.items():
            values = {boot.tobytes() for boot in group_boots(rows).values()} if of == scenario else ()
            if len(values) > 1:
                return True
    return False


def _read(rows: Sequence[pd.DataFrame]) -> tuple[_Rows, _Rows]:
    trusted = [select_trusted(side) for side in rows]
    used = rank_failed([select_exact(side) if len(side) else side for side in trusted])
    one, other = (
        _Rows(
            rows=rows[i],
            trusted=trusted[i],
            used=used[i],
            boots=group_boots(used[i]),
            failed={k: v > 0 for k, v in group_boots(used[i].assign(value=used[i]["censored"])).items()},
        )
        for i in (0, 1)
    )
    return one, other


def _order(
    pairs: Sequence[tuple[str, str]], baseline: Mapping[str, Array], candidate: Mapping[str, Array]
) -> tuple[list[str], list[str]]:
    """The boots of both sides: partners of which both have samples, or all of them where there are no pairs."""
    if not pairs:
        return sorted(baseline), sorted(candidate)
    if not baseline or not candidate:
        return [one for one, _ in pairs if one in baseline], [other for _, other in pairs if other in candidate]
    whole = [(one, other) for one, other in pairs if one in baseline and other in candidate]
    return [one for one, _ in whole], [other for _, other in whole]


def _bounded(side: _Rows, order: Sequence[str]) -> bool:
    """Whether a number of a boot is only a lower bound: by its samples' quality, or with half of its launches failed."""
    if (side.used["quality"] == "lower_bound").any():
        return True
    return any(np.isinf(np.median(np.where(side.failed[boot], np.inf, side.boots[boot]))) for boot in order)


def _doubt(baseline: _Rows, candidate: _Rows) -> str:
    """The most frequent reason for which numbers are unknown on a side that has none, or else are lower bounds."""
    without = [side for side in (baseline, candidate) if not side.boots]
    rows = [side.rows if without else side.used for side in without or (baseline, candidate)]
    reasons = pd.concat([side.loc[side["reason"] != "", "reason"] for side in rows])
    return str(reasons.mode().iloc[0]) if len(reasons) else ""


def _side(side: _Rows, order: Sequence[str], chosen: Sequence[Array], seeds: Seeds) -> Side:
    """The numbers of one side; a quantile that falls among failed launches is unknown."""
    values = np.concatenate([side.boots[boot] for boot in order]) if order else np.empty(0)
    failed = int(sum(side.failed[boot].sum() for boot in order))
    quantiles = [
        float(np.quantile(values, q)) if np.ceil(q * (len(values) - 1)) < len(values) - failed else None
        for q in (0.5, 0.9, 0.95, 0.99)
    ]
    return Side(
        boots=len(order),
        samples=len(values),
        level=measure_level(chosen) if chosen else None,
        median=quantiles[0],
        p90=quantiles[1],
        p95=quantiles[2],
        p99=quantiles[3],
        unknown=len(side.rows) - len(side.trusted),
        lower_bound=side.count(side.trusted, "lower_bound"),
        failed=failed,
        distribution=tuple(
            BootValues(
                boot=boot,
                seed=min(seeds.get(boot, ()), default=None) if len(seeds.get(boot, ())) == 1 else None,
                median=measure_level([number]),
                values=tuple(side.boots[boot].tolist()),
            )
            for boot, number in zip(order, chosen, strict=True)
        ),
    )
