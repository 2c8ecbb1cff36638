"""Reads sched events of ftrace text to columns: switches and wake-ups.

Two forms are read: the kernel's ``key=value`` and trace-cmd's ``comm:tid [prio] S ==> ...``.
"""

from __future__ import annotations

import numpy as np

from android_suite.tables.events import MAX_TID, TASK_STATES
from android_suite.trace.catalogue import text_key
from android_suite.trace.core.byte_readers import (
    find,
    find_key,
    find_past_comm,
    pattern,
    read_hex,
    read_int,
    read_number,
    skip_spaces,
)
from android_suite.trace.core.compiled import compiled
from android_suite.trace.text.fields import int_after

_UNKNOWN_STATE = TASK_STATES.index("?")
_PREEMPTED = TASK_STATES.index("R+")
_STATE_OF_BYTE = np.full(256, _UNKNOWN_STATE, np.int8)
for _index, _letter in enumerate(TASK_STATES):
    if len(_letter) == 1:
        _STATE_OF_BYTE[ord(_letter)] = _index
_S, _D, _T, _TRACED, _IDLE = (TASK_STATES.index(letter) for letter in "SDTtI")

_PREV_COMM, _PREV_PRIO, _PREV_STATE, _NEXT_COMM, _NEXT_PRIO = (
    pattern(text_key("sched:sched_switch", column))
    for column in ("prev_tid.comm", "prev_prio", "prev_state", "next_tid.comm", "next_prio")
)
# A comm ends at the space before the next key.
_PREV_PID, _NEXT_PID = (pattern(" " + text_key("sched:sched_switch", column)) for column in ("prev_tid", "next_tid"))
_COMM, _PRIO, _TARGET_CPU = (
    pattern(text_key("sched:sched_waking", column)) for column in ("target_tid.comm", "target_prio", "target_cpu")
)
_PID, _CPU = pattern(" " + text_key("sched:sched_waking", "target_tid")), pattern("CPU:")
_ARROW = pattern("==> ")
_TRACER_SWITCH, _TRACER_WAKE = pattern(" ==> ["), pattern(" + [")


@compiled
def _task_state(buf: np.ndarray, at: int, end: int) -> int:
    """Index into TASK_STATES of ``S``, ``R+``, ``D|K`` or of a number as ``trace-cmd report -R`` prints it.

    The numbers of R, S, D, T and t are the same in all kernels. 256 and, in old kernels, a single bit of 1024 or more mean
    preemption; 128 means idle. (In old kernels these two are states that no thread is switched out in.) The other numbers
    mean different states in different kernels and stay unknown. Kernels of 32 bits print hexadecimal.
    """
    if at >= end:
        return _UNKNOWN_STATE
    if 48 <= buf[at] <= 57:
        value, _ = read_int(buf, at, end)
        if buf[at] == 48 and at + 1 < end and buf[at + 1] == 120:  # 0x
            bits, _ = read_hex(buf, at, end)
            value = np.int64(bits)
        if value == 0:
            return 0
        if value in (256, 1024, 2048, 4096):
            return _PREEMPTED
        if value == 128:
            return _IDLE
        if value & 1:
            return _S
        if value & 2:
            return _D
        if value & 4:
            return _T
        return _TRACED if value & 8 else _UNKNOWN_STATE
    if buf[at] == 82 and at + 1 < end and buf[at + 1] == 43:
        return _PREEMPTED
    return int(_STATE_OF_BYTE[buf[at]])


@compiled
def _short_task(buf: np.ndarray, start: int, end: int) -> tuple[int, int, int, int, int]:
    """trace-cmd's ``comm:tid [prio]`` in the span: end of comm, tid, prio, position after, 1 if read. The last '[' counts."""
    bracket = end - 1
    while bracket > start and buf[bracket] != 91:
        bracket -= 1
    if bracket <= start + 1:
        return 0, 0, 0, 0, 0
    prio, stop = read_int(buf, bracket + 1, end)
    if stop == bracket + 1 or stop >= end or buf[stop] != 93:
        return 0, 0, 0, 0, 0
    last = bracket
    while last > start and buf[last - 1] == 32:
        last -= 1
    first = last
    while first > start and 48 <= buf[first - 1] <= 57:
        first -= 1
    tid, after = read_int(buf, first, last)
    if after != last or first <= start or buf[first - 1] != 58:
        return 0, 0, 0, 0, 0
    return first - 1, tid, prio, stop + 1, 1


@compiled
def _shortest_task(buf: np.ndarray, start: int, end: int) -> tuple[int, int, int, int]:
    """The wakeup tracers' ``TID:PRIO:STATE``: tid, prio, position of the state, 1 if read."""
    at = skip_spaces(buf, start, end)
    tid, stop = read_int(buf, at, end)
    if stop == at or stop >= end or buf[stop] != 58:
        return 0, 0, 0, 0
    at = skip_spaces(buf, stop + 1, end)
    prio, stop = read_int(buf, at, end)
    if stop == at or stop + 1 >= end or buf[stop] != 58:
        return 0, 0, 0, 0
    return tid, prio, stop + 1, 1


@compiled
def _shortest_pair(
    buf: np.ndarray, start: int, end: int, arrow: np.ndarray
) -> tuple[int, int, int, int, int, int, int, int]:
    """``TID:PRIO:S ==> [CPU] TID:PRIO:S COMM``: both tids and prios, the first state's place, CPU, comm's start, 1 if read."""
    after = find(buf, start, end, arrow)
    one, prio, letter, read = _shortest_task(buf, start, end)
    if after < 0 or read == 0:
        return 0, 0, 0, 0, 0, 0, 0, 0
    cpu, stop = read_int(buf, after, end)
    if stop == after or stop >= end or buf[stop] != 93:
        return 0, 0, 0, 0, 0, 0, 0, 0
    two, prio2, at, read = _shortest_task(buf, stop + 1, end)
    while at < end and buf[at] > 32:
        at += 1
    return one, prio, letter, two, prio2, cpu, skip_spaces(buf, at, end), read


@compiled
def _is_prio(prio: int) -> bool:
    """Whether it is a possible priority: an int. Deadline tasks have -1, and vendors' kernels exceed 139."""
    return -(1 << 31) <= prio < 1 << 31


@compiled
def _remember(tid: int, start: int, end: int, comm_at: np.ndarray, comm_size: np.ndarray) -> None:
    if 0 < tid <= MAX_TID and end > start:
        comm_at[tid] = start + 1
        comm_size[tid] = end - start


@compiled
def parse_switch(
    buf: np.ndarray, starts: np.ndarray, ends: np.ndarray, comm_at: np.ndarray, comm_size: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """sched_switch: prev_tid, prev_prio, prev_state, next_tid, next_prio; notes both comms under their tids."""
    n = len(starts)
    prev_tid, prev_prio, prev_state = np.zeros(n, np.int32), np.zeros(n, np.int32), np.zeros(n, np.int8)
    next_tid, next_prio, good = np.zeros(n, np.int32), np.zeros(n, np.int32), np.zeros(n, np.bool_)
    for i in range(n):
        end = ends[i]
        start = skip_spaces(buf, starts[i], end)
        comm = find_key(buf, start, end, _PREV_COMM)
        if comm >= 0:
            at = find_past_comm(buf, comm, end, _PREV_PID)
            if at < 0:
                continue
            one, stop = read_number(buf, at, end)
            one_end = at - len(_PREV_PID)
            prio, after = int_after(buf, stop, end, _PREV_PRIO)
            if stop == at or after < 0:
                continue
            letter = find_key(buf, after, end, _PREV_STATE)
            if letter < 0:
                continue
            comm2 = find_key(buf, letter, end, _NEXT_COMM)
            if comm2 < 0:
                continue
            at = find_past_comm(buf, comm2, end, _NEXT_PID)
            if at < 0:
                continue
            two, stop = read_number(buf, at, end)
            two_end = at - len(_NEXT_PID)
            prio2, after = int_after(buf, stop, end, _NEXT_PRIO)
            if stop == at or after < 0:
                continue
        else:
            comm = start
            one, prio, letter, two, prio2, _, comm2, read = _shortest_pair(buf, start, end, _TRACER_SWITCH)
            if read != 0:
                if 0 <= one <= MAX_TID and 0 <= two <= MAX_TID and _is_prio(prio) and _is_prio(prio2):
                    prev_tid[i], prev_prio[i], prev_state[i] = one, prio, _task_state(buf, letter, end)
                    next_tid[i], next_prio[i], good[i] = two, prio2, True
                    _remember(two, comm2, end, comm_at, comm_size)
                continue
            right = find(buf, start, end, _ARROW)
            if right < 0:
                continue
            one_end, one, prio, letter, read = _short_task(buf, start, right - 4)
            letter += 1
            comm2 = right
            two_end, two, prio2, after, read2 = _short_task(buf, right, end)
            if read == 0 or read2 == 0:
                continue
        if not (0 <= one <= MAX_TID and 0 <= two <= MAX_TID and _is_prio(prio) and _is_prio(prio2)):
            continue
        prev_tid[i], prev_prio[i], prev_state[i] = one, prio, _task_state(buf, letter, end)
        next_tid[i], next_prio[i], good[i] = two, prio2, True
        _remember(one, comm, one_end, comm_at, comm_size)
        _remember(two, comm2, two_end, comm_at, comm_size)
    return prev_tid, prev_prio, prev_state, next_tid, next_prio, good


@compiled
def parse_wake(
    buf: np.ndarray, starts: np.ndarray, ends: np.ndarray, comm_at: np.ndarray, comm_size: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """sched_waking, sched_wakeup, sched_wakeup_new: target_tid, target_prio, target_cpu (-1: none)."""
    n = len(starts)
    tids, prios, cpus = np.zeros(n, np.int32), np.zeros(n, np.int32), np.full(n, -1, np.int32)
    good = np.zeros(n, np.bool_)
    for i in range(n):
        end = ends[i]
        start = skip_spaces(buf, starts[i], end)
        comm = find_key(buf, start, end, _COMM)
        if comm >= 0:
            at = find_past_comm(buf, comm, end, _PID)
            if at < 0:
                continue
            tid, stop = read_number(buf, at, end)
            comm_end = at - len(_PID)
            prio, after = int_after(buf, stop, end, _PRIO)
            if stop == at or after < 0:
                continue
            cpu, stop = int_after(buf, after, end, _TARGET_CPU)
        else:
            _, _, _, tid, prio, cpu, comm, read = _shortest_pair(buf, start, end, _TRACER_WAKE)
            comm_end, stop = end, 0
            if read == 0:
                comm = start
                comm_end, tid, prio, after, read = _short_task(buf, start, end)
                if read == 0:
                    continue
                cpu, stop = int_after(buf, after, end, _CPU)
        if not (0 <= tid <= MAX_TID and _is_prio(prio)):
            continue
        tids[i], prios[i], good[i] = tid, prio, True
        if stop >= 0 and 0 <= cpu < 4096:
            cpus[i] = cpu
        _remember(tid, comm, comm_end, comm_at, comm_size)
    return tids, prios, cpus, good
