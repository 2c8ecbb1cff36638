"""Metrics over kernels, builds and dates, with their change points. The JSON schema is docs/schema/history.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from android_suite.model.document import to_plain
from android_suite.model.identity import LabelledKernel

Order = Literal["kernel", "date"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryBoot:
    """One boot: the unit that change points are searched over.

    Attributes:
        run: its run directory, relative to the store.
        boot: its name in the manifest.
        started_at: host time of its first iteration, ISO 8601.
        level: median of its exact samples, in the metric's unit; None if there are none.
        quality: ``exact``; ``lower_bound``: the true value is at least ``bound``; ``unknown``.
        bound: the largest value that is known of a boot that is not exact.
        values: its exact samples.
        failed: launches that failed.
        reason: why it is not exact.
    """

    run: str
    boot: str
    seed: int | None
    started_at: str
    level: float | None
    quality: Literal["exact", "lower_bound", "unknown"]
    bound: float | None = None
    values: tuple[float, ...] = ()
    failed: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPoint:
    """One build of a kernel (in order of date: on one day). ``level`` is the mean of its exact boots' levels."""

    name: str  # short and unique in its series
    kernel: LabelledKernel
    labels: tuple[str, ...]
    built_at: str | None  # from the kernel's version text, ISO 8601 date or time
    first_at: str
    last_at: str
    suites: tuple[str, ...]  # versions of android-suite that recorded it
    level: float | None
    exact: int
    lower_bound: int
    unknown: int
    boots: tuple[HistoryBoot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelChange:
    """A change point: from point ``after`` on, the level is another.

    Attributes:
        after: index of the first point with the new level.
        inside: the change is among the boots of point ``after``, so the kernel was the same on both sides.
        before_level: mean of the boots' levels between the change point before and this one.
        after_level: the same up to the next one.
        effect: the difference, in the metric's unit.
        effect_relative: of ``before_level``; None if that is 0.
        direction: by the metric's ``better``; ``changed`` if neither way is better.
        beyond_margin: whether the effect is larger than the metric's margin.
        p_value: Otava's; too small, because the place was chosen.
        chance: share of random orders of the boots between the neighbouring change points, the real order included,
            with a change at least as strong.
        boots_moved: by how many boots Otava's place was moved to the border between two builds.
    """

    after: int
    inside: bool
    before_level: float
    after_level: float
    effect: float
    effect_relative: float | None
    direction: Literal["better", "worse", "changed"]
    beyond_margin: bool
    p_value: float
    chance: float
    boots_moved: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """A value at which samples gather, and the share of the samples there before and after; shares of 1."""

    place: float
    before: float
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeChange:
    """The samples gather at other values, or in other shares, from point ``after`` on.

    ``median_stands``: the medians of all samples before and after differ by no more than the metric's margin.
    """

    after: int
    inside: bool
    modes: tuple[Mode, ...]
    before_median: float
    after_median: float
    median_stands: bool
    p_value: float
    chance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseAlarms:
    """What the same search finds in null series: the noise of this series (its boots without the found changes of
    level) in random order.

    ``rate``: share of them with at least one change point.
    """

    null_series: int
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySeries:
    """One metric of one scenario under one set of conditions.

    ``status``: ``examined``; ``too_few`` boots for a search; ``not_exact``: too many boots are bounds or unknown.
    """

    scenario: str
    metric: str
    unit: str
    better: str
    doc: str
    margin: str
    conditions: str  # key in History.conditions
    label: str  # in order of date, the label whose kernels these are; else empty
    status: Literal["examined", "too_few", "not_exact"]
    reason: str
    points: tuple[HistoryPoint, ...]
    changes: tuple[LevelChange, ...]
    modes: tuple[ModeChange, ...]
    false_alarms: FalseAlarms | None

    @property
    def boots(self) -> int:
        """All boots, exact or not."""
        return sum(len(point.boots) for point in self.points)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A run that could not be read, relative to the store, and why."""

    run: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The output of `history`."""

    schema: Literal["android-suite/history"] = "android-suite/history"
    version: Literal[1] = 1
    suite: str
    store: str
    order: Order
    runs: int
    refused: tuple[Refused, ...]
    repeats: int  # boots left out because they repeat another: a copy, or the same seed of the same build
    max_p_value: float
    seed: int
    expected_false_alarms: float  # series in which chance alone gives a change point: the sum of all rates
    conditions: Mapping[str, Mapping[str, str]]
    series: tuple[HistorySeries, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The object of the JSON schema."""
        plain: dict[str, Any] = to_plain(self)
        return plain
