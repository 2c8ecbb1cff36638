"""A run directory or any trace to tables, JSON and samples. What it writes into ``derived/`` can always be made again."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from android_suite import __version__
from android_suite.analysis.pipeline import Analysis, Evidence, analyze_trace
from android_suite.analysis.summary import summarize as summarize
from android_suite.analysis.threads import list_processes
from android_suite.errors import TraceError, UsageError
from android_suite.evidence.am_start import parse_launches
from android_suite.evidence.framestats import RING_FRAMES, parse_framestats_polls
from android_suite.evidence.gfxinfo import parse_gfxinfo
from android_suite.evidence.lock_stat import parse_lock_stat
from android_suite.evidence.logcat import parse_displayed, parse_gc_lines, parse_logcat, parse_monitor_contention
from android_suite.evidence.maps import parse_smaps
from android_suite.evidence.vmstat import measure_vmstat_change, parse_vmstat
from android_suite.model.analysis import (
    REMEDY,
    AnalysisSummary,
    AnalyzedRun,
    Counters,
    LaunchSummary,
    LockClass,
    read_analysis,
)
from android_suite.model.document import read_document, to_plain
from android_suite.model.launch import FAILED
from android_suite.model.run import IterationRecord
from android_suite.store import layout
from android_suite.store.run import Run, is_run, open_run, write_atomic, write_json
from android_suite.tables.evidence import LOCK_MODES
from android_suite.tables.samples import SAMPLES
from android_suite.tables.schema import check_frame, make_frame
from android_suite.tables.trace import Trace, TraceSource, fill_missing
from android_suite.trace.detect import open_trace
from android_suite.trace.ring.capture_folder import read_raw_capture

_SUMMARY = "analysis.json"
_COUNTERS = "counters.json"
_SAMPLES = "samples.parquet"
_VERSION = "made_by.json"
_MOST_CLASSES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class IterationAnalysis:
    """What was found in one iteration.

    Attributes:
        record: the iteration, from the manifest.
        summary: what the trace tells.
        counters: what the kernel counted beside it: lock classes by their total wait, and vmstat's growth.
    """

    record: IterationRecord
    summary: AnalysisSummary
    counters: Counters = field(default_factory=Counters)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAnalysis:
    """What was found in a run directory. ``samples`` is a frame of SAMPLES."""

    run: Run
    iterations: tuple[IterationAnalysis, ...]
    samples: pd.DataFrame

    def describe(self, side: str = "") -> tuple[AnalyzedRun, ...]:
        """Its iterations as a report shows them; ``side`` is ``baseline``, ``candidate`` or empty."""
        manifest = self.run.manifest
        name = manifest.label or self.run.path.name
        return tuple(
            AnalyzedRun(
                name=f"{name} {i.record.scenario} {i.record.index}",
                analysis=i.summary,
                side=side,
                scenario=i.record.scenario,
                boot=i.record.boot,
                seed=i.record.seed,
                mode=manifest.mode,
                virtual=manifest.device is not None and manifest.device.virtual,
                counters=i.counters,
            )
            for i in self.iterations
        )


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
        trace = read_raw_capture(run.raw(record) / layout.FTRACE)
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


def analyze_run(run: Run, *, process: str | None = None, say: Callable[[str], None] = lambda _: None) -> RunAnalysis:
    """Analyzes every iteration of a run and writes ``derived/``: tables as Parquet, JSON, samples.

    Args:
        run: the run directory.
        process: the app, where it is not the one in the manifest.
        say: told one line an iteration.

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
    derived = run.path / layout.DERIVED
    try:
        made = json.loads((derived / _VERSION).read_bytes())
        current = made == _made_by(run)
    except (OSError, ValueError):
        current = False
    if not current:
        return analyze_run(run, say=say)
    iterations = []
    for record in run.manifest.iterations:
        folder = run.derived(record)
        summary = read_analysis(json.loads((folder / _SUMMARY).read_bytes()), str(folder / _SUMMARY))
        counted = json.loads((folder / _COUNTERS).read_bytes())
        counters = read_document(Counters, counted, name=str(folder / _COUNTERS), remedy=REMEDY)
        iterations.append(IterationAnalysis(record=record, summary=summary, counters=counters))
    samples = check_frame(SAMPLES, pd.read_parquet(derived / _SAMPLES))
    return RunAnalysis(run=run, iterations=tuple(iterations), samples=samples)


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


def choose_iteration(run: Run, index: int | None) -> IterationRecord:
    """The traced iteration of that index, or the only one.

    Raises:
        UsageError: there is none, or several and none chosen.
    """
    traced = {i.index: i for i in run.manifest.iterations if any((run.raw(i) / layout.FTRACE).glob("cpu*.raw"))}
    if index is None and len(traced) == 1:
        return next(iter(traced.values()))
    if index not in traced:
        known = ", ".join(f"{i} ({record.scenario})" for i, record in traced.items()) or "none"
        raise UsageError(
            f"{run.path}: choose a traced iteration (--iteration N; from Python iteration=N); there is {known}."
        )
    return traced[index]


def make_samples(run: Run, iterations: Sequence[IterationAnalysis]) -> pd.DataFrame:
    """The values that comparisons are made from: one row a metric and iteration, for launches one a launch.

    An iteration that is not complete enters none.
    """
    rows: list[dict[str, object]] = []
    for each in iterations:
        record = each.record
        if record.status != "complete":
            continue
        head = {
            "label": run.manifest.label,
            "kernel": run.manifest.kernel.release if run.manifest.kernel else "",
            "boot": record.boot,
            "seed": -1 if record.seed is None else record.seed,
            "scenario": record.scenario,
            "iteration": record.index,
            "traced": record.traced,
        }
        for metric in each.summary.metrics:
            launches = list(_launch_values(metric.name, each.summary.launches))
            rows += [
                head
                | {
                    "sample": number,
                    "metric": metric.name,
                    "unit": metric.unit,
                    "better": metric.better,
                    "value": float("nan") if value is None else float(value),
                    "quality": quality,
                    "reason": "" if quality == "exact" else metric.reason or "",
                    "censored": censored,
                }
                for number, (value, quality, censored) in enumerate(launches or [(metric.value, metric.quality, False)])
            ]
    return make_frame(SAMPLES, {c.name: [row[c.name] for row in rows] for c in SAMPLES.columns})


def _launch_values(metric: str, launches: Sequence[LaunchSummary]) -> Iterator[tuple[float | None, str, bool]]:
    """The single launches behind a launch metric: value, quality, whether censored; nothing for any other metric.

    A launch that failed took longer than it was given; it counts for the state that was asked for.
    """
    name, _, state = metric.partition("_")
    if name not in ("timeToInitialDisplayMs", "timeToFullDisplayMs"):
        return
    for launch in launches:
        value = launch.initial_display_ms if name == "timeToInitialDisplayMs" else launch.full_display_ms
        if launch.outcome in FAILED:
            if state == (launch.asked or launch.got):
                yield launch.limit_ms, "exact", True
        elif not launch.discarded and value is not None and launch.got == state:
            yield value, launch.quality, False


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
    _write_log_tables(raw, derived)
    counters = Counters(lock_stat=_lock_stat(raw), vmstat=_vmstat(raw))
    write_json(derived / _COUNTERS, to_plain(counters))
    return IterationAnalysis(record=record, summary=summary, counters=counters)


def read_evidence(run: Run, record: IterationRecord) -> Evidence:
    """What was captured beside the trace of an iteration."""
    raw = run.raw(record)
    device = run.manifest.device
    frame_text = _read(raw / "framestats.txt")
    framestats, gaps = parse_framestats_polls(frame_text) if frame_text else (None, None)
    launches = json.loads(_read(raw / "launches.json") or "[]")
    maps = {}
    if (text := _read(raw / "smaps.txt")) and (tgid := _tgid_of(record.process, raw)) is not None:
        maps[tgid] = (parse_smaps(text),)
    return Evidence(
        framestats=framestats,
        frame_gaps=gaps,
        am_starts=parse_launches(launches) if launches or record.scenario != "command" else None,
        maps=maps,
        refresh_hz=device.refresh_rate_hz if device else None,
        notes=(
            *_frame_notes(frame_text, record.process, gaps),
            *_lock_stat_notes(raw),
            *_log_notes(raw),
            *_read(raw / layout.CAPTURE_NOTES).splitlines(),
        ),
    )


def _frame_notes(framestats: str, process: str, gaps: pd.DataFrame | None) -> list[str]:
    """What to know of the source of frames: where its ring overran, and that an app may draw without it."""
    if gaps is not None and len(gaps):
        lost_ms = float((gaps["to_ns"] - gaps["from_ns"]).sum()) / 1e6
        return [
            (
                f"gfxinfo's ring of {RING_FRAMES} frames overran {len(gaps)} times between two polls ({lost_ms:.0f} ms): frames "
                "are missing, so what is counted is a lower bound"
            )
        ]
    drawn = parse_gfxinfo(framestats)
    mine = drawn[drawn["process"] == process] if process else drawn
    if not len(mine) or mine["frames"].sum():
        return []
    return [
        (
            f"{mine['process'].iloc[0]} drew no frame through HWUI (as a game or a video does): gfxinfo has 0 frames; "
            "SurfaceFlinger's FrameTimeline (Perfetto's android.surfaceflinger.frametimeline) would show them"
        )
    ]


def _lock_stat_notes(raw: Path) -> list[str]:
    text = _read(raw / "lock_stat.txt")
    fault = parse_lock_stat(text).fault if text else ""
    return [f"/proc/lock_stat is not to be trusted: {fault}"] if fault else []


def _log_notes(raw: Path) -> list[str]:
    """Where the log was cut: logcat ends with that line when logd's buffer overran it or logd was restarted."""
    if "Unexpected EOF" not in (text := _read(raw / "logcat.txt")):
        return []
    times = len(re.findall(r"^.*\bUnexpected EOF", text, re.MULTILINE))
    return [f"logcat broke off {times} time{'s' if times > 1 else ''} (Unexpected EOF): lines of the log are missing"]


def _write_log_tables(raw: Path, folder: Path) -> None:
    """What the log tells of collections, launches and monitors, beside the derived tables."""
    lines = parse_logcat(_read(raw / "logcat.txt"))
    for name, parse in (
        ("gc_log", parse_gc_lines),
        ("displayed", parse_displayed),
        ("monitor_contention", parse_monitor_contention),
    ):
        if len(found := parse(lines)):
            _write_parquet(found, folder / f"{name}.parquet")


def _read_trace(raw: Path, record: IterationRecord) -> Trace:
    capture = raw / layout.FTRACE
    if not any(capture.glob("cpu*.raw")):
        return _empty_trace(raw, "this iteration was not traced")
    try:
        return read_raw_capture(capture)
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


def _tgid_of(process: str, raw: Path) -> int | None:
    """The process the map snapshot is of: the newest of that name."""
    for line in _read(raw / layout.FTRACE / "processes.txt").splitlines():
        tgid, _, cmdline = line.partition(" ")
        if process and cmdline.split(" ")[0] == process and tgid.isdigit():
            return int(tgid)
    return None


def _read(file: Path) -> str:
    return file.read_bytes().decode(errors="replace") if file.is_file() else ""


def _lock_stat(raw: Path) -> tuple[LockClass, ...]:
    text = _read(raw / "lock_stat.txt")
    if not text:
        return ()
    stat = parse_lock_stat(text)
    if stat.fault:
        return ()
    classes = stat.classes
    # mmap_lock and the per-VMA locks are what this is about; of the others those that were fought for.
    named = classes["lock"].str.contains("mmap_lock|vm_lock|vma", regex=True)
    shown = classes[named | (classes["contentions"] > 0)].sort_values(
        ["wait_total_ns", "contentions"], ascending=False, kind="stable"
    )
    return tuple(
        LockClass(
            class_name=row["lock"] + {"read": " (read)", "write": " (write)"}.get(LOCK_MODES[row["mode"]], ""),
            **{name: int(row[name]) for name in ("contentions", "wait_total_ns", "wait_max_ns", "hold_total_ns")},
        )
        for row in shown.head(_MOST_CLASSES).to_dict("records")
    )


def _vmstat(raw: Path) -> dict[str, int]:
    before, after = _read(raw / "vmstat_before.txt"), _read(raw / "vmstat_after.txt")
    if not before or not after:
        return {}
    change = measure_vmstat_change(parse_vmstat(before), parse_vmstat(after))
    shown = change[change["name"].str.match(r"vma_lock_|pgfault$|pgmajfault$|pgfree$")]
    return {str(name): int(value) for name, value in zip(shown["name"], shown["value"], strict=True)}


def _write_parquet(frame: pd.DataFrame, path: Path) -> None:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False, compression="zstd")
    write_atomic(path, buffer.getvalue())
