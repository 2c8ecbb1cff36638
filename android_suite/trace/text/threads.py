"""Who the threads of a text are: comms by trust, processes by column, dump, clone flags or atrace marker."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from android_suite.tables import events
from android_suite.tables.schema import make_frame
from android_suite.trace.syscalls import call_lookup
from android_suite.trace.text.lines import LARGEST_TID, MAX_TID

if TYPE_CHECKING:
    from android_suite.trace.text.tables import TableBuilder

_PROC_LINE = re.compile(rb"^/?proc/(\d{1,8})/task/(\d{1,8})\s*$", re.MULTILINE)
_MACHINES = ("arm64", "x86_64")
_THREAD_COLUMNS = (
    (events.TASK.name, ("target_tid",)), (events.BLOCKED_REASON.name, ("target_tid",)), (events.PI_SETPRIO.name, ("target_tid",)),
    (events.SCHED_WAKE.name, ("target_tid",)), (events.SCHED_SWITCH.name, ("prev_tid", "next_tid")),
)  # fmt: skip
_ON_ALIGNED_MEMORY = [events.SYSCALLS.index(call) for call in ("munmap", "mprotect", "mremap")]
_PAGE_MASK = np.uint64(4095)
_SLICE_ROWS = 1 << 20  # looked at together: what is made beside the table stays small
_ADVICES = np.array([*range(26), 100, 101, 102, 103], dtype=np.uint64)


def infer_call_numbers(syscalls: pd.DataFrame) -> str:
    """Names the calls of ``raw_syscalls`` events in place, where their arguments tell the architecture; '' where not.

    Text carries numbers only. The calls on memory take page-aligned addresses: an architecture is believed when its numbers
    of these calls fit (almost) always and the other's do not.
    """
    fits = dict.fromkeys(_MACHINES, (0, 0))
    for start in range(0, len(syscalls), _SLICE_ROWS):
        part = syscalls.iloc[start : start + _SLICE_ROWS]
        entered = (part["nr"].to_numpy() >= 0) & (part["kind"].to_numpy() == 0)
        nr, arg0, length, arg2 = (part[name].to_numpy()[entered] for name in ("nr", "arg0", "arg1", "arg2"))
        aligned = (arg0 & _PAGE_MASK) == 0
        for machine, (fit, all_) in fits.items():
            call = _calls(machine, nr)
            madvise, others = call == events.SYSCALLS.index("madvise"), np.isin(call, _ON_ALIGNED_MEMORY)
            good = (madvise & aligned & np.isin(arg2, _ADVICES)) | (others & aligned & (length > 0))
            good &= arg0 > np.uint64(65535)
            fits[machine] = fit + int(good.sum()), all_ + int((madvise | others).sum())
    believed = [m for m, (good, all_) in fits.items() if good and good >= 0.95 * all_]
    if len(believed) != 1:
        return ""
    call_column, nr = syscalls["call"].to_numpy(copy=True), syscalls["nr"].to_numpy()
    raw = nr >= 0
    call_column[raw] = _calls(believed[0], nr[raw])
    syscalls["call"] = call_column
    return believed[0]


def _calls(machine: str, nr: np.ndarray) -> np.ndarray:
    """Index into SYSCALLS of each number on that machine."""
    lookup = call_lookup(machine)
    assert lookup is not None
    return np.asarray(np.where((nr >= 0) & (nr < len(lookup)), lookup[np.clip(nr, 0, len(lookup) - 1)], 0), np.int8)


def apply_process_dump(dump: bytes, tgids: np.ndarray) -> dict[int, str]:
    """Reads a dump of processes into ``tgids`` (tgid + 1 by tid), where the trace has none; returns names by tid.

    Known forms: ``/proc/TGID/task/TID`` lines, and the tables of ``ps -A``, ``ps -T`` and ``ps -t`` with a header that
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


def thread_table(builder: TableBuilder, tables: dict[str, pd.DataFrame], process_names: dict[int, str]) -> pd.DataFrame:
    """The ``threads`` table: every tid the text names."""
    state, tgids = builder.state, builder.state.tgid
    task = tables[events.TASK.name]
    comms = _task_comms(task)
    made = task[task["kind"].to_numpy() == events.TASK_KINDS.index("newtask")]
    for child, parent, shares in zip(made["target_tid"], made["tid"], made["thread_of_caller"], strict=True):
        if tgids[child] == 0:
            tgids[child] = (tgids[parent] or builder.marker_tgid[parent]) if shares else child + 1
    largest = int(state.counts[LARGEST_TID])
    for name, columns in _THREAD_COLUMNS:
        for column in columns:
            tid = tables[name][column].to_numpy()
            state.seen[tid] = 1
            largest = max(largest, int(tid.max(initial=0)))
    tids = np.flatnonzero(state.seen[: largest + 1])
    known = np.where(tgids[tids] > 0, tgids[tids], builder.marker_tgid[tids]) - 1
    known[tids == 0] = 0
    names = [_comm(builder, int(tid), comms) for tid in tids]
    by_tid = dict(zip(tids.tolist(), names, strict=True))
    process = [process_names.get(g) or by_tid.get(g, "") if g >= 0 else "" for g in known.tolist()]
    return make_frame(
        events.THREADS,
        {
            "tid": tids.astype(np.int32), "tgid": known.astype(np.int32), "comm": pd.Series(names, dtype="str"),
            "process": pd.Series(process, dtype="str"),
        },
    )  # fmt: skip


def _task_comms(task: pd.DataFrame) -> dict[int, str]:
    return dict(zip(task["target_tid"].tolist(), task["comm"].tolist(), strict=True))


def _comm(builder: TableBuilder, tid: int, task_comms: dict[int, str]) -> str:
    if tid == 0:
        return "swapper"
    for at, size in (
        (builder.sched_comm_at, builder.sched_comm_size),
        (builder.state.comm_at, builder.state.comm_size),
    ):
        if at[tid]:
            start = int(at[tid]) - 1
            name = builder.buf[start : start + int(size[tid])].tobytes().decode("utf-8", "replace")
            if name != "<...>":
                return name
    return task_comms.get(tid, "")
