"""`android-suite analyze`: computes tables and metrics from a run directory or any trace."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from android_suite.cli.output import console_for_results, print_json, say, say_error
from android_suite.errors import EvidenceError, SuiteError, UsageError
from android_suite.model.analysis import AnalysisSummary
from android_suite.model.analyzed import AnalyzedRun, IterationSummary, RunSummary
from android_suite.model.document import to_plain
from android_suite.report.phrases import show_foreign

if TYPE_CHECKING:
    from android_suite.analyze import RunAnalysis
    from android_suite.store.run import Run


@click.command("analyze")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@click.option("--process", help="The app's process name (default: the run's, or all processes of a trace).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one object for one PATH, a list for several.")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for a trace's tables (Parquet) and JSON.",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Analyze any number of PATHs on a Dask cluster (or `local`) to Parquet in -o.",
)
def command(
    paths: tuple[Path, ...], process: str | None, as_json: bool, output: Path | None, scheduler: str | None
) -> int:
    """Find who waited for whom on which lock, which path each madvise call took, and the cost.

    PATH is a run directory from `record`, or any trace: trace.dat, ftrace or systrace text or html, `atrace -z` output,
    a Perfetto trace. It may be compressed with gzip, xz, bzip2 or zstd, or be in a zip or tar archive such as
    bugreport.zip; of an archive with several traces, ARCHIVE!MEMBER is one ('bugreport.zip!FS/data/a.pftrace'). The
    tables of a run go to its derived/ folder. If one of several PATHs cannot be analyzed, its error goes to stderr, the
    others are analyzed, and the exit code is that of the error. A run whose recording was killed, or that has no
    complete iteration, is analyzed as far as possible and exits with 5.

    With --scheduler, tables of all PATHs go to -o: traces/, metrics/ and one folder for each table, as Parquet that
    pandas, Polars and DuckDB read; the workers must see PATHs and -o.
    """
    if scheduler is not None:
        return _analyze_many(paths, process, output, scheduler, as_json=as_json)
    from android_suite.report.model import ReportModel
    from android_suite.report.terminal import render_terminal

    if output is not None and len(paths) > 1:
        raise UsageError("-o takes one trace at a time; omit it or give one PATH.")
    found: list[AnalysisSummary | RunSummary] = []
    rows: list[AnalyzedRun] = []
    status = 0
    for path in paths:
        try:
            summary, runs, doubt = _analyze(path, process, output)
        except SuiteError as error:
            if len(paths) == 1:
                raise
            say_error(error)  # the others are still analyzed
            status = status or error.exit_code
            continue
        found.append(summary)
        rows += runs
        if doubt is not None:
            say_error(doubt)
            status = status or doubt.exit_code
    if as_json:
        print_json(to_plain(found[0] if len(paths) == 1 else found))
    elif rows:
        render_terminal(ReportModel(title="analysis", runs=rows), console_for_results())
    return status


def _analyze_many(
    paths: tuple[Path, ...], process: str | None, output: Path | None, scheduler: str, *, as_json: bool
) -> int:
    import os

    from android_suite.campaign.batch import analyze_many
    from android_suite.campaign.cluster import open_cluster, open_local_processes

    if output is None or as_json:
        raise UsageError("--scheduler writes Parquet: give its folder with -o, and leave out --json.")
    local = scheduler == "local"
    with open_local_processes(len(os.sched_getaffinity(0))) if local else open_cluster(scheduler) as cluster:
        ends = analyze_many(paths, output, cluster, process=process, say=say)
    failed = [each for end in ends for each in end.failed]
    for path, sentence, _ in failed:
        say(f"{path}: {sentence}")
    peak = max(end.peak_kb for end in ends) >> 10
    say(f"{len(paths)} traces, {len(failed)} not analyzed; at most {peak} MB in a worker; tables in {output}")
    return failed[0][2] if failed else 0


def _analyze(
    path: Path, process: str | None, output: Path | None
) -> tuple[AnalysisSummary | RunSummary, Sequence[AnalyzedRun], EvidenceError | None]:
    """The analysis of one PATH, as JSON and as text for the terminal, and why it cannot be trusted."""
    from android_suite.analyze import analyze_file, analyze_run, summarize, write_tables
    from android_suite.store.run import is_run, open_run

    if is_run(path):
        if output is not None:
            raise UsageError(f"the tables of a run go to {path / 'derived'}; omit -o.")
        run = analyze_run(open_run(path), process=process, say=say)
        return _summarize_run(run), run.describe(), _find_doubt(run.run)
    analysis = analyze_file(path, process=process)
    summary = summarize(analysis)
    if output is not None:
        write_tables(analysis, summary, output)
        say(f"tables in {output}")
    return summary, [AnalyzedRun(name=str(path), analysis=summary)], None


def _find_doubt(run: Run) -> EvidenceError | None:
    """Why no number of a run can be trusted; None where some can, or where a crash of what is tested ended it."""
    iterations = run.manifest.iterations
    reasons = "; ".join(
        f"{i.directory} is {i.status} ({show_foreign(i.reason, longest=300)})" for i in iterations if i.reason
    )
    if not run.manifest.sealed:
        why = "is not sealed: its recording was killed or still runs"
    elif any(i.status == "complete" or i.crash for i in iterations) or run.manifest.crash:
        return None
    else:
        why = "has no complete iteration"
    return EvidenceError(f"{run.path} {why}{f'; {reasons}' if reasons else ''}; record it again.")


def _summarize_run(found: RunAnalysis) -> RunSummary:
    return RunSummary(
        run=str(found.run.path),
        label=found.run.manifest.label,
        iterations=tuple(
            IterationSummary(
                index=i.record.index, scenario=i.record.scenario, status=i.record.status, analysis=i.summary
            )
            for i in found.iterations
        ),
    )
