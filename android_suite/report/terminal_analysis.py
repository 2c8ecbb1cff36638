"""Prints one analysis on a terminal: madvise paths, who waited for whom, inversions, late frames, launches, GCs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from android_suite.model.analysis import (
    AnalysisSummary,
    BlockerSummary,
    FrameSummary,
    GcSummary,
    LaunchSummary,
    MetricValue,
    OtherWaitSummary,
)
from android_suite.model.analyzed import AnalyzedRun
from android_suite.model.checks import CheckResult, count_results, group_unsupported
from android_suite.model.comparison import MadvisePaths
from android_suite.model.operation import describe_operation
from android_suite.report.analysis_texts import (
    WAKER_NOTE,
    collect_shortfalls,
    describe_late_frame,
    is_sched_only,
    list_known,
)
from android_suite.report.blame_texts import BLAME_NOTE, describe_blame, describe_releases, name_other_lock
from android_suite.report.chains import list_chains, name_thread
from android_suite.report.phrases import (
    explain_times,
    format_bytes,
    format_ms,
    format_number,
    format_value,
    show_foreign,
)
from android_suite.report.summary import PathRow
from android_suite.report.terminal_scheduling import print_scheduling
from android_suite.report.terminal_tables import make_table, print_paths

PAIRS, CHAINS, OTHERS, LATE, LAUNCHES, CYCLES = (
    8,
    3,
    5,
    5,
    12,
    6,
)  # rows of each; the JSON has more, the tables have all


def print_analysis(run: AnalyzedRun, console: Console) -> None:
    """Prints what was found in one trace; empty parts are left out."""
    analysis = run.analysis
    source = analysis.source
    said = [
        source.format or "trace",
        f"{format_number(source.events)} events",
        format_ms(source.duration_ns),
        f"{format_number(source.lost_events)} lost",
        *([f"kernel {source.kernel}"] if source.kernel else []),
    ]
    console.print(Text(show_foreign(f"{run.name}: {', '.join(said)}")))
    caveat = explain_times(run.mode, virtual=run.virtual)
    for note in (*source.notes, *([caveat] if caveat else [])):
        console.print(Text(f"note: {show_foreign(note)}", style="dim"))
    _print_madvise(analysis, console)
    _print_blockers(analysis.blockers, source.recorded, console)
    _print_blame(analysis, console)
    _print_inversions(run.name, analysis, console)
    _print_other_waits(analysis.other_waits, console)
    _print_frames(analysis.frames, console)
    if is_sched_only(analysis):
        print_scheduling(analysis, console)
    _print_launches(analysis.launches, console)
    _print_cycles(analysis.gc, console)
    _print_checks(analysis.checks, console)
    _print_metrics(analysis.metrics, console)


def _print_madvise(analysis: AnalysisSummary, console: Console) -> None:
    rows = [
        PathRow(
            kernel=show_foreign(f"{row.process or 'unknown'} {row.thread}/{row.tid}", longest=60),
            side="",
            paths=MadvisePaths(
                per_vma=row.per_vma,
                mmap_lock=row.mmap_lock,
                unknown=row.unknown,
                bytes=row.bytes,
                reasons=row.reasons,
            ),
        )
        for row in analysis.madvise
        if row.role == "gc"
    ]
    if rows:
        print_paths(rows, console, of="thread")
        console.print(Text(f"{format_bytes(MadvisePaths.add_up([analysis]).bytes)} advised"))


def _print_blockers(rows: Sequence[BlockerSummary], recorded: Sequence[str] | None, console: Console) -> None:
    if not rows:
        if recorded is not None and "mmap_lock" in recorded:
            console.print(Text("No wait for mmap_lock or a VMA lock behind another thread was found."))
        return
    table = make_table(
        "Who waited for whom",
        ("waiter", "left"), ("holder", "left"), ("lock", "left"), ("held for", "left"), ("waits", "right"), ("total", "right"),
        ("longest", "right"), ("inverted", "right"),
    )  # fmt: skip
    for row in rows[:PAIRS]:
        across = row.holder_lock != row.lock
        queued = (", reading a VMA" if across else ", behind a writer") if row.kind == "chained" else ""
        table.add_row(
            Text(name_thread(row.waiter)),
            Text(name_thread(row.holder) + queued),
            Text(row.lock),
            Text(show_foreign(describe_operation(row.operation), longest=60)),
            format_number(row.waits),
            *(format_ms(ns) for ns in (row.total_ns, row.longest_ns, row.inverted_ns)),
        )
    console.print(table)
    _print_rest(len(rows) - PAIRS, "pairs", console)


def _print_blame(analysis: AnalysisSummary, console: Console) -> None:
    if analysis.blame:
        table = make_table(
            "Who is to blame",
            ("waiter", "left"), ("waits for", "left"), ("total", "right"), ("longest", "right"), ("inverted", "right"),
            ("the last one", "left"), ("evidence", "left"),
        )  # fmt: skip
        for row in analysis.blame[:PAIRS]:
            texts = describe_blame(row)
            times = (format_ms(ns) for ns in (row.total_ns, row.longest_ns, row.inverted_ns))
            table.add_row(Text(texts.waiter), Text(texts.chain), *times, Text(texts.last), texts.evidence)
        console.print(table)
        console.print(Text(BLAME_NOTE, style="dim"))
        _print_rest(len(analysis.blame) - PAIRS, "chains", console)
    if analysis.contended_releases:
        console.print(Text(describe_releases(analysis.contended_releases)))


def _print_inversions(name: str, analysis: AnalysisSummary, console: Console) -> None:
    inversions = analysis.inversions
    if not inversions.count:
        return
    console.print(
        Text(
            f"{format_number(inversions.count)} inversions, {format_ms(inversions.total_ns)} in total, "
            f"longest {format_ms(inversions.longest_ns)}. The worst:"
        )
    )
    for chain in list_chains([(name, analysis)], most=CHAINS):
        at = "" if chain.start_ms is None else f"at {chain.start_ms:.3f} ms: "
        console.print(Text(f"- {at}{chain.sentence}"))


def _print_other_waits(rows: Sequence[OtherWaitSummary], console: Console) -> None:
    if not rows:
        return
    table = make_table(
        "Waits for other locks (weaker evidence)",
        ("thread", "left"), ("lock", "left"), ("evidence", "left"), ("waits", "right"), ("total", "right"),
        ("longest", "right"),
    )  # fmt: skip
    for row in rows[:OTHERS]:
        table.add_row(
            Text(name_thread(row)),
            *(Text(show_foreign(text, longest=40)) for text in (name_other_lock(row), row.evidence)),
            format_number(row.waits),
            format_ms(row.wait_total_ns),
            format_ms(row.wait_max_ns),
        )
    console.print(table)
    _print_rest(len(rows) - OTHERS, "threads and locks", console)


def _print_frames(frames: FrameSummary, console: Console) -> None:
    if not frames.count:
        return
    parts = [f"{format_number(frames.count)} frames ({show_foreign(frames.source or 'unknown source', longest=40)})"]
    if frames.late is not None:
        parts.append(f"{format_number(frames.late)} late")
    if frames.janky_from_inversion is not None:
        parts.append(f"{format_number(frames.janky_from_inversion)} of them only because of inversion")
    if frames.worst_ms is not None:
        parts.append(f"the worst {format_value(frames.worst_ms, 'ms', signed=True)} past its deadline")
    console.print(Text(f"{', '.join(parts)}."))
    for side, causes in (frames.late_time_ns or {}).items():
        spent = sorted(((ns, cause) for cause, ns in causes.items() if ns), reverse=True)
        if spent:
            told = ", ".join(f"{cause.replace('_', ' ')} {format_ms(ns)}" for ns, cause in spent)
            console.print(Text(show_foreign(f"- what the {side} thread of late frames spent its time on: {told}")))
    _print_late_frames(frames, console)


def _print_late_frames(frames: FrameSummary, console: Console) -> None:
    if not frames.worst:
        return
    table = make_table(
        "The latest frames",
        ("at", "right"), ("process", "left"), ("past deadline", "right"), ("took", "right"), ("spent on", "left"),
        ("woken", "left"),
    )  # fmt: skip
    for frame in frames.worst[:LATE]:
        texts = describe_late_frame(frame)
        table.add_row(
            texts.when, Text(texts.process), texts.late, texts.took, Text(texts.spent), Text(texts.woken)
        )  # fmt: skip
    console.print(table)
    console.print(Text(WAKER_NOTE, style="dim"))
    _print_rest((frames.late or 0) - LATE, "late frames", console)


def _print_launches(rows: Sequence[LaunchSummary], console: Console) -> None:
    if not rows:
        return
    table = make_table(
        "Launches",
        ("component", "left"), ("asked", "left"), ("got", "left"), ("initial display", "right"), ("beside GC", "right"),
        ("inverted", "right"), ("discarded", "left"),
    )  # fmt: skip
    for row in rows[:LAUNCHES]:
        table.add_row(
            *(Text(show_foreign(text or "?", longest=60)) for text in (row.component, row.asked, row.got)),
            format_value(row.initial_display_ms, "ms"),
            format_ms(row.gc_ns),
            format_ms(row.inverted_ns),
            Text(show_foreign(row.discarded or "", longest=60)),
        )
    console.print(table)
    _print_rest(len(rows) - LAUNCHES, "launches", console)


def _print_cycles(rows: Sequence[GcSummary], console: Console) -> None:
    if not rows:
        return
    table = make_table(
        "Garbage collections",
        ("process", "left"), ("collector", "left"), ("cycles", "right"), ("median", "right"), ("running", "right"),
        ("runnable", "right"), ("lock wait", "right"),
    )  # fmt: skip
    for row in rows[:CYCLES]:
        table.add_row(
            *(Text(show_foreign(text or "?", longest=60)) for text in (row.process, row.collector)),
            format_number(row.cycles),
            *(format_ms(ns) for ns in (row.duration_median_ns, row.running_ns, row.runnable_ns, row.lock_wait_ns)),
        )
    console.print(table)
    _print_rest(len(rows) - CYCLES, "kinds", console)


def _print_checks(results: Sequence[CheckResult], console: Console) -> None:
    if not results:
        return
    console.print(Text(f"Checks: {', '.join(f'{count} {name}' for name, count in count_results(results).items())}."))
    for each in results:
        if each.result == "failed":
            console.print(Text(show_foreign(f"- {each.name} failed: {each.reason}"), style="bold red"))
    for reason, names in group_unsupported(results).items():
        shown = ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
        console.print(Text(show_foreign(f"- unsupported, {shown}: {reason}"), style="dim"))


def _print_metrics(metrics: Sequence[MetricValue], console: Console) -> None:
    if not metrics:
        return
    known = list_known(metrics)
    if known:
        table = make_table("Metrics", ("metric", "left"), ("value", "right"), ("quality", "left"))
        for metric in known:
            quality = Text(metric.quality)
            table.add_row(Text(show_foreign(metric.name)), format_value(metric.value, metric.unit), quality)
        console.print(table)
    for shortfall in collect_shortfalls(metrics):
        console.print(Text(f"- {shortfall.sentence}"))


def _print_rest(count: int, what: str, console: Console) -> None:
    if count > 0:
        console.print(Text(f"{format_number(count)} more {what}: --json, or -o for tables.", style="dim"))
