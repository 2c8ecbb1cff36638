"""The parts of one line of ftrace text: task, CPU and time in both layouts, the event's name, and what stands before a line.

Every function takes the text and a span of one line and never looks outside it; ``-1`` is "not there".
"""

from __future__ import annotations

import numpy as np

from android_suite.tables.events import MAX_TID
from android_suite.trace.core.byte_readers import find, pattern, read_int, skip_spaces
from android_suite.trace.core.compiled import compiled

MAX_CPUS = 4096
# Ids of function-tracer lines, of names beyond those that can be told apart, and of what the wakeup tracers write beside
# events: ``PREV_TID:PRIO:STATE ==> [CPU] NEXT_TID:PRIO:STATE COMM`` and, of a thread woken, the same with ``+``.
FUNCTION, OVERFLOW, CONTEXT_SWITCH, WAKEUP, FIRST_NAME = 0, 1, 2, 3, 4
# How the event's name ends: "name:", "name(" (a system call entered), "name ->" (left), "name <-" (a function's line).
DELIM_COLON, DELIM_ENTER, DELIM_EXIT, DELIM_FUNCTION = 0, 1, 2, 3

_SWITCHED, _WOKEN, _KERNEL = pattern(" ==> ["), pattern(" + ["), pattern("kernel: ")


@compiled
def read_task(buf: np.ndarray, start: int, search: int, end: int) -> tuple[int, int, int, int, int]:
    """``COMM-TID [(TGID)] [CPU]``: tid, tgid (-1), cpu, end of comm, position after the bracket (-1: none)."""
    at = search
    while at < end:
        if buf[at] != 91:  # '['
            at += 1
            continue
        cpu, after = read_int(buf, at + 1, end)
        if after > at + 1 and after + 1 < end and buf[after] == 93 and buf[after + 1] == 32 and 0 <= cpu < MAX_CPUS:
            back = at
            tgid = -1
            while back > start and buf[back - 1] == 32:
                back -= 1
            if back > start and buf[back - 1] == 41:  # ')'
                close = back - 1
                back = close
                while back > start and buf[back - 1] != 40 and close - back < 16:
                    back -= 1
                inner = skip_spaces(buf, back, close)
                value, stop = read_int(buf, inner, close)
                if stop > inner and 0 <= value <= MAX_TID:
                    tgid = value
                back -= 1
                while back > start and buf[back - 1] == 32:
                    back -= 1
            first = back
            while first > start and 48 <= buf[first - 1] <= 57:
                first -= 1
            if back > first > start and buf[first - 1] == 45:  # '-'
                tid, stop = read_int(buf, first, back)
                if stop == back and tid <= MAX_TID:
                    return tid, tgid, cpu, first - 1, after + 1
        at += 1
    return 0, 0, 0, 0, -1


@compiled
def read_time(buf: np.ndarray, start: int, end: int, flags: int, near: int) -> tuple[int, int, int]:
    """``[FLAGS] SECONDS.FRACTION:``: nanoseconds, digits of the fraction, position after (-1: none; digits -1: no seconds).

    Some vendors' kernels write no space after the flags: see ``_skip_flags`` for ``flags`` and ``near`` (0: not known).
    """
    at = skip_spaces(buf, start, end)
    for attempt in range(3):
        if attempt == 2:
            at = _skip_flags(buf, skip_spaces(buf, start, end), end, flags, near)
        seconds, after = read_int(buf, at, end)
        if after > at and after < end and buf[after] == 46 and 0 <= seconds < 9_000_000_000:
            fraction, stop = read_int(buf, after + 1, end)
            digits = stop - after - 1
            if 0 < digits <= 9 and stop < end and buf[stop] == 58 and fraction >= 0:
                for _ in range(9 - digits):
                    fraction *= 10
                return seconds * 1_000_000_000 + fraction, digits, stop + 1
        elif after > at and after < end and buf[after] == 58:
            return 0, -1, -1
        while at < end and buf[at] != 32:
            at += 1
        at = skip_spaces(buf, at, end)
    return 0, 0, -1


@compiled
def _skip_flags(buf: np.ndarray, start: int, end: int, flags: int, near: int) -> int:
    """Position after flags that the time follows without a space; ``start`` if there are none.

    Of the digits before the point the first may be flags (depths of preemption). The header tells how many flags there are;
    without it the seconds are those nearest to ``near`` seconds.
    """
    at = start
    while at < end and at - start < 24 and buf[at] != 58 and buf[at] > 32:
        at += 1
    while at > start and 48 <= buf[at - 1] <= 57:  # the fraction
        at -= 1
    dot = at - 1
    at = max(dot, start)
    while at > start and 48 <= buf[at - 1] <= 57:
        at -= 1
    if at - start < 3 or not (_is_flag(buf[start]) and _is_flag(buf[start + 1]) and _is_flag(buf[start + 2])):
        return start  # irqs-off, need-resched and hardirq are never digits
    if flags > 0:
        return min(dot, max(at, start + flags))
    best = first = max(at, start + 4)
    nearest = np.int64(1) << 62
    for where in range(first, min(dot, start + 9) if near > 0 else 0):
        seconds, _ = read_int(buf, where, dot)
        if abs(seconds - near) < nearest:
            best, nearest = where, abs(seconds - near)
    return min(dot, best)


@compiled
def _is_flag(c: int) -> bool:
    return c == 46 or c == 35 or 97 <= c <= 122 or 65 <= c <= 90  # '.', '#', letters


@compiled
def read_latency(buf: np.ndarray, start: int, end: int) -> tuple[int, int, int, int, int, int, int]:
    """``COMM-TID CPUFLAGS TIME:``: start of the comm, tid, cpu, end of the comm, then as ``read_time``."""
    strange = 0
    for at in range(start, end - 8):
        if buf[at] != 45 or not 48 <= buf[at + 1] <= 57:  # '-'
            continue
        tid, after = read_int(buf, at + 1, end)
        where = skip_spaces(buf, after, end)
        if after == at + 1 or where == after or not 0 <= tid <= MAX_TID:
            continue
        cpu, after = read_int(buf, where, end)
        stop = after
        while stop < end and stop - after < 9 and (_is_flag(buf[stop]) or 48 <= buf[stop] <= 57):
            stop += 1
        if after == where or not 0 <= cpu < MAX_CPUS or not 3 <= stop - after < 9 or not _is_flag(buf[after]):
            continue
        where = skip_spaces(buf, stop, end)
        if where == stop or where >= end:
            continue
        ts, digits, after = read_time(buf, where, end, 0, 0)
        if after < 0:
            ts, digits, after = _read_us(buf, where, end)
        if after >= 0:
            return skip_log_prefix(buf, start, at), tid, cpu, at, ts, digits, after
        strange = min(strange, digits)
    return 0, 0, 0, 0, 0, strange, -1


@compiled
def _read_us(buf: np.ndarray, start: int, end: int) -> tuple[int, int, int]:
    """``12us+: ``, as ``read_time``; the mark tells how long it was to the next line."""
    us, at = read_int(buf, start, end)
    if at == start or at + 2 >= end or not -9_000_000_000_000_000 < us < 9_000_000_000_000_000:
        return 0, 0, -1
    if buf[at] != 117 or buf[at + 1] != 115:  # "us"
        return 0, -1 if buf[at] == 58 else 0, -1
    at += 2
    if at < end and buf[at] != 58:  # one of " +!#*@$"
        at += 1
    if at >= end or buf[at] != 58:
        return 0, 0, -1
    return us * 1000, 6, at + 1


@compiled
def skip_log_prefix(buf: np.ndarray, start: int, end: int) -> int:
    """Position after what a kernel log puts before a line: a syslog's ``kernel: ``, ``<6>``, ``[  12.345678]``, ``[ T123]``."""
    at = find(buf, start, end, _KERNEL)
    at = skip_spaces(buf, at if at >= 0 else start, end)
    if at + 2 < end and buf[at] == 60 and 48 <= buf[at + 1] <= 57:  # '<'
        _, after = read_int(buf, at + 1, end)
        at = after + 1 if after < end and buf[after] == 62 else at
    while at < end and buf[at] == 91:  # '['
        close = at
        while close < end and buf[close] != 93:
            close += 1
        if close >= end:
            break
        at = skip_spaces(buf, close + 1, end)
    return at


@compiled
def skip_difference(buf: np.ndarray, start: int, end: int) -> int:
    """Position after the time since the line before, as ``trace-cmd report --ts-diff`` prints it: ``(+1234) ``."""
    if start + 2 >= end or buf[start] != 40 or buf[start + 1] != 43:  # "(+"
        return start
    _, at = read_int(buf, start + 2, end)
    return skip_spaces(buf, at + 1, end) if at > start + 2 and at < end and buf[at] == 41 else start


@compiled
def read_short(buf: np.ndarray, start: int, end: int) -> int:
    """What ``TID:PRIO:STATE ==> [CPU] TID:PRIO:STATE COMM`` tells of: CONTEXT_SWITCH, WAKEUP (with +), FUNCTION if neither."""
    _, at = read_int(buf, start, end)
    if at == start or at >= end or buf[at] != 58:
        return FUNCTION
    _, after = read_int(buf, skip_spaces(buf, at + 1, end), end)
    if after == at + 1 or after + 2 >= end or buf[after] != 58:
        return FUNCTION
    reach = min(end, after + 24)
    if find(buf, after, reach, _SWITCHED) >= 0:
        return CONTEXT_SWITCH
    return WAKEUP if find(buf, after, reach, _WOKEN) >= 0 else FUNCTION


@compiled
def read_name(buf: np.ndarray, start: int, end: int) -> tuple[int, int, int]:
    """End of the event's name (-1: none), how it ends, start of the payload."""
    at = start
    while at < end and (
        48 <= buf[at] <= 57 or 97 <= buf[at] <= 122 or 65 <= buf[at] <= 90 or buf[at] == 95 or buf[at] == 46 or buf[at] == 45
    ):  # fmt: skip
        at += 1
    if at == start or at - start > 128 or at >= end:
        return -1, 0, 0
    if buf[at] == 58:
        # trace-cmd pads after the colon. A marker's own text may begin with spaces; ftrace itself writes one.
        return at, DELIM_COLON, min(end, at + 2) if at + 1 < end and buf[at + 1] == 32 else at + 1
    if buf[at] == 40:
        return at, DELIM_ENTER, at + 1
    if at + 2 < end and buf[at] == 32 and buf[at + 1] == 45 and buf[at + 2] == 62:
        return at, DELIM_EXIT, at + 3
    if at + 2 < end and buf[at] == 32 and buf[at + 1] == 60 and buf[at + 2] == 45:
        return at, DELIM_FUNCTION, start
    return -1, 0, 0
