"""Searches a series for change points of its level and of its modes, and puts a store's history together."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from android_suite import __version__
from android_suite.history.runs import StoredRun
from android_suite.history.series import Series, build_series
from android_suite.model.history import (
    FalseAlarms,
    History,
    HistoryBoot,
    HistorySeries,
    LevelChange,
    Mode,
    ModeChange,
    Order,
    Refused,
)
from android_suite.model.metrics import Metric
from android_suite.stats.change_points import (
    MAX_P_VALUE,
    MIN_POINTS,
    FoundChange,
    find_change_points,
    judge_split,
    measure_null_rate,
)
from android_suite.stats.modes import MIN_SAMPLES, find_modes, has_several_modes

NULL_SERIES = 200
NOT_EXACT_SHARE = 0.2  # of the boots of a series: up to here boots that are not exact are left out, as in a comparison

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """The exact boots of a series in order, and the point that each belongs to."""

    boots: list[HistoryBoot]
    point: list[int]

    @property
    def borders(self) -> list[int]:
        """Indices of boots that begin a point; the first one is none."""
        return [i for i in range(1, len(self.point)) if self.point[i] != self.point[i - 1]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How change points are searched.

    Attributes:
        max_p_value: for Otava.
        null_series: random orders of each series for its rate of false alarms.
        seed: of these orders; the same seed gives the same numbers.
    """

    max_p_value: float = MAX_P_VALUE
    null_series: int = NULL_SERIES
    seed: int = 0


def trace_history(
    runs: Sequence[StoredRun],
    refused: Sequence[Refused] = (),
    *,
    store: str,
    order: Order = "kernel",
    metrics: Collection[str] | None = None,
    scenarios: Collection[str] | None = None,
    search: Search | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> History:
    """The history of a store.

    Args:
        runs: of the store.
        refused: runs of it that could not be read.
        store: its name, to be shown.
        order: see `build_series`.
        metrics: names; None: the headline metrics.
        scenarios: names; None: all.
        search: how change points are searched.
        say: called with progress.

    Raises:
        Unsupported: Apache Otava is not installed.
    """
    search = search or Search()
    ordered = build_series(runs, order=order, metrics=metrics, scenarios=scenarios)
    examined = []
    for number, series in enumerate(ordered.series, start=1):
        say(f"examining {series.scenario} {series.metric.name} ({number} of {len(ordered.series)})")
        examined.append(_examine(series, search))
    shown = {series.conditions for series in examined}
    return History(
        suite=__version__,
        store=store,
        order=order,
        runs=len(runs),
        refused=tuple(refused),
        repeats=ordered.repeats,
        max_p_value=search.max_p_value,
        seed=search.seed,
        expected_false_alarms=sum(s.false_alarms.rate for s in examined if s.false_alarms),
        conditions={name: told for name, told in ordered.conditions.items() if name in shown},
        series=tuple(examined),
    )


def _examine(series: Series, search: Search) -> HistorySeries:
    line = _Line(boots=[], point=[])
    for number, point in enumerate(series.points):
        for boot in point.boots:
            if boot.level is not None:
                line.boots.append(boot)
                line.point.append(number)
    metric = series.metric
    whole = HistorySeries(
        scenario=series.scenario,
        metric=metric.name,
        unit=metric.unit,
        better=metric.better,
        doc=metric.doc,
        margin=str(metric.margin),
        conditions=series.conditions,
        label=series.label,
        status="examined",
        reason="",
        points=tuple(series.points),
        changes=(),
        modes=(),
        false_alarms=None,
    )
    total = whole.boots
    if total - len(line.boots) > NOT_EXACT_SHARE * total:
        worst = next(b.reason for p in series.points for b in p.boots if b.level is None)
        return replace(
            whole,
            status="not_exact",
            reason=f"{total - len(line.boots)} of {total} boots are not exact{f' ({worst})' if worst else ''}",
        )
    if len(line.boots) < MIN_POINTS or len(series.points) < 2:
        builds = f"{len(series.points)} build{'' if len(series.points) == 1 else 's'}"
        return replace(
            whole,
            status="too_few",
            reason=f"{len(line.boots)} exact boots of {builds}; a search needs {MIN_POINTS} boots of 2 builds",
        )
    key = zlib.crc32("\0".join((series.scenario, metric.name, series.conditions, series.label)).encode())
    levels = np.array([boot.level for boot in line.boots], dtype=np.float64)
    found = find_change_points(levels, max_p_value=search.max_p_value)
    rng = np.random.default_rng([search.seed, key])
    changes = _describe_changes(line, levels, found, metric, search, rng)
    # What is left without the changes is the noise of this series: in it, whatever is found is false.
    noise = levels - _segment_means(levels, [change.index for change in found])
    rate = measure_null_rate(noise[:, None], null_series=search.null_series, rng=rng, max_p_value=search.max_p_value)
    modes = _find_mode_changes(line, metric, search, np.random.default_rng([search.seed, key, 1]))
    return replace(
        whole,
        changes=tuple(changes),
        modes=tuple(modes),
        false_alarms=FalseAlarms(null_series=search.null_series, rate=rate.rate),
    )


def move_to_border(
    levels: Array, found: Sequence[FoundChange], borders: Sequence[int], *, max_p_value: float
) -> list[tuple[FoundChange, int]]:
    """Moves each change that lies among the boots of one build to the nearer end of the build, if it holds there too.

    A kernel changes between builds only, and the noise of a few boots moves Otava's place by one or two.

    Returns:
        Each change with the number of boots by which it was moved; of two at one border the stronger.
    """
    places: dict[int, tuple[FoundChange, int]] = {}
    cuts = [0, *(change.index for change in found), len(levels)]
    for number, change in enumerate(found, start=1):
        start, end = cuts[number - 1], cuts[number + 1]
        best = (change, 0)
        if change.index not in borders:
            near = [b for b in borders if start < b < end]
            near = [
                max((b for b in near if b < change.index), default=-1),
                min((b for b in near if b > change.index), default=-1),
            ]
            for border in sorted((b for b in near if b > 0), key=lambda b: abs(b - change.index)):
                p_value = judge_split(levels, border, start=start, end=end)
                if p_value <= max_p_value:
                    best = (replace(change, index=border, p_value=p_value), border - change.index)
                    break
        known = places.get(best[0].index)
        if known is None or best[0].p_value < known[0].p_value:
            places[best[0].index] = best
    return [places[index] for index in sorted(places)]


def _describe_changes(
    line: _Line,
    levels: Array,
    found: Sequence[FoundChange],
    metric: Metric,
    search: Search,
    rng: np.random.Generator,
) -> list[LevelChange]:
    placed = move_to_border(levels, found, line.borders, max_p_value=search.max_p_value)
    cuts = [0, *(change.index for change, _ in placed), len(levels)]
    told = []
    for number, (change, moved) in enumerate(placed, start=1):
        before = float(levels[cuts[number - 1] : change.index].mean())
        after = float(levels[change.index : cuts[number + 1]].mean())
        effect = after - before
        lower = effect < 0
        told.append(
            LevelChange(
                after=line.point[change.index],
                inside=change.index not in line.borders,
                before_level=before,
                after_level=after,
                effect=effect,
                effect_relative=effect / abs(before) if before else None,
                direction="changed"
                if metric.better == "none"
                else "better"
                if lower == (metric.better == "lower")
                else "worse",
                beyond_margin=abs(effect) > metric.margin.width(before),
                p_value=change.p_value,
                chance=_measure_chance(levels[:, None], cuts[number - 1], cuts[number + 1], change, search, rng),
                boots_moved=moved,
            )
        )
    return told


def _segment_means(levels: Array, places: Sequence[int]) -> Array:
    """For each boot the mean of its part between change points."""
    parts = np.split(levels, places)
    return np.concatenate([np.full(len(part), part.mean()) for part in parts])


def _measure_chance(
    columns: Array, start: int, end: int, change: FoundChange, search: Search, rng: np.random.Generator
) -> float:
    """How often the boots between the neighbouring change points, in random order, have a change at least as strong.

    The boots beyond are left out: their other levels would make any order of the whole look wilder than it is here.
    """
    rate = measure_null_rate(
        columns[start:end],
        null_series=search.null_series,
        rng=rng,
        max_p_value=search.max_p_value,
        min_points=2,
    )
    return rate.chance(change)


def _find_mode_changes(line: _Line, metric: Metric, search: Search, rng: np.random.Generator) -> list[ModeChange]:
    """Change points of the share of samples at each mode.

    The modes are those of all samples together, so that one that comes or goes is seen, too. A plain shift of a
    distribution with one mode makes two modes of the whole, but neither side has several: that is a change of level.
    """
    samples = [np.asarray(boot.values) for boot in line.boots]
    pooled = np.concatenate(samples)
    if len(pooled) < MIN_SAMPLES or (modes := find_modes(pooled)) is None:
        return []
    shares = np.array([modes.shares(values) for values in samples])
    by_index: dict[int, FoundChange] = {}
    for column in shares.T:
        found = find_change_points(column, max_p_value=search.max_p_value)
        for change, _ in move_to_border(column, found, line.borders, max_p_value=search.max_p_value):
            known = by_index.get(change.index)
            if known is None or change.p_value < known.p_value:
                by_index[change.index] = change
    if not by_index:
        return []
    places = sorted(by_index)
    cuts = [0, *places, len(samples)]
    told = []
    for number, index in enumerate(places, start=1):
        before = np.concatenate(samples[cuts[number - 1] : index])
        after = np.concatenate(samples[index : cuts[number + 1]])
        if not (has_several_modes(before) or has_several_modes(after)):
            continue
        medians = float(np.median(before)), float(np.median(after))
        told.append(
            ModeChange(
                after=line.point[index],
                inside=index not in line.borders,
                modes=tuple(
                    Mode(place=place, before=float(was), after=float(now))
                    for place, was, now in zip(modes.places, modes.shares(before), modes.shares(after), strict=True)
                ),
                before_median=medians[0],
                after_median=medians[1],
                median_stands=abs(medians[1] - medians[0]) <= metric.margin.width(medians[0]),
                p_value=by_index[index].p_value,
                chance=_measure_chance(shares, cuts[number - 1], cuts[number + 1], by_index[index], search, rng),
            )
        )
    return told
