"""Events of a Perfetto trace to the declared tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from android_suite.model.syscalls import call_of_name
from android_suite.tables import events
from android_suite.tables.schema import Table
from android_suite.trace.core.calls import call_lookup
from android_suite.trace.core.growing import GrowingTable
from android_suite.trace.core.string_columns import string_column
from android_suite.trace.perfetto.events import FtraceEvents
from android_suite.trace.perfetto.scan import Array, Columns, read_call_args
from android_suite.trace.perfetto.symbols import KernelSymbols

PRINT, SCHED_SWITCH, SCHED_WAKEUP, BLOCKED, SCHED_WAKING, BINDER_SET_PRIORITY, TRACING_MARK = 3, 4, 17, 18, 20, 52, 80
SCHED_WAKEUP_NEW, NEWTASK, RENAME, EXEC, EXIT, FORK, SYS_ENTER, SYS_EXIT, PI_SETPRIO = (
    114,
    235,
    236,
    237,
    238,
    239,
    329,
    330,
    353,
)
_CLONE_THREAD = 0x10000
Part = dict[str, Any]  # columns of some rows of a table, and `event`: where they stand among all events
_STATE = {letter: index for index, letter in enumerate(events.TASK_STATES)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What decoding needs besides the events."""

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
    table = np.full(8192, _STATE["?"], np.int8)
    bits = np.arange(8192)
    for bit in sorted(letters, reverse=True):
        table[(bits & bit) != 0] = _STATE[letters[bit]]
    table[0] = _STATE["R"]
    for preempted in (1024, 2048, 4096) if old else (256,):
        table[preempted] = _STATE["R+"]
    return table


class PerfettoTables:
    """Takes the events of a trace piece by piece, gives every event table but threads, lost and frame_timeline."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._tables = {table.name: GrowingTable(table) for table, _ in _MAKERS}
        self._compact = False

    def add(self, ftrace: FtraceEvents) -> None:
        """Adds a piece, the next in time."""
        self._compact |= len(ftrace.compact.switch["event"]) > 0
        for table, maker in _MAKERS:
            parts = [part for part in maker(ftrace, self._context) if len(part["event"])]
            if parts:
                self._tables[table.name].extend(_assemble(table, ftrace, parts))

    def finish(self) -> dict[str, pd.DataFrame]:
        """The tables; nothing can be added after it."""
        tables = {name: self._tables.pop(name).finish() for name in list(self._tables)}
        switches, boosts = tables[events.SCHED_SWITCH.name], tables[events.PI_SETPRIO.name]
        if self._compact and len(boosts):
            tables[events.SCHED_SWITCH.name] = switches.assign(prev_prio=_follow_boosts(switches, boosts))
        return tables


def _follow_boosts(switches: pd.DataFrame, boosts: pd.DataFrame) -> Array:
    """Priority of who leaves: compact_sched tells that with which it came, which may have been changed since."""
    seq, prev, new = (switches[c].to_numpy() for c in ("seq", "prev_tid", "next_tid"))
    prio: Array = switches["prev_prio"].to_numpy(copy=True)
    target = boosts["target_tid"].to_numpy()
    left, came = (np.flatnonzero(np.isin(tids, target)) for tids in (prev, new))
    n = int(max(seq.max(initial=0), boosts["seq"].to_numpy().max())) + 1
    # One key for thread and time: the last of a thread before it left is the one before its key.
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


def _switches(ftrace: FtraceEvents, context: Context) -> list[Part]:
    state = state_lookup(context.kernel)
    rows = ftrace.rows(SCHED_SWITCH)
    typed = ftrace.columns(rows, (2, 3, 4, 6, 7))
    good = typed.good
    first = {
        "event": rows[good], "prev_tid": typed.number(0)[good], "prev_prio": typed.number(1)[good],
        "prev_state": state[typed.number(2)[good] & 8191], "next_tid": typed.number(3)[good],
        "next_prio": typed.number(4)[good],
    }  # fmt: skip
    switch = ftrace.compact.switch
    second = {key: switch[key] for key in ("event", "prev_tid", "prev_prio", "next_tid", "next_prio")}
    return [first, second | {"prev_state": state[switch["prev_state"] & 8191]}]


def _wakes(ftrace: FtraceEvents, context: Context) -> list[Part]:
    parts: list[Part] = []
    for kind, number in zip(events.WAKE_KINDS, (SCHED_WAKING, SCHED_WAKEUP, SCHED_WAKEUP_NEW), strict=True):
        rows = ftrace.rows(number)
        found = ftrace.columns(rows, (2, 3, 5))
        cpu = np.where(found.has(2), found.number(2), 0)
        part: Part = {
            "event": rows, "kind": np.full(len(rows), events.WAKE_KINDS.index(kind)), "target_tid": found.number(0),
            "target_prio": found.number(1), "target_cpu": cpu,
        }  # fmt: skip
        parts.append(_kept(part, found.good))
    waking = ftrace.compact.waking
    keys = ("event", "tid", "target_tid", "target_prio", "target_cpu")
    return [*parts, {k: waking[k] for k in keys} | {"kind": np.zeros(len(waking["event"]), np.int8)}]


def _kept(part: Part, good: Array) -> Part:
    return part if good.all() else {k: v[good] for k, v in part.items()}


def _flag(buf: Array, columns: Columns, k: int) -> Array:
    """A boolean that may be written as a number or as the words true and false."""
    start, end = columns.span(k)
    worded = end > start
    flag = columns.number(k) != 0
    if worded.any():
        flag = np.where(worded, np.isin(buf[np.minimum(start, len(buf) - 1)], (ord("t"), ord("1"), ord("Y"))), flag)
    return np.asarray(flag)


def _mmap_lock(ftrace: FtraceEvents, context: Context) -> list[Part]:
    parts: list[Part] = []
    for kind, name in enumerate(events.MMAP_LOCK_KINDS):
        rows, found = ftrace.named(name, ("mm", "write", "success"))
        part: Part = {
            "event": rows, "kind": np.full(len(rows), kind), "mm": found.value[:, 0].view(np.uint64),
            "write": _flag(ftrace.buf, found, 1),
            # proto3 leaves out a false flag in one encoding: absent is false where the kind has the field.
            "success": _flag(ftrace.buf, found, 2) if kind == 1 else np.ones(len(rows), np.bool_),
        }  # fmt: skip
        parts.append(_kept(part, found.good & found.has(0)))
    return parts


def _contention(ftrace: FtraceEvents, context: Context) -> list[Part]:
    parts: list[Part] = []
    for kind, name in enumerate(events.CONTENTION_KINDS):
        rows, found = ftrace.named(name, ("lock_addr", "flags", "ret"))
        part: Part = {
            "event": rows, "kind": np.full(len(rows), kind), "lock_addr": found.value[:, 0].view(np.uint64),
            "flags": found.number(1).astype(np.int32), "ret": found.number(2).astype(np.int32),
        }  # fmt: skip
        parts.append(_kept(part, found.good & found.has(0)))
    return parts


def _syscalls(ftrace: FtraceEvents, context: Context) -> list[Part]:
    lookup = call_lookup(context.machine)
    parts: list[Part] = []
    for kind, number in enumerate((SYS_ENTER, SYS_EXIT)):
        rows = ftrace.rows(number)
        found = ftrace.columns(rows, (1, 2))
        nr = found.number(0)
        args = np.zeros((len(rows), 6), np.uint64)
        if kind == 0:
            read_call_args(ftrace.buf, ftrace.start[rows], ftrace.end[rows], args)
        call = np.zeros(len(rows), np.int32)
        if lookup is not None:
            call = np.where((nr >= 0) & (nr < len(lookup)), lookup[np.clip(nr, 0, len(lookup) - 1)], 0)
        part: Part = {
            "event": rows, "kind": np.full(len(rows), kind), "call": call, "nr": nr.astype(np.int32),
            "ret": found.number(1) if kind else np.zeros(len(rows), np.int64),
        }  # fmt: skip
        parts.append(_kept(part | {f"arg{i}": args[:, i] for i in range(6)}, found.good))
    return parts + _named_syscalls(ftrace)


def _named_syscalls(ftrace: FtraceEvents) -> list[Part]:
    """syscalls:sys_enter_X and sys_exit_X, which come as generic events with the arguments under their own names."""
    parts: list[Part] = []
    for name in ftrace.generic:
        entered, left = name.startswith("sys_enter_"), name.startswith("sys_exit_")
        if not (entered or left):
            continue
        call = call_of_name(name.split("_", 2)[2])
        fields = ARGUMENTS.get(events.SYSCALLS[call], ()) if entered else ("ret",)
        rows, found = ftrace.named(name, fields or ("__syscall_nr",))
        part: Part = {
            "event": rows, "kind": np.full(len(rows), int(left)), "call": np.full(len(rows), call),
            "nr": np.full(len(rows), -1), "ret": found.value[:, 0] if left else np.zeros(len(rows), np.int64),
        }  # fmt: skip
        for i in range(6):
            values = found.value[:, i] if i < len(fields) and entered else np.zeros(len(rows), np.int64)
            part[f"arg{i}"] = values.astype(np.int64).view(np.uint64)
        parts.append(_kept(part, found.good))
    return parts


# Arguments in order, by the names the kernel gives them in its trace events.
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "madvise": ("start", "len_in", "behavior"),
    "process_madvise": ("pidfd", "vec", "vlen", "behavior", "flags"),
    "mmap": ("addr", "len", "prot", "flags", "fd", "off"),
    "munmap": ("addr", "len"),
    "mprotect": ("start", "len", "prot"),
    "mremap": ("addr", "old_len", "new_len", "flags", "new_addr"),
    "brk": ("brk",),
    "clone": ("clone_flags", "newsp", "parent_tidptr", "child_tidptr", "tls"),
    "futex": ("uaddr", "op", "val", "utime", "uaddr2", "val3"),
    "ioctl": ("fd", "cmd", "arg"),
    "prctl": ("option", "arg2", "arg3", "arg4", "arg5"),
    "userfaultfd": ("flags",),
    "exit": ("error_code",),
    "exit_group": ("error_code",),
}


def _markers(ftrace: FtraceEvents, context: Context) -> list[Part]:
    rows = ftrace.rows(PRINT)
    found = ftrace.columns(rows, (2,))
    start, end = found.span(0)
    newline = (
        (end > start) & (ftrace.buf[np.maximum(end - 1, 0)] == 10) if len(ftrace.buf) else np.zeros(len(rows), np.bool_)
    )
    printed = {"event": rows, "text": string_column(ftrace.buf, start, end - newline)}
    rows = ftrace.rows(TRACING_MARK)  # a vendor's own event: pid, name, begin
    marks = ftrace.columns(rows, (1, 2, 3))
    names = string_column(ftrace.buf, *marks.span(1))
    texts = [
        f"{'B' if begin else 'E'}|{pid}" + (f"|{name}" if begin else "")
        for pid, name, begin in zip(marks.number(0).tolist(), names, marks.number(2).tolist(), strict=True)
    ]
    return [printed, {"event": rows, "text": pd.Series(texts, dtype="str")}]


def _blocked(ftrace: FtraceEvents, context: Context) -> list[Part]:
    rows = ftrace.rows(BLOCKED)
    found = ftrace.columns(rows, (1, 2, 3))
    names, index = context.symbols.name_callers(ftrace.packet[rows], found.number(1).view(np.uint64))
    caller = pd.Series(np.array(names, dtype=object)[index] if names else [], dtype="str")
    part: Part = {
        "event": rows, "target_tid": found.number(0), "io_wait": found.number(2) != 0, "caller": caller,
    }  # fmt: skip
    return [_kept(part, found.good)]


def _setprio(ftrace: FtraceEvents, context: Context) -> list[Part]:
    parts = []
    for kind, numbers in ((PI_SETPRIO, (4, 3, 2)), (BINDER_SET_PRIORITY, (2, 3, 4))):
        rows = ftrace.rows(kind)
        found = ftrace.columns(rows, numbers)
        part: Part = {
            "event": rows, "target_tid": found.number(0), "old_prio": found.number(1).astype(np.int32),
            "new_prio": found.number(2).astype(np.int32),
        }  # fmt: skip
        parts.append(_kept(part, found.good))
    return parts


def _tasks(ftrace: FtraceEvents, context: Context) -> list[Part]:
    parts = []
    # kind of event: number, field of the thread, field of the comm, field of clone_flags (0: none)
    for what, number, tid_field, comm_field, flags_field in (
        ("fork", FORK, 4, 3, 0), ("exec", EXEC, 2, 1, 0), ("exit", EXIT, 2, 1, 0), ("rename", RENAME, 1, 3, 0),
        ("newtask", NEWTASK, 1, 2, 3),
    ):  # fmt: skip
        rows = ftrace.rows(number)
        found = ftrace.columns(rows, (tid_field, comm_field, flags_field or 31))
        comm = string_column(ftrace.buf, *found.span(1))
        if what == "exec":
            comm = comm.str.rsplit("/", n=1).str[-1].str[:15].astype("str")
        target = np.where(found.has(0), found.number(0), ftrace.tid[rows])
        part: Part = {
            "event": rows, "kind": np.full(len(rows), events.TASK_KINDS.index(what)), "target_tid": target,
            "thread_of_caller": (found.number(2) & _CLONE_THREAD) != 0, "comm": comm,
        }  # fmt: skip
        parts.append(_kept(part, found.good))
    return parts


def _page_faults(ftrace: FtraceEvents, context: Context) -> list[Part]:
    rows, found = ftrace.named("page_fault_user", ("address", "ip", "error_code"))
    names = ("address", "ip", "error_code")
    part: Part = {"event": rows} | {n: found.value[:, k].view(np.uint64) for k, n in enumerate(names)}
    return [_kept(part, found.good)]


_MAKERS: tuple[tuple[Table, Callable[[FtraceEvents, Context], list[Part]]], ...] = (
    (events.SCHED_SWITCH, _switches), (events.SCHED_WAKE, _wakes), (events.MMAP_LOCK, _mmap_lock),
    (events.CONTENTION, _contention), (events.SYSCALL, _syscalls), (events.MARKER, _markers),
    (events.BLOCKED_REASON, _blocked), (events.PI_SETPRIO, _setprio), (events.TASK, _tasks),
    (events.PAGE_FAULT, _page_faults),
)  # fmt: skip
