"""Gives each thread its own id where the kernel reused a thread id, before anything is measured.

The last thread of an id keeps it. The one before it becomes ``MAX_TID + tid``, the one before that ``2 * MAX_TID + tid``;
``tables.events.kernel_tid`` gives the kernel's id. What was read beside the trace (names, processes, frames, maps) is about
the thread that was alive at that time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from android_suite.tables import events
from android_suite.tables.events import MAX_TID, kernel_tid
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import Trace

Array = npt.NDArray[Any]

_WAKEUP_NEW = events.WAKE_KINDS.index("sched_wakeup_new")
_FORK, _EXEC, _EXIT, _, _NEWTASK = range(len(events.TASK_KINDS))
_DEAD = [events.TASK_STATES.index(letter) for letter in "XZx"]
# A thread that was preempted on its way out is seen dead, then leaves the CPU once more.
_STILL_DYING = [*_DEAD, events.TASK_STATES.index("R+")]
_RUN_COLUMNS = {
    "sched_switch": ("prev_tid", "next_tid"),
    **dict.fromkeys(
        (
            "mmap_lock",
            "syscall",
            "marker",
            "contention",
            "page_fault",
            "vma_start_write",
            "contended_release",
            "binder",
        ),
        ("tid",),
    ),
}
_TID_COLUMNS = ("tid", "prev_tid", "next_tid", "target_tid", "to_tid")
_MARKED = r"^[BCSFNI]\|(\d{1,9})\|"
_NONE: Array = np.empty(0, np.int64)
_NEVER, _ENDLESS = -(1 << 62), 1 << 62
_MOST = 100  # lives of one id; a damaged trace may claim any number


@dataclass(frozen=True, slots=True, kw_only=True)
class Lives:
    """``begins[tid]``: when each thread but the first of a reused id began (ns, ascending)."""

    begins: Mapping[int, Array] = field(default_factory=dict)

    @property
    def reused(self) -> list[int]:
        """The kernel's ids, ascending."""
        return sorted(self.begins)

    def ids_of(self, tid: int) -> list[int]:
        """The ids of all threads that had that id of the kernel's, the first one first."""
        return [tid + MAX_TID * k for k in range(len(self.begins.get(tid, ())), -1, -1)]

    def place(self, tid: Array, ts_ns: Array) -> Array:
        """The id of each thread at its time (int32); ``tid`` itself where the kernel did not reuse it."""
        out = tid.astype(np.int32, copy=True)
        for one, begins in self.begins.items():
            rows = np.flatnonzero(tid == one)
            out[rows] = one + MAX_TID * (len(begins) - np.searchsorted(begins, ts_ns[rows], side="right"))
        return out


def split_lives(trace: Trace) -> tuple[Trace, Lives]:
    """Gives threads that shared an id separate ids in every table.

    A new thread shows by its creation (fork, newtask, wakeup_new), by a run after the last switch of a dead thread, or
    by a change of the process that the trace names. A thread that calls ``exec`` takes over the id of the main thread;
    that is no new thread, because the process is the same.

    Returns:
        The trace, and when the threads of the reused ids began.
    """
    begins = _find_begins(trace)
    if not begins:
        return trace, Lives()
    lives = Lives(begins=begins)
    reused = lives.reused
    tables = dict(trace.tables)
    for table in events.EVENT_TABLES:
        columns = [name for name in _TID_COLUMNS if name in tables[table.name].columns and "ts_ns" in table.dtypes]
        frame = tables[table.name]
        if columns and len(frame) and any(frame[name].isin(reused).any() for name in columns):
            ts = frame["ts_ns"].to_numpy()
            tables[table.name] = frame.assign(**{name: lives.place(frame[name].to_numpy(), ts) for name in columns})
    tables["marker"] = _place_markers(tables["marker"], lives)
    shown = tables["frame_timeline"]
    if len(shown):
        placed = lives.place(shown["tgid"].to_numpy(), shown["actual_start_ns"].to_numpy())
        tables["frame_timeline"] = shown.assign(tgid=placed)
    tables["threads"] = _threads(trace, tables["task"], lives)
    return replace(trace, tables=tables), lives


def _find_begins(trace: Trace) -> dict[int, Array]:
    made, died, moved = _made(trace), _rise_again(trace), trace["thread_moves"]
    wanted = {*made["tid"].unique().tolist(), *died, *moved["tid"].unique().tolist()}
    if not wanted:
        return {}
    runs = _runs(trace, _numbered(wanted))
    found: dict[int, Array] = {}
    made_at, moved_at = _by_tid(made, "tid"), _by_tid(moved[moved["ts_ns"] >= 0], "tid")
    for tid in sorted(wanted & runs.keys()):
        own = runs[tid]
        begins: list[int] = []
        for ts in made_at.get(tid, _NONE).tolist():
            # fork, newtask and wakeup_new may report one creation: the thread does not run between them.
            if np.searchsorted(own, ts) > np.searchsorted(own, begins[-1] if begins else _NEVER):
                begins.append(ts)
        if not begins and tid in died:
            begins += [
                int(own[k]) for at in died[tid].tolist() if (k := np.searchsorted(own, at, side="right")) < len(own)
            ]
        if not begins:
            begins += [_switched_in(trace, tid, ts) for ts in moved_at.get(tid, _NONE).tolist()]
        if begins:
            found[tid] = np.unique(np.array(begins[-_MOST:], np.int64))
    return found


def _switched_in(trace: Trace, tid: int, ts_ns: int) -> int:
    """When the thread that ran at that time got its CPU (ns); that time if the trace does not show it."""
    switch = trace["sched_switch"]
    begun = switch.loc[(switch["next_tid"].to_numpy() == tid) & (switch["ts_ns"].to_numpy() <= ts_ns), "ts_ns"]
    left = switch.loc[(switch["prev_tid"].to_numpy() == tid) & (switch["ts_ns"].to_numpy() < ts_ns), "ts_ns"]
    return int(begun.max()) if len(begun) and (not len(left) or begun.max() >= left.max()) else ts_ns


def _made(trace: Trace) -> pd.DataFrame:
    """When threads were created (tid, ts_ns; ascending by time); one creation may give several rows."""
    task, wake = trace["task"], trace["sched_wake"]
    task = task[task["kind"].isin((_FORK, _NEWTASK))]
    wake = wake[wake["kind"].to_numpy() == _WAKEUP_NEW]
    both = [part[["target_tid", "ts_ns"]] for part in (task, wake)]
    rows: pd.DataFrame = pd.concat(both).rename(columns={"target_tid": "tid"}).sort_values("ts_ns", kind="stable")
    return rows[rows["tid"] > 0]


def _rise_again(trace: Trace) -> dict[int, Array]:
    """When threads died whose id ran again later (ns, by tid), unless an exec explains it."""
    switch = trace["sched_switch"]
    state = switch["prev_state"].to_numpy()
    dead = switch.loc[np.isin(state, _DEAD), ["prev_tid", "ts_ns"]]
    if not len(dead):
        return {}
    again = switch.loc[switch["prev_tid"].isin(dead["prev_tid"].unique()) & ~np.isin(state, _STILL_DYING)]
    task = trace["task"]
    execs = task[task["kind"].to_numpy() == _EXEC]
    taken = execs.groupby("target_tid")["ts_ns"].max()
    tid, ts = dead["prev_tid"], dead["ts_ns"].to_numpy()
    again_at = tid.map(again.groupby("prev_tid")["ts_ns"].max()).fillna(_NEVER).to_numpy()
    exec_at = tid.map(taken).fillna(_NEVER).to_numpy()
    return _by_tid(dead[(ts < again_at) & (exec_at <= ts) & (tid > 0).to_numpy()], "prev_tid")


def _by_tid(rows: pd.DataFrame, tid: str) -> dict[int, Array]:
    """``ts_ns`` of the rows by thread id."""
    groups = rows.groupby(tid)["ts_ns"].indices
    ts = rows["ts_ns"].to_numpy()
    return {int(str(one)): ts[at] for one, at in groups.items()}


def _numbered(tids: Iterable[int]) -> Array:
    wanted = np.zeros(MAX_TID + 1, np.bool_)
    wanted[[tid for tid in tids if 0 < tid <= MAX_TID]] = True
    return wanted


def _runs(trace: Trace, wanted: Array) -> dict[int, Array]:
    """When each wanted thread was seen on a CPU (ns, ascending)."""
    parts = []
    for name, columns in _RUN_COLUMNS.items():
        for column in columns:
            tid = trace[name][column].to_numpy()
            rows = np.flatnonzero(wanted[np.clip(tid, 0, MAX_TID)])
            parts.append(pd.DataFrame({"tid": tid[rows], "ts_ns": trace[name]["ts_ns"].to_numpy()[rows]}))
    found = pd.concat(parts).sort_values("ts_ns", kind="stable")
    return _by_tid(found, "tid")


def _place_markers(marker: pd.DataFrame, lives: Lives) -> pd.DataFrame:
    """Replaces the process ids that markers have in their text."""
    if not len(marker):
        return marker
    named = pd.to_numeric(marker["text"].str.extract(_MARKED, expand=False)).fillna(-1).to_numpy().astype(np.int64)
    placed = lives.place(named, marker["ts_ns"].to_numpy())
    rows = np.flatnonzero(placed != named)
    if not len(rows):
        return marker
    text = marker["text"].astype("object").to_numpy(copy=True)
    for row in rows.tolist():  # only those of processes that ended
        head, _, rest = text[row].split("|", 2)
        text[row] = f"{head}|{placed[row]}|{rest}"
    return marker.assign(text=pd.Series(text, index=marker.index, dtype="str"))


@dataclass(frozen=True, slots=True)
class _Told:
    """What TASK says about one thread."""

    tgid: int = -1  # by newtask
    comm: str = ""  # the last one
    last_comm: str = ""  # when it ended


def _threads(trace: Trace, task: pd.DataFrame, lives: Lives) -> pd.DataFrame:
    """The THREADS table with a row for each thread that ended, and every process under the id it had then.

    Args:
        trace: as it was read.
        task: its TASK table with separate ids.
        lives: of the reused ids.
    """
    known = trace["threads"].drop_duplicates("tid")
    again = known["tid"].isin(list(lives.begins))
    led = known["tgid"].isin(list(lives.begins)) & ~again
    runs = _runs(trace, _numbered([*known.loc[led, "tid"].tolist(), *lives.begins]))
    tgid, process_of = known["tgid"].to_numpy(copy=True), known["process"].tolist()
    listed = _read_lists(trace["thread_lists"], lives)
    for row in np.flatnonzero(led.to_numpy()).tolist():
        seen = runs.get(int(known["tid"].iloc[row]), np.empty(0, np.int64))
        if len(seen):
            last, tgid[row] = tgid[row], lives.place(tgid[row : row + 1], seen[:1])[0]
            if tgid[row] != last:  # the name that is known is of the process that had the id last
                process_of[row] = listed[int(tgid[row])].process if int(tgid[row]) in listed else ""
    known = known.assign(tgid=tgid, process=process_of)
    groups = dict(zip(known["tid"].tolist(), known["tgid"].tolist(), strict=True))
    told = _read_tasks(task, lives, groups)
    names, moves = _Names(trace), trace["thread_moves"]
    rows: list[tuple[int, int, str, str]] = []
    columns = ("tid", "tgid", "comm", "process")
    given = {row[0]: row for row in zip(*(known.loc[again, name].tolist() for name in columns), strict=True)}
    for tid, begins in lives.begins.items():
        _, group, comm, process = given.get(tid, (tid, -1, "", ""))
        newest, own = told.get(tid, _Told()), listed.get(tid)
        if own is None and (older := next((listed[n] for n in reversed(lives.ids_of(tid)) if n in listed), None)):
            # What is known of the id was read when another thread had it.
            comm = names.of(tid, int(begins[-1]), _ENDLESS) if comm == older.comm else comm
            group, process = (-1, "") if group == kernel_tid(older.tgid) else (group, process)
        elif own is not None and comm == newest.comm:
            comm = own.comm or comm  # a new thread has its maker's name at first
        ran = tid in runs and runs[tid][-1] >= begins[-1]
        rows.append(
            (
                tid,
                own.tgid if own else newest.tgid if newest.tgid >= 0 else group,
                # If the last thread never ran, the known name is that of the thread before it.
                comm if ran else (own.comm if own else "") or newest.comm or comm,
                (own.process if own else "") or (process if newest.tgid in (-1, group) else ""),
            )
        )
        # If newtask gives the last thread another process than the trace does, the trace means the one before it.
        before = group if 0 <= newest.tgid != group and len(begins) == 1 else -1
        edges = [_NEVER, *begins.tolist()]
        for k, life in enumerate(lives.ids_of(tid)[:-1]):
            own_told, own = told.get(life, _Told()), listed.get(life)
            group, comm = _before_move(moves, tid, edges[k], edges[k + 1], alone=len(begins) == 1) or (before, "")
            if group > 0:
                group = int(lives.place(np.array([group]), begins[k : k + 1] - 1)[0])
            group = own.tgid if own else own_told.tgid if own_told.tgid >= 0 else group
            comm = own_told.last_comm or comm or names.of(tid, edges[k], edges[k + 1])
            rows.append((life, group, comm or (own.comm if own else "") or own_told.comm, own.process if own else ""))
    table = pd.concat([known[~again], pd.DataFrame(rows, columns=list(columns))]).sort_values("tid")
    return make_frame(events.THREADS, {name: table[name] for name in columns})


@dataclass(frozen=True, slots=True)
class _Listed:
    """What the last list that was read while a thread lived says of it; the process is that of the time."""

    tgid: int
    comm: str
    process: str


def _read_lists(lists: pd.DataFrame, lives: Lives) -> dict[int, _Listed]:
    """What THREAD_LISTS says of the threads of ids that were used again, by the ids that tell them apart."""
    own = lists[lists["tid"].isin(lives.reused)].sort_values("ts_ns", kind="stable")
    ts = own["ts_ns"].to_numpy()
    tid, tgid = (lives.place(own[name].to_numpy(), ts) for name in ("tid", "tgid"))
    rows = zip(tid.tolist(), tgid.tolist(), own["comm"].tolist(), own["process"].tolist(), strict=True)
    return {life: _Listed(group, comm, process) for life, group, comm, process in rows}


def _read_tasks(task: pd.DataFrame, lives: Lives, groups: Mapping[int, int]) -> dict[int, _Told]:
    own = task[(task["target_tid"] % MAX_TID).isin(list(lives.begins))]
    found: dict[int, _Told] = {}
    columns = (own[name].tolist() for name in ("kind", "target_tid", "tid", "thread_of_caller", "comm"))
    for kind, tid, caller, shares, comm in zip(*columns, strict=True):  # a handful
        one = found.get(tid, _Told())
        tgid, last = one.tgid, one.last_comm
        if kind == _NEWTASK:
            maker = found.get(caller, one).tgid
            tgid = tid if not shares else maker if maker >= 0 else groups.get(caller, -1)
        if kind == _EXIT:
            last = comm
        found[tid] = _Told(tgid, comm or one.comm, last)
    return found


def _before_move(moves: pd.DataFrame, tid: int, start: int, end: int, *, alone: bool) -> tuple[int, str] | None:
    """Process and name before a change, of the thread with that id that lived from start to end (ns)."""
    moves = moves[moves["tid"] == tid]
    # The change shows at the first event under the new process, so at the end or soon after it.
    inside = moves if alone else moves[(moves["ts_ns"] > start) & (moves["ts_ns"] >= end)]
    return (int(inside["tgid"].iloc[0]), str(inside["comm"].iloc[0])) if len(inside) else None


class _Names:
    """The names that sched_switch gives threads, decoded on first use."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._said: pd.DataFrame | None = None

    def of(self, tid: int, start: int, end: int) -> str:
        """The last name of the thread with that id from start (inclusive) to end (ns); empty if there is none."""
        if self._said is None:
            self._said = _decode_names(self._trace)
        said = self._said
        names = said.loc[(said["tid"] == tid) & (said["ts_ns"] >= start) & (said["ts_ns"] < end), "comm"]
        return str(names.iloc[-1]) if len(names) else ""


def _decode_names(trace: Trace) -> pd.DataFrame:
    frame = trace.decode_event("sched_switch") if trace.decode_event and len(trace["sched_switch"]) else pd.DataFrame()
    parts = [pd.DataFrame({"tid": [], "ts_ns": [], "comm": []})]
    for side in ("prev", "next"):
        if {f"{side}_pid", f"{side}_comm"} <= set(frame.columns):
            own = frame[[f"{side}_pid", "ts_ns", f"{side}_comm"]]
            parts.append(own.set_axis(["tid", "ts_ns", "comm"], axis=1))
    return pd.concat(parts[1:] or parts).sort_values("ts_ns", kind="stable")
