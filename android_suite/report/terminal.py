"""Prints the report on a terminal: madvise paths, verdicts, gates."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from android_suite.model.comparison import Comparison, MetricComparison
from android_suite.model.verdict import GateOutcome, Verdict
from android_suite.report.digest import digest_comparison, explain_p, rank_metrics, rank_scenarios
from android_suite.report.model import ReportModel
from android_suite.report.phrases import (
    P_NOTE,
    format_p,
    format_percent,
    show_foreign,
)
from android_suite.report.summary import (
    collect_crashes,
    collect_paths,
    describe_metric,
    name_kernel,
)
from android_suite.report.terminal_analysis import print_analysis
from android_suite.report.terminal_tables import make_table, print_paths

LOUD = ("Gate failed", "Worse", "Moved")
WIDE = 128  # columns from which intervals, p and boots fit beside the effect
STYLES = {Verdict.BETTER: "green", Verdict.WORSE: "bold red", Verdict.SAME: "cyan", Verdict.UNDECIDED: "yellow"}


def render_terminal(model: ReportModel, console: Console) -> None:
    """Prints the report; plain text if the console is not a terminal."""
    console.print(Text(show_foreign(model.title), style="bold"))
    if model.comparison is not None:
        _print_comparison(model, model.comparison, console)
    else:
        for run in model.runs:
            print_analysis(run, console)
    for note in model.notes:
        console.print(Text(f"note: {show_foreign(note)}", style="yellow"))


def _print_comparison(model: ReportModel, comparison: Comparison, console: Console) -> None:
    _print_metrics(comparison, console)
    if comparison.gates:
        table = make_table("Gates", ("gate", "left"), ("margin", "right"), ("outcome", "left"), ("why", "left"))
        for gate in comparison.gates:
            style = "green" if gate.outcome is GateOutcome.PASSED else "bold red"
            name = Text(show_foreign(f"{gate.scenario}/{gate.metric}"))
            table.add_row(name, gate.margin_text, Text(gate.outcome, style=style), Text(show_foreign(gate.message)))
        console.print(table)
    for side, crash in collect_crashes(model):
        text = f"{crash.kind} on the {side or 'device'}: {crash.summary}"
        console.print(Text(show_foreign(text), style="bold red"))
    print_paths(collect_paths(comparison), console)
    digest = digest_comparison(comparison)
    if any(explain_p(metric, comparison.confidence) for metric in comparison.metrics):
        console.print(Text(P_NOTE, style="dim"))
    if digest.caveat:
        console.print(Text(f"note: {digest.caveat}", style="yellow"))
    for label, text in digest.lines:
        style = "bold red" if label in LOUD else "bold"
        console.print(Text(f"{label}: ", style=style).append(text, style="default"))
    chip = f"{digest.verdict}, MOVED" if comparison.moved else digest.verdict
    console.print(Text(f"{chip}  ", style=STYLES[digest.verdict]).append(digest.sentence, style="default"))


def _print_metrics(comparison: Comparison, console: Console) -> None:
    """One table per scenario; a narrow terminal gets verdict and effect only."""
    baseline, candidate = (
        name_kernel(kernel, side)
        for side, kernel in (("baseline", comparison.baseline), ("candidate", comparison.candidate))
    )
    console.print(Text(f"baseline {baseline}, candidate {candidate}"))
    ranked = rank_metrics(comparison.metrics)
    wide = console.width >= WIDE
    for scenario in rank_scenarios(ranked):
        table = make_table(
            show_foreign(scenario),
            ("verdict", "left"),
            ("metric", "left"),
            ("baseline", "right"),
            ("candidate", "right"),
            ("effect", "right"),
        )
        if wide:
            table.add_column(f"{format_percent(comparison.confidence)} interval", justify="right", no_wrap=True)
            table.add_column("p adj.", justify="right", no_wrap=True)
            table.add_column("boots", justify="right", no_wrap=True)
        table.columns[0].no_wrap = True
        for metric in ranked:
            if metric.scenario == scenario:
                table.add_row(*_metric_row(metric, wide=wide))
        console.print(table)


def _metric_row(metric: MetricComparison, *, wide: bool) -> list[Text | str]:
    texts = describe_metric(metric)
    name = Text(show_foreign(metric.name), style="bold" if metric.headline else "")
    verdict = Text(metric.verdict, style=STYLES[metric.verdict])
    row: list[Text | str] = [verdict, name, texts.baseline, texts.candidate, texts.effect]
    if not wide:
        return row
    boots = f"{metric.baseline.boots}+{metric.candidate.boots}"
    if metric.boots_to_decide:
        boots += f" (needs {metric.boots_to_decide})"
    return [*row, texts.interval, format_p(metric.p_adjusted), boots]
