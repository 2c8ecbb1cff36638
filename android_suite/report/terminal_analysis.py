"""One analysis on a terminal: which path madvise took, who waited for whom, the worst inversions, late frames, launches, GCs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from android_suite.model.comparison import MadvisePaths
from android_suite.report.chains import list_chains, name_thread
from android_suite.report.model import AnalyzedRun
from android_suite.report.phrases import format_bytes, format_ms, format_number, format_value, show_foreign
from android_suite.report.summary import PathRow, collect_analysis_paths
from android_suite.report.terminal_tables import make_table, print_paths

PAIRS, CHAINS, OTHERS, LAUNCHES, CYCLES = 8, 3, 5, 12, 6  # rows of each; the JSON has more, the tables have all
_Rows = Sequence[Mapping[str, Any]]


def print_analysis(run: AnalyzedRun, console: Console) -> None:
    """Prints what was found in one trace; parts that it does not have are left out."""
    analysis = run.analysis
    source: Mapping[str, Any] = analysis.get("source") or {}
    said = [
        str(source.get("format") or "trace"), f"{format_number(source.get('events'))} events",
        format_ms(source.get("duration_ns")), f"{format_number(source.get('lost_events'))} lost",
        *([f"kernel {source['kernel']}"] if source.get("kernel") else []),
    ]  # fmt: skip
    console.print(Text(show_foreign(f"{run.name}: {', '.join(said)}")))
    for note in source.get("notes") or ():
        console.print(Text(f"note: {show_foreign(note)}", style="dim"))
    _print_madvise(analysis, console)
    _print_blockers(analysis.get("blockers") or (), source.get("recorded"), console)
    _print_inversions(run.name, analysis, console)
    _print_other_waits(analysis.get("other_waits") or (), console)
    _print_frames(analysis.get("frames") or {}, console)
    _print_launches(analysis.get("launches") or (), console)
    _print_cycles(analysis.get("gc") or (), console)
    _print_metrics(analysis.get("metrics") or (), console)


def _print_madvise(analysis: Mapping[str, Any], console: Console) -> None:
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
        print_paths(rows, console)
        console.print(Text(f"{format_bytes(collect_analysis_paths([analysis]).bytes)} advised"))


def _print_blockers(rows: _Rows, recorded: Sequence[str] | None, console: Console) -> None:
    if not rows:
        if recorded is not None and "mmap_lock" in recorded:
            console.print(
                Text("Nobody was seen to wait for mmap_lock, or for the lock of a VMA, while another thread held it.")
            )
        return
    table = make_table(
        "Who waited for whom",
        ("lock", "left"), ("waiter", "left"), ("holder", "left"), ("held for", "left"), ("waits", "right"), ("total", "right"),
        ("longest", "right"), ("inverted", "right"),
    )  # fmt: skip
    for row in rows[:PAIRS]:
        across = row.get("holder_lock") != row.get("lock")
        queued = (", reading a VMA" if across else ", behind a writer") if row.get("kind") == "chained" else ""
        table.add_row(
            Text(show_foreign(row.get("lock") or "mmap_lock", longest=20)),
            Text(name_thread(row.get("waiter"))), Text(name_thread(row.get("holder")) + queued),
            Text(show_foreign(row.get("operation"), longest=60)), format_number(row.get("waits")),
            *(format_ms(row.get(name)) for name in ("total_ns", "longest_ns", "inverted_ns")),
        )  # fmt: skip
    console.print(table)
    _print_rest(len(rows) - PAIRS, "pairs", console)


def _print_inversions(name: str, analysis: Mapping[str, Any], console: Console) -> None:
    inversions = analysis.get("inversions") or {}
    if not inversions.get("count"):
        return
    console.print(
        Text(
            f"{format_number(inversions['count'])} inversions, {format_ms(inversions.get('total_ns'))} in total, "
            f"longest {format_ms(inversions.get('longest_ns'))}. The worst:"
        )
    )
    for chain in list_chains([(name, analysis)], most=CHAINS):
        at = "" if chain.start_ms is None else f"at {chain.start_ms:.3f} ms: "
        console.print(Text(f"- {at}{chain.sentence}"))


def _print_other_waits(rows: _Rows, console: Console) -> None:
    if not rows:
        return
    table = make_table(
        "Waits for other locks (weaker evidence: no holder is named)",
        ("thread", "left"), ("lock", "left"), ("evidence", "left"), ("waits", "right"), ("total", "right"),
        ("longest", "right"),
    )  # fmt: skip
    for row in rows[:OTHERS]:
        table.add_row(
            Text(name_thread(row)), *(Text(show_foreign(row.get(name), longest=40)) for name in ("lock", "evidence")),
            format_number(row.get("waits")), format_ms(row.get("wait_total_ns")), format_ms(row.get("wait_max_ns")),
        )  # fmt: skip
    console.print(table)
    _print_rest(len(rows) - OTHERS, "threads and locks", console)


def _print_frames(frames: Mapping[str, Any], console: Console) -> None:
    if not frames.get("count"):
        return
    parts = [
        f"{format_number(frames['count'])} frames ({show_foreign(frames.get('source') or 'unknown source', longest=40)})"
    ]
    if frames.get("late") is not None:
        parts.append(f"{format_number(frames['late'])} late")
    if frames.get("janky_from_inversion") is not None:
        parts.append(f"{format_number(frames['janky_from_inversion'])} of them only because of inversion")
    if frames.get("worst_ms") is not None:
        parts.append(f"the worst {format_value(frames['worst_ms'], 'ms', signed=True)} past its deadline")
    console.print(Text(f"{', '.join(parts)}."))
    for side, causes in (frames.get("late_time_ns") or {}).items():
        spent = sorted(((ns, cause) for cause, ns in causes.items() if ns), reverse=True)
        if spent:
            told = ", ".join(f"{cause.replace('_', ' ')} {format_ms(ns)}" for ns, cause in spent)
            console.print(Text(show_foreign(f"- what the {side} thread of late frames spent its time on: {told}")))


def _print_launches(rows: _Rows, console: Console) -> None:
    if not rows:
        return
    table = make_table(
        "Launches",
        ("component", "left"), ("asked", "left"), ("got", "left"), ("initial display", "right"), ("beside GC", "right"),
        ("inverted", "right"), ("discarded", "left"),
    )  # fmt: skip
    for row in rows[:LAUNCHES]:
        table.add_row(
            *(Text(show_foreign(row.get(name) or "?", longest=60)) for name in ("component", "asked", "got")),
            format_value(row.get("timeToInitialDisplayMs"), "ms"),
            *(format_ms(row.get(name)) for name in ("gc_ns", "inverted_ns")),
            Text(show_foreign(row.get("discarded") or "", longest=60)),
        )  # fmt: skip
    console.print(table)
    _print_rest(len(rows) - LAUNCHES, "launches", console)


def _print_cycles(rows: _Rows, console: Console) -> None:
    if not rows:
        return
    table = make_table(
        "Garbage collections",
        ("process", "left"), ("collector", "left"), ("cycles", "right"), ("median", "right"), ("running", "right"),
        ("runnable", "right"), ("lock wait", "right"),
    )  # fmt: skip
    for row in rows[:CYCLES]:
        table.add_row(
            *(Text(show_foreign(row.get(name) or "?", longest=60)) for name in ("process", "collector")),
            format_number(row.get("cycles")),
            *(format_ms(row.get(name)) for name in ("duration_median_ns", "running_ns", "runnable_ns", "lock_wait_ns")),
        )  # fmt: skip
    console.print(table)
    _print_rest(len(rows) - CYCLES, "kinds", console)


def _print_metrics(metrics: _Rows, console: Console) -> None:
    if not metrics:
        return
    table = make_table("Metrics", ("metric", "left"), ("value", "right"), ("quality", "left"))
    for metric in metrics:
        value = format_value(metric.get("value"), str(metric.get("unit") or ""))
        table.add_row(Text(show_foreign(metric.get("name"))), value, Text(show_foreign(metric.get("quality"))))
    console.print(table)


def _print_rest(count: int, what: str, console: Console) -> None:
    if count > 0:
        console.print(Text(f"{format_number(count)} more {what}: --json, or -o for tables.", style="dim"))
