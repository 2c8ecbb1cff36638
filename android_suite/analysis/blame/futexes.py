"""Waits in futex: who woke the sleeper with a call on the same address, or who gave back a lock with priority inheritance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from android_suite.analysis.blame.scan import Rows, sleeping_parts
from android_suite.analysis.enclosing import ThreadIntervals, look_up_wakers
from android_suite.analysis.jit import I8, I32, I64, Array, Bools, frozen
from android_suite.analysis.locks.releases import split_by_release
from android_suite.analysis.sched import Timeline
from android_suite.tables import events
from android_suite.tables.blame import FUTEX_WAITS
from android_suite.tables.derived import (
    EXACT,
    UNKNOWN,
    WHO_EVIDENCE,
)
from android_suite.tables.schema import make_frame

_FUTEX = events.SYSCALLS.index("futex")
_NAMES = (
    "WAIT", "WAKE", "FD", "REQUEUE", "CMP_REQUEUE", "WAKE_OP", "LOCK_PI", "UNLOCK_PI", "TRYLOCK_PI", "WAIT_BITSET",
    "WAKE_BITSET", "WAIT_REQUEUE_PI", "CMP_REQUEUE_PI", "LOCK_PI2",
)  # fmt: skip
_COMMANDS = np.array([f"FUTEX_{name}" for name in _NAMES], np.object_)
_WAITS = [_NAMES.index(name) for name in ("WAIT", "WAIT_BITSET", "LOCK_PI", "LOCK_PI2", "WAIT_REQUEUE_PI")]
_WAKES = [
    _NAMES.index(name)
    for name in ("WAKE", "REQUEUE", "CMP_REQUEUE", "WAKE_OP", "UNLOCK_PI", "WAKE_BITSET", "CMP_REQUEUE_PI")
]
_INHERITED = [_NAMES.index(name) for name in ("LOCK_PI", "LOCK_PI2")]
_UNLOCK_PI = _NAMES.index("UNLOCK_PI")
_PRIVATE, _CLOCK = 128, 256  # FUTEX_PRIVATE_FLAG, FUTEX_CLOCK_REALTIME
_NEVER = np.iinfo(np.int64).max
_TOLD, _INFERRED, _UNTOLD = (WHO_EVIDENCE.index(name) for name in ("exact", "inferred", "unknown"))


@dataclass(frozen=True, slots=True)
class FutexWaits:
    """Waits in futex.

    Attributes:
        frame: of FUTEX_WAITS.
        row: row of ``frame`` of each sleep.
        start_ns, end_ns: of each sleep, or of the part of it before another owner.
        holder: thread it is due to; -1 unknown.
        evidence: index into WHO_EVIDENCE.
    """

    frame: pd.DataFrame
    row: I64
    start_ns: I64
    end_ns: I64
    holder: I32
    evidence: I8

    @classmethod
    def none(cls) -> FutexWaits:
        """No wait."""
        nothing = np.empty(0, np.int64)
        return cls(
            make_frame(FUTEX_WAITS), nothing, nothing, nothing, nothing.astype(np.int32), nothing.astype(np.int8)
        )


def has_futex_calls(syscalls: pd.DataFrame) -> bool:
    """Whether a frame of SYSCALL has calls of futex."""
    return bool((syscalls["call"].to_numpy() == _FUTEX).any())


def measure_futex_waits(
    calls: pd.DataFrame, wakes: pd.DataFrame, timeline: Timeline, threads: pd.DataFrame
) -> FutexWaits:
    """Finds the calls of futex that slept, and whom they waited for.

    Args:
        calls: frame of SYSCALL_CALLS. A call whose entry is not in the trace is left out, because what it does is not known.
        wakes: frame of SCHED_WAKE, with every wake-up.
        timeline: of all threads.
        threads: frame of THREAD_ROLES.
    """
    futex = calls[(calls["call"].to_numpy() == _FUTEX) & (calls["start_seq"].to_numpy() >= 0)]
    tid, address = futex["tid"].to_numpy(), futex["arg0"].to_numpy()
    number = futex["arg1"].to_numpy().astype(np.int64) & 0xFFFFFFFF
    private, command = (number & _PRIVATE) != 0, number & ~(_PRIVATE | _CLOCK)
    space = _spaces(threads, tid, private=private)
    waits = np.flatnonzero(np.isin(command, _WAITS))
    rows = Rows(timeline.starts, timeline.start_ns, timeline.end_ns, timeline.state, timeline.prio)
    begin, end = (futex[c].to_numpy() for c in ("start_ns", "end_ns"))
    parts = sleeping_parts(
        rows, frozen(timeline.index.number(tid[waits])), frozen(begin[waits]), frozen(end[waits])
    )  # fmt: skip
    if not len(parts):
        return FutexWaits.none()
    of = waits[parts[:, 0]]  # call of each sleep
    woken = look_up_wakers(wakes, tid[of], parts[:, 2])
    by_call = _wakers_call(futex, command, *woken)
    same = (by_call >= 0) & (address[by_call] == address[of]) & (space[by_call] == space[of])
    holder = np.where(same, woken[0], -1).astype(np.int32)
    evidence = np.where(same, _INFERRED, _UNTOLD)
    found = np.column_stack([of, parts[:, 1], parts[:, 2], holder, evidence]).astype(np.int64)
    inherits = np.isin(command[of], _INHERITED)
    if inherits.any():
        owned = _owners(futex, command, space, found[inherits])
        # Processes made by zygote have equal addresses: a futex that is not private may be one of each of them.
        own, other = (_spaces(threads, each, private=np.True_) for each in (tid[owned[:, 0]], owned[:, 3]))
        owned[(owned[:, 4] == _TOLD) & (own != other), 4] = _INFERRED
        found = np.concatenate([found[~inherits], owned])
        found = found[np.lexsort((found[:, 1], found[:, 0]))]
    return _assemble(futex, command, found, parts, of)


def _spaces(threads: pd.DataFrame, tid: Array, *, private: Bools | np.bool_) -> I64:
    """What tells equal addresses of different processes apart: the process, or 0 for a futex that several share.

    The processes of a shared futex may have it at different addresses; then nobody is found.
    """
    tgid = threads.set_index("tid")["tgid"].reindex(tid, fill_value=-1).to_numpy()
    return np.where(private, np.where(tgid > 0, tgid, -1 - tid.astype(np.int64)), 0)


def _wakers_call(futex: pd.DataFrame, command: I64, waker: I32, seq: I64) -> I64:
    """Position in ``futex`` of the waking call that each waker was in; -1 none."""
    rows = np.flatnonzero(np.isin(command, _WAKES))
    last = futex["end_seq"].to_numpy()[rows]
    last = np.where(last >= 0, last, _NEVER)
    intervals = ThreadIntervals.of(futex["tid"].to_numpy()[rows], futex["start_seq"].to_numpy()[rows], last)
    at = intervals.find(waker, seq, seq)
    return np.where((at >= 0) & (seq >= 0), np.append(rows, -1)[at], -1)


def _owners(futex: pd.DataFrame, command: I64, space: I64, sleeps: I64) -> I64:
    """Cuts sleeps for a lock with priority inheritance at each call that gave it back: before that, its thread was the owner.

    The kernel hands such a lock from owner to owner, and none that lives can give it back without a call while others wait.
    """
    unlocks = np.flatnonzero((command == _UNLOCK_PI) & (futex["ret"].to_numpy() >= 0))  # the owner's own do not fail
    unlocks = unlocks[np.argsort(futex["start_ns"].to_numpy()[unlocks], kind="stable")]
    lock = _number_locks(space, futex["arg0"].to_numpy())
    tid, begin, end = (futex[c].to_numpy() for c in ("tid", "start_ns", "end_ns"))
    waits, of = np.unique(sleeps[:, 0], return_inverse=True)
    pieces = split_by_release(
        lock[unlocks], begin[unlocks], tid[unlocks], lock[waits], tid[waits], begin[waits], end[waits]
    )  # fmt: skip
    # The last owner blocks until the call wakes the waiter, which is a moment after its entry.
    last_sleep = np.searchsorted(of, np.arange(len(waits)), side="right") - 1
    woken_by = sleeps[last_sleep, 3]
    final = np.ones(len(pieces), np.bool_)
    final[:-1] = pieces[1:, 0] != pieces[:-1, 0]
    handed = final & (pieces[:, 3] == woken_by[pieces[:, 0]])
    pieces[handed, 2] = end[waits[pieces[handed, 0]]]
    given = woken_by < 0
    given &= futex["ret"].to_numpy()[waits] >= 0
    taken = pd.DataFrame({"lock": lock[waits], "tid": tid[waits], "ts": sleeps[last_sleep, 2]})
    pieces = _cut_at_deaths(pieces, lock[waits], taken[given])
    first, last = (np.searchsorted(pieces[:, 0], of, side) for side in ("left", "right"))
    count = last - first
    sleep = np.repeat(np.arange(len(sleeps)), count)
    piece = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[sleep]
    start = np.maximum(pieces[piece, 1], sleeps[sleep, 1])
    stop = np.minimum(pieces[piece, 2], sleeps[sleep, 2])
    told = np.column_stack([sleeps[sleep, 0], start, stop, pieces[piece, 3], pieces[piece, 4]])
    told = told[start < stop]
    # What no call explains has an owner, too, but the trace does not show whom.
    until = sleeps[:, 1].copy()
    np.maximum.at(until, sleep[start < stop], stop[start < stop])
    rest = sleeps[until < sleeps[:, 2]].copy()
    rest[:, 1], rest[:, 3], rest[:, 4] = until[until < sleeps[:, 2]], -1, _UNTOLD
    return np.concatenate([told, rest]).astype(np.int64)


def _cut_at_deaths(pieces: I64, lock: I64, taken: pd.DataFrame) -> I64:
    """Leaves the time unknown in which the owner that a call names was itself asleep for the lock, and not woken by a call.

    A thread that dies as the owner gives the lock on without a call of futex (the kernel marks it FUTEX_OWNER_DIED and wakes
    the first in the queue), and the next call is the next owner's.

    Args:
        pieces: of split_by_release, by wait and time.
        lock: of each wait.
        taken: calls that got a lock after a sleep that no call ended: lock, tid, and when that sleep ended (ts).

    Returns:
        Rows of wait, start, end, holder and evidence.
    """
    n = len(pieces)
    left = pd.DataFrame({"lock": lock[pieces[:, 0]], "tid": pieces[:, 3], "ts": pieces[:, 2], "piece": np.arange(n)})
    left, right = (frame.astype(np.int64).sort_values("ts", kind="stable") for frame in (left, taken))
    found = pd.merge_asof(left, right.assign(row=np.arange(len(right))), on="ts", by=["lock", "tid"])
    row = found.sort_values("piece")["row"].fillna(-1).to_numpy().astype(np.int64)
    since = np.append(right["ts"].to_numpy(), -1)[row]
    cut = np.flatnonzero(since > pieces[:, 1])
    owned = np.column_stack([pieces, np.full(n, _TOLD)])
    hidden = owned[cut]
    owned[cut, 1] = since[cut]
    hidden[:, 2], hidden[:, 3], hidden[:, 4] = since[cut], -1, _UNTOLD
    both = np.concatenate([owned, hidden]).astype(np.int64)
    return both[np.lexsort((both[:, 1], both[:, 0]))]


def _number_locks(space: I64, address: Array) -> I64:
    of_space, _ = pd.factorize(space)
    of_address, different = pd.factorize(address)
    return (of_space * max(len(different), 1) + of_address).astype(np.int64)


def _assemble(futex: pd.DataFrame, command: I64, found: I64, parts: I64, of: I64) -> FutexWaits:
    calls, row = np.unique(found[:, 0], return_inverse=True)
    slept = np.zeros(len(futex), np.int64)
    np.add.at(slept, of, parts[:, 2] - parts[:, 1])
    last = np.searchsorted(row, np.arange(len(calls)), side="right") - 1  # the row's last sleep
    quality = futex["quality"].to_numpy()[calls]
    sure = quality != UNKNOWN
    frame = make_frame(
        FUTEX_WAITS,
        {
            **{c: futex[c].to_numpy()[calls] for c in ("tid", "start_ns", "end_ns")}, "slept_ns": slept[calls],
            "address": futex["arg0"].to_numpy()[calls], "operation": _COMMANDS[command[calls]],
            "holder_tid": np.where(sure, found[last, 3], -1).astype(np.int32),
            "holder_evidence": np.where(sure, found[last, 4], _UNTOLD).astype(np.int8), "quality": quality,
            "call": futex.index.to_numpy()[calls],
        },
    )  # fmt: skip
    known = (quality == EXACT)[row] | (quality != UNKNOWN)[row]
    return FutexWaits(
        frame, row[known], found[known, 1], found[known, 2], found[known, 3].astype(np.int32),
        found[known, 4].astype(np.int8),
    )  # fmt: skip
