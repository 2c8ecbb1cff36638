"""Scanned lines to the declared event tables: which parser a name goes to, and what a whole text says besides."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from android_suite.jit.workers import Workers
from android_suite.model.syscalls import call_of_name
from android_suite.tables import events
from android_suite.tables.events import MAX_TID
from android_suite.tables.schema import Table
from android_suite.trace.catalogue import CLONE_THREAD, COMM_BYTES, ENTERED, EVENTS, LEFT, RUNNING, Event, is_text
from android_suite.trace.core.byte_readers import find, pattern, read_hex, skip_spaces
from android_suite.trace.core.compiled import compiled
from android_suite.trace.core.growing import GrowingColumn, GrowingTable
from android_suite.trace.core.string_columns import string_column
from android_suite.trace.text import fields, sched_fields
from android_suite.trace.text.keyed import read_keyed
from android_suite.trace.text.line_parts import CONTEXT_SWITCH, DELIM_ENTER, DELIM_EXIT, FIRST_NAME, FUNCTION, WAKEUP
from android_suite.trace.text.lines import NAMES, Lines, ScanState

_HEAD = ("seq", "ts_ns", "cpu", "tid")
_ADDRESS_PREFIX = pattern(": ")
_MARK_PREFIX = pattern("tracing_mark_write: ")
_RAW_IP, _RAW_TEXT = pattern("ip="), pattern(" buf=")


@compiled
def _strip_marker_prefix(buf: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> None:
    """Drops what trace-cmd prints before the text: padding, then the caller as ``tracing_mark_write: ``, an address, or raw.

    Raw (``report -R``) is ``ip=0xffffffc008123456 buf=B|1|x``.
    """
    for i in range(len(starts)):
        at = skip_spaces(buf, starts[i], ends[i])
        if find(buf, at, min(ends[i], at + len(_RAW_IP)), _RAW_IP) >= 0:
            after = find(buf, at, min(ends[i], at + 128), _RAW_TEXT)
            if after >= 0:
                starts[i] = after
                continue
        after = find(buf, at, min(ends[i], at + 64), _MARK_PREFIX)
        if after == at + len(_MARK_PREFIX):
            starts[i] = after
            continue
        _, stop = read_hex(buf, at, ends[i])
        if stop > at + 7:
            if stop < ends[i] and buf[stop] == 115:  # "0xffff0000080feeb8s: text"
                stop += 1
            after = find(buf, stop, min(ends[i], stop + 2), _ADDRESS_PREFIX)
            if after == stop + 2:
                starts[i] = after


@dataclass(slots=True, kw_only=True)
class TextTables:
    """Grows the tables of one text, chunk by chunk, and keeps no text."""

    buf: np.ndarray
    state: ScanState = field(default_factory=ScanState)
    names: list[str] = field(default_factory=lambda: ["function", "(other)", "context_switch", "wakeup"])
    sched_comm_at: np.ndarray = field(default_factory=lambda: np.zeros(MAX_TID + 1, np.int64))
    sched_comm_size: np.ndarray = field(default_factory=lambda: np.zeros(MAX_TID + 1, np.int32))
    tables: dict[str, GrowingTable] = field(default_factory=dict)
    times: GrowingColumn = field(default_factory=lambda: GrowingColumn(np.int64))
    counts: dict[str, int] = field(default_factory=dict)
    malformed: dict[str, int] = field(default_factory=dict)
    unread: list[np.ndarray] = field(default_factory=list)  # their CPUs and times, int64 (n, 2)
    events: int = 0
    repeated: int = 0  # lines of the tracer itself that are in no table

    def begin(self, lines: Lines, workers: Workers) -> None:
        """Begins to add the events of one chunk, whose names are learnt; the next one may be scanned meanwhile."""
        tally = np.bincount(lines.name, minlength=len(self.names))
        for number in np.flatnonzero(tally):
            self.counts[self.names[number]] = self.counts.get(self.names[number], 0) + int(tally[number])
        groups = np.array([_group_of(name) for name in self.names], dtype=np.int8)
        for own, same in ((CONTEXT_SWITCH, {"sched_switch"}), (WAKEUP, set(events.WAKE_KINDS))):
            if same & self.counts.keys():  # the tracer's own lines repeat recorded events
                groups[own] = 0
                self.repeated += int(tally[own])
        codes, first = groups[lines.name], self.events
        self.events += len(lines.ts_ns)
        tasks = [partial(self._add, lines, codes, chosen, first) for chosen in _TASKS]
        workers.begin([*tasks, partial(self.times.extend, lines.ts_ns)])

    def _add(self, lines: Lines, codes: np.ndarray, chosen: Sequence[int], first: int) -> None:
        """Adds the events of some groups; ``first``: the row of the chunk's first event."""
        for code in chosen:
            table, parse = _GROUPS[code - 1]
            index = np.flatnonzero(codes == code)
            if len(index):
                picked = Lines(
                    ts_ns=lines.ts_ns[index], tid=lines.tid[index], cpu=lines.cpu[index], name=lines.name[index],
                    delim=lines.delim[index], start=lines.start[index], end=lines.end[index],
                )  # fmt: skip
                columns, good = parse(self, picked) if parse else ({}, np.ones(len(index), np.bool_))
                self._complete(table, picked, columns, good)
                head = {"seq": index + first, "ts_ns": picked.ts_ns, "cpu": picked.cpu}
                if "tid" in table.dtypes:
                    head["tid"] = picked.tid
                self._keep(table, {**head, **columns}, good, picked.name)

    def finish(self, table: Table, rank: np.ndarray | None) -> pd.DataFrame:
        """The whole table, sorted by seq; ``rank`` maps the position in the file to seq (None: the same)."""
        return self.tables.pop(table.name, GrowingTable(table)).finish(rank)

    def learn_names(self) -> None:
        """Takes over the names that the scan met for the first time."""
        for number in range(len(self.names), FIRST_NAME + int(self.state.counts[NAMES])):
            start, size = int(self.state.name_start[number]), int(self.state.name_size[number])
            self.names.append(self.buf[start : start + size].tobytes().decode("ascii", "replace"))

    def _complete(self, table: Table, lines: Lines, columns: dict[str, Any], good: np.ndarray) -> None:
        """Adds the columns that no parser of a special form has made: by the keys of the catalogue, or constant."""
        left = {name: dtype for name, dtype in table.dtypes.items() if name not in columns and name not in _HEAD}
        made = {
            name: np.full(len(good), "", object) if d == "str" else np.zeros(len(good), d) for name, d in left.items()
        }
        for number in np.unique(lines.name).tolist():
            event = _EVENT_OF_NAME.get(self.names[number])
            if event is None:
                continue  # a system call by name: its parser has said all
            at = np.flatnonzero(lines.name == number)
            wanted = [name for name in left if name in event.columns]
            if wanted:
                read, sound = read_keyed(self.buf, lines.start[at], lines.end[at], event, wanted)
                good[at] &= sound
                for name, values in read.items():
                    made[name][at] = values
            for name in left.keys() - event.columns.keys():
                if name in event.constants:
                    made[name][at] = event.constants[name]
        columns |= {n: pd.Series(v, dtype="str") if left[n] == "str" else v for n, v in made.items()}

    def _keep(self, table: Table, columns: dict[str, Any], good: np.ndarray, names: np.ndarray) -> None:
        if not good.all():
            bad, tally = np.unique(names[~good], return_counts=True)
            for number, count in zip(bad, tally, strict=True):
                name = self.names[number]
                self.malformed[name] = self.malformed.get(name, 0) + int(count)
            self.unread.append(np.column_stack([columns[name][~good].astype(np.int64) for name in ("cpu", "ts_ns")]))
            columns = {k: v[good] for k, v in columns.items()}
        self.tables.setdefault(table.name, GrowingTable(table)).extend(columns)


def _switch(tables: TextTables, lines: Lines) -> Parsed:
    out = sched_fields.parse_switch(tables.buf, lines.start, lines.end, tables.sched_comm_at, tables.sched_comm_size)
    names = ("prev_tid", "prev_prio", "prev_state", "next_tid", "next_prio")
    return dict(zip(names, out[:-1], strict=True)), out[-1]


def _wake(tables: TextTables, lines: Lines) -> Parsed:
    tid, prio, cpu, good = sched_fields.parse_wake(
        tables.buf, lines.start, lines.end, tables.sched_comm_at, tables.sched_comm_size
    )
    return {"target_tid": tid, "target_prio": prio, "target_cpu": cpu}, good


def _contention(tables: TextTables, lines: Lines) -> Parsed:
    addr, flags, ret, good = fields.parse_contention(tables.buf, lines.start, lines.end)
    return {"lock_addr": addr, "flags": flags, "ret": ret}, good


def _contended_release(tables: TextTables, lines: Lines) -> Parsed:
    addr, good = fields.parse_contended_release(tables.buf, lines.start, lines.end)
    return {"lock_addr": addr}, good


def _raw_syscall(tables: TextTables, lines: Lines) -> Parsed:
    is_exit = np.array([n == "sys_exit" for n in tables.names])[lines.name]
    nr, args, ret, good = fields.parse_raw_syscall(tables.buf, lines.start, lines.end, is_exit)
    return _syscall_columns(is_exit, np.zeros(len(nr), np.int32), nr, args, ret), good


def _named_syscall(tables: TextTables, lines: Lines) -> Parsed:
    exits = np.array([n.startswith(LEFT) for n in tables.names])[lines.name]
    is_exit = exits | (lines.delim == DELIM_EXIT)
    calls = np.array([_call_of(n) for n in tables.names], dtype=np.int32)[lines.name]
    args, ret, good = fields.parse_named_syscall(tables.buf, lines.start, lines.end, is_exit)
    # "sys_x: ..." is neither an entry nor an exit.
    prefixed = np.array([n.startswith((ENTERED, LEFT)) for n in tables.names])[lines.name]
    good &= prefixed | (lines.delim == DELIM_ENTER) | (lines.delim == DELIM_EXIT)
    return _syscall_columns(is_exit, calls, np.full(len(calls), -1, np.int32), args, ret), good


def _call_of(name: str) -> int:
    return call_of_name(name.removeprefix(ENTERED).removeprefix(LEFT).removeprefix("sys_"))


def _syscall_columns(
    is_exit: np.ndarray, call: np.ndarray, nr: np.ndarray, args: np.ndarray, ret: np.ndarray
) -> dict[str, Any]:
    columns: dict[str, Any] = {"kind": is_exit.astype(np.int8), "call": call, "nr": nr, "ret": ret}
    return columns | {f"arg{i}": np.ascontiguousarray(args[:, i]) for i in range(6)}


def _marker(tables: TextTables, lines: Lines) -> Parsed:
    starts = np.minimum(lines.start, lines.end)
    padded = np.array([n == "print" for n in tables.names])[lines.name]
    some = starts[padded]
    _strip_marker_prefix(tables.buf, some, lines.end[padded])
    starts[padded] = some
    return {"text": string_column(tables.buf, starts, lines.end)}, np.ones(len(starts), np.bool_)


def _task(tables: TextTables, lines: Lines) -> Parsed:
    """By the events' text forms: their keys stand among comms, and they are few."""
    start = np.minimum(lines.start, lines.end)
    # The kernel prints far less; longer lines are hostile and would keep the expressions busy.
    text = string_column(tables.buf, start, np.minimum(lines.end, start + 512)).str.strip()
    n = len(text)
    columns: dict[str, Any] = {
        name: np.full(n, "", object) if dtype == "str" else np.zeros(n, dtype)
        for name, dtype in events.TASK.dtypes.items()
        if name not in _HEAD
    }
    good = np.zeros(n, np.bool_)
    for number in np.unique(lines.name).tolist():
        event = _EVENT_OF_NAME[tables.names[number]]
        at = np.flatnonzero(lines.name == number)
        found = text.iloc[at].str.extract(_FORMS[event.name])
        good[at] = found["comm"].notna().to_numpy()
        columns["kind"][at] = event.kind
        for name, words in found.items():
            values, sound = _task_values(event, str(name), words, lines.tid[at])
            columns[str(name)][at] = values
            good[at] &= sound
    columns["comm"] = pd.Series(columns["comm"], dtype="str")
    return columns, good


def _task_values(event: Event, column: str, words: pd.Series, running: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A column's values from what its expression found, and which of them can be."""
    place, every = event.columns[column], np.ones(len(words), np.bool_)
    if place.change == "comm_of_path":
        words = words.str.rsplit("/", n=1).str[-1].str[:COMM_BYTES]
    if is_text(event.table, column):
        return words.fillna("").to_numpy(dtype=object), every
    if place.change == "shares_tgid":
        flags = [int(f, 16) if isinstance(f, str) and len(f) <= 16 else 0 for f in words]
        return (np.array(flags, dtype=np.uint64) & np.uint64(CLONE_THREAD)) != 0, every
    numbers = pd.to_numeric(words, errors="coerce").to_numpy(dtype=np.float64)
    lowest, largest = (0, MAX_TID) if column.endswith("tid") else (-(1 << 31), (1 << 31) - 1)
    missing = np.isnan(numbers)
    possible = (numbers >= lowest) & (numbers <= largest)
    otherwise = running if RUNNING in place.kernel else np.full(len(words), place.absent or 0)
    return np.where(possible, np.nan_to_num(numbers), otherwise).astype(np.int32), possible | missing


def _expression(event: Event) -> str:
    """The event's text form with an expression in place of each column."""

    def value(match: re.Match[str]) -> str:
        column = match[1]
        if is_text(event.table, column):
            return f"(?P<{column}>.*)"
        if event.columns[column].change == "shares_tgid":
            return rf"(?P<{column}>[0-9a-f]+)(?: \(-?[0-9]+\))?"
        return rf"(?:0x[0-9a-f]+ \()?(?P<{column}>-?[0-9]+)\)?"

    return re.sub(r"\{(\w+)\}", value, event.text_form)


Parsed = tuple[dict[str, Any], np.ndarray]  # columns, and which rows could be read
_Parser = Callable[[TextTables, Lines], Parsed]
# Forms of text that are more than keys and values. A column that a parser does not make is read by its key.
_PARSERS: dict[Table, _Parser] = {
    events.SCHED_SWITCH: _switch,
    events.SCHED_WAKE: _wake,
    events.CONTENTION: _contention,
    events.CONTENDED_RELEASE: _contended_release,
    events.SYSCALL: _raw_syscall,
    events.MARKER: _marker,
    events.TASK: _task,
}
_EVENT_OF_NAME: dict[str, Event] = {name: e for e in EVENTS for name in e.text_names or (e.bare_name,)}
_FORMS = {e.name: _expression(e) for e in EVENTS if e.text_form}
_GROUPS: tuple[tuple[Table, _Parser | None], ...] = (
    *((table, _PARSERS.get(table)) for table in dict.fromkeys(e.table for e in EVENTS)),
    (events.SYSCALL, _named_syscall),
)
_BY_TABLE = {t: [code for code, (other, _) in enumerate(_GROUPS, 1) if other is t] for t, _ in _GROUPS}
# What is done in one go: both kinds of scheduling events note names of threads, in this order.
_TASKS = (
    _BY_TABLE.pop(events.SCHED_SWITCH) + _BY_TABLE.pop(events.SCHED_WAKE), *_BY_TABLE.values()
)  # fmt: skip
_GROUP_OF_TABLE = {table.name: number for number, (table, _) in enumerate(_GROUPS[:-1], start=1)}


def _group_of(name: str) -> int:
    if name in _EVENT_OF_NAME:
        return _GROUP_OF_TABLE[_EVENT_OF_NAME[name].table.name]
    return len(_GROUPS) if name.startswith("sys_") else FUNCTION
