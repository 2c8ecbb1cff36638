"""Finds the names and processes of the threads of a Perfetto trace, from its events and its process tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
import pandas as pd

from android_suite.tables import events
from android_suite.tables.events import MAX_TID
from android_suite.tables.schema import Table, make_frame
from android_suite.trace.catalogue import events_of
from android_suite.trace.perfetto.about import to_boottime
from android_suite.trace.perfetto.events import FtraceEvents
from android_suite.trace.perfetto.numbers import number_of, numbers_of
from android_suite.trace.perfetto.packets import Packets
from android_suite.trace.perfetto.scan import Array, expand_field, note_names, read_columns
from android_suite.trace.threads import make_threads, mark_seen, mark_threads

_Value = TypeVar("_Value")


class SchedThreads:
    """Collects, piece by piece, the threads in the events of a trace and the last name of each."""

    def __init__(self) -> None:
        # One entry per possible tid: pages of these arrays without threads take no memory.
        self.seen: Array = np.zeros(MAX_TID + 1, np.uint8)
        self._said: Array = np.zeros(MAX_TID + 1, np.int64)  # seq + 1 of the event that named it; 0: none
        self._start: Array = np.zeros(MAX_TID + 1, np.int64)
        self._end: Array = np.zeros(MAX_TID + 1, np.int64)

    def add(self, ftrace: FtraceEvents) -> None:
        """Adds a piece."""
        mark_seen(ftrace.tid, self.seen)
        for event in (*events_of(events.SCHED_SWITCH), *events_of(events.SCHED_WAKE)):
            pairs = [(event.columns[column].kernel[0], comm.kernel[0]) for column, comm in event.names]
            for rows, found, _ in ftrace.fields(event.bare_name, tuple(name for pair in pairs for name in pair)):
                for k in range(len(pairs)):
                    self._name(ftrace.seq[rows], found.number(2 * k), *found.span(2 * k + 1))
        for side, tid in ((ftrace.compact.switch, "next_tid"), (ftrace.compact.waking, "target_tid")):
            self._name(ftrace.seq[side["event"]], side[tid], side["comm_start"], side["comm_end"])

    def _name(self, seq: Array, tid: Array, start: Array, end: Array) -> None:
        note_names(seq, tid, start, end, self._said, self._start, self._end)

    def comms(self, buf: Array) -> dict[int, str]:
        """The last name of each thread in sched events."""
        tids = np.flatnonzero(self._said)
        spans = zip(tids.tolist(), self._start[tids].tolist(), self._end[tids].tolist(), strict=True)
        return {tid: _text(buf, start, end) for tid, start, end in spans}


def thread_tables(packets: Packets, sched: SchedThreads, tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables THREADS, THREAD_MOVES and THREAD_LISTS: names from sched events, then task events, then the process tree."""
    buf, task = packets.buf, tables[events.TASK.name]
    tgids: dict[int, int] = {}
    comms: dict[int, str] = {}
    processes: dict[int, str] = {}
    which, start, end = packets.of("process_tree")
    listed: list[tuple[int, int, int, str, str]] = []
    ts, known = to_boottime(packets, which)
    when = np.where(known & (packets.number("timestamp")[which] > 0), ts, -1)
    _read_processes(buf, start, end, when, tgids, processes, listed)
    moved: list[tuple[int, int, int, str]] = []
    _read_threads(buf, start, end, when, tgids, comms, moved, listed)
    mark_threads(tables, sched.seen)
    of_tasks = dict(zip(task["target_tid"].tolist(), task["comm"].tolist(), strict=True))
    threads = make_threads(
        seen=np.flatnonzero(sched.seen).tolist(), comms=(sched.comms(buf), _possible(of_tasks), _possible(comms)),
        tgids=_possible(tgids), task=task, processes=processes,
    )  # fmt: skip
    return {
        events.THREADS.name: threads,
        events.THREAD_MOVES.name: _frame(events.THREAD_MOVES, [m for m in moved if 0 < m[0] <= MAX_TID]),
        events.THREAD_LISTS.name: _frame(
            events.THREAD_LISTS, [row for row in listed if 0 < row[0] <= MAX_TID and 0 < row[2] <= MAX_TID]
        ),
    }


def _frame(table: Table, rows: Sequence[tuple[int | str, ...]]) -> pd.DataFrame:
    columns: Sequence[Sequence[int | str]] = [*zip(*rows, strict=True)] or [()] * len(table.columns)
    return make_frame(table, dict(zip(table.dtypes, map(list, columns), strict=True)))


def _possible(by_tid: Mapping[int, _Value]) -> dict[int, _Value]:
    """The entries with possible thread ids; a damaged packet may contain any number."""
    return {tid: value for tid, value in by_tid.items() if 0 <= tid <= MAX_TID}


def _read_processes(
    buf: Array,
    start: Array,
    end: Array,
    when: Array,
    tgid: dict[int, int],
    process: dict[int, str],
    listed: list[tuple[int, int, int, str, str]],
) -> None:
    """Takes the processes of every tree; ``when`` (ns) is the time of each tree, -1 where it has none."""
    tree, at, to = expand_field(buf, start, end, number_of("ProcessTree", "processes"))
    pids = read_columns(buf, at, to, numbers_of("ProcessTree.Process", "pid")).number(0).astype(np.int32).tolist()
    owner, word_at, word_to = expand_field(buf, at, to, number_of("ProcessTree.Process", "cmdline"))
    first = dict(zip(owner[::-1].tolist(), range(len(owner) - 1, -1, -1), strict=True))  # cmdline[0] of each process
    for i, (pid, ts) in enumerate(zip(pids, when[tree].tolist(), strict=True)):
        tgid[pid] = pid
        name = _text(buf, int(word_at[first[i]]), int(word_to[first[i]])) if i in first else ""
        if name:
            process[pid] = name
        if ts >= 0:
            listed.append((pid, ts, pid, "", name))


def _read_threads(
    buf: Array,
    start: Array,
    end: Array,
    when: Array,
    tgid: dict[int, int],
    comm: dict[int, str],
    moved: list[tuple[int, int, int, str]],
    listed: list[tuple[int, int, int, str, str]],
) -> None:
    """Takes the threads of every tree, see :func:`_read_processes`."""
    tree, at, to = expand_field(buf, start, end, number_of("ProcessTree", "threads"))
    found = read_columns(buf, at, to, numbers_of("ProcessTree.Thread", "tid", "tgid", "name"))
    spans = found.span(2)
    for tid, group, ts, a, b in zip(
        found.number(0).astype(np.int32).tolist(),
        found.number(1).astype(np.int32).tolist(),
        when[tree].tolist(),
        *(s.tolist() for s in spans),
        strict=True,
    ):
        name = _text(buf, a, b) if b > a else ""
        if group:
            if tgid.get(tid, group) != group:
                moved.append((tid, -1, tgid[tid], comm.get(tid, "")))
            tgid[tid] = group
        if name:
            comm[tid] = name
        if ts >= 0 and group:
            listed.append((tid, ts, group, name, ""))


def _text(buf: Array, start: int, end: int) -> str:
    return bytes(buf[start:end]).decode("utf-8", "replace")
