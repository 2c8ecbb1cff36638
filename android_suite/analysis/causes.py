"""Splits a thread's time into running, runnable, and what it waited for while it was asleep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from android_suite.analysis.intervals import EMPTY, TimeSet
from android_suite.analysis.jit import Bools
from android_suite.analysis.locks.lock_names import FOLIO, WRITEBACK
from android_suite.analysis.locks.mmap_lock import MmapLock
from android_suite.analysis.sched import Timeline
from android_suite.analysis.sleeps import last_sleep
from android_suite.analysis.slices import pick
from android_suite.tables import events
from android_suite.tables.derived import DISK, RUNNABLE, RUNNING, SPLIT_CAUSES, UNKNOWN
from android_suite.tables.trace import Trace

I64 = NDArray[np.int64]

_MONITOR = r"monitor contention with|Lock contention on "
_BINDER_SLICE = r"binder (?:transaction|reply)"
_BINDER_WRITE_READ = 0xC0306201
_IOCTL = events.SYSCALLS.index("ioctl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """The evidence for what a sleeping thread waits for; see causes_of.

    Attributes:
        trace: for sched_blocked_reason.
        timeline: thread states.
        lock_waits: frame of LOCK_WAITS.
        vma_waits: frame of VMA_WAITS.
        other_waits: frame of OTHER_WAITS.
        slices: frame of SLICES.
        calls: frame of SYSCALL_CALLS with only the ioctls in which binder waits.
        monitor: per slice, whether it is a wait for a Java monitor.
        binder: per slice, whether it is a binder call.
    """

    trace: Trace
    timeline: Timeline
    lock_waits: pd.DataFrame
    vma_waits: pd.DataFrame
    other_waits: pd.DataFrame
    slices: pd.DataFrame
    calls: pd.DataFrame
    monitor: Bools
    binder: Bools

    @classmethod
    def of(
        cls,
        trace: Trace,
        timeline: Timeline,
        locks: MmapLock,
        vma_waits: pd.DataFrame,
        other_waits: pd.DataFrame,
        slices: pd.DataFrame,
    ) -> Waits:
        """Searches all calls and slice names once, so that the split of each thread need not."""
        ioctls = locks.calls[locks.calls["call"].to_numpy() == _IOCTL]
        return cls(
            trace=trace,
            timeline=timeline,
            lock_waits=locks.waits,
            vma_waits=vma_waits,
            other_waits=other_waits,
            slices=slices,
            calls=ioctls[(ioctls["arg1"].to_numpy() & np.uint64(0xFFFFFFFF)) == np.uint64(_BINDER_WRITE_READ)],
            monitor=pick(slices, _MONITOR),
            binder=pick(slices, _BINDER_SLICE),
        )


def causes_of(waits: Waits, tid: int) -> Mapping[str, TimeSet]:
    """Splits all known time of a thread by what it was spent on.

    A sleep with several possible causes counts for the first of them in this order: mmap_lock, a VMA's lock, another
    kernel lock, a Java monitor, binder, I/O. Without any, the thread just sleeps; if uninterruptibly, it is ``unknown``.

    Returns:
        Disjoint sets of time by the names of SPLIT_CAUSES.
    """
    line = waits.timeline
    k = int(line.index.number(np.array([tid], np.int32))[0])
    if k < 0:
        return dict.fromkeys(SPLIT_CAUSES, EMPTY)
    own = slice(int(line.starts[k]), int(line.starts[k + 1]))
    start, end, state = line.start_ns[own], line.end_ns[own], line.state[own]

    def in_state(wanted: int) -> TimeSet:
        of = state == wanted
        return TimeSet.of(start[of], end[of])

    busy = {"running": in_state(RUNNING), "runnable": in_state(RUNNABLE)}
    left = TimeSet.of(start, end) - busy["running"] - busy["runnable"]
    found: dict[str, TimeSet] = {}
    for name, windows in _windows(waits, tid):
        found[name] = left & windows
        left = left - windows
    disk = in_state(DISK)
    return {**busy, **found, "sleeping": left - disk, "unknown": left & disk}


def _windows(waits: Waits, tid: int) -> list[tuple[str, TimeSet]]:
    kind = waits.other_waits["kind"]
    on_mm, on_io = ((kind.isin(names)).to_numpy(dtype=bool) for names in (("mmap_lock",), (FOLIO, WRITEBACK)))
    nested = (waits.slices["tid"].to_numpy() == tid) & (waits.slices["depth"].to_numpy() >= 0)
    reasons = waits.trace["blocked_reason"]
    reasons = reasons[(reasons["target_tid"] == tid) & reasons["io_wait"]]
    io = last_sleep(waits.timeline, reasons["target_tid"].to_numpy(), reasons["ts_ns"].to_numpy())
    return [
        ("mmap_lock", trusted_set(waits.lock_waits, tid) | trusted_set(waits.other_waits[on_mm], tid)),
        ("vma_lock", trusted_set(waits.vma_waits, tid)),
        ("kernel_lock", trusted_set(waits.other_waits[~on_mm & ~on_io], tid)),
        ("monitor", _set(waits.slices, nested & waits.monitor)),
        ("binder", _set(waits.calls, waits.calls["tid"].to_numpy() == tid) | _set(waits.slices, nested & waits.binder)),
        # A folio is locked while it is read, and waiting for it counts as I/O in the kernel, too.
        ("io", TimeSet.of(*io) | trusted_set(waits.other_waits[on_io], tid)),
    ]


def trusted_set(frame: pd.DataFrame, tid: int) -> TimeSet:
    """The time of a thread's rows in a frame of waits, without rows of unknown quality."""
    return _set(frame, (frame["tid"].to_numpy() == tid) & (frame["quality"].to_numpy() != UNKNOWN))


def _set(frame: pd.DataFrame, rows: Bools) -> TimeSet:
    return TimeSet.of(frame["start_ns"].to_numpy()[rows], frame["end_ns"].to_numpy()[rows])


def split_windows(waits: Waits, tid: int, start_ns: I64, end_ns: I64, prefix: str) -> dict[str, I64]:
    """Splits windows of one thread.

    Returns:
        One int64 column per cause, ``{prefix}_{cause}_ns``. They sum to the window's length; time in which the
        thread's state is not known counts as ``unknown``. All 0 for tid -1.
    """
    if tid < 0:
        return {f"{prefix}_{c}_ns": np.zeros(len(start_ns), np.int64) for c in SPLIT_CAUSES}
    causes = causes_of(waits, tid)
    columns = {c: causes[c].time_in(start_ns, end_ns) for c in SPLIT_CAUSES}
    columns["unknown"] = columns["unknown"] + (end_ns - start_ns) - sum(columns.values(), np.zeros(1, np.int64))
    return {f"{prefix}_{c}_ns": columns[c].astype(np.int64) for c in SPLIT_CAUSES}


def inverted_set(inversions: pd.DataFrame, *tids: int) -> TimeSet:
    """The time during which any of the threads waited behind a weaker one."""
    return _set(inversions, inversions["waiter_tid"].isin(tids).to_numpy(dtype=bool))
