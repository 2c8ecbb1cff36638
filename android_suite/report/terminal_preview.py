"""Prints what a campaign has shown so far: the madvise paths, and the headline metrics of one scenario."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from android_suite.model.comparison import Comparison
from android_suite.report.phrases import show_foreign
from android_suite.report.summary import collect_paths, describe_metric, name_kernel
from android_suite.report.terminal import STYLES
from android_suite.report.terminal_tables import make_table, print_paths


def render_preview(comparison: Comparison, console: Console, *, title: str, scenario: str, decided: bool) -> None:
    """Prints the preview.

    Args:
        comparison: of the boots so far.
        console: where to.
        title: of the campaign, with what is done of it.
        scenario: whose metrics are shown.
        decided: whether the boots suffice for verdicts, which are left out else.
    """
    console.print(Text(show_foreign(title), style="bold"))
    print_paths(collect_paths(comparison), console)
    baseline, candidate = (
        name_kernel(kernel, side)
        for side, kernel in (("baseline", comparison.baseline), ("candidate", comparison.candidate))
    )
    columns = [("metric", "left"), (baseline, "right"), (candidate, "right"), ("effect", "right")]
    table = make_table(show_foreign(scenario), *columns, *([("verdict", "left")] if decided else []))
    for metric in comparison.metrics:
        if metric.scenario == scenario and metric.headline:
            texts = describe_metric(metric)
            row: list[Text | str] = [Text(show_foreign(metric.name)), texts.baseline, texts.candidate, texts.effect]
            table.add_row(*row, *([Text(metric.verdict, style=STYLES[metric.verdict])] if decided else []))
    console.print(table)
