"""Finds waits for locks without mmap_lock events, in contention events or by the caller in sched_blocked_reason."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from android_suite.analysis.locks.mmap_lock import MmapLock
from android_suite.analysis.loss import Losses
from android_suite.analysis.sched import Timeline
from android_suite.analysis.sleeps import last_sleep
from android_suite.tables.derived import EVIDENCE, EXACT, LOWER_BOUND, OTHER_WAITS, UNKNOWN
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import Trace

_SPIN, _READ, _WRITE, _RT, _PERCPU, _MUTEX = (1 << bit for bit in range(6))
_BY_CONTENTION, _BY_REASON = EVIDENCE.index("contention"), EVIDENCE.index("blocked_reason")

# Kernel functions that sched_blocked_reason names, with the lock they wait for. Before 5.x the name is that of the
# caller of the lock function; those below take mmap_sem and nothing else that sleeps in D.
_CALLERS = (
    (r"rwsem_down_read|down_read", "rwsem", False),
    (r"rwsem_down_write|down_write", "rwsem", True),
    (r"(?:__)?(?:do_page_fault|do_user_addr_fault|get_user_pages)", "mmap_lock", False),
    (r"(?:SyS_|__se_sys_|__arm64_sys_|sys_)(?:munmap|mprotect|mmap_pgoff|mmap|brk|madvise|mremap)", "mmap_lock", True),
    (r"vm_mmap_pgoff|vm_munmap|__vm_munmap", "mmap_lock", True),
    (r"(?:__)?mutex_lock|__ww_mutex_lock", "mutex", True),
    (r"(?:__)?rt_mutex_|rtlock_", "rtmutex", True),
    (r"percpu_(?:down|rwsem)", "percpu", True),
)


def measure_other_waits(trace: Trace, timeline: Timeline, locks: MmapLock, losses: Losses) -> pd.DataFrame:
    """Collects the weaker evidence; waits that lock_waits already has are left out.

    Returns:
        A frame of OTHER_WAITS, by start.
    """
    parts = [_from_contention(trace, locks, losses), _from_reasons(trace, timeline, locks)]
    parts = [p for p in parts if len(p)]
    if not parts:
        return make_frame(OTHER_WAITS)
    rows = pd.concat(parts).sort_values("start_ns", kind="stable")
    return make_frame(OTHER_WAITS, {c: rows[c] for c in OTHER_WAITS.dtypes})


def _from_contention(trace: Trace, locks: MmapLock, losses: Losses) -> pd.DataFrame:
    con = trace["contention"].assign(inside=locks.contention_wait >= 0)
    if not len(con):
        return con
    con = con.sort_values(["tid", "lock_addr", "seq"], kind="stable")
    same = (con["tid"] == con["tid"].shift()) & (con["lock_addr"] == con["lock_addr"].shift())
    begins = con["kind"] == 0
    # A mutex may begin twice (spinning, then asleep) before its one end: the first time and the last flags count.
    opens = begins & ~(same & begins.shift(fill_value=False))
    run = opens.cumsum()
    used = run > 0
    runs = con[used].assign(run=run[used], after=(same & ~begins)[used])
    grouped = runs.groupby("run")
    first = runs[opens[used]].set_index("run")
    closing = runs[runs["after"]].drop_duplicates("run").set_index("run")
    flags = runs[begins[used]].groupby("run")["flags"].last()
    closed = first.index.isin(closing.index)
    end = closing["ts_ns"].reindex(first.index).fillna(trace.source.end_ns).to_numpy(dtype=np.int64)
    quality = np.where(closed, EXACT, LOWER_BOUND)
    touched = losses.any_cpu.touch(first["ts_ns"].to_numpy(), end)
    kinds = _kind_of(flags.to_numpy())
    if locks.lock_offset is not None:
        mms = first["lock_addr"].to_numpy() - np.uint64(locks.lock_offset)
        known = np.isin(mms, trace["mmap_lock"]["mm"].unique())
        kinds = np.where(known, "mmap_lock", kinds)
    table = pd.DataFrame(
        {
            "tid": first["tid"], "lock_addr": first["lock_addr"], "kind": kinds,
            "write": (flags.to_numpy() & _READ) == 0, "start_ns": first["ts_ns"], "end_ns": end,
            "evidence": np.int8(_BY_CONTENTION), "quality": np.where(touched, UNKNOWN, quality).astype(np.int8),
            "caller": "",
        },
    )  # fmt: skip
    return table[~grouped["inside"].any().to_numpy(dtype=bool)]


def _kind_of(flags: NDArray[np.int32]) -> NDArray[np.object_]:
    tests = [(flags & _MUTEX) != 0, (flags & _RT) != 0, (flags & _PERCPU) != 0, (flags & _SPIN) != 0]
    return np.select(tests, ["mutex", "rtmutex", "percpu", "spin"], "rwsem").astype(object)


def _from_reasons(trace: Trace, timeline: Timeline, locks: MmapLock) -> pd.DataFrame:
    reasons = trace["blocked_reason"]
    caller = reasons["caller"].astype("str")
    kind, write = np.full(len(reasons), "", object), np.zeros(len(reasons), np.bool_)
    for pattern, name, exclusive in _CALLERS:
        hit = caller.str.match(pattern).to_numpy(dtype=bool) & (kind == "")
        kind[hit], write[hit] = name, exclusive
    rows = np.flatnonzero(kind != "")
    target, when = reasons["target_tid"].to_numpy()[rows], reasons["ts_ns"].to_numpy()[rows]
    start, end = last_sleep(timeline, target, when)
    wait = locks.waits
    known = np.zeros(len(rows), np.bool_)
    for tid in np.unique(target):
        of, own = target == tid, (wait["tid"] == tid).to_numpy()
        begin = wait["start_ns"].to_numpy()[own]
        at = np.searchsorted(begin, end[of]) - 1
        known[of] = (at >= 0) & (wait["end_ns"].to_numpy()[own][np.maximum(at, 0)] >= end[of]) if own.any() else False
    table = pd.DataFrame(
        {
            "tid": target, "lock_addr": np.uint64(0), "kind": kind[rows], "write": write[rows], "start_ns": start,
            "end_ns": end, "evidence": np.int8(_BY_REASON), "quality": np.int8(EXACT),
            "caller": caller.to_numpy(dtype=object)[rows],
        },
    )  # fmt: skip
    return table[(start >= 0) & ~known]
