"""What a comparison of two kernels found: the numbers, the verdicts, the gates, and the JSON form of it all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from android_suite.errors import SchemaError
from android_suite.model.verdict import GateOutcome, Verdict

SCHEMA = "android-suite/comparison"
VERSION = 1

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class BootValues:
    """The samples of one metric in one boot; ``seed`` is None where nothing was seeded."""

    boot: str
    seed: int | None
    median: float
    values: tuple[float, ...]

    def to_json(self) -> Json:
        """One row of ``distribution``."""
        return {
            "boot": self.boot,
            "seed": self.seed,
            "median": _number(self.median),
            "values": [_number(value) for value in self.values],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> BootValues:
        """The inverse of :meth:`to_json`."""
        return cls(boot=data["boot"], seed=data["seed"], median=data["median"], values=tuple(data["values"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One kernel's side of one metric, in the metric's unit; None for what no sample tells.

    ``level`` is the mean over boots of each boot's median, the number that the effect is the difference of;
    ``median`` to ``p99`` are of all samples together. ``unknown`` and ``lower_bound`` count samples of that quality;
    the unknown ones are in no number, lower bounds in none where they are few.
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
    distribution: tuple[BootValues, ...] = ()

    def to_json(self) -> Json:
        """As in the interface, with the samples themselves so that a report needs nothing else."""
        return {
            "boots": self.boots,
            "samples": self.samples,
            "level": _number(self.level),
            "median": _number(self.median),
            "p90": _number(self.p90),
            "p95": _number(self.p95),
            "p99": _number(self.p99),
            "unknown": self.unknown,
            "lower_bound": self.lower_bound,
            "distribution": [boot.to_json() for boot in self.distribution],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Side:
        """The inverse of :meth:`to_json`."""
        rest = {key: data.get(key) for key in ("level", "median", "p90", "p95", "p99")}
        return cls(
            boots=data["boots"],
            samples=data["samples"],
            unknown=data.get("unknown", 0),
            lower_bound=data.get("lower_bound", 0),
            distribution=tuple(BootValues.from_json(row) for row in data.get("distribution", ())),
            **rest,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TailEffect:
    """The effect on one quantile of the samples within a boot, with its interval; units of the metric."""

    quantile: int
    effect: float | None
    effect_ci: tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricComparison:
    """One metric in one scenario: candidate minus baseline, in the metric's unit."""

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
    effect_ci: tuple[float, float] | None
    effect_relative: float | None
    margin: float | None
    margin_text: str
    p_value: float | None
    p_adjusted: float | None
    method: str
    verdict: Verdict
    reason: str
    boots_to_decide: int | None
    tails: tuple[TailEffect, ...] = ()

    def to_json(self) -> Json:
        """As in the interface; NaN and infinities become null."""
        return {
            "scenario": self.scenario,
            "name": self.name,
            "unit": self.unit,
            "better": self.better,
            "headline": self.headline,
            "doc": self.doc,
            "baseline": self.baseline.to_json(),
            "candidate": self.candidate.to_json(),
            "paired": self.paired,
            "effect": _number(self.effect),
            "effect_ci": _interval(self.effect_ci),
            "effect_relative": _number(self.effect_relative),
            "margin": _number(self.margin),
            "margin_text": self.margin_text,
            "p_value": _number(self.p_value),
            "p_adjusted": _number(self.p_adjusted),
            "method": self.method,
            "verdict": self.verdict.value,
            "reason": self.reason,
            "boots_to_decide": self.boots_to_decide,
            "tails": [
                {"quantile": t.quantile, "effect": _number(t.effect), "effect_ci": _interval(t.effect_ci)}
                for t in self.tails
            ],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MetricComparison:
        """The inverse of :meth:`to_json`."""
        plain = {name: data.get(name) for name in _PLAIN}
        return cls(
            baseline=Side.from_json(data["baseline"]),
            candidate=Side.from_json(data["candidate"]),
            effect_ci=_pair(data["effect_ci"]),
            verdict=Verdict(data["verdict"]),
            tails=tuple(
                TailEffect(quantile=t["quantile"], effect=t["effect"], effect_ci=_pair(t["effect_ci"]))
                for t in data.get("tails", ())
            ),
            **plain,  # type: ignore[arg-type]
        )


_PLAIN = (
    *("scenario", "name", "unit", "better", "headline", "doc", "paired", "effect", "effect_relative"),
    *("margin", "margin_text", "p_value", "p_adjusted", "method", "reason", "boots_to_decide"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """One gate over one metric of one scenario, judged with the gate's own margin and confidence."""

    scenario: str
    metric: str
    margin_text: str
    confidence: float
    undecided: str
    outcome: GateOutcome
    verdict: Verdict | None
    message: str

    def to_json(self) -> Json:
        """One object of ``gate.results``."""
        return {
            "scenario": self.scenario,
            "metric": self.metric,
            "margin": self.margin_text,
            "confidence": self.confidence,
            "undecided": self.undecided,
            "outcome": self.outcome.value,
            "verdict": self.verdict.value if self.verdict else None,
            "message": self.message,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GateResult:
        """The inverse of :meth:`to_json`."""
        return cls(
            scenario=data["scenario"],
            metric=data["metric"],
            margin_text=data["margin"],
            confidence=data["confidence"],
            undecided=data["undecided"],
            outcome=GateOutcome(data["outcome"]),
            verdict=Verdict(data["verdict"]) if data["verdict"] else None,
            message=data["message"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MadvisePaths:
    """Calls of HeapTaskDaemon by the path they took; ``reasons`` of the fallbacks to mmap_lock."""

    per_vma: int = 0
    mmap_lock: int = 0
    unknown: int = 0
    bytes: int | None = None
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """The denominator."""
        return self.per_vma + self.mmap_lock + self.unknown

    def to_json(self) -> Json:
        """As in the interface, with bytes and reasons."""
        return {
            "per_vma": self.per_vma,
            "mmap_lock": self.mmap_lock,
            "unknown": self.unknown,
            "bytes": self.bytes,
            "reasons": dict(self.reasons),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MadvisePaths:
        """The inverse of :meth:`to_json`."""
        return cls(
            per_vma=data["per_vma"],
            mmap_lock=data["mmap_lock"],
            unknown=data["unknown"],
            bytes=data.get("bytes"),
            reasons=dict(data.get("reasons") or {}),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingOverhead:
    """What tracing cost one metric: traced minus untraced iterations of the same plan, in the metric's unit."""

    scenario: str
    metric: str
    unit: str
    traced: float
    untraced: float
    effect_ci: tuple[float, float] | None

    def to_json(self) -> Json:
        """One object of ``tracing_overhead``."""
        return {
            "scenario": self.scenario,
            "metric": self.metric,
            "unit": self.unit,
            "traced": _number(self.traced),
            "untraced": _number(self.untraced),
            "effect_ci": _interval(self.effect_ci),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TracingOverhead:
        """The inverse of :meth:`to_json`."""
        return cls(**{**data, "effect_ci": _pair(data["effect_ci"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two sets of runs, compared. ``baseline`` and ``candidate`` are kernel identities as the manifests give them."""

    baseline: Mapping[str, Any]
    candidate: Mapping[str, Any]
    metrics: tuple[MetricComparison, ...]
    paths: Mapping[str, MadvisePaths]
    gates: tuple[GateResult, ...] = ()
    conditions: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)
    overhead: tuple[TracingOverhead, ...] = ()
    same_kernel: bool = False
    confidence: float = 0.95
    seed: int = 0

    @property
    def passed(self) -> bool:
        """No gate failed and the candidate did not crash; without gates, nothing got WORSE."""
        if self.crashes("candidate"):
            return False
        if self.gates:
            return not any(gate.outcome in (GateOutcome.FAILED, GateOutcome.ERROR) for gate in self.gates)
        return not any(metric.verdict is Verdict.WORSE for metric in self.metrics)

    @property
    def exit_code(self) -> int:
        """0, or 1 where a gate failed, something got WORSE, or the candidate crashed."""
        worse = any(metric.verdict is Verdict.WORSE for metric in self.metrics)
        return 1 if worse or self.crashes("candidate") or not self.passed else 0

    def crashes(self, side: str) -> tuple[Mapping[str, Any], ...]:
        """Crash records of one side, as the manifests have them."""
        return tuple((self.evidence.get(side) or {}).get("crashes") or ())

    def count(self, verdict: Verdict) -> int:
        """How many metrics have that verdict."""
        return sum(metric.verdict is verdict for metric in self.metrics)

    def to_json(self) -> Json:
        """The ``android-suite/comparison`` object of the interface."""
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "baseline": dict(self.baseline),
            "candidate": dict(self.candidate),
            "same_kernel": self.same_kernel,
            "confidence": self.confidence,
            "seed": self.seed,
            "metrics": [metric.to_json() for metric in self.metrics],
            "madvise_paths": {side: paths.to_json() for side, paths in self.paths.items()},
            "gate": {
                "passed": self.passed,
                "failed": [f"{g.scenario}/{g.metric}" for g in self.gates if g.outcome is GateOutcome.FAILED],
                "results": [gate.to_json() for gate in self.gates],
            },
            "conditions": dict(self.conditions),
            "evidence": dict(self.evidence),
            "tracing_overhead": [row.to_json() for row in self.overhead],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Comparison:
        """The inverse of :meth:`to_json`.

        Raises:
            SchemaError: the object is not a comparison of this version.
        """
        if data.get("schema") != SCHEMA or data.get("version") != VERSION:
            found = f"{data.get('schema')!r} version {data.get('version')!r}"
            raise SchemaError(
                f"expected {SCHEMA!r} version {VERSION}, found {found}; run `android-suite compare` again."
            )
        try:
            return cls(
                baseline=data["baseline"],
                candidate=data["candidate"],
                metrics=tuple(MetricComparison.from_json(row) for row in data["metrics"]),
                paths={side: MadvisePaths.from_json(row) for side, row in data["madvise_paths"].items()},
                gates=tuple(GateResult.from_json(row) for row in data["gate"].get("results", ())),
                conditions=data.get("conditions", {}),
                evidence=data.get("evidence", {}),
                overhead=tuple(TracingOverhead.from_json(row) for row in data.get("tracing_overhead", ())),
                same_kernel=data.get("same_kernel", False),
                confidence=data.get("confidence", 0.95),
                seed=data.get("seed", 0),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SchemaError(f"a comparison lacks or garbles {error}; run `android-suite compare` again.") from error


def _number(value: float | None) -> float | None:
    """``value``, or None where JSON has no such number."""
    if value is None or not math.isfinite(value):
        return None
    return value


def _interval(bounds: tuple[float, float] | None) -> list[float | None] | None:
    if bounds is None or not all(math.isfinite(bound) for bound in bounds):
        return None
    return [bounds[0], bounds[1]]


def _pair(bounds: list[float] | None) -> tuple[float, float] | None:
    return None if bounds is None else (float(bounds[0]), float(bounds[1]))
