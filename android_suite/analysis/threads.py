"""Finds the process and role of each thread; the process is inferred where the trace does not record it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from android_suite.analysis.ids import TidIndex, count_lockers, number_mms
from android_suite.analysis.process_names import ProcessNames
from android_suite.tables import events
from android_suite.tables.derived import ROLES, THREAD_ROLES
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import Trace

UI, RENDER, GC, BINDER, JIT, OTHER = range(len(ROLES))
_MARKS = ("B|", "C|", "S|", "F|", "N|", "I|")
_MARKER = r"^[BCSFNI]\|(\d{1,9})\|"
_KERNEL_LOCKERS = r"(?:khugepaged|ksmd|kswapd\d*|kcompactd\d*|kworker/.*|oom_reaper|kthreadd|swapper(?:/\d+)?)$"


def measure_threads(trace: Trace, process: str | None = None, lockers: pd.DataFrame | None = None) -> pd.DataFrame:
    """Gives every thread its process and its role.

    A missing tgid is inferred, in this order of trust: from the thread's own markers (``B|tgid|name``), from task
    events (a thread that calls ``exec`` is the main one), and from the mm it takes its locks on, which all threads of a
    process share; their main thread is then the one whose tid is known as a tgid, else the lowest tid.

    Args:
        trace: tables threads, thread_lists, marker, task and mmap_lock are read.
        lockers: as ids.count_lockers gives them, where they were counted already.
        process: name of the app's process, or of a binary, with or without its folder; also of one that ended in the
            trace, or that had the name before. If only a comm is known, its 15 characters must be the first or the last
            of the name.

    Returns:
        A frame of THREAD_ROLES, one row per thread, ascending by tid.
    """
    known = trace["threads"].drop_duplicates("tid").set_index("tid")
    tids = np.union1d(known.index.to_numpy(), _seen(trace)).astype(np.int32)
    tgid = known["tgid"].reindex(tids, fill_value=-1).astype("int32")
    given = tgid >= 0
    comm = known["comm"].reindex(tids, fill_value="").astype("str")
    if lockers is None:
        lock = trace["mmap_lock"]
        mmx, mms = number_mms(lock["mm"].to_numpy())
        index = TidIndex.of([lock["tid"].to_numpy()])
        lockers = count_lockers(index, index.number(lock["tid"].to_numpy()), mmx, mms)
    for source in ("marker", "task", "mm"):
        if (tgid >= 0).all():
            break
        if source == "marker":
            guess = _from_markers(trace, tgid)
        else:
            guess = _from_tasks(trace, tgid) if source == "task" else _from_mm(lockers, tgid, comm)
        missing = tgid.index[tgid < 0].intersection(guess.index)
        tgid.loc[missing] = guess.loc[missing].astype("int32")
        mains = tgid.index[tgid < 0].intersection(
            pd.Index(guess.unique())
        )  # a thread named as a process is its main thread
        tgid.loc[mains] = mains.astype("int32")
    names = ProcessNames(trace, tgid, comm)
    name = names.of_threads()
    if process:
        name = name.mask(names.are_called(process), process)
    role = _roles(trace, tgid, comm, name, process)
    return make_frame(
        THREAD_ROLES,
        {
            "tid": tids, "tgid": tgid.to_numpy(), "comm": comm.to_numpy(), "process": name.to_numpy(), "role": role,
            "inferred": (~given & (tgid >= 0)).to_numpy(),
        },
    )  # fmt: skip


def list_namespaced(trace: Trace) -> list[int]:
    """Threads whose markers name another process than the kernel does, because they were written in a pid namespace."""
    tgid = trace["threads"].drop_duplicates("tid").set_index("tid")["tgid"]
    written = _marked(trace)
    told = tgid.reindex(written.index, fill_value=-1)
    return [int(tid) for tid in written.index[(told > 0) & (told != written)]]


def list_processes(threads: pd.DataFrame, most: int = 10) -> str:
    """Names of the processes in a frame of THREAD_ROLES for a message: apps first."""
    named = threads[(threads["process"] != "") & (threads["tgid"] > 0)]
    apps = named.loc[named["role"].isin((UI, RENDER, GC)), "process"].unique().tolist()
    names = list(dict.fromkeys([*sorted(apps), *sorted(named["process"].unique().tolist())]))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) + more) or "none with a name"


def are_kernel_lockers(comm: pd.Series) -> np.ndarray:
    """For each name whether it is that of a kernel thread that locks the mm of others (bool)."""
    return comm.str.match(_KERNEL_LOCKERS).to_numpy(dtype=bool)


def _seen(trace: Trace) -> np.ndarray:
    columns = [trace[t]["tid"] for t in ("mmap_lock", "syscall", "marker", "contention", "binder")]
    columns += [trace["sched_switch"]["prev_tid"], trace["sched_switch"]["next_tid"]]
    return TidIndex.of([c.to_numpy() for c in columns]).tids


def _from_markers(trace: Trace, tgid: pd.Series) -> pd.Series:
    """The process in each thread's first marker; none where that is a number in a pid namespace, as far as it shows."""
    written = _marked(trace)
    named = tgid.reindex(written.to_numpy(), fill_value=-1).to_numpy()
    # init and kthreadd write no markers; nor is another process's thread a main thread.
    kept: pd.Series = written[(written > 2).to_numpy() & ((named < 0) | (named == written.to_numpy()))]
    return kept


def _marked(trace: Trace) -> pd.Series:
    """The process that each thread's first marker names, by tid."""
    first = trace["marker"].loc[:, ["tid", "text"]]
    # Markers are many, so the first of each thread is found without a regular expression.
    first = first[first["text"].str.startswith(_MARKS)].drop_duplicates("tid") if len(first) else first
    written = first["text"].str.extract(_MARKER, expand=False).astype("float64")
    found = pd.Series(written.to_numpy(), index=first["tid"].to_numpy(), name="marker", dtype="float64").dropna()
    return found[found > 0].astype("int64")


def _from_tasks(trace: Trace, tgid: pd.Series) -> pd.Series:
    made = trace["task"]
    made = made[made["kind"] == events.TASK_KINDS.index("newtask")].drop_duplicates("target_tid", keep="last")
    parent = tgid.reindex(made["tid"].to_numpy(), fill_value=-1).to_numpy()
    own = np.where(made["thread_of_caller"].to_numpy(), parent, made["target_tid"].to_numpy())
    found = pd.Series(own, index=made["target_tid"].to_numpy(), name="task", dtype="int64")
    leads = trace["task"]
    leads = leads.loc[leads["kind"].to_numpy() == events.TASK_KINDS.index("exec"), "target_tid"].drop_duplicates()
    led = pd.Series(leads.to_numpy(), index=leads.to_numpy(), name="task", dtype="int64")
    told: pd.Series = pd.concat([found[found >= 0].drop(led.index, errors="ignore"), led])
    return told


def _from_mm(counts: pd.DataFrame, tgid: pd.Series, comm: pd.Series) -> pd.Series:
    kernel = comm.index[are_kernel_lockers(comm)]
    own = counts[~counts["tid"].isin(kernel)].sort_values("n", kind="stable").drop_duplicates("tid", keep="last")
    own = own.assign(tgid=tgid.reindex(own["tid"].to_numpy(), fill_value=-1).to_numpy())
    named = own[own["tgid"] >= 0].sort_values("n", kind="stable").drop_duplicates("mm", keep="last").set_index("mm")
    lowest = own[own["tgid"] < 0].groupby("mm")["tid"].min()
    process = own["mm"].map(named["tgid"]).fillna(own["mm"].map(lowest))
    found = pd.Series(process.to_numpy(), index=own["tid"].to_numpy(), name="mm", dtype="float64").dropna()
    return found.astype("int64")


def _roles(trace: Trace, tgid: pd.Series, comm: pd.Series, name: pd.Series, process: str | None) -> np.ndarray:
    gc, render = (comm == "HeapTaskDaemon").to_numpy(), (comm == "RenderThread").to_numpy()
    frames = trace["marker"]
    frames = frames[frames["text"].str.contains("Choreographer#doFrame", regex=False)] if len(frames) else frames
    app = tgid.isin(tgid[gc | render]) | tgid.isin(frames["tid"].unique())
    if process:
        app |= name == process
    main = (comm.index.to_numpy() == tgid.to_numpy()) & (app & (tgid > 0)).to_numpy()
    binder = comm.str.match(r"(?:Hw)?[Bb]inder:").to_numpy(dtype=bool)
    jit = comm.str.startswith("Jit thread pool").to_numpy(dtype=bool)
    return np.select([main, gc, render, binder, jit], [UI, GC, RENDER, BINDER, JIT], OTHER).astype(np.int8)
