"""Every iteration of a run directory to ``derived/``, and ``derived/`` read again if it is current."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from android_suite import __version__
from android_suite.analysis.pipeline import Analysis, analyze_trace
from android_suite.analysis.summary import summarize
from android_suite.analyze.evidence import read_counters, read_evidence, read_log_tables
from android_suite.analyze.file import require_process
from android_suite.analyze.results import IterationAnalysis, RunAnalysis
from android_suite.analyze.samples import make_samples
from android_suite.analyze.traces import is_traced, read_iteration_trace
from android_suite.errors import SchemaError, SuiteError, TraceError
from android_suite.model.analysis import REMEDY, AnalysisSummary, read_analysis
from android_suite.model.analyzed import Counters
from android_suite.model.document import read_document, to_plain
from android_suite.model.run import IterationRecord
from android_suite.store import layout
from android_suite.store.run import Run, open_run, read_json, write_atomic, write_json
from android_suite.tables.samples import SAMPLES
from android_suite.tables.schema import check_frame
from android_suite.tables.trace import Trace, TraceSource, fill_missing

_SUMMARY = "analysis.json"
_COUNTERS = "counters.json"
_SAMPLES = "samples.parquet"
_VERSION = "made_by.json"


def analyze_run(run: Run, *, process: str | None = None, say: Callable[[str], None] = lambda _: None) -> RunAnalysis:
    """Analyzes every iteration of a run and writes ``derived/``: tables as Parquet, JSON, samples.

    Args:
        run: the run directory.
        process: the app, where it is not the one in the manifest.
        say: called with one line per iteration.

    Raises:
        TraceError: a trace is damaged.
        LabError: ``derived/`` cannot be written.
    """
    found: list[IterationAnalysis] = []
    shutil.rmtree(run.path / layout.DERIVED, ignore_errors=True)
    for record in run.manifest.iterations:
        say(f"analyzing {record.directory}")
        found.append(_analyze_iteration(run, record, process))
    samples = make_samples(run, found)
    _write_parquet(samples, run.path / layout.DERIVED / _SAMPLES)
    # Last: a folder without it was not finished and is made again.
    write_json(run.path / layout.DERIVED / _VERSION, _made_by(run))
    return RunAnalysis(run=run, iterations=tuple(found), samples=samples)


def load_run(path: Path, *, say: Callable[[str], None] = lambda _: None) -> RunAnalysis:
    """What `analyze` found in a run directory; analyzes it first where that was not done by this version."""
    run = open_run(path)
    if not _is_current(run):
        return analyze_run(run, say=say)
    iterations = []
    for record in run.manifest.iterations:
        folder = run.derived(record)
        with _readable(folder):
            told, counted = (read_json(folder / name, remedy=REMEDY) for name in (_SUMMARY, _COUNTERS))
        summary = read_analysis(told, str(folder / _SUMMARY))
        counters = read_document(Counters, counted, name=str(folder / _COUNTERS), remedy=REMEDY)
        iterations.append(IterationAnalysis(record=record, summary=summary, counters=counters))
    return RunAnalysis(run=run, iterations=tuple(iterations), samples=_read_samples(run))


def load_samples(path: Path, *, say: Callable[[str], None] = lambda _: None) -> tuple[Run, pd.DataFrame]:
    """A run and its samples alone, as `load_run` gives them: for stores of very many runs."""
    run = open_run(path)
    return (run, _read_samples(run)) if _is_current(run) else (run, analyze_run(run, say=say).samples)


def is_analyzed(path: Path) -> bool:
    """Whether ``derived/`` of a run directory is there and of this version; False if the run cannot be opened."""
    try:
        return _is_current(open_run(path))
    except (SuiteError, RecursionError):
        return False


def _read_samples(run: Run) -> pd.DataFrame:
    path = run.path / layout.DERIVED / _SAMPLES
    with _readable(path):
        return check_frame(SAMPLES, pd.read_parquet(path))


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raises SchemaError where a derived file is missing or damaged, whatever its library says."""
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, NotImplementedError, OverflowError) as error:
        raise SchemaError(f"{path} cannot be read ({type(error).__name__}: {error}); {REMEDY}.") from error


def _is_current(run: Run) -> bool:
    try:
        return bool(json.loads((run.path / layout.DERIVED / _VERSION).read_bytes()) == _made_by(run))
    except (OSError, ValueError, RecursionError):
        return False


def _made_by(run: Run) -> dict[str, object]:
    """What has to agree for ``derived/`` to be read again: the suite, its samples table, and what there was by then."""
    iterations = [[i.status, i.trace_digest] for i in run.manifest.iterations]
    return {"suite": __version__, "iterations": iterations, "samples": list(SAMPLES.dtypes)}


def write_tables(analysis: Analysis, summary: AnalysisSummary, folder: Path) -> None:
    """Writes every derived table as ``NAME.parquet`` and the summary as ``analysis.json``.

    Raises:
        LabError: the folder cannot be written.
    """
    for name in analysis:
        _write_parquet(analysis[name], folder / f"{name}.parquet")
    write_json(folder / _SUMMARY, to_plain(summary))


def _analyze_iteration(run: Run, record: IterationRecord, process: str | None) -> IterationAnalysis:
    raw, derived = run.raw(record), run.derived(record)
    evidence = read_evidence(run, record)
    # An untraced iteration goes the same way with an empty trace: frames and launches come from what Android says.
    # No variable holds the trace, so that the analysis can let go of what it is done with.
    analysis = analyze_trace(
        _read_trace(raw, record),
        process=process or record.process or None,
        evidence=evidence,
    )
    if len(analysis["thread_roles"]):
        require_process(analysis, raw, process)
    summary = summarize(analysis)
    write_tables(analysis, summary, derived)
    for name, table in read_log_tables(raw).items():
        _write_parquet(table, derived / f"{name}.parquet")
    counters = read_counters(raw)
    write_json(derived / _COUNTERS, to_plain(counters))
    return IterationAnalysis(record=record, summary=summary, counters=counters)


def _read_trace(raw: Path, record: IterationRecord) -> Trace:
    if not is_traced(raw):
        return _empty_trace(raw, "this iteration was not traced")
    try:
        return read_iteration_trace(raw)
    except TraceError as error:
        if record.status == "complete":
            raise
        # A crash or a lost device leaves files half written. Its samples enter nothing, and the other iterations are whole.
        return _empty_trace(
            raw, f"the trace of this {record.status} iteration cannot be read: expected {error.expected}"
        )


def _empty_trace(raw: Path, note: str) -> Trace:
    source = TraceSource(
        format="none", path=str(raw), events=0, lost_events=None, clock="mono", start_ns=0, end_ns=0, cpus=0,
        notes=(note,),
    )  # fmt: skip
    return Trace(source=source, tables=fill_missing({}))


def _write_parquet(frame: pd.DataFrame, path: Path) -> None:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False, compression="zstd")
    write_atomic(path, buffer.getvalue())
