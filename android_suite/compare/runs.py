"""The comparison itself: check, pair, judge, and put it all into one Comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from android_suite.compare.boots import select_traced
from android_suite.compare.cases import Case, build_cases
from android_suite.compare.comparability import check_comparable, describe_conditions, summarize_evidence
from android_suite.compare.gates import judge_gates, summarize_gates
from android_suite.compare.moved import find_moved
from android_suite.compare.overhead import measure_tracing_overhead
from android_suite.compare.pairs import find_varied, plan_seeds
from android_suite.errors import UsageError
from android_suite.model.checks import CheckResult, name_failed, name_lost
from android_suite.model.comparison import Comparison, MadvisePaths, MetricComparison, TailEffect
from android_suite.model.gate import Gate
from android_suite.model.identity import LabelledKernel
from android_suite.model.metrics import Margin
from android_suite.model.run import Manifest
from android_suite.model.verdict import Verdict
from android_suite.stats.decision import Answer, judge_family
from android_suite.stats.resampling import measure_tail_interval

TAILS = {90: 20, 95: 40, 99: 200}  # quantile: samples a side below which its effect is not worth naming


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSet:
    """One side: everything recorded of one kernel. ``manifests`` are those of its run directories."""

    manifests: Sequence[Manifest]
    samples: pd.DataFrame
    paths: MadvisePaths = field(default_factory=MadvisePaths)
    checks: Sequence[CheckResult] = ()  # of all complete iterations

    @property
    def identity(self) -> LabelledKernel:
        """Label and kernel identity, from the first manifest (all of a side have the same)."""
        return LabelledKernel.of(self.manifests[0].label, self.manifests[0].kernel)


def compare_runs(
    baseline: RunSet,
    candidate: RunSet,
    *,
    gates: Sequence[Gate] = (),
    margins: Mapping[str, Margin] | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    only: str | None = None,
) -> Comparison:
    """Compares two sets of runs metric by metric.

    Boots are paired by the seeds that were planned, whatever became of their samples (see ``compare/pairs.py``).
    Metrics of the traced iterations are compared; untraced ones show what tracing costs.

    Args:
        baseline: runs of the one kernel, samples as in ``tables/samples.py``.
        candidate: runs of the other.
        gates: judged together, each with its own margin; see ``compare/gates.py``.
        margins: equivalence margins by metric name, where other than the catalogue's.
        confidence: of intervals, and of all verdicts together against false alarms.
        seed: of all resampling; the same seed gives the same comparison.
        only: the one metric that was asked for beforehand, so that no other shares the correction; None: all.

    Raises:
        NotComparable: the sets differ in more than the kernel.
        EvidenceError: no iteration of a side is complete.
        UsageError: a side is empty.
    """
    for name, side in (("baseline", baseline), ("candidate", candidate)):
        if not side.manifests:
            raise UsageError(f"the {name} holds no run; give run directories that `android-suite record` made.")
    check_comparable(baseline.manifests, candidate.manifests)
    cases = list(
        build_cases(
            select_traced(baseline.samples),
            select_traced(candidate.samples),
            margins or {},
            seeds=(
                plan_seeds(baseline.samples, baseline.manifests),
                plan_seeds(candidate.samples, candidate.manifests),
            ),
            virtual=baseline.manifests[0].mode == "deterministic",
            varied=find_varied(baseline.manifests) | find_varied(candidate.manifests),
        )
    )
    if only is not None:
        cases = [case for case in cases if case.metric.name == only]
    answers = judge_family([case.question for case in cases], confidence=confidence, seed=seed)
    metrics = tuple(_metric(case, answer, confidence, seed) for case, answer in zip(cases, answers, strict=True))
    evidence = {
        name: summarize_evidence(side.manifests) for name, side in (("baseline", baseline), ("candidate", candidate))
    }
    wrong = [name_failed(candidate.checks), name_lost(baseline.checks, candidate.checks)]
    gate_results = judge_gates(gates, cases, seed, failed_checks="; ".join(filter(None, wrong)))
    crashed = bool(evidence["candidate"].crashes)
    return Comparison(
        baseline=baseline.identity,
        candidate=candidate.identity,
        metrics=metrics,
        moved=tuple(find_moved(metrics)),
        paths={"baseline": baseline.paths, "candidate": candidate.paths},
        gate=summarize_gates(gate_results, metrics, crashed=crashed, asked=bool(gates)),
        conditions=describe_conditions(baseline.manifests, candidate.manifests),
        evidence=evidence,
        overhead=tuple(measure_tracing_overhead(pd.concat([baseline.samples, candidate.samples]), confidence, seed)),
        same_kernel=_kernel_key(baseline) == _kernel_key(candidate),
        confidence=confidence,
        seed=seed,
    )


def _metric(case: Case, answer: Answer, confidence: float, seed: int) -> MetricComparison:
    base, cand = case.sides
    relative = None
    if answer.effect is not None and base.level is not None and base.level > 0:
        relative = answer.effect / base.level
    return MetricComparison(
        scenario=case.scenario,
        name=case.metric.name,
        unit=case.metric.unit,
        better=case.metric.better,
        headline=case.metric.headline,
        doc=case.metric.doc,
        baseline=base,
        candidate=cand,
        paired=case.question.paired,
        effect=answer.effect,
        effect_ci=answer.interval,
        effect_relative=relative,
        margin=case.question.margin if case.question.baseline else None,
        margin_text=str(case.margin),
        p_value=answer.p_value,
        p_adjusted=answer.p_adjusted,
        method=answer.method,
        verdict=Verdict(answer.verdict),
        reason=answer.reason,
        boots_to_decide=answer.boots_to_decide,
        leans=answer.leans,
        observations=case.question.observations,
        tails=tuple(_tails(case, confidence, seed)),
    )


def _tails(case: Case, confidence: float, seed: int) -> Iterator[TailEffect]:
    question = case.question
    if question.boots < 2 or any(side.failed for side in case.sides):
        return
    samples = min(sum(map(len, question.baseline)), sum(map(len, question.candidate)))
    for quantile, needed in TAILS.items():
        if samples >= needed:
            effect, interval = measure_tail_interval(
                question.baseline,
                question.candidate,
                quantile / 100,
                paired=question.paired,
                confidence=confidence,
                rng=np.random.default_rng([seed, quantile]),
            )
            yield TailEffect(quantile=quantile, effect=effect, effect_ci=interval)


def _kernel_key(side: RunSet) -> tuple[object, ...]:
    kernel = side.identity
    return kernel.release, kernel.version, kernel.build_id, kernel.config_sha256
