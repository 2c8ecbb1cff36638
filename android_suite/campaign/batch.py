"""Thousands of traces to one set of tables: batches on a Dask cluster, a Parquet file for each batch and table.

::

    DIR/traces/part-00000.parquet     one row per trace: format, events, kernel, or why it could not be analyzed
    DIR/metrics/part-00000.parquet    one row per trace and metric
    DIR/NAME/part-00000.parquet       the derived table NAME (docs/tables.md), with the column ``trace`` in front

``pandas.read_parquet(DIR/NAME)``, ``polars.read_parquet("DIR/NAME/*.parquet")`` and DuckDB's
``FROM 'DIR/NAME/*.parquet'`` read a table whole. A batch is what a worker has in memory; its files are written in one
step each and depend on its traces alone, so a batch that was done twice counts once.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from android_suite.analyze import analyze_file, analyze_run, summarize
from android_suite.campaign.cluster import Cluster
from android_suite.errors import LabError, SuiteError, UsageError
from android_suite.model.analysis import AnalysisSummary
from android_suite.store.run import is_run, open_run, write_atomic

BATCH: Final = 8
TRACES: Final = {
    "trace": "string", "iteration": "Int64", "scenario": "string", "format": "string", "events": "Int64",
    "lost_events": "Int64", "duration_ns": "Int64", "kernel": "string", "error": "string", "exit_code": "Int64",
    "message": "string",
}  # fmt: skip
METRICS: Final = {
    "trace": "string", "iteration": "Int64", "name": "string", "unit": "string", "better": "string",
    "value": "Float64", "quality": "string", "reason": "string",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEnd:
    """What a worker did: its traces, those that failed (with their sentence and exit code), its peak memory."""

    traces: int
    failed: tuple[tuple[str, str, int], ...]
    worker: str
    peak_kb: int


def analyze_batch(paths: Sequence[str], out: str, number: int, process: str | None) -> BatchEnd:
    """The Dask task: analyzes the traces of one batch, one after the other, and writes its files."""
    import resource
    import socket

    traces: list[dict[str, Any]] = []
    metrics: list[dict[str, Any]] = []
    tables: dict[str, list[pd.DataFrame]] = {}
    failed = []
    for path in paths:
        try:
            _analyze_one(path, process, traces, metrics, tables)
        except SuiteError as error:
            failed.append((path, str(error), error.exit_code))
            row = {"trace": path, "error": type(error).__name__, "exit_code": error.exit_code, "message": str(error)}
            traces.append(row)
    folder = Path(out)
    for name, frames in tables.items():
        _write(pd.concat(frames, ignore_index=True), folder / name, number)
    _write(_frame(metrics, METRICS), folder / "metrics", number)
    _write(_frame(traces, TRACES), folder / "traces", number)  # last: a batch with it is whole
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return BatchEnd(traces=len(paths), failed=tuple(failed), worker=socket.gethostname(), peak_kb=peak_kb)


def analyze_many(
    paths: Sequence[Path],
    out: Path,
    cluster: Cluster,
    *,
    process: str | None = None,
    batch: int = BATCH,
    say: Callable[[str], None] = lambda _: None,
) -> list[BatchEnd]:
    """Analyzes traces and runs on a cluster whose workers see ``paths`` and ``out``.

    Args:
        paths: traces of any format, and run directories.
        out: an empty or new folder.
        cluster: where.
        process: the app, as in `analyze`.
        batch: traces of one task.
        say: told of every batch that ended.

    Raises:
        UsageError: ``out`` is not empty.
        LabError: the cluster lost its workers again and again, or is gone.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is not an empty folder; choose another with -o.")
    out.mkdir(parents=True, exist_ok=True)
    named = [str(path.absolute()) for path in paths]
    calls = [named[at : at + batch] for at in range(0, len(named), batch)]
    futures = [
        cluster.client.submit(analyze_batch, each, str(out.absolute()), number, process, pure=False, retries=2)
        for number, each in enumerate(calls)
    ]
    ends: list[BatchEnd] = []
    try:
        for future in futures:
            ends.append(future.result())
            say(f"[{sum(end.traces for end in ends)}/{len(named)}] traces")
    except SuiteError:
        raise
    except Exception as error:  # Dask's own: its workers died, or the scheduler is gone
        raise LabError(
            f"the cluster could not analyze a batch ({type(error).__name__}: {error}); try again."
        ) from error
    finally:
        cluster.client.cancel(futures)
    return ends


def _analyze_one(
    path: str,
    process: str | None,
    traces: list[dict[str, Any]],
    metrics: list[dict[str, Any]],
    tables: dict[str, list[pd.DataFrame]],
) -> None:
    if is_run(Path(path)):
        run = analyze_run(open_run(Path(path)), process=process)
        for each in run.iterations:
            _add(path, each.record.index, each.record.scenario, each.summary, traces, metrics)
        return
    analysis = analyze_file(Path(path), process=process)
    _add(path, None, None, summarize(analysis), traces, metrics)
    for name in analysis:
        frame = analysis[name]
        tables.setdefault(name, []).append(frame.assign(trace=path)[["trace", *frame.columns]])


def _add(
    path: str,
    iteration: int | None,
    scenario: str | None,
    summary: AnalysisSummary,
    traces: list[dict[str, Any]],
    metrics: list[dict[str, Any]],
) -> None:
    source = summary.source
    head = {"trace": path, "iteration": iteration}
    told = {name: getattr(source, name) for name in ("format", "events", "lost_events", "duration_ns", "kernel")}
    traces.append({**head, "scenario": scenario, **told})
    metrics += [
        {**head, **{name: getattr(each, name) for name in ("name", "unit", "better", "value", "quality", "reason")}}
        for each in summary.metrics
    ]


def _frame(rows: list[dict[str, Any]], dtypes: dict[str, str]) -> pd.DataFrame:
    columns = {name: pd.Series([row.get(name) for row in rows], dtype="object") for name in dtypes}
    return pd.DataFrame(columns).astype(dtypes)


def _write(frame: pd.DataFrame, folder: Path, number: int) -> None:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False, compression="zstd")
    write_atomic(folder / f"part-{number:05d}.parquet", buffer.getvalue())
