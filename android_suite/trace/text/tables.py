"""Scanned lines to the declared event tables: which parser a name goes to, and what a whole text says besides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from android_suite.model.syscalls import call_of_name
from android_suite.tables import events
from android_suite.tables.schema import Table
from android_suite.trace.core.byte_readers import find, pattern, read_hex, read_int, skip_spaces
from android_suite.trace.core.compiled import compiled
from android_suite.trace.core.growing import GrowingColumn, GrowingTable
from android_suite.trace.core.string_columns import string_column
from android_suite.trace.text import fields, sched_fields
from android_suite.trace.text.lines import (
    CONTEXT_SWITCH,
    DELIM_ENTER,
    DELIM_EXIT,
    FIRST_NAME,
    FUNCTION,
    MAX_TID,
    NAMES,
    WAKEUP,
    Lines,
    ScanState,
)

_MARKERS = ("tracing_mark_write", "print", "0")  # "0": what kernels of 2012 printed for it
_TASKS = {
    "sched_process_fork": ("fork", r"comm=(?P<c>.*) pid=(?P<p>\d+) child_comm=(?P<comm>.*) child_pid=(?P<tid>\d+)"),
    "sched_process_exec": ("exec", r"filename=(?:.*/)?(?P<comm>\S{0,15}).* pid=(?P<tid>\d+) old_pid="),
    "sched_process_exit": ("exit", r"comm=(?P<comm>.*) pid=(?P<tid>\d+) prio="),
    "task_rename": ("rename", r"(?:pid=(?P<tid>\d+) )?oldcomm=.* newcomm=(?P<comm>.*) oom_score_adj="),
    "task_newtask": ("newtask", r"pid=(?P<tid>\d+) comm=(?P<comm>.*) clone_flags=(?:0x)?(?P<flags>[0-9a-f]+) oom_score_adj="),
}  # fmt: skip
_CLONE_THREAD = 0x10000
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


@compiled
def _note_marker_tgid(
    buf: np.ndarray, starts: np.ndarray, ends: np.ndarray, tids: np.ndarray, tgids: np.ndarray
) -> None:
    """``B|PID|...``, ``S|PID|...``: atrace writes the writer's own process."""
    for i in range(len(starts)):
        at = starts[i]
        if ends[i] - at > 2 and (buf[at] == 66 or buf[at] == 83) and buf[at + 1] == 124 and tgids[tids[i]] == 0:
            pid, stop = read_int(buf, at + 2, ends[i])
            if stop > at + 2 and stop < ends[i] and buf[stop] == 124 and 0 < pid <= MAX_TID:
                tgids[tids[i]] = pid + 1


@dataclass(slots=True, kw_only=True)
class TextTables:
    """Grows the tables of one text, chunk by chunk, and keeps no text."""

    buf: np.ndarray
    state: ScanState = field(default_factory=ScanState)
    names: list[str] = field(default_factory=lambda: ["function", "(other)", "context_switch", "wakeup"])
    sched_comm_at: np.ndarray = field(default_factory=lambda: np.zeros(MAX_TID + 1, np.int64))
    sched_comm_size: np.ndarray = field(default_factory=lambda: np.zeros(MAX_TID + 1, np.int32))
    marker_tgid: np.ndarray = field(default_factory=lambda: np.zeros(MAX_TID + 1, np.int32))
    tables: dict[str, GrowingTable] = field(default_factory=dict)
    times: GrowingColumn = field(default_factory=lambda: GrowingColumn(np.int64))
    counts: dict[str, int] = field(default_factory=dict)
    malformed: dict[str, int] = field(default_factory=dict)
    events: int = 0

    def add(self, lines: Lines) -> None:
        """Adds the events of one chunk."""
        self.learn_names()
        n = len(lines.ts_ns)
        tally = np.bincount(lines.name, minlength=len(self.names))
        for number in np.flatnonzero(tally):
            self.counts[self.names[number]] = self.counts.get(self.names[number], 0) + int(tally[number])
        groups = np.array([_group_of(name) for name in self.names], dtype=np.int8)
        if "sched_switch" in self.counts:  # the tracer's own lines say the same once more
            groups[CONTEXT_SWITCH] = groups[WAKEUP] = 0
        codes = groups[lines.name]
        row = np.arange(self.events, self.events + n, dtype=np.int64)
        for code, (table, add) in enumerate(_GROUPS, start=1):
            index = np.flatnonzero(codes == code)
            if len(index):
                picked = Lines(
                    ts_ns=lines.ts_ns[index], tid=lines.tid[index], cpu=lines.cpu[index], name=lines.name[index],
                    delim=lines.delim[index], start=lines.start[index], end=lines.end[index],
                )  # fmt: skip
                columns, good = add(self, picked)
                head = {"seq": row[index], "ts_ns": picked.ts_ns, "cpu": picked.cpu}
                if "tid" in table.dtypes:
                    head["tid"] = picked.tid
                self._keep(table, {**head, **columns}, good, picked.name)
        self.times.extend(lines.ts_ns)
        self.events += n

    def finish(self, table: Table, rank: np.ndarray | None) -> pd.DataFrame:
        """The whole table, sorted by seq; ``rank`` maps the position in the file to seq (None: the same)."""
        return self.tables.pop(table.name, GrowingTable(table)).finish(rank)

    def learn_names(self) -> None:
        """Takes over the names that the scan met for the first time."""
        for number in range(len(self.names), FIRST_NAME + int(self.state.counts[NAMES])):
            start, size = int(self.state.name_start[number]), int(self.state.name_size[number])
            self.names.append(self.buf[start : start + size].tobytes().decode("ascii", "replace"))

    def _keep(self, table: Table, columns: dict[str, object], good: np.ndarray, names: np.ndarray) -> None:
        if not good.all():
            bad, tally = np.unique(names[~good], return_counts=True)
            for number, count in zip(bad, tally, strict=True):
                name = self.names[number]
                self.malformed[name] = self.malformed.get(name, 0) + int(count)
            columns = {k: v[good] for k, v in columns.items()}  # type: ignore[index]
        self.tables.setdefault(table.name, GrowingTable(table)).extend(columns)


def _kinds(builder: TextTables, lines: Lines, kinds: Sequence[str]) -> np.ndarray:
    table = np.array([kinds.index(n) if n in kinds else 0 for n in builder.names], dtype=np.int8)
    return np.asarray(table[lines.name])


def _switch(builder: TextTables, lines: Lines) -> tuple[dict[str, object], np.ndarray]:
    out = sched_fields.parse_switch(builder.buf, lines.start, lines.end, builder.sched_comm_at, builder.sched_comm_size)
    names = ("prev_tid", "prev_prio", "prev_state", "next_tid", "next_prio")
    return dict(zip(names, out[:-1], strict=True)), out[-1]


def _wake(builder: TextTables, lines: Lines) -> tuple[dict[str, object], np.ndarray]:
    tid, prio, cpu, good = sched_fields.parse_wake(
        builder.buf, lines.start, lines.end, builder.sched_comm_at, builder.sched_comm_size
    )
    kind = _kinds(builder, lines, events.WAKE_KINDS)
    kind[lines.name == WAKEUP] = events.WAKE_KINDS.index("sched_wakeup")
    return {"kind": kind, "target_tid": tid, "target_prio": prio, "target_cpu": cpu}, good


def _mmap_lock(builder: TextTables, lines: Lines) -> tuple[dict[str, object], np.ndarray]:
    mm, write, success, good = fields.parse_mmap_lock(builder.buf, lines.start, lines.end)
    return {"kind": _kinds(builder, lines, events.MMAP_LOCK_KINDS), "mm": mm, "write": write, "success": success}, good


def _contention(builder: TextTables, lines: Lines) -> tuple[dict[str, object], np.ndarray]:
    addr, flags, ret, good = fields.parse_contention(builder.buf, lines.start, lines.end)
    kind = _kinds(builder, lines, events.CONTENTION_KINDS)
    return {"kind": kind, "lock_addr": addr, "flags": flags, "ret": ret}, good


def _raw_syscall(builder: TextTables, lines: Lines) -> tuple[dict[str, object], np.ndarray]:
    is_exit = np.array([n == "sys_exit" for n in builder.names])[lines.name]
    nr, args, ret, good = fields.parse_raw_syscall(builder.buf, lines.start, lines.end, is_exit)
    return _syscall_columns(is_exit, np.zeros(len(nr), np.int32), nr, args, ret), good


def _named_syscall(builder: TextTables, lines: Lines) -> tuple[dict[str, object], np.ndarray]:
    exits = np.array([n.startswith("sys_exit_") for n in builder.names])[lines.name]
    is_exit = exits | (lines.delim == DELIM_EXIT)
    calls = np.array([_call_of(n) for n in builder.names], dtype=np.int32)[lines.name]
    args, ret, good = fields.parse_named_syscall(builder.buf, lines.start, lines.end, is_exit)
    # "sys_x: ..." is neither an entry nor an exit.
    prefixed = np.array([n.startswith(("sys_enter_", "sys_exit_")) for n in builder.names])[lines.name]
    good &= prefixed | (lines.delim == DELIM_ENTER) | (lines.delim == DELIM_EXIT)
    return _syscall_columns(is_exit, calls, np.full(len(calls), -1, np.int32), args, ret), good


def _marker(builder: TextTables, lines: Lines) -> tuple[dict[str, object], np.ndarray]:
    starts = np.minimum(lines.start, lines.end)
    padded = np.array([n == "print" for n in builder.names])[lines.name]
    some = starts[padded]
    _strip_marker_prefix(builder.buf, some, lines.end[padded])
    starts[padded] = some
    _note_marker_tgid(builder.buf, starts, lines.end, lines.tid, builder.marker_tgid)
    return {"text": string_column(builder.buf, starts, lines.end)}, np.ones(len(starts), np.bool_)


def _blocked(builder: TextTables, lines: Lines) -> tuple[dict[str, object], np.ndarray]:
    tid, io_wait, start, end, good = fields.parse_blocked(builder.buf, lines.start, lines.end)
    return {"target_tid": tid, "io_wait": io_wait, "caller": string_column(builder.buf, start, end)}, good


def _setprio(builder: TextTables, lines: Lines) -> tuple[dict[str, object], np.ndarray]:
    binder = np.array([n == "binder_set_priority" for n in builder.names])[lines.name]
    tid, old, new, good = sched_fields.parse_setprio(builder.buf, lines.start, lines.end, binder)
    return {"target_tid": tid, "old_prio": old, "new_prio": new}, good


def _page_fault(builder: TextTables, lines: Lines) -> tuple[dict[str, object], np.ndarray]:
    address, ip, code, good = fields.parse_page_fault(builder.buf, lines.start, lines.end)
    return {"address": address, "ip": ip, "error_code": code}, good


def _task(builder: TextTables, lines: Lines) -> tuple[dict[str, object], np.ndarray]:
    start = np.minimum(lines.start, lines.end)
    # The kernel prints far less; longer lines are hostile and would keep the expressions below busy.
    text = string_column(builder.buf, start, np.minimum(lines.end, start + 512)).str.strip()
    n = len(text)
    tid, comm = lines.tid.copy(), np.full(n, "", dtype=object)
    thread, good, kind = np.zeros(n, np.bool_), np.zeros(n, np.bool_), np.zeros(n, np.int8)
    for name, (what, form) in _TASKS.items():
        if name not in builder.names:
            continue
        at = np.flatnonzero(lines.name == builder.names.index(name))
        found = text.iloc[at].str.extract(form)
        kind[at] = events.TASK_KINDS.index(what)
        good[at] = found["comm"].notna().to_numpy()
        comm[at] = found["comm"].fillna("").to_numpy(dtype=object)
        numbers = pd.to_numeric(found["tid"], errors="coerce").to_numpy(dtype=np.float64)
        usable = (numbers >= 0) & (numbers <= MAX_TID)
        good[at] &= usable | np.isnan(numbers)
        tid[at[usable]] = numbers[usable].astype(np.int32)
        if what == "newtask":
            flags = [int(f, 16) if isinstance(f, str) and len(f) <= 16 else 0 for f in found["flags"]]
            thread[at] = (np.array(flags, dtype=np.uint64) & np.uint64(_CLONE_THREAD)) != 0
    return {"kind": kind, "target_tid": tid, "thread_of_caller": thread, "comm": pd.Series(comm, dtype="str")}, good


_Adder = Callable[[TextTables, Lines], tuple[dict[str, object], np.ndarray]]
_GROUPS: tuple[tuple[Table, _Adder], ...] = (
    (events.SCHED_SWITCH, _switch),
    (events.SCHED_WAKE, _wake),
    (events.MMAP_LOCK, _mmap_lock),
    (events.CONTENTION, _contention),
    (events.SYSCALL, _raw_syscall),
    (events.SYSCALL, _named_syscall),
    (events.MARKER, _marker),
    (events.BLOCKED_REASON, _blocked),
    (events.PI_SETPRIO, _setprio),
    (events.TASK, _task),
    (events.PAGE_FAULT, _page_fault),
)
_NAME_GROUP: dict[str, int] = {
    "sched_switch": 1, "context_switch": 1, "wakeup": 2, **dict.fromkeys(events.WAKE_KINDS, 2),
    **dict.fromkeys(events.MMAP_LOCK_KINDS, 3),
    **dict.fromkeys(events.CONTENTION_KINDS, 4), "sys_enter": 5, "sys_exit": 5, **dict.fromkeys(_MARKERS, 7),
    "sched_blocked_reason": 8, "sched_pi_setprio": 9, "binder_set_priority": 9, **dict.fromkeys(_TASKS, 10),
    "page_fault_user": 11,
}  # fmt: skip


def _group_of(name: str) -> int:
    if name in _NAME_GROUP:
        return _NAME_GROUP[name]
    return 6 if name.startswith("sys_") else FUNCTION


def _call_of(name: str) -> int:
    return call_of_name(name.removeprefix("sys_enter_").removeprefix("sys_exit_").removeprefix("sys_"))


def _syscall_columns(
    is_exit: np.ndarray, call: np.ndarray, nr: np.ndarray, args: np.ndarray, ret: np.ndarray
) -> dict[str, object]:
    columns: dict[str, object] = {"kind": is_exit.astype(np.int8), "call": call, "nr": nr, "ret": ret}
    return columns | {f"arg{i}": np.ascontiguousarray(args[:, i]) for i in range(6)}
