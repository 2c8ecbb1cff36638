"""Exports a run directory or a trace for other viewers: Perfetto, trace-cmd and KernelShark, plain text.

All targets are checked before any is written.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from android_suite.analysis.lives import split_lives
from android_suite.analysis.pipeline import analyze_trace
from android_suite.analyze import choose_iteration, read_evidence, require_process
from android_suite.analyze.traces import read_iteration_trace
from android_suite.errors import UsageError
from android_suite.model.run import IterationRecord
from android_suite.store import layout
from android_suite.store.run import Run, is_run, open_run
from android_suite.tables.events import MARKER, THREADS
from android_suite.tables.trace import Trace
from android_suite.trace.catalogue import names_of_event
from android_suite.trace.dat.reader import MAGIC, open_trace_dat
from android_suite.trace.dat.writer import write_trace_dat
from android_suite.trace.detect import find_capture, open_trace
from android_suite.trace.perfetto.write.writer import write_perfetto
from android_suite.trace.render.lines import render_text
from android_suite.trace.ring.capture_folder import open_raw_capture, read_raw_capture

PERFETTO, TRACE_DAT, TEXT = "--perfetto", "--trace-dat", "--text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written.

    Attributes:
        left_out: number of events by name that are not in the Perfetto file; the other files have every event.
    """

    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """What is exported: ``capture`` is its folder of raw pages, ``dat`` its trace.dat; other formats have neither.

    ``raw`` is the raw folder of an iteration of a run.
    """

    path: Path
    raw: Path | None = None
    run: Run | None = None
    record: IterationRecord | None = None
    capture: Path | None = None
    dat: Path | None = None

    def read(self) -> Trace:
        if self.raw is not None:
            return read_iteration_trace(self.raw)
        return read_raw_capture(self.capture) if self.capture else open_trace(self.path)


def export_trace(
    path: Path, targets: Mapping[str, Path], *, iteration: int | None = None, process: str | None = None
) -> Exported:
    """Writes the trace at ``path``.

    Args:
        path: a run directory or any trace.
        targets: the file to write by kind: PERFETTO (with the suite's own tracks), TRACE_DAT, TEXT (one line per event,
            as ``trace-cmd report`` prints it).
        iteration: which one, of a run with several traced iterations.
        process: the app's process, if it is not the run's.

    Raises:
        UsageError: there is no trace, there are several and none was chosen, or a target cannot be written from it.
        TraceError: the trace is damaged.
    """
    source = _find(path, iteration)
    _check(source, targets)
    trace = source.read() if {PERFETTO, TEXT} & targets.keys() else None
    exported = Exported()
    if PERFETTO in targets and trace is not None:
        exported = Exported(left_out=_write_perfetto(source, trace, targets[PERFETTO], process))
    if TRACE_DAT in targets and source.capture is not None:
        write_trace_dat(source.capture, targets[TRACE_DAT], trace=trace)
    if TEXT in targets and trace is not None:
        _write_text(source, trace, targets[TEXT])
    return exported


def _find(path: Path, iteration: int | None) -> _Source:
    if is_run(path):
        run = open_run(path)
        record = choose_iteration(run, iteration)
        raw = run.raw(record)
        pages = raw / layout.FTRACE
        return _Source(
            path=path, run=run, record=record, raw=raw, capture=pages if any(pages.glob("cpu*.raw")) else None
        )
    if path.is_dir() and next(path.glob("**/meta.json"), None) is not None:
        return _Source(path=path, capture=find_capture(path))
    try:
        with path.open("rb") as file:
            dat = path if file.read(len(MAGIC)) == MAGIC else None
    except OSError:
        dat = None  # the reader reports what is wrong with it
    return _Source(path=path, dat=dat)


def _check(source: _Source, targets: Mapping[str, Path]) -> None:
    """Refuses targets that cannot be written."""
    for option, target in targets.items():
        if not target.parent.is_dir():
            raise UsageError(f"there is no folder {target.parent} for {target.name}; create it or name another.")
        if target.exists() and source.path.exists() and target.samefile(source.path):
            raise UsageError(f"{option} {target} is the trace itself; name another file.")
    if len({target.absolute() for target in targets.values()}) < len(targets):
        raise UsageError(f"{' and '.join(targets)} name the same file; name one for each.")
    if TRACE_DAT in targets and source.capture is None:
        why = "it is one already" if source.dat else "a run directory is needed, with pages of the ring buffer"
        raise UsageError(f"no trace.dat can be made from {source.path}: {why}; omit {TRACE_DAT}.")
    if TEXT in targets and source.capture is None and source.dat is None:
        raise UsageError(
            f"{TEXT} needs a run directory or a trace.dat (unpacked), which have the kernel's print formats; "
            f"{source.path} is neither. Omit {TEXT}."
        )


def _write_perfetto(source: _Source, trace: Trace, target: Path, process: str | None) -> dict[str, int]:
    """Writes the file; returns the number of events that it lacks, by name."""
    if source.run is not None and source.record is not None:
        evidence = read_evidence(source.run, source.record)
        analysis = analyze_trace(trace, process=process or source.record.process or None, evidence=evidence)
    else:
        analysis = analyze_trace(trace, process=process)
    require_process(analysis, source.path, process)
    # The processes as the analysis found them, because many traces do not record them.
    threads = analysis["thread_roles"][list(THREADS.dtypes)]
    # Threads that shared an id keep their own names; the text of markers stays as it was written.
    tables = {**split_lives(trace)[0].tables, MARKER.name: trace[MARKER.name], THREADS.name: threads}
    write_perfetto(replace(trace, tables=tables), analysis.tables, target)
    known = names_of_event()
    return {
        name: count
        for name, count in trace.source.event_counts.items()
        if count and (bare := name.rpartition(":")[2]) not in known and not bare.startswith(("sys_enter_", "sys_exit_"))
    }


def _write_text(source: _Source, trace: Trace, target: Path) -> None:
    """Writes one line per event; the file appears only when it is complete."""
    if source.capture is not None:
        opened = open_raw_capture(source.capture)
    else:
        assert source.dat is not None  # checked before
        opened = open_trace_dat(source.dat)
    apart, lives = split_lives(trace)
    threads = apart[THREADS.name]
    comms = dict(zip(threads["tid"].tolist(), threads["comm"].tolist(), strict=True))
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with unfinished.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as stream:
            stream.write(f"cpus={trace.source.cpus}\n")
            stream.writelines(f"{line}\n" for line in render_text(opened, comms, tell_apart=lives.place))
        unfinished.replace(target)
    except OSError as error:
        raise UsageError(f"{target} cannot be written ({error.strerror}); choose another place with {TEXT}.") from error
    finally:
        unfinished.unlink(missing_ok=True)
