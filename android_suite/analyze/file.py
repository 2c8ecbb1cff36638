"""Any trace, or one iteration of a run directory, to an analysis in memory; nothing is written."""

from __future__ import annotations

from pathlib import Path

from android_suite.analysis.pipeline import Analysis, analyze_trace
from android_suite.analysis.threads import list_processes
from android_suite.analyze.evidence import read_evidence
from android_suite.analyze.traces import is_traced, read_iteration_trace
from android_suite.errors import UsageError
from android_suite.model.run import IterationRecord
from android_suite.store.run import Run, is_run, open_run
from android_suite.trace.detect import open_trace


def analyze_file(path: Path, *, process: str | None = None, iteration: int | None = None) -> Analysis:
    """Analyzes any trace, whatever its format, or one iteration of a run directory.

    Args:
        path: a trace or a run directory.
        process: name of the app; None for whatever is in the trace, and for the app that was recorded in a run.
        iteration: index of the iteration of a run; may be omitted where only one was traced.

    Raises:
        UsageError: there is no trace at ``path``, not the process in it, or several iterations and none chosen.
        TraceError: there is one, and it is damaged.
    """
    if is_run(path):
        run = open_run(path)
        record = choose_iteration(run, iteration)
        evidence = read_evidence(run, record)
        trace = read_iteration_trace(run.raw(record))
        analysis = analyze_trace(trace, process=process or record.process or None, evidence=evidence)
    elif iteration is not None:
        raise UsageError(f"{path} is not a run directory, so it has no iterations; leave out the iteration.")
    else:
        analysis = analyze_trace(open_trace(path), process=process)
    require_process(analysis, path, process)
    return analysis


def require_process(analysis: Analysis, path: Path, process: str | None) -> None:
    """Raises UsageError where ``process`` was asked for and no thread of the trace belongs to it."""
    threads = analysis["thread_roles"]
    if process and not (threads["process"] == process).any():
        raise UsageError(f"{path} has no process {process}; there is {list_processes(threads)}.")


def choose_iteration(run: Run, index: int | None) -> IterationRecord:
    """The traced iteration of that index, or the only one.

    Raises:
        UsageError: there is none, or several and none chosen.
    """
    traced = {i.index: i for i in run.manifest.iterations if is_traced(run.raw(i))}
    if index is None and len(traced) == 1:
        return next(iter(traced.values()))
    if index not in traced:
        known = ", ".join(f"{i} ({record.scenario})" for i, record in traced.items()) or "none"
        raise UsageError(
            f"{run.path}: choose a traced iteration (--iteration N; from Python iteration=N); there is {known}."
        )
    return traced[index]
