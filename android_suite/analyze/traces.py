"""The trace of one iteration of a run: raw pages of the ring buffer, Perfetto's file, or both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from android_suite.analysis.clocks import find_monotonic_offset, shift_times
from android_suite.store import layout
from android_suite.tables.events import FRAME_TIMELINE
from android_suite.tables.trace import Trace
from android_suite.trace.ring.capture_folder import read_raw_capture


def is_traced(raw: Path) -> bool:
    """Whether the raw folder of an iteration has a trace."""
    return _has_pages(raw) or (raw / layout.PERFETTO_TRACE).is_file()


def read_iteration_trace(raw: Path) -> Trace:
    """The trace. Where there are both, the pages have the kernel's events, and Perfetto has SurfaceFlinger's frames.

    Raises:
        UsageError: there is none.
        TraceError: it is damaged.
    """
    from android_suite.trace.perfetto.reader import read_perfetto  # it imports slowly, and most runs have none

    beside = raw / layout.PERFETTO_TRACE
    if not _has_pages(raw):
        return read_perfetto(beside)
    trace = read_raw_capture(raw / layout.FTRACE)
    return add_frames(trace, read_perfetto(beside)) if beside.is_file() else trace


def _has_pages(raw: Path) -> bool:
    return any((raw / layout.FTRACE).glob("cpu*.raw"))


def add_frames(trace: Trace, beside: Trace) -> Trace:
    """The trace with the frames of another one, on its own clock."""
    frames = beside[FRAME_TIMELINE.name]
    if not len(frames):
        return trace
    here, there = find_monotonic_offset(trace.source), find_monotonic_offset(beside.source)
    if here is None or there is None:
        note = f"SurfaceFlinger's frames were left out: the clocks {trace.source.clock} and {beside.source.clock} do not join"
        return replace(trace, source=replace(trace.source, notes=(*trace.source.notes, note)))
    return replace(trace, tables={**trace.tables, FRAME_TIMELINE.name: shift_times(frames, here - there)})
