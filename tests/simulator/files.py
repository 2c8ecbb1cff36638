"""Worlds through a file: written in the form of a recording, and read back as any user's trace is."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from android_suite.tables import events
from android_suite.tables.trace import Trace
from android_suite.trace.detect import open_trace
from tests.simulator.kernel_events import list_kernel_events
from tests.simulator.layout import Gap, Row, list_threads
from tests.simulator.pages import write_pages
from tests.simulator.perfetto import render_perfetto
from tests.simulator.recording import Recording
from tests.simulator.text import render_text, ticks_of
from tests.simulator.world import World


def read_through_file(
    worlds: Sequence[World], rows: Sequence[Row], gaps: Sequence[Gap], recording: Recording, *, lossy: bool
) -> Trace:
    """The trace as the reader gives it that the file's content asks for.

    Args:
        worlds: whose threads are named in the file.
        rows: what is recorded.
        gaps: where events of it are lost.
        recording: the form.
        lossy: whether a file that loses packets does.
    """
    threads = list_threads(worlds)
    comms = {0: "swapper/0", **dict(zip(threads["tid"], threads["comm"], strict=True))}
    ticks = ticks_of(recording) if recording.format == "text" else 1
    if ticks > 1:
        rows = [(ts * ticks, *rest) for ts, *rest in rows]
        gaps = [replace(g, from_ns=g.from_ns * ticks, to_ns=g.to_ns * ticks) for g in gaps]
    found = [*list_kernel_events(rows, comms, recording)]
    with tempfile.TemporaryDirectory(prefix="worlds-") as folder:
        place = Path(folder)
        if recording.format == "text":
            path = place / "trace"
            path.write_bytes(render_text(found, gaps, threads, recording))
        elif recording.format == "perfetto":
            path = place / "trace"
            path.write_bytes(render_perfetto(found, gaps, threads, recording, lossy=lossy))
        else:
            path = write_pages(place, found, gaps, threads, recording)
        trace = open_trace(path)
    return trace if ticks == 1 else _shrink(trace, ticks)


def _shrink(trace: Trace, ticks: int) -> Trace:
    """The trace with its times divided."""
    tables = dict(trace.tables)
    for table in events.EVENT_TABLES:
        times = [c.name for c in table.columns if c.unit == "ns" and len(tables[table.name])]
        if times:
            tables[table.name] = tables[table.name].assign(**{c: tables[table.name][c] // ticks for c in times})
    source = replace(trace.source, start_ns=trace.source.start_ns // ticks, end_ns=trace.source.end_ns // ticks)
    return replace(trace, source=source, tables=tables)
