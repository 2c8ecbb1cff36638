"""Finds the threads of a text trace: comms by trust, processes from a column, a dump or clone flags."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from android_suite.tables import events
from android_suite.tables.events import MAX_TID
from android_suite.tables.schema import make_frame
from android_suite.trace.text.lines import MOVED
from android_suite.trace.text.tables import TextTables
from android_suite.trace.threads import make_threads, mark_threads

_PROC_LINE = re.compile(rb"^/?proc/(\d{1,8})/task/(\d{1,8})\s*$", re.MULTILINE)


def apply_process_dump(dump: bytes, tgids: np.ndarray) -> dict[int, str]:
    """Reads a dump of processes into ``tgids`` (tgid + 1 by tid) for threads without one; returns names by tid.

    Supported forms: ``/proc/TGID/task/TID`` lines, and the tables of ``ps -A``, ``ps -T`` and ``ps -t`` with a header that
    begins with USER.
    """
    names: dict[int, str] = {}
    for match in _PROC_LINE.finditer(dump):
        _set_tgid(tgids, int(match[2]), int(match[1]))
    header: list[str] = []
    for line in dump.decode("utf-8", "replace").splitlines() if b"USER" in dump else ():
        words = line.split()
        if words[:1] == ["USER"]:
            header = words
            continue
        if not header or len(words) < len(header) - 1:
            continue
        row = dict(zip(header, words, strict=False))
        pid, tid = row.get("PID", ""), row.get("TID", row.get("PID", ""))
        if not (pid.isdecimal() and tid.isdecimal() and len(pid) < 9 and len(tid) < 9):
            continue
        _set_tgid(tgids, int(tid), int(pid))
        if "TID" not in header or tid == pid:
            names[int(pid)] = " ".join(words[len(header) - 1 :]) if header[-1] in ("NAME", "CMD") else words[-1]
    return names


def _set_tgid(tgids: np.ndarray, tid: int, tgid: int) -> None:
    if 0 < tid <= MAX_TID and 0 < tgid <= MAX_TID and tgids[tid] == 0:
        tgids[tid] = tgid + 1


def thread_table(builder: TextTables, tables: dict[str, pd.DataFrame], process_names: dict[int, str]) -> pd.DataFrame:
    """The ``threads`` table: every tid in the text."""
    state, task = builder.state, tables[events.TASK.name]
    mark_threads(tables, state.seen)
    tids = np.flatnonzero(state.seen)
    return make_threads(
        seen=tids.tolist(),
        comms=(
            _comms(builder, tids, builder.sched_comm_at, builder.sched_comm_size),
            _comms(builder, tids, state.comm_at, state.comm_size),
            dict(zip(task["target_tid"].tolist(), task["comm"].tolist(), strict=True)),
        ),
        tgids=_tgids(tids, state.tgid), task=task, processes=process_names,
    )  # fmt: skip


def move_table(builder: TextTables) -> pd.DataFrame:
    """The ``thread_moves`` table: changes of the process column for a thread id."""
    moves = builder.state.moves[: int(builder.state.counts[MOVED])]
    names = [_name(builder, int(at), int(size)) for at, size in moves[:, 3:].tolist()]
    return make_frame(
        events.THREAD_MOVES,
        {"tid": moves[:, 0], "ts_ns": moves[:, 1], "tgid": moves[:, 2], "comm": pd.Series(names, dtype="str")},
    )


def _name(builder: TextTables, at: int, size: int) -> str:
    """The name of ``size`` bytes that begins at ``at`` - 1; empty for the kernel's <...>."""
    name = builder.buf[at - 1 : at - 1 + size].tobytes().decode("utf-8", "replace") if at else ""
    return "" if name == "<...>" else name


def _tgids(tids: np.ndarray, plus_one: np.ndarray) -> dict[int, int]:
    known = tids[plus_one[tids] > 0]
    return dict(zip(known.tolist(), (plus_one[known] - 1).tolist(), strict=True))


def _comms(builder: TextTables, tids: np.ndarray, at: np.ndarray, size: np.ndarray) -> dict[int, str]:
    """Names by tid of the spans that begin at ``at`` - 1."""
    found = {}
    for tid in tids[at[tids] > 0].tolist():
        if name := _name(builder, int(at[tid]), int(size[tid])):
            found[tid] = name
    return found
