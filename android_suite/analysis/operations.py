"""Names what a thread was doing when it took a lock: the system call it was in, or a page fault."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from android_suite.analysis.locks.mmap_scan import CALL_UNKNOWN
from android_suite.analysis.threads import are_kernel_lockers
from android_suite.model.operation import UNTRACED
from android_suite.model.syscalls import MACHINES, numbers_of
from android_suite.tables import events
from android_suite.tables.derived import UNKNOWN
from android_suite.tables.trace import Trace

ADVICE_NAMES = {
    0: "MADV_NORMAL", 1: "MADV_RANDOM", 2: "MADV_SEQUENTIAL", 3: "MADV_WILLNEED", 4: "MADV_DONTNEED", 8: "MADV_FREE",
    9: "MADV_REMOVE", 10: "MADV_DONTFORK", 11: "MADV_DOFORK", 12: "MADV_MERGEABLE", 13: "MADV_UNMERGEABLE",
    14: "MADV_HUGEPAGE", 15: "MADV_NOHUGEPAGE", 16: "MADV_DONTDUMP", 17: "MADV_DODUMP", 18: "MADV_WIPEONFORK",
    19: "MADV_KEEPONFORK", 20: "MADV_COLD", 21: "MADV_PAGEOUT", 22: "MADV_POPULATE_READ", 23: "MADV_POPULATE_WRITE",
    24: "MADV_DONTNEED_LOCKED", 25: "MADV_COLLAPSE", 100: "MADV_HWPOISON", 101: "MADV_SOFT_OFFLINE",
    102: "MADV_GUARD_INSTALL", 103: "MADV_GUARD_REMOVE",
}  # fmt: skip
FAULT = "fault"
KERNEL = "kernel"  # a kernel thread such as khugepaged, which makes no calls and takes no faults

# Calls that recorders enable one by one, as events of their own or by a filter on numbers; any other call shows that all
# calls were recorded.
_RECORDED_ALONE = [
    events.SYSCALLS.index(name)
    for name in (
        "madvise", "process_madvise", "mmap", "munmap", "mprotect", "mremap", "brk", "clone", "clone3", "execve", "exit",
        "exit_group", "futex", "ioctl", "prctl", "userfaultfd", "io_uring_enter",
    )
]  # fmt: skip
# A filter on numbers also lets calls of the other kind of process pass: 172 is prctl on arm and getpid on arm64.
_NUMBERS_RECORDED_ALONE = sorted(
    {number for abi in MACHINES for number, call in numbers_of(abi).items() if call in _RECORDED_ALONE}
)
_MADVISE = events.SYSCALLS.index("madvise")
_PROCESS_MADVISE = events.SYSCALLS.index("process_madvise")


def sees_every_syscall(trace: Trace) -> bool:
    """Whether a lock taken outside all recorded calls was taken outside any call: raw_syscalls were on, unfiltered.

    That they were on does not show it, because a filter (of this suite, or Perfetto's ``syscall_events``) leaves calls
    out.
    """
    numbers = trace["syscall"]["nr"]
    return bool(((numbers >= 0) & ~numbers.isin(_NUMBERS_RECORDED_ALONE)).any())


def name_operations(
    trace: Trace, calls: pd.DataFrame, call_rows: NDArray[np.int32], tids: NDArray[np.int32], seqs: NDArray[np.int64]
) -> NDArray[np.object_]:
    """Names what took each lock.

    Args:
        trace: its page_fault events, and whether it has every call, decide the name of a lock taken outside calls.
        calls: frame of SYSCALL_CALLS.
        call_rows: row of ``calls`` each lock was taken in; -1 none, CALL_UNKNOWN not known.
        tids: the threads.
        seqs: seq of each acquire; -1 where it is before the trace.

    Returns:
        ``madvise(MADV_DONTNEED)``, ``munmap``, ..., ``fault``, ``kernel``, ``untraced``, or ``unknown`` for what began
        before the trace.
    """
    rows = call_rows.astype(np.int64)
    begun_before = _begun_before(calls)
    for i in np.flatnonzero((rows == CALL_UNKNOWN) & (seqs >= 0)).tolist():
        rows[i] = begun_before(int(tids[i]), int(seqs[i]))
    threads = trace["threads"]
    kernel = np.isin(tids, threads["tid"].to_numpy()[are_kernel_lockers(threads["comm"])])
    inside = rows >= 0
    trusted = np.ones(len(rows), np.bool_)
    trusted[inside] = calls["quality"].to_numpy()[rows[inside]] != UNKNOWN
    outside = FAULT if sees_every_syscall(trace) else UNTRACED
    known = (rows == -1) | (outside == UNTRACED)
    names = np.where(known, outside, "unknown").astype(np.object_)
    names[_faulting(trace, calls, tids, seqs)] = FAULT
    names[inside] = _name_calls(calls, rows[inside])
    names[(seqs < 0) | ~trusted] = "unknown"
    names[~inside & kernel] = KERNEL
    return names


def _name_calls(calls: pd.DataFrame, rows: NDArray[np.int64]) -> NDArray[np.object_]:
    """Names of calls; each of the few different ones is made once."""
    if not len(rows):
        return np.empty(0, np.object_)
    call, number = calls["call"].to_numpy()[rows].astype(np.int64), calls["nr"].to_numpy()[rows].astype(np.int64)
    # process_madvise(pidfd, vec, vlen, advice, flags) has the advice one place after madvise(addr, len, advice).
    advice = np.where(call == _MADVISE, calls["arg2"].to_numpy()[rows], calls["arg3"].to_numpy()[rows]).astype(np.int64)
    advised = np.isin(call, (_MADVISE, _PROCESS_MADVISE)) & (calls["start_seq"].to_numpy()[rows] >= 0)
    detail = np.where(advised, advice, np.where(call == 0, number, 0))
    # Factorized column by column: sorting rows of three would take longer than everything else here.
    of_detail, details = pd.factorize(detail)
    which, kinds = pd.factorize((of_detail * len(events.SYSCALLS) + call) * 2 + advised)
    names = np.empty(len(kinds), np.object_)
    for i, code in enumerate(kinds.tolist()):
        pair, has_advice = divmod(code, 2)
        kind, value = pair % len(events.SYSCALLS), int(details[pair // len(events.SYSCALLS)])
        name = events.SYSCALLS[kind] if kind else f"syscall {value}" if value >= 0 else "syscall"
        names[i] = f"{name}({ADVICE_NAMES.get(value, value & (1 << 64) - 1)})" if has_advice else name
    return names[which]


def _begun_before(calls: pd.DataFrame) -> Callable[[int, int], int]:
    """Finds the row of a call that began before the trace and that a thread is in at a seq; CALL_UNKNOWN without one.

    The exit of that call is the first event of the thread's calls, so everything before it lies inside.
    """
    own = calls[calls["start_seq"] < 0]
    first: dict[int, tuple[int, int]] = {}
    for row, tid, seq in zip(own.index.tolist(), own["tid"].tolist(), own["end_seq"].tolist(), strict=True):
        first.setdefault(tid, (row, seq))

    def find(tid: int, seq: int) -> int:
        row, end = first.get(tid, (CALL_UNKNOWN, -1))
        return row if seq < end else CALL_UNKNOWN

    return find


def _faulting(trace: Trace, calls: pd.DataFrame, tids: NDArray[np.int32], seqs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the last that the trace shows of each thread before its seq was a page fault.

    Most faults take the VMA's own lock and leave no event of their end, so a later call shows that they ended.
    """
    faults = trace["page_fault"]
    if not len(faults):
        return np.zeros(len(tids), np.bool_)
    lock = trace["mmap_lock"]
    wanted = np.unique(tids)
    last_fault = _last_before(faults, wanted, tids, seqs)
    releases = lock[(lock["kind"] == events.MMAP_LOCK_KINDS.index("mmap_lock_released")) & lock["tid"].isin(wanted)]
    ended = calls.loc[calls["tid"].isin(wanted), ["tid", "end_seq"]].rename(columns={"end_seq": "seq"})
    since = np.maximum(*(_last_before(f.sort_values("seq"), wanted, tids, seqs) for f in (releases, ended)))
    return np.asarray((last_fault >= 0) & (last_fault > since), np.bool_)


def _last_before(
    frame: pd.DataFrame, wanted: NDArray[np.int32], tids: NDArray[np.int32], seqs: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Seq of each thread's last row of ``frame`` before ``seqs``; -1 none."""
    out = np.full(len(tids), -1, np.int64)
    seq, tid = frame["seq"].to_numpy(), frame["tid"].to_numpy()
    for thread in wanted:
        own, at = seq[tid == thread], tids == thread
        where = np.searchsorted(own, seqs[at]) - 1
        out[at] = np.where(where >= 0, own[np.maximum(where, 0)], -1) if len(own) else -1
    return out
