"""The report on a terminal: the seed's table, the verdicts, the gates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from android_suite.model.comparison import Comparison, MadvisePaths, MetricComparison
from android_suite.model.verdict import GateOutcome, Verdict
from android_suite.report.model import AnalyzedRun, ReportModel
from android_suite.report.phrases import (
    format_bytes,
    format_ms,
    format_number,
    format_p,
    format_percent,
    format_value,
    show_foreign,
)
from android_suite.report.summary import (
    PathRow,
    collect_analysis_paths,
    collect_crashes,
    collect_paths,
    conclude,
    describe_metric,
    name_kernel,
    rank_metrics,
)

WIDE = 128  # columns from which intervals, p and boots fit beside the effect
STYLES = {Verdict.BETTER: "green", Verdict.WORSE: "bold red", Verdict.SAME: "cyan", Verdict.UNDECIDED: "yellow"}


def render_terminal(model: ReportModel, console: Console) -> None:
    """Prints the report; plain text where the console is no terminal."""
    console.print(Text(show_foreign(model.title), style="bold"))
    if model.comparison is not None:
        _print_comparison(model, model.comparison, console)
    else:
        for run in model.runs:
            _print_analysis(run, console)
    for note in model.notes:
        console.print(Text(f"note: {show_foreign(note)}", style="yellow"))


def _table(title: str, *columns: tuple[str, str]) -> Table:
    table = Table(title=Text(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for name, justify in columns:
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    return table


def _print_comparison(model: ReportModel, comparison: Comparison, console: Console) -> None:
    _print_metrics(comparison, console)
    if comparison.gates:
        table = _table("Gates", ("gate", "left"), ("margin", "right"), ("outcome", "left"), ("why", "left"))
        for gate in comparison.gates:
            style = "green" if gate.outcome is GateOutcome.PASSED else "bold red"
            name = Text(show_foreign(f"{gate.scenario}/{gate.metric}"))
            table.add_row(name, gate.margin_text, Text(gate.outcome, style=style), Text(show_foreign(gate.message)))
        console.print(table)
    for side, crash in collect_crashes(model):
        text = f"{crash.get('kind')} on the {side or 'device'}: {crash.get('summary')}"
        console.print(Text(show_foreign(text), style="bold red"))
    _print_paths(collect_paths(comparison), console)
    verdict, sentence = conclude(comparison)
    console.print(Text(f"{verdict}  ", style=STYLES[verdict]).append(sentence, style="default"))


def _print_paths(rows: list[PathRow], console: Console) -> None:
    """The seed's table."""
    table = _table(
        "HeapTaskDaemon: madvise calls by path",
        ("kernel", "left"),
        ("per-VMA path", "right"),
        ("mmap_lock path", "right"),
        ("unknown", "right"),
        ("per-VMA share", "right"),
        ("fallback reasons", "left"),
    )
    for row in rows:
        counts = (row.paths.per_vma, row.paths.mmap_lock, row.paths.unknown)
        reasons = Text(show_foreign(row.reasons))
        table.add_row(Text(row.kernel), *(format_number(count) for count in counts), row.share, reasons)
    console.print(table)


def _print_metrics(comparison: Comparison, console: Console) -> None:
    """One table a scenario; a narrow terminal gets verdict and effect only."""
    baseline, candidate = (
        name_kernel(identity, side)
        for side, identity in (("baseline", comparison.baseline), ("candidate", comparison.candidate))
    )
    console.print(Text(f"baseline {baseline}, candidate {candidate}"))
    ranked = rank_metrics(comparison.metrics)
    wide = console.width >= WIDE
    for scenario in sorted({metric.scenario for metric in ranked}):
        table = _table(
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


def _print_analysis(run: AnalyzedRun, console: Console) -> None:
    analysis = run.analysis
    source: Mapping[str, Any] = analysis.get("source") or {}
    lost = source.get("lost_events")
    console.print(
        Text(
            show_foreign(
                f"{run.name}: {source.get('format') or 'trace'}, {format_number(source.get('events'))} events, "
                f"{format_ms(source.get('duration_ns'))}, {format_number(lost)} lost, kernel {source.get('kernel')}"
            )
        )
    )
    rows = [
        PathRow(
            kernel=show_foreign(f"{row.get('process')} {row.get('thread')}/{row.get('tid')}", longest=60),
            side="",
            paths=MadvisePaths(
                per_vma=row.get("per_vma") or 0,
                mmap_lock=row.get("mmap_lock") or 0,
                unknown=row.get("unknown") or 0,
                bytes=row.get("bytes"),
                reasons=row.get("reasons") or {},
            ),
        )
        for row in analysis.get("madvise") or ()
        if row.get("role") == "gc"
    ]
    if rows:
        _print_paths(rows, console)
        console.print(Text(f"{format_bytes(collect_analysis_paths([analysis]).bytes)} advised"))
    inversions = analysis.get("inversions") or {}
    if inversions.get("count"):
        console.print(
            Text(
                f"{format_number(inversions['count'])} inversions, {format_ms(inversions.get('total_ns'))} in total, "
                f"longest {format_ms(inversions.get('longest_ns'))}"
            )
        )
    metrics = analysis.get("metrics") or ()
    if metrics:
        table = _table("Metrics", ("metric", "left"), ("value", "right"), ("quality", "left"))
        for metric in metrics:
            value = format_value(metric.get("value"), str(metric.get("unit") or ""))
            table.add_row(Text(show_foreign(metric.get("name"))), value, Text(show_foreign(metric.get("quality"))))
        console.print(table)
