"""Binary traces as text, line by line as ``trace-cmd report`` prints them.

Events go by their own print formats; sched_switch and the wakeups are printed in the short form that trace-cmd's plugin has
for them. Threads have one name each over the whole trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from android_suite.trace.batches import Batch, ScanSummary, iter_batches
from android_suite.trace.bprint import render_bprint
from android_suite.trace.event_format import EventFormat
from android_suite.trace.print_fmt import Record, parse_print_fmt
from android_suite.trace.ring_buffer_trace import RingBufferTrace
from android_suite.trace.whole_events import decode_records

Render = Callable[[Record], str]

_PLUGIN_STATES = "SDTtZXxW"  # trace-cmd's plugin knows these bits only, whatever the kernel means by them


def render_text(opened: RingBufferTrace, comms: Mapping[int, str], *, plugins: bool = True) -> Iterator[str]:
    """Renders every event, oldest first, without the line of the number of CPUs.

    Args:
        opened: from ``open_trace_dat`` or ``open_raw_capture``.
        comms: thread id to name; ``<...>`` stands for a thread that is not there.
        plugins: short forms of the sched events as trace-cmd's plugin prints them; False: their print formats.

    Raises:
        TraceError: a page or record that cannot be decoded.
    """
    forms = [f for f in opened.formats if f.id < 1 << 16]
    dense = np.zeros(1 << 16, np.int32)
    for number, form in enumerate(forms, start=1):
        dense[form.id] = number
    renders: dict[int, Render] = {}
    for batch in iter_batches(opened.streams, opened.layout, dense, ScanSummary()):
        lines: list[str] = [""] * batch.ts.size
        for kind in np.unique(batch.kind).tolist():
            rows = np.flatnonzero(batch.kind == kind)
            if kind == 0:
                for row in rows.tolist():
                    lines[row] = f"{_head(batch, row, 0, comms)} [UNKNOWN EVENT]"
                continue
            form = forms[kind - 1]
            if kind not in renders:
                renders[kind] = _choose_render(form, opened, plugins)
            _render_kind(form, batch, rows, opened, comms, renders[kind], lines)
        for line in lines:
            # An event with line breaks inside is several lines, as it is in the report.
            yield from line.split("\n")


def _render_kind(
    form: EventFormat, batch: Batch, rows: Any, opened: RingBufferTrace, comms: Mapping[int, str], render: Render,
    lines: list[str],
) -> None:  # fmt: skip
    frame = decode_records(form, batch, rows, opened)
    title = f"{form.name}: " + " " * (20 - len(form.name))
    tids = frame["tid"].tolist()
    names = [f.name for f in form.own_fields]
    # An array of integers is one column an element: it becomes one tuple again.
    values = {
        name: frame[name].tolist() if name in frame else list(zip(*_element_columns(frame, name), strict=True))
        for name in names
    }
    for i, row in enumerate(rows.tolist()):
        record = {name: column[i] for name, column in values.items() if i < len(column)}
        lines[row] = f"{_head(batch, row, tids[i], comms)} {title}{render(record)}".rstrip("\n")


def _element_columns(frame: Any, name: str) -> list[list[int]]:
    found, i = [], 0
    while f"{name}{i}" in frame:
        found.append(frame[f"{name}{i}"].tolist())
        i += 1
    return found


def _head(batch: Batch, row: int, tid: int, comms: Mapping[int, str]) -> str:
    comm = "<idle>" if tid == 0 else comms.get(tid) or "<...>"
    us = (int(batch.ts[row]) + 500) // 1000
    return f"{comm:>16}-{tid:<5d} [{int(batch.cpu[row]):03d}] {us // 1_000_000:5d}.{us % 1_000_000:06d}:"


def _choose_render(form: EventFormat, opened: RingBufferTrace, plugins: bool) -> Render:
    if plugins and form.full_name == "sched:sched_switch":
        return _render_switch
    if plugins and form.full_name in ("sched:sched_wakeup", "sched:sched_wakeup_new"):
        return _render_wakeup
    if form.full_name == "ftrace:print":
        return lambda r: f"{_function(opened, r)}: {r.get('buf', '')}"
    if form.full_name in ("ftrace:bprint", "ftrace:bputs"):
        return lambda r: f"{_function(opened, r)}: {render_bprint(r, opened.printk, opened.layout)}"
    return parse_print_fmt(form.print_fmt) or _render_fields


def _function(opened: RingBufferTrace, record: Record) -> str:
    found = opened.symbols.find(int(record.get("ip", 0)))
    return found[0] if found else f"0x{int(record.get('ip', 0)):x}"


def _render_fields(record: Record) -> str:
    return " ".join(f"{name}={value}" for name, value in record.items())


def _render_switch(r: Record) -> str:
    state = "|".join(s for i, s in enumerate(_PLUGIN_STATES) if r["prev_state"] >> i & 1) or "R"
    return (
        f"{r['prev_comm']}:{r['prev_pid']} [{r['prev_prio']}] {state} ==> "
        f"{r['next_comm']}:{r['next_pid']} [{r['next_prio']}]"
    )


def _render_wakeup(r: Record) -> str:
    success = f" success={r['success']}" if "success" in r else ""
    return f"{r['comm']}:{r['pid']} [{r['prio']}]{success} CPU:{r['target_cpu']:03d}"
