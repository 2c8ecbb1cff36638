"""The comparison of two kernels: numbers, verdicts and gates. Its JSON schema is docs/schema/comparison.json."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from android_suite.model.analysis import AnalysisSummary
from android_suite.model.conditions import Conditions, SideEvidence
from android_suite.model.document import read_document, to_plain
from android_suite.model.identity import CrashRecord, LabelledKernel
from android_suite.model.verdict import GateOutcome, Verdict

SCHEMA: Literal["android-suite/comparison"] = "android-suite/comparison"

Interval = tuple[float, float]  # low and high bound, in the unit of its number


@dataclass(frozen=True, slots=True, kw_only=True)
class BootValues:
    """The samples of one metric in one boot; ``seed`` is None if the boot had no seed."""

    boot: str
    seed: int | None
    median: float
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One metric on one kernel, in the metric's unit; None if no sample gives the number.

    ``level`` is the mean over boots of each boot's median; the effect is the difference of two levels. ``median`` to
    ``p99`` are computed from all samples together. ``unknown`` and ``lower_bound`` count samples of that quality.
    Unknown samples enter no number, and lower bounds enter none if they are few. ``failed`` counts failed launches:
    they rank above all others, and a quantile that falls among them is None.
    """

    boots: int
    samples: int
    level: float | None
    median: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    unknown: int = 0
    lower_bound: int = 0
    failed: int = 0
    distribution: tuple[BootValues, ...] = ()  # the samples; a report needs no other input


@dataclass(frozen=True, slots=True, kw_only=True)
class TailEffect:
    """The effect on one quantile of the samples within a boot, with its interval; units of the metric."""

    quantile: int
    effect: float | None
    effect_ci: Interval | None

    def __post_init__(self) -> None:
        _drop_open_interval(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricComparison:
    """One metric in one scenario: candidate minus baseline, in the metric's unit.

    ``leans`` is the direction of an UNDECIDED metric whose interval excludes zero. ``observations`` is the number of
    distinct observations among the boots: equal numbers from different seeds count once. It is None without seeds.
    """

    scenario: str
    name: str
    unit: str
    better: str
    headline: bool
    doc: str
    baseline: Side
    candidate: Side
    paired: bool
    effect: float | None
    effect_ci: Interval | None
    effect_relative: float | None
    margin: float | None
    margin_text: str
    p_value: float | None
    p_adjusted: float | None
    method: str
    verdict: Verdict
    reason: str
    boots_to_decide: int | None
    leans: Literal["better", "worse"] | None = None
    observations: int | None = None
    tails: tuple[TailEffect, ...] = ()

    def __post_init__(self) -> None:
        _drop_open_interval(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """One gate on one metric of one scenario: a one-sided test that it did not get worse by more than the margin.

    Attributes:
        confidence: one-sided confidence of all gates of the comparison together.
        gates: number of gates; the correction covers these only.
        effect: candidate minus baseline, in the metric's unit; None if a side has no sample.
        worst: the worst effect that cannot be excluded at that confidence. The gate passes if it is within the margin.
        verdict: WORSE or UNDECIDED if the gate failed; BETTER or SAME if it passed and that was shown too.
        boots_to_decide: boots per kernel that would decide an undecided gate in four of five experiments.
    """

    scenario: str
    metric: str
    margin_text: str = field(metadata={"alias": "margin"})
    confidence: float
    undecided: str
    outcome: GateOutcome
    verdict: Verdict | None
    message: str
    unit: str = ""
    gates: int = 1
    effect: float | None = None
    worst: float | None = None
    boots_to_decide: int | None = None

    @property
    def name(self) -> str:
        """Its name in reports: ``scenario/metric``."""
        return f"{self.scenario}/{self.metric}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSummary:
    """The result of all gates together.

    ``passed`` is true if no gate failed and the candidate did not crash; without gates, if nothing got WORSE.
    ``failed`` names the failed gates as ``scenario/metric``.
    """

    passed: bool = True
    failed: tuple[str, ...] = ()
    results: tuple[GateResult, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """An inversion that moved to another lock: in ``scenario``, metric ``fell`` went down and ``rose`` went up."""

    scenario: str
    fell: str
    rose: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MadvisePaths:
    """Calls of HeapTaskDaemon by the path they took; ``reasons`` counts why calls fell back to mmap_lock.

    ``seed_patch``: whether the kernel frees memory under the lock of a VMA, as these calls show; None if they do not.
    """

    per_vma: int = 0
    mmap_lock: int = 0
    unknown: int = 0
    bytes: int | None = None
    reasons: Mapping[str, int] = field(default_factory=dict)
    seed_patch: Literal["yes", "no"] | None = None

    @classmethod
    def add_up(cls, analyses: Iterable[AnalysisSummary]) -> MadvisePaths:
        """The calls of role ``gc`` in all the analyses."""
        rows = [row for analysis in analyses for row in analysis.madvise if row.role == "gc"]
        reasons: Counter[str] = Counter()
        for row in rows:
            reasons.update(row.reasons)
        per_vma = sum(row.per_vma for row in rows)
        return cls(
            per_vma=per_vma,
            mmap_lock=sum(row.mmap_lock for row in rows),
            unknown=sum(row.unknown for row in rows),
            bytes=sum(row.bytes or 0 for row in rows),
            reasons=dict(reasons),
            seed_patch="yes" if per_vma else "no" if reasons["unpatched"] else None,
        )

    @property
    def calls(self) -> int:
        """The denominator."""
        return self.per_vma + self.mmap_lock + self.unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingOverhead:
    """The effect of tracing on one metric: traced minus untraced iterations of the same plan, in the metric's unit."""

    scenario: str
    metric: str
    unit: str
    traced: float
    untraced: float
    effect_ci: Interval | None

    def __post_init__(self) -> None:
        _drop_open_interval(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The comparison of two sets of runs. ``paths`` and ``evidence`` are by side: ``baseline`` and ``candidate``."""

    schema: Literal["android-suite/comparison"] = SCHEMA
    version: Literal[1] = 1
    baseline: LabelledKernel
    candidate: LabelledKernel
    same_kernel: bool = False
    confidence: float = 0.95
    seed: int = 0
    metrics: tuple[MetricComparison, ...]
    moved: tuple[Moved, ...] = ()
    paths: Mapping[str, MadvisePaths] = field(metadata={"alias": "madvise_paths"})
    gate: GateSummary = field(default_factory=GateSummary)
    conditions: Conditions = field(default_factory=Conditions)
    evidence: Mapping[str, SideEvidence] = field(default_factory=dict)
    overhead: tuple[TracingOverhead, ...] = field(default=(), metadata={"alias": "tracing_overhead"})

    @property
    def gates(self) -> tuple[GateResult, ...]:
        """The results of all gates."""
        return self.gate.results

    @property
    def failed_gates(self) -> tuple[GateResult, ...]:
        """The gates that did not pass: the metric failed, or no run has it."""
        return tuple(gate for gate in self.gates if gate.outcome in (GateOutcome.FAILED, GateOutcome.ERROR))

    @property
    def exit_code(self) -> int:
        """1 if a gate failed, a metric got WORSE or the candidate crashed, else 0."""
        return 1 if self.count(Verdict.WORSE) or self.crashes("candidate") or not self.gate.passed else 0

    def crashes(self, side: str) -> tuple[CrashRecord, ...]:
        """The crashes of one side, from its manifests."""
        return self.evidence[side].crashes if side in self.evidence else ()

    def count(self, verdict: Verdict) -> int:
        """The number of metrics with that verdict."""
        return sum(metric.verdict is verdict for metric in self.metrics)

    def to_json(self) -> dict[str, Any]:
        """The ``android-suite/comparison`` object of the interface."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    @classmethod
    def from_json(cls, data: object, name: str = "comparison") -> Self:
        """The inverse of :meth:`to_json`; ``name`` is the file name for messages.

        Raises:
            SchemaError: the object is not a comparison of this version.
        """
        return read_document(cls, data, name=name, remedy="run `android-suite compare` again")


def _drop_open_interval(of: TailEffect | MetricComparison | TracingOverhead) -> None:
    """None for an interval with an infinite bound: JSON has no infinity."""
    if of.effect_ci is not None and not all(map(math.isfinite, of.effect_ci)):
        object.__setattr__(of, "effect_ci", None)
