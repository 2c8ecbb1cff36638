"""Prints scheduling on a terminal: delays by thread, uninterruptible sleep by caller."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from android_suite.model.analysis import AnalysisSummary
from android_suite.report.analysis_texts import name_sleep, tells_sleeps
from android_suite.report.chains import name_thread
from android_suite.report.phrases import format_ms, format_number, show_foreign
from android_suite.report.terminal_tables import make_table

THREADS, SLEEPS = 12, 8  # rows of each; the JSON has more, the tables have all


def print_scheduling(analysis: AnalysisSummary, console: Console) -> None:
    """Prints the threads that waited longest for a CPU, and who slept uninterruptibly where."""
    scheduling = analysis.scheduling
    if scheduling.threads:
        table = make_table(
            "Scheduling: ready to run, and waiting for a CPU",
            ("process", "left"), ("thread", "left"), ("ran", "right"), ("delays", "right"), ("delayed", "right"),
            ("longest", "right"), ("preempted", "right"), ("D sleep", "right"),
        )  # fmt: skip
        for row in scheduling.threads[:THREADS]:
            table.add_row(
                Text(show_foreign(row.process or "?", longest=40)),
                Text(name_thread(row)),
                format_ms(row.running_ns),
                format_number(row.delays),
                *(format_ms(ns) for ns in (row.delay_ns, row.delay_max_ns, row.preempted_ns, row.uninterruptible_ns)),
            )
        console.print(table)
    if scheduling.uninterruptible:
        table = make_table(
            "Uninterruptible sleep",
            ("process", "left"), ("thread", "left"), ("in", "left"), ("sleeps", "right"), ("total", "right"),
            ("longest", "right"),
        )  # fmt: skip
        for each in scheduling.uninterruptible[:SLEEPS]:
            table.add_row(
                Text(show_foreign(each.process or "?", longest=40)),
                Text(name_thread(each)),
                Text(name_sleep(each)),
                format_number(each.sleeps),
                format_ms(each.total_ns),
                format_ms(each.longest_ns),
            )
        console.print(table)
        if not tells_sleeps(analysis):
            console.print(Text("Callers were not recorded; enable events/sched/sched_blocked_reason.", style="dim"))
    if scheduling.reason:
        console.print(Text(show_foreign(f"Scheduling: {scheduling.quality}. {scheduling.reason}."), style="dim"))
