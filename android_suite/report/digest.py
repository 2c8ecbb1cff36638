"""Sums up a comparison: the verdict, what got worse, what moved, what is undecided and what would decide it.

All of this was decided elsewhere; here it is ordered by weight and put into sentences.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from android_suite.model.comparison import Comparison, MetricComparison
from android_suite.model.verdict import GateOutcome, Verdict
from android_suite.report.phrases import explain_times, format_percent, format_value, join_words, show_foreign

WORDS = {Verdict.WORSE: "worse", Verdict.BETTER: "better", Verdict.SAME: "the same", Verdict.UNDECIDED: "undecided"}
ORDER = (Verdict.WORSE, Verdict.BETTER, Verdict.UNDECIDED, Verdict.SAME)
HIGHLIGHTS = 5  # pictures on the first screen
NAMED = 4  # metrics that a sentence names; the others are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """The first screen. Sentences and lists are empty if there is nothing to say."""

    verdict: Verdict
    sentence: str
    caveat: str
    failed_gates: tuple[str, ...]
    worse: tuple[str, ...]
    moved: tuple[str, ...]
    better: str
    leaning: str
    undecided: str
    highlights: tuple[MetricComparison, ...]

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """Pairs of a label and a sentence, the most important first, for pages without a layout."""
        lists = (("Gate failed", self.failed_gates), ("Worse", self.worse), ("Moved", self.moved))
        singles = (("Better", self.better), ("Leans worse", self.leaning), ("Undecided", self.undecided))
        return (
            *((label, text) for label, texts in lists for text in texts),
            *((label, text) for label, text in singles if text),
        )


def digest_comparison(comparison: Comparison) -> Digest:
    """The first screen of a comparison."""
    ranked = rank_metrics(measured(comparison.metrics))
    verdict, sentence = conclude(comparison)
    conditions = comparison.conditions
    virtual = conditions.device is not None and conditions.device.virtual
    return Digest(
        verdict=verdict,
        sentence=sentence,
        caveat=explain_times(conditions.mode or "", virtual=virtual),
        failed_gates=tuple(
            f"{show_foreign(gate.name)}: {show_foreign(gate.message)}" for gate in comparison.failed_gates
        ),
        worse=tuple(_tell_change(m) for m in ranked if m.verdict is Verdict.WORSE),
        moved=tuple(f"{show_foreign(moved.scenario)}: {show_foreign(moved.sentence)}" for moved in comparison.moved),
        better=_name_some([m for m in ranked if m.verdict is Verdict.BETTER]),
        leaning=_name_some([m for m in ranked if m.verdict is Verdict.UNDECIDED and m.leans == "worse"]),
        undecided=_tell_undecided(comparison, ranked),
        highlights=_choose_highlights(comparison, ranked),
    )


def conclude(comparison: Comparison) -> tuple[Verdict, str]:
    """The verdict on the whole comparison, and a sentence that explains it."""
    total, failed = len(comparison.metrics), comparison.failed_gates
    counts = join_words(f"{comparison.count(v)} {WORDS[v]}" for v in ORDER if comparison.count(v))
    sentence = f"{total} {'metric' if total == 1 else 'metrics'}: {counts or 'nothing was measured'}."
    if comparison.gates:
        sentence += f" Gates: {len(comparison.gates) - len(failed)} of {len(comparison.gates)} passed"
        sentence += f"; failed: {join_words(show_foreign(gate.name) for gate in failed)}." if failed else "."
    if comparison.moved:
        sentence = f"Waiting moved from one lock to another. {sentence}"
    if comparison.same_kernel:
        sentence = f"A/A: both sides are the same kernel. {sentence}"
    worse, better = comparison.count(Verdict.WORSE), comparison.count(Verdict.BETTER)
    leaning = sum(m.verdict is Verdict.UNDECIDED and m.leans == "worse" for m in comparison.metrics)
    lean = f"{leaning} {'leans' if leaning == 1 else 'lean'} worse" if leaning else ""
    nothing = "nothing is shown to be worse" + (f"; {lean}" if lean else "")
    if comparison.crashes("candidate"):
        return Verdict.WORSE, f"The candidate crashed. {sentence}"
    if worse:
        return Verdict.WORSE, f"The candidate is worse{f', and {lean}' if lean else ''}. {sentence}"
    if any(gate.verdict is Verdict.WORSE and gate.outcome is GateOutcome.FAILED for gate in failed):
        return Verdict.WORSE, f"A gate shows the candidate to be worse than its margin allows. {sentence}"
    if failed:
        return Verdict.UNDECIDED, f"Not shown to be good enough; {nothing}. {sentence}"
    headline = [metric for metric in comparison.metrics if metric.headline]
    if better:
        return Verdict.BETTER, f"The candidate is better; {nothing}. {sentence}"
    if headline and all(metric.verdict is Verdict.SAME for metric in headline):
        return Verdict.SAME, f"No difference that matters. {sentence}"
    why = find_common_reason(comparison)
    return Verdict.UNDECIDED, f"Not decided{f': {why}' if why else f'; {nothing}'}. {sentence}"


def find_common_reason(comparison: Comparison) -> str:
    """The reason why every metric is undecided (such as too few boots); empty if there is no common one."""
    reasons = {metric.reason for metric in comparison.metrics}
    undecided = comparison.count(Verdict.UNDECIDED) == len(comparison.metrics)
    return reasons.pop() if undecided and len(reasons) == 1 else ""


def measured(metrics: Iterable[MetricComparison]) -> list[MetricComparison]:
    """The metrics of which either side has a sample."""
    return [metric for metric in metrics if metric.baseline.samples or metric.candidate.samples]


def rank_metrics(metrics: Iterable[MetricComparison]) -> list[MetricComparison]:
    """By weight: worse first, then headlines, then by verdict and by the size of the effect in margins."""
    return sorted(metrics, key=_weigh)


def rank_scenarios(metrics: Iterable[MetricComparison]) -> list[str]:
    """Scenarios by the weight of their weightiest metric."""
    return list(dict.fromkeys(metric.scenario for metric in rank_metrics(metrics)))


def explain_p(metric: MetricComparison, confidence: float) -> str:
    """Explains a row whose interval excludes zero although its p is large; empty for others."""
    if metric.effect_ci is None or metric.p_adjusted is None or metric.p_adjusted <= 1 - confidence:
        return ""
    low, high = metric.effect_ci
    if low <= 0 <= high:
        return ""
    return f"a difference, but not shown to exceed the margin ({show_foreign(metric.margin_text, longest=60)})"


def _weigh(metric: MetricComparison) -> tuple[bool, bool, int, float]:
    standing = {Verdict.WORSE: 0, Verdict.BETTER: 1, Verdict.UNDECIDED: 3, Verdict.SAME: 4}[metric.verdict]
    if metric.verdict is Verdict.UNDECIDED and metric.leans:
        standing = 2
    size = abs(metric.effect) / metric.margin if metric.effect is not None and metric.margin else 0.0
    return metric.verdict is not Verdict.WORSE, not metric.headline, standing, -size


def _choose_highlights(comparison: Comparison, ranked: Sequence[MetricComparison]) -> tuple[MetricComparison, ...]:
    """What got worse, one pair that moved, then headline metrics: each quantity once before any in two scenarios.

    The percentiles of a metric are one quantity.
    """
    worse = [m for m in ranked if m.verdict is Verdict.WORSE]
    pair = {(each.scenario, name) for each in comparison.moved[:1] for name in (each.fell, each.rose)}
    chosen: dict[tuple[str, str], MetricComparison] = {}
    for metric in worse:
        chosen.setdefault((metric.scenario, _quantity(metric)), metric)
    for metric in ranked:
        if (metric.scenario, metric.name) in pair:
            chosen.setdefault((metric.scenario, metric.name), metric)
    seen = {_quantity(metric) for metric in chosen.values()}
    again = []
    for metric in (m for m in ranked if m.headline and m not in chosen.values()):
        if _quantity(metric) in seen:
            again.append(metric)
            continue
        seen.add(_quantity(metric))
        chosen[metric.scenario, _quantity(metric)] = metric
    for metric in again:
        chosen.setdefault((metric.scenario, _quantity(metric)), metric)
    return tuple(chosen.values())[:HIGHLIGHTS]


def _quantity(metric: MetricComparison) -> str:
    return metric.name.partition("_")[0]


def _tell_change(metric: MetricComparison) -> str:
    base, cand = (format_value(side.level, metric.unit) for side in (metric.baseline, metric.candidate))
    change = _size(metric)
    return f"{_name(metric)} from {base} to {cand}{f' ({change})' if change else ''}"


def _name_some(metrics: Sequence[MetricComparison]) -> str:
    """``gc_stress invertedMs (−97 %), ... and 6 more``."""
    named = [f"{_name(m)}{f' ({_size(m)})' if _size(m) else ''}" for m in metrics[:NAMED]]
    return join_words([*named, *([f"{len(metrics) - NAMED} more"] if len(metrics) > NAMED else [])])


def _tell_undecided(comparison: Comparison, ranked: Sequence[MetricComparison]) -> str:
    left = [m for m in ranked if m.verdict is Verdict.UNDECIDED]
    if not left:
        return ""
    count = f"{len(left)} {'metric' if len(left) == 1 else 'metrics'}"
    reason = find_common_reason(comparison)
    by_boots: dict[int, list[str]] = {}
    for metric in left:
        if metric.boots_to_decide is not None:
            by_boots.setdefault(metric.boots_to_decide, []).append(_name(metric))
    takes = [
        f"about {boots} boots per kernel would decide {join_words(names[:2])}"
        + (f" and {len(names) - 2} more" if len(names) > 2 else "")
        for boots, names in sorted(by_boots.items())[:3]
    ]
    return "; ".join([f"{count}{f' ({show_foreign(reason)})' if reason else ''}", *takes])


def _name(metric: MetricComparison) -> str:
    return f"{show_foreign(metric.scenario, longest=40)} {show_foreign(metric.name, longest=60)}"


def _size(metric: MetricComparison) -> str:
    if metric.effect_relative is not None:
        return format_percent(metric.effect_relative, signed=True)
    return "" if metric.effect is None else format_value(metric.effect, metric.unit, signed=True)
