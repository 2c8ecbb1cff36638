"""Gates over the cases of a comparison: none of their metrics may get worse by more than its margin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from android_suite.compare.cases import Case
from android_suite.model.comparison import GateResult, GateSummary, MetricComparison
from android_suite.model.gate import Gate
from android_suite.model.launch import STATES
from android_suite.model.metrics import CATALOGUE
from android_suite.model.verdict import GateOutcome, Verdict
from android_suite.stats.decision import Question
from android_suite.stats.noninferiority import Bound, judge_noninferiority
from android_suite.stats.resampling import measure_level

DEFAULT_METRIC = "launchFailedPct"  # gated in every comparison that has it
CHECKS_METRIC = "failedChecksCount"  # the same, and not against the baseline: a kernel may fail no check at all


@dataclass(frozen=True, slots=True)
class _Asked:
    """One gate and one case it is about; None where no case has its metric. ``implied`` gates are not from the user."""

    gate: Gate
    case: Case | None
    implied: bool = False


def judge_gates(
    gates: Sequence[Gate], cases: Sequence[Case], seed: int, *, failed_checks: str = ""
) -> tuple[GateResult, ...]:
    """One result a gate and scenario that has its metric; a gate without any is an error of the experiment.

    All gates are judged together at one confidence, the highest that any of them asks for; metrics without a gate do
    not matter. ``launchFailedPct`` is gated by default: more failed launches than on the baseline fail, unless they are
    shown to lie within the margin. That gate is listed where there are others or where it fails.

    Args:
        gates: what may not get worse.
        cases: every metric of the comparison.
        seed: of the resampling.
        failed_checks: names the checks that failed on the candidate, or that it can no longer run; empty if there are none.
            They fail a gate of their own unless the gates are about them already.
    """
    asked = [*_find(gates, cases), *_imply(gates, cases)]
    confidence = max((one.gate.confidence for one in asked), default=0.95)
    judged = [one for one in asked if one.case is not None]
    questions = [_question(one.gate, one.case) for one in judged if one.case is not None]
    bounds = iter(judge_noninferiority(questions, confidence=confidence, seed=seed))
    results = [_result(one, next(bounds) if one.case else None, confidence, len(judged)) for one in asked]
    kept = [
        result
        for one, result in zip(asked, results, strict=True)
        if gates or not one.implied or result.outcome is GateOutcome.FAILED
    ]
    if failed_checks and not any(gate.metric == CHECKS_METRIC for gate in gates):
        kept += [_fail_checks(case, failed_checks) for case in cases if case.metric.name == CHECKS_METRIC]
    return tuple(kept)


def summarize_gates(
    results: Sequence[GateResult], metrics: Sequence[MetricComparison], *, crashed: bool, asked: bool
) -> GateSummary:
    """What the gates say together.

    Args:
        results: every gate's result.
        metrics: where no gate was asked for, one that got WORSE means that the candidate did not pass.
        crashed: the candidate's kernel or app crashed; then nothing passed.
        asked: whether the experiment has gates of its own.
    """
    passed = not any(gate.outcome in (GateOutcome.FAILED, GateOutcome.ERROR) for gate in results)
    if not asked:
        passed = passed and not any(metric.verdict is Verdict.WORSE for metric in metrics)
    failed = tuple(gate.name for gate in results if gate.outcome is GateOutcome.FAILED)
    return GateSummary(passed=passed and not crashed, failed=failed, results=tuple(results))


def _find(gates: Sequence[Gate], cases: Sequence[Case]) -> Iterator[_Asked]:
    for gate in gates:
        hits = [c for c in cases if c.metric.name == gate.metric and gate.scenario in (None, c.scenario)]
        yield from (_Asked(gate, case) for case in hits or (None,))


def _imply(gates: Sequence[Gate], cases: Sequence[Case]) -> Iterator[_Asked]:
    if any(gate.metric == DEFAULT_METRIC for gate in gates):
        return
    for case in cases:
        if case.metric.name == DEFAULT_METRIC and case.question.baseline and case.question.candidate:
            more = measure_level(case.question.candidate) > measure_level(case.question.baseline)
            undecided: Literal["fail", "pass"] = "fail" if more else "pass"
            yield _Asked(Gate(metric=DEFAULT_METRIC, scenario=case.scenario, undecided=undecided), case, implied=True)


def _fail_checks(case: Case, failed: str) -> GateResult:
    return GateResult(
        scenario=case.scenario,
        metric=case.metric.name,
        margin_text="none may fail",
        confidence=1.0,
        undecided="fail",
        outcome=GateOutcome.FAILED,
        verdict=Verdict.WORSE,
        message=failed,
        unit=case.metric.unit,
    )


def _question(gate: Gate, case: Case) -> Question:
    level = measure_level(case.question.baseline) if case.question.baseline else 0.0
    return replace(case.question, margin=(gate.margin or case.margin).width(level))


def _result(asked: _Asked, bound: Bound | None, confidence: float, gates: int) -> GateResult:
    gate, case = asked.gate, asked.case
    if bound is None or case is None:
        return GateResult(
            scenario=gate.scenario or "*",
            metric=gate.metric,
            margin_text=str(gate.margin or "the catalogue's"),
            confidence=confidence,
            undecided=gate.undecided,
            outcome=GateOutcome.ERROR,
            verdict=None,
            message=_explain_absence(gate.metric),
        )
    question = _question(gate, case)
    verdict: Verdict | None = {"worse": Verdict.WORSE, "open": Verdict.UNDECIDED}.get(bound.standing)
    if bound.standing == "held" and bound.interval is not None:
        low, high = bound.interval
        if -question.margin <= low and high <= question.margin:
            # A true value may lie above its lower bound, so equality is not shown.
            bounded = question.baseline_bounded or question.candidate_bounded
            verdict = None if bounded else Verdict.SAME
        elif (high < -question.margin or low > question.margin) and not question.candidate_failed:
            verdict = Verdict.BETTER
    failed = bound.standing == "worse" or (bound.standing == "open" and gate.undecided == "fail")
    outcome = GateOutcome.FAILED if failed else GateOutcome.PASSED
    if bound.effect is None and not failed:
        outcome = GateOutcome.SKIPPED
    return GateResult(
        scenario=case.scenario,
        metric=case.metric.name,
        margin_text=str(gate.margin or case.margin),
        confidence=confidence,
        undecided=gate.undecided,
        outcome=outcome,
        verdict=verdict,
        message=_explain(bound, question.margin, question.boots, case.metric.unit),
        unit=case.metric.unit,
        gates=gates,
        effect=bound.effect,
        worst=bound.worst,
        boots_to_decide=bound.boots_to_decide,
    )


def _explain(bound: Bound, margin: float, boots: int, unit: str) -> str:
    difference = "pp" if unit == "%" else "" if unit == "count" else unit
    words = {"held": "not worse by more than the margin", "worse": "worse by more than the margin"}
    parts = [words.get(bound.standing, bound.reason)]
    if bound.effect is not None:
        parts.append(f"effect {bound.effect:+.4g} {difference}".rstrip())
    if bound.worst is not None:
        parts.append(f"at worst {bound.worst:+.4g} against {margin:.4g} {difference}".rstrip())
    if bound.boots_to_decide is not None and bound.boots_to_decide > boots:
        more = bound.boots_to_decide - boots
        parts.append(f"{more} more {'boot' if more == 1 else 'boots'} per kernel would decide")
    return "; ".join(parts)


def _explain_absence(metric: str) -> str:
    known = {each.name for each in CATALOGUE}
    states = [f"{metric}_{state}" for state in STATES if f"{metric}_{state}" in known]
    if states:
        return f"launch states are not mixed; gate {', '.join(states[:-1])} or {states[-1]}"
    return "no run of either side has this metric; record its scenario or drop the gate"
