"""Gates over the cases of a comparison, each with its own margin and confidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from android_suite.compare.cases import Case
from android_suite.model.comparison import GateResult, GateSummary, MetricComparison
from android_suite.model.gate import Gate
from android_suite.model.verdict import GateOutcome, Verdict
from android_suite.stats.decision import Answer, judge_family
from android_suite.stats.resampling import measure_level


def judge_gates(gates: Sequence[Gate], cases: Sequence[Case], seed: int) -> Iterator[GateResult]:
    """One result a gate and scenario that has its metric; a gate without any is an error of the experiment.

    Args:
        gates: what may not get worse.
        cases: every metric of the comparison; correction is over all of them.
        seed: of the resampling.
    """
    for gate in gates:
        hits = [
            index
            for index, case in enumerate(cases)
            if case.metric.name == gate.metric and gate.scenario in (None, case.scenario)
        ]
        if not hits:
            yield GateResult(
                scenario=gate.scenario or "*",
                metric=gate.metric,
                margin_text=str(gate.margin or "the catalogue's"),
                confidence=gate.confidence,
                undecided=gate.undecided,
                outcome=GateOutcome.ERROR,
                verdict=None,
                message="no run of either side has this metric; record its scenario or drop the gate",
            )
        for index in hits:
            yield _judge_gate(gate, cases, index, seed)


def summarize_gates(
    results: Sequence[GateResult], metrics: Sequence[MetricComparison], *, crashed: bool
) -> GateSummary:
    """What the gates say together.

    Args:
        results: every gate's result.
        metrics: without any gate, one that got WORSE means that the candidate did not pass.
        crashed: the candidate's kernel or app crashed; then nothing passed.
    """
    if results:
        passed = not any(gate.outcome in (GateOutcome.FAILED, GateOutcome.ERROR) for gate in results)
    else:
        passed = not any(metric.verdict is Verdict.WORSE for metric in metrics)
    failed = tuple(gate.name for gate in results if gate.outcome is GateOutcome.FAILED)
    return GateSummary(passed=passed and not crashed, failed=failed, results=tuple(results))


def _judge_gate(gate: Gate, cases: Sequence[Case], index: int, seed: int) -> GateResult:
    case = cases[index]
    questions = [each.question for each in cases]
    margin = gate.margin or case.margin
    if case.question.baseline:
        questions[index] = replace(case.question, margin=margin.width(measure_level(case.question.baseline)))
    (answer,) = judge_family(questions, confidence=gate.confidence, seed=seed, only=(case.question.name,))
    missing = not case.question.baseline or not case.question.candidate
    failed = answer.verdict == "WORSE" or (answer.verdict == "UNDECIDED" and gate.undecided == "fail")
    outcome = GateOutcome.FAILED if failed else GateOutcome.PASSED
    if missing:
        outcome = GateOutcome.SKIPPED if gate.undecided == "pass" else GateOutcome.FAILED
    return GateResult(
        scenario=case.scenario,
        metric=case.metric.name,
        margin_text=str(margin),
        confidence=gate.confidence,
        undecided=gate.undecided,
        outcome=outcome,
        verdict=Verdict(answer.verdict),
        message=_gate_message(answer, case.metric.unit, gate.confidence),
    )


def _gate_message(answer: Answer, unit: str, confidence: float) -> str:
    parts = [f"{answer.verdict}: {answer.reason}"]
    if answer.effect is not None:
        parts.append(f"effect {answer.effect:+.4g} {unit}")
    if answer.interval is not None:
        parts.append(f"{confidence:.0%} interval {answer.interval[0]:+.4g} to {answer.interval[1]:+.4g} {unit}")
    if answer.boots_to_decide is not None:
        parts.append(f"about {answer.boots_to_decide} boots a kernel would decide")
    return "; ".join(parts)
