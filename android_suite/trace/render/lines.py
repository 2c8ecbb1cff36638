"""Prints binary traces as text, in the lines of ``trace-cmd report``.

Events are printed by their print formats; sched_switch and the wakeups in the short form of trace-cmd's plugin. Each
thread has one name in the whole trace. If the kernel gave one id to several threads, trace-cmd has one name for all of
them; here each can have its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from android_suite.trace.core.event_format import EventFormat
from android_suite.trace.render.event_text import Render, choose_render
from android_suite.trace.ring.batches import Batch, Gap, ScanSummary, iter_batches
from android_suite.trace.ring.ring_trace import RingBufferTrace
from android_suite.trace.ring.whole_events import decode_records

TellApart = Callable[[Any, Any], Any]

# Clocks whose times trace-cmd 3.1 prints as seconds; those of all others, such as boot, it prints as plain numbers.
_CLOCKS_IN_US = frozenset({"local", "global", "uptime", "perf", "mono", "mono_raw", "tai", "unknown"})


def render_text(
    opened: RingBufferTrace, comms: Mapping[int, str], *, plugins: bool = True, tell_apart: TellApart | None = None
) -> Iterator[str]:
    """Renders every event, oldest first, without the line of the number of CPUs.

    Args:
        opened: from ``open_trace_dat`` or ``open_raw_capture``.
        comms: name by thread id; ``<...>`` is printed for other threads.
        plugins: print sched events in the short form of trace-cmd's plugin instead of by their print formats.
        tell_apart: maps arrays of thread ids and of times (ns) to the ids that ``comms`` has; None: the same ids.

    Raises:
        TraceError: a page or record cannot be decoded.
    """
    renderer = _Renderer(opened, comms, plugins, tell_apart)
    summary = ScanSummary()
    for batch in iter_batches(opened.streams, opened.layout, renderer.dense, summary):
        for line in renderer.render(batch, summary.gaps):
            # An event with line breaks is several lines, as in the report.
            yield from line.split("\n")


class _Renderer:
    """Renders batches to lines, and keeps the prepared printer of each kind of event."""

    def __init__(
        self, opened: RingBufferTrace, comms: Mapping[int, str], plugins: bool, tell_apart: TellApart | None
    ) -> None:
        self._opened, self._comms, self._plugins, self._tell_apart = opened, comms, plugins, tell_apart
        self._forms = [f for f in opened.formats if f.id < 1 << 16]
        self.dense: Any = np.zeros(1 << 16, np.int32)
        for number, form in enumerate(self._forms, start=1):
            self.dense[form.id] = number
        self._renders: dict[int, Render] = {}
        self._in_us = opened.scaled or opened.clock in _CLOCKS_IN_US
        self._told: set[int] = set()  # indices of the gaps already printed

    def render(self, batch: Batch, gaps: list[Gap]) -> list[str]:
        """The lines of one batch. If events were lost before an event, its text has a further line."""
        lines: list[str] = [""] * batch.ts.size
        for kind in np.unique(batch.kind).tolist():
            rows = np.flatnonzero(batch.kind == kind)
            if kind == 0:
                for row in rows.tolist():
                    lines[row] = f"{self._head(batch, row, 0, 0)} [UNKNOWN EVENT]"
                continue
            if kind not in self._renders:
                self._renders[kind] = choose_render(self._forms[kind - 1], self._opened, plugins=self._plugins)
            self._render_kind(self._forms[kind - 1], batch, rows, self._renders[kind], lines)
        for number, gap in enumerate(gaps):
            if number not in self._told and gap.to_ns is not None:
                after = np.flatnonzero((batch.stream == gap.stream) & (batch.ts == gap.to_ns))
                if after.size:
                    self._told.add(number)
                    row = int(after[0])
                    count = f"{gap.events} " if gap.events >= 0 else ""
                    lines[row] = f"CPU:{int(batch.cpu[row])} [{count}EVENTS DROPPED]\n{lines[row]}"
        return lines

    def _render_kind(self, form: EventFormat, batch: Batch, rows: Any, render: Render, lines: list[str]) -> None:
        frame = decode_records(form, batch, rows, self._opened)
        title = f"{form.name}: " + " " * (20 - len(form.name))
        tids = frame["tid"].tolist()
        threads = (
            tids if self._tell_apart is None else self._tell_apart(frame["tid"].to_numpy(), batch.ts[rows]).tolist()
        )
        values = {f.name: _column(frame, f.name) for f in form.own_fields}
        for i, row in enumerate(rows.tolist()):
            record = {name: column[i] for name, column in values.items() if column}
            lines[row] = f"{self._head(batch, row, tids[i], threads[i])} {title}{render(record)}".rstrip("\n")

    def _head(self, batch: Batch, row: int, tid: int, thread: int) -> str:
        comm = "<idle>" if tid == 0 else self._comms.get(thread) or "<...>"
        ns = int(batch.ts[row])
        us = (ns + 500) // 1000
        time = f" {us // 1_000_000:5d}.{us % 1_000_000:06d}" if self._in_us else f"{ns:12d}"
        return f"{comm:>16}-{tid:<5d} [{int(batch.cpu[row]):03d}]{time}:"


def _column(frame: pd.DataFrame, name: str) -> list[Any]:
    """A field's values. Arrays of integers, which have one column per element, become tuples."""
    if name in frame:
        values: list[Any] = frame[name].tolist()
        return values
    elements: list[list[int]] = []
    while f"{name}{len(elements)}" in frame:
        elements.append(frame[f"{name}{len(elements)}"].tolist())
    return list(zip(*elements, strict=True))
