"""The samples of a store's runs to series: one a metric, scenario and set of conditions, its boots in order."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from android_suite.compare.boots import select_trusted
from android_suite.history.conditions import describe_conditions, name_conditions
from android_suite.history.kernels import order_release, read_build_date, shorten_release
from android_suite.history.runs import StoredRun
from android_suite.model.history import HistoryBoot, HistoryPoint, Order
from android_suite.model.identity import KernelIdentity, LabelledKernel
from android_suite.model.metrics import CATALOGUE, Metric, find_metric

_UNBOOTED = KernelIdentity(release="", version="")
SeriesKey = tuple[str, str, str, str]  # scenario, metric, conditions, label


@dataclass(frozen=True, slots=True, kw_only=True)
class _Boot:
    """A boot of one scenario: where it came from, and its rows of samples."""

    run: StoredRun
    kernel: KernelIdentity
    name: str
    seed: int | None
    started_at: str
    digests: tuple[str | None, ...]
    rows: pd.DataFrame

    @property
    def build(self) -> tuple[str, str, str, str]:
        """What tells one build of a kernel from another."""
        kernel = self.kernel
        return kernel.release, kernel.version, kernel.build_id or "", kernel.config_sha256 or ""


@dataclass(slots=True, kw_only=True)
class Series:
    """The boots of one metric, in order, grouped into points."""

    scenario: str
    metric: Metric
    conditions: str
    label: str
    points: list[HistoryPoint] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """All series of a store, the conditions by name, and how many boots repeated another."""

    series: list[Series]
    conditions: dict[str, dict[str, str]]
    repeats: int


def build_series(
    runs: Sequence[StoredRun], *, order: Order, metrics: Collection[str] | None, scenarios: Collection[str] | None
) -> Ordered:
    """Sorts every boot into its series.

    Args:
        runs: of the store.
        order: ``kernel``: by version, then by the date of the build; ``date``: by the time of the recording, one series
            for each label, because a plan's baseline and its candidate alternate in time.
        metrics: names; None: the headline metrics of the catalogue.
        scenarios: names; None: all.
    """
    conditions: dict[str, dict[str, str]] = {}
    groups: dict[tuple[str, str, str], list[_Boot]] = {}
    seen: set[tuple[object, ...]] = set()
    repeats = 0
    for run in runs:
        for scenario, told, boot in _list_boots(run):
            if scenarios is not None and scenario not in scenarios:
                continue
            key = name_conditions(told)
            if _repeats(boot, scenario, key, seen):
                repeats += 1
                continue
            conditions[key] = told
            groups.setdefault((scenario, key, run.manifest.label if order == "date" else ""), []).append(boot)
    rank = {metric.name: index for index, metric in enumerate(CATALOGUE)}
    found: list[Series] = []
    for (scenario, key, label), boots in sorted(groups.items(), key=lambda item: item[0]):
        stacked = _stack(boots)
        for name, rows in stacked.groupby("metric", sort=True):
            some = rows.iloc[0]
            metric = find_metric(str(name), unit=str(some["unit"]), better=some["better"])
            if metric.name in metrics if metrics is not None else metric.headline:
                series = Series(scenario=scenario, metric=metric, conditions=key, label=label)
                series.points = _group(boots, rows, order)
                found.append(series)
    found.sort(key=lambda s: (s.scenario, rank.get(s.metric.name, len(rank)), s.metric.name, s.conditions, s.label))
    return Ordered(series=found, conditions=conditions, repeats=repeats)


def _list_boots(run: StoredRun) -> Iterator[tuple[str, dict[str, str], _Boot]]:
    """Every boot of every scenario in a run with its conditions; rows of iterations that are not complete are none."""
    groups: dict[tuple[str, str, str], tuple[dict[str, str], list[int]]] = {}
    counted = set(run.samples["iteration"].tolist())
    records = {record.index: record for record in run.manifest.iterations}
    for record in run.manifest.iterations:
        if record.status == "complete" and record.index in counted:
            told = describe_conditions(run, record)
            key = (record.scenario, record.boot, name_conditions(told))
            groups.setdefault(key, (told, []))[1].append(record.index)
    for (scenario, name, _), (told, indices) in groups.items():
        seeds = {records[index].seed for index in indices}
        yield (
            scenario,
            told,
            _Boot(
                run=run,
                kernel=run.manifest.kernel or _UNBOOTED,
                name=name,
                seed=next(iter(seeds)) if len(seeds) == 1 else None,
                started_at=min(records[index].started_at for index in indices),
                digests=tuple(records[index].trace_digest for index in indices),
                rows=run.samples.loc[run.samples["iteration"].isin(indices)],
            ),
        )


def _repeats(boot: _Boot, scenario: str, conditions: str, seen: set[tuple[object, ...]]) -> bool:
    """Whether the boot was there before: a copy of its run, or in virtual time the same seed of the same build."""
    if boot.run.manifest.mode == "deterministic":
        key: tuple[object, ...] = (scenario, conditions, boot.build, boot.name, boot.seed)
    else:
        key = (scenario, conditions, boot.build, boot.name, boot.started_at, boot.digests)
    if key in seen:
        return True
    seen.add(key)
    return False


def _stack(boots: Sequence[_Boot]) -> pd.DataFrame:
    """All rows with the index of their boot in ``boots``."""
    return pd.concat([boot.rows.assign(of=number) for number, boot in enumerate(boots)], ignore_index=True)


def _group(boots: Sequence[_Boot], rows: pd.DataFrame, order: Order) -> list[HistoryPoint]:
    """The points of a series, in order."""
    groups: dict[tuple[object, ...], list[tuple[_Boot, HistoryBoot]]] = {}
    per_boot = {int(str(number)): part for number, part in rows.groupby("of", sort=True)}
    for number, part in per_boot.items():
        boot = boots[number]
        day = boot.started_at[:10] if order == "date" else ""
        groups.setdefault((day, *boot.build), []).append((boot, _measure(boot, part)))
    points = [
        _point(sorted(members, key=lambda pair: (pair[0].started_at, pair[0].run.path, pair[0].name)))
        for members in groups.values()
    ]
    points.sort(key=_by_date if order == "date" else _by_kernel)
    return _name(points, order)


def _by_kernel(point: HistoryPoint) -> tuple[object, ...]:
    return order_release(point.kernel.release or ""), point.built_at or point.first_at, point.first_at


def _by_date(point: HistoryPoint) -> tuple[object, ...]:
    return point.first_at, order_release(point.kernel.release or "")


def _measure(boot: _Boot, rows: pd.DataFrame) -> HistoryBoot:
    """One boot of one metric. Exact samples alone give its level; a failed launch took at least its limit."""
    rows = rows.sort_values(["iteration", "sample"], kind="stable")
    trusted = select_trusted(rows)
    censored = trusted["censored"].to_numpy(bool)
    bounded = censored | (trusted["quality"] == "lower_bound").to_numpy(bool)
    values = trusted["value"].to_numpy(np.float64)
    exact, known = values[~bounded], values[np.isfinite(values)]
    whole = len(trusted) > 0 and not bounded.any()
    reasons = rows.loc[rows["reason"] != "", "reason"]
    return HistoryBoot(
        run=boot.run.path,
        boot=boot.name,
        seed=boot.seed,
        started_at=boot.started_at,
        level=float(np.median(exact)) if whole else None,
        quality="exact" if whole else "lower_bound" if len(known) else "unknown",
        bound=float(known.max()) if len(known) and not whole else None,
        values=tuple(exact.tolist()),
        failed=int(censored.sum()),
        reason="" if whole else ("launches failed" if censored.any() else str(reasons.iloc[0]) if len(reasons) else ""),
    )


def _point(members: Sequence[tuple[_Boot, HistoryBoot]]) -> HistoryPoint:
    boots = tuple(boot for _, boot in members)
    kernel = members[0][0].kernel
    levels = [boot.level for boot in boots if boot.level is not None]
    starts = [boot.started_at for boot in boots]
    return HistoryPoint(
        name="",
        kernel=LabelledKernel.of("", kernel),
        labels=tuple(sorted({of.run.manifest.label for of, _ in members})),
        built_at=read_build_date(kernel.version),
        first_at=min(starts),
        last_at=max(starts),
        suites=tuple(sorted({of.run.manifest.suite for of, _ in members})),
        level=float(np.mean(levels)) if levels else None,
        exact=len(levels),
        lower_bound=sum(boot.quality == "lower_bound" for boot in boots),
        unknown=sum(boot.quality == "unknown" for boot in boots),
        boots=boots,
    )


def _name(points: Sequence[HistoryPoint], order: Order) -> list[HistoryPoint]:
    """Short unique names: the version (or the day), with a number where several share it."""
    short = [
        (point.first_at[:10] if order == "date" else shorten_release(point.kernel.release or "")) or "unknown"
        for point in points
    ]
    total: Mapping[str, int] = {name: short.count(name) for name in short}
    given: dict[str, int] = {}
    named = []
    for point, name in zip(points, short, strict=True):
        given[name] = given.get(name, 0) + 1
        named.append(replace(point, name=f"{name} #{given[name]}" if total[name] > 1 else name))
    return named
