"""Builds the declared tables from the events of a Perfetto trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from android_suite.tables import events
from android_suite.tables.schema import Table
from android_suite.trace.catalogue import CLONE_THREAD, COMM_BYTES, EVENTS, RUNNING, Event, events_of, named_syscall
from android_suite.trace.core.calls import call_lookup
from android_suite.trace.core.growing import GrowingTable
from android_suite.trace.core.string_columns import string_column
from android_suite.trace.perfetto.events import FtraceEvents
from android_suite.trace.perfetto.numbers import message_of_event, number_of
from android_suite.trace.perfetto.scan import Array, Columns, read_elements
from android_suite.trace.perfetto.symbols import KernelSymbols

_STATE_BITS = 8191  # of prev_state
_HEAD = ("seq", "ts_ns", "cpu", "tid")
Part = dict[str, Any]  # columns of some rows of a table, and `event`, their positions among all events
_STATE = {letter: index for index, letter in enumerate(events.TASK_STATES)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Facts that decoding needs besides the events."""

    machine: str | None
    kernel: str | None
    symbols: KernelSymbols


def state_lookup(kernel: str | None) -> Array:
    """Index into TASK_STATES by the low 13 bits of prev_state, as kernels since 4.14 write it; older ones differ in part."""
    numbers = (kernel or "").split("-", 1)[0].split(".")
    old = (
        len(numbers) >= 2
        and numbers[0].isdigit()
        and numbers[1].isdigit()
        and (int(numbers[0]), int(numbers[1])) < (4, 14)
    )
    letters = {1: "S", 2: "D", 4: "T", 8: "t"} | ({} if old else {16: "X", 32: "Z", 64: "P", 128: "I"})
    table = np.full(_STATE_BITS + 1, _STATE["?"], np.int8)
    bits = np.arange(_STATE_BITS + 1)
    for bit in sorted(letters, reverse=True):
        table[(bits & bit) != 0] = _STATE[letters[bit]]
    table[0] = _STATE["R"]
    for preempted in (1024, 2048, 4096) if old else (256,):
        table[preempted] = _STATE["R+"]
    return table


class PerfettoTables:
    """Builds every event table but threads, lost and frame_timeline from the events of a trace, piece by piece."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._tables = {table.name: GrowingTable(table) for table in _SOURCES}
        self._compact = False

    def add(self, ftrace: FtraceEvents) -> None:
        """Adds a piece, which must follow the last one in time."""
        self._compact |= len(ftrace.compact.switch["event"]) > 0
        for table, more in _SOURCES.items():
            parts = [part for event in events_of(table) for part in read_event(event, ftrace, self._context)]
            parts = [part for part in (*parts, *more(ftrace, self._context)) if len(part["event"])]
            if parts:
                self._tables[table.name].extend(_assemble(table, ftrace, parts))

    def finish(self) -> dict[str, pd.DataFrame]:
        """The tables; nothing can be added afterwards."""
        tables = {name: self._tables.pop(name).finish() for name in list(self._tables)}
        switches, boosts = tables[events.SCHED_SWITCH.name], tables[events.PI_SETPRIO.name]
        if self._compact and len(boosts):
            tables[events.SCHED_SWITCH.name] = switches.assign(prev_prio=_follow_boosts(switches, boosts))
        return tables


def _follow_boosts(switches: pd.DataFrame, boosts: pd.DataFrame) -> Array:
    """Priority of the thread that leaves: compact_sched has the one with which it came, which may have changed since."""
    seq, prev, new = (switches[c].to_numpy() for c in ("seq", "prev_tid", "next_tid"))
    prio: Array = switches["prev_prio"].to_numpy(copy=True)
    target = boosts["target_tid"].to_numpy()
    left, came = (np.flatnonzero(np.isin(tids, target)) for tids in (prev, new))
    n = int(max(seq.max(initial=0), boosts["seq"].to_numpy().max())) + 1
    # One key for thread and time, so that a thread's last change before it left is the key just before its own.
    changed = target.astype(np.int64) * n + boosts["seq"].to_numpy()
    order = np.argsort(changed)
    arrived = np.sort(new[came].astype(np.int64) * n + seq[came])
    leaving = prev[left].astype(np.int64) * n + seq[left]
    at, since = (np.searchsorted(keys, leaving) - 1 for keys in (changed[order], arrived))
    last = np.where(at >= 0, changed[order][np.maximum(at, 0)], -1)
    came_at = np.where(since >= 0, arrived[np.maximum(since, 0)], -1) if len(arrived) else np.full(len(at), -1)
    boosted = (last > came_at) & (last // n == leaving // n)
    prio[left[boosted]] = boosts["new_prio"].to_numpy()[order][at[boosted]]
    return prio


def _assemble(table: Table, ftrace: FtraceEvents, parts: list[Part]) -> Part:
    """Joins the parts of a table, each with its ``event`` positions, in time order."""
    event = np.concatenate([part["event"] for part in parts])
    order = np.argsort(ftrace.seq[event], kind="stable")
    event = event[order]
    columns: Part = {"seq": ftrace.seq[event], "ts_ns": ftrace.ts_ns[event], "cpu": ftrace.cpu[event]}
    for column in table.columns:
        if column.name in columns:
            continue
        pieces = [part[column.name] if column.name in part else ftrace.tid[np.asarray(part["event"])] for part in parts]
        if column.dtype == "str":
            joined = pd.concat(
                [p if isinstance(p, pd.Series) else pd.Series(p, dtype="str") for p in pieces], ignore_index=True
            )
            columns[column.name] = joined.iloc[order]
        else:
            columns[column.name] = np.concatenate(pieces)[order].astype(column.dtype)
    return columns


def read_event(event: Event, ftrace: FtraceEvents, context: Context) -> list[Part]:
    """The rows of one kind of event, in each of its encodings in the trace; damaged events are left out."""
    wanted = tuple(dict.fromkeys(name for place in event.columns.values() for name in place.kernel if name != RUNNING))
    parts = []
    for rows, found, there in ftrace.fields(event.bare_name, wanted):
        part, good = _constants(event, rows), found.good
        for column, place in event.columns.items():
            name = next((name for name in place.kernel if name in there and name in wanted), None)
            if name is not None:
                k = wanted.index(name)
                part[column] = _read_column(event, column, ftrace, rows, found, k, context)
                good = good & found.has(k) if place.never_zero else good
            elif RUNNING in place.kernel:
                part[column] = ftrace.tid[rows]
        part |= _read_arrays(event, ftrace, rows)
        parts.append(part if good.all() else {name: values[good] for name, values in part.items()})
    return parts


def _constants(event: Event, rows: Array) -> Part:
    """Every column but the common ones, with the event's constant value or the value for an absent field."""
    part: Part = {"event": rows}
    for name, dtype in event.table.dtypes.items():
        if name in _HEAD:
            continue
        place = event.columns.get(name)
        if dtype == "str":
            part[name] = pd.Series([""] * len(rows), dtype="str")
        else:
            part[name] = np.full(len(rows), event.constants.get(name, (place and place.absent) or 0), dtype)
    return part


def _read_column(
    event: Event, column: str, ftrace: FtraceEvents, rows: Array, found: Columns, k: int, context: Context
) -> Any:
    """A column from field ``k``; absent values are 0, as in protobuf."""
    place, dtype = event.columns[column], event.table.dtypes[column]
    match place.change:
        case "state":
            return state_lookup(context.kernel)[found.number(k) & _STATE_BITS]
        case "call":
            return _name_calls(found.number(k), call_lookup(context.machine))
        case "shares_tgid":
            return (found.number(k) & CLONE_THREAD) != 0
        case "symbol":
            names, index = context.symbols.name_callers(ftrace.packet[rows], found.number(k).view(np.uint64))
            return pd.Series(np.array(names, dtype=object)[index] if names else [], dtype="str")
        case "line":
            start, end = found.span(k)
            if len(ftrace.buf):
                end = end - ((end > start) & (ftrace.buf[np.maximum(end - 1, 0)] == ord("\n")))
            return string_column(ftrace.buf, start, end)
        case "comm_of_path":
            paths = string_column(ftrace.buf, *found.span(k))
            return paths.str.rsplit("/", n=1).str[-1].str[:COMM_BYTES].astype("str")
    if dtype == "str":
        return string_column(ftrace.buf, *found.span(k))
    if dtype == "bool":
        return _flag(ftrace.buf, found, k)
    if dtype == "uint64":
        return found.number(k).view(np.uint64)
    if RUNNING in place.kernel:
        return np.where(found.has(k), found.number(k), ftrace.tid[rows])
    return found.number(k)


def _flag(buf: Array, columns: Columns, k: int) -> Array:
    """A boolean field, which may be written as a number or as the words true and false."""
    start, end = columns.span(k)
    worded = end > start
    flag = columns.number(k) != 0
    if worded.any():
        flag = np.where(worded, np.isin(buf[np.minimum(start, len(buf) - 1)], (ord("t"), ord("1"), ord("Y"))), flag)
    return np.asarray(flag)


def _name_calls(nr: Array, lookup: Array | None) -> Array:
    if lookup is None:
        return np.zeros(len(nr), np.int32)
    return np.where((nr >= 0) & (nr < len(lookup)), lookup[np.clip(nr, 0, len(lookup) - 1)], 0)


def _read_arrays(event: Event, ftrace: FtraceEvents, rows: Array) -> Part:
    message = message_of_event(event.bare_name)
    part: Part = {}
    for array, prefix in event.arrays.items():
        columns = [name for name in event.table.dtypes if name.startswith(prefix)]
        values = np.zeros((len(rows), len(columns)), np.uint64)
        if message is not None:
            read_elements(ftrace.buf, ftrace.start[rows], ftrace.end[rows], number_of(message, array), values)
        part |= {name: values[:, i] for i, name in enumerate(columns)}
    return part


def _compact_switches(ftrace: FtraceEvents, context: Context) -> list[Part]:
    switch = ftrace.compact.switch
    (event,) = events_of(events.SCHED_SWITCH)
    state = state_lookup(context.kernel)[switch["prev_state"] & _STATE_BITS]
    told = {name: switch[name] for name in ("prev_tid", "prev_prio", "next_tid", "next_prio")}
    return [_constants(event, switch["event"]) | told | {"prev_state": state}]


def _compact_wakings(ftrace: FtraceEvents, context: Context) -> list[Part]:
    waking = ftrace.compact.waking
    event = next(e for e in events_of(events.SCHED_WAKE) if e.bare_name == "sched_waking")
    told = {name: waking[name] for name in ("tid", "target_tid", "target_prio", "target_cpu")}
    return [_constants(event, waking["event"]) | told]


def _named_syscalls(ftrace: FtraceEvents, context: Context) -> list[Part]:
    """Rows of syscalls:sys_enter_X and sys_exit_X: generic events with the arguments under their own names."""
    known = (event for name in ftrace.generic if (event := named_syscall(name)) is not None)
    return [part for event in known for part in read_event(event, ftrace, context)]


def _vendor_marks(ftrace: FtraceEvents, context: Context) -> list[Part]:
    """Rows of a vendor's tracing_mark_write event, which has the parts of a marker as fields."""
    parts = []
    for rows, marks, _ in ftrace.fields("tracing_mark_write", ("pid", "trace_name", "trace_begin")):
        names = string_column(ftrace.buf, *marks.span(1))
        texts = [
            f"{'B' if begin else 'E'}|{pid}" + (f"|{name}" if begin else "")
            for pid, name, begin in zip(marks.number(0).tolist(), names, marks.number(2).tolist(), strict=True)
        ]
        parts.append({"event": rows, "text": pd.Series(texts, dtype="str")})
    return parts


def _nothing_more(ftrace: FtraceEvents, context: Context) -> list[Part]:
    return []


# Every table of events, and the function that adds rows beyond those of the catalogue's events.
_SOURCES: Mapping[Table, Callable[[FtraceEvents, Context], list[Part]]] = {
    **dict.fromkeys((event.table for event in EVENTS), _nothing_more),
    events.SCHED_SWITCH: _compact_switches,
    events.SCHED_WAKE: _compact_wakings,
    events.SYSCALL: _named_syscalls,
    events.MARKER: _vendor_marks,
}
