"""Lines of ftrace text to columns: where comm, tid, tgid, CPU, time, event name and payload of each line are.

One compiled pass. A line is ``COMM-TID [(TGID)] [CPU] [FLAGS] TIME: EVENT: PAYLOAD``. The comm may hold anything (spaces,
colons, dashes), so the line is read from its ``[CPU]`` outwards: to the left tgid, tid and what remains is the comm; to the
right the flags (3 to 8 characters, or none) and the time. A line in latency format has ``CPUFLAGS`` as one word and, unless
trace-cmd wrote it, the time since the trace began, in microseconds: ``COMM-TID CPUFLAGS 12us+: EVENT: PAYLOAD``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from android_suite.tables.events import MAX_TID
from android_suite.trace.core.byte_readers import find, find_newline, pattern, read_int, skip_spaces, whole_words
from android_suite.trace.core.compiled import compiled

MAX_CPUS = 4096
MAX_NAMES = 4096  # different events in one trace; a phone has about 1,500
MAX_GAPS = 1 << 16
MAX_MOVES = 4096  # thread ids that the trace names with a second process
_SHORTEST_LINE = 12  # of an event: "-1 [0] 0.0:x:" and its newline have more
# Ids of function-tracer lines, of names beyond MAX_NAMES, and of what the wakeup tracers write beside events:
# ``PREV_TID:PRIO:STATE ==> [CPU] NEXT_TID:PRIO:STATE COMM`` and, of a thread woken, the same with ``+``.
FUNCTION, OVERFLOW, CONTEXT_SWITCH, WAKEUP, FIRST_NAME = 0, 1, 2, 3, 4

# Indexes into ScanState.counts.
UNPARSED, BAD_TIME, IN_BUFFER, WRITTEN, HEADERS, GAPS, NAMES, DIGITS, UNSORTED, LAST_TS = range(10)
ANNOUNCED_CPUS, SYNCS, LARGEST_TID, LATENCY, STACKS, FLAGS, NEAR, MOVED = range(10, 18)
# How the event's name ends: "name:", "name(" (a system call entered) or "name ->" (left).
DELIM_COLON, DELIM_ENTER, DELIM_EXIT = 0, 1, 2

_ENTRIES = pattern("entries-in-buffer/entries-written: ")
_CPUS = pattern("#P:")
_LOST = pattern("[LOST ")
_DROPPED = pattern("EVENTS DROPPED]")
_LATENCY_HEADER, _ENTRIES_OF_LATENCY, _STACK = pattern("# latency: "), pattern(" us, #"), pattern("stack trace>")
_SWITCHED, _WOKEN, _KERNEL = pattern(" ==> ["), pattern(" + ["), pattern("kernel: ")
_VERSION, _CPUS_IN_FILE = pattern("version ="), pattern("cpus=")
_SYNC = pattern("trace_event_clock_sync")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanState:
    """What one scan of a file carries from chunk to chunk; the arrays are filled in place.

    Offsets are positions in the whole buffer plus one (0: none), so that untouched pages of these large arrays cost nothing.
    """

    counts: np.ndarray = field(default_factory=lambda: np.zeros(18, np.int64))
    name_slots: np.ndarray = field(default_factory=lambda: np.zeros(4 * MAX_NAMES, np.int32))
    name_start: np.ndarray = field(default_factory=lambda: np.zeros(MAX_NAMES, np.int64))
    name_size: np.ndarray = field(default_factory=lambda: np.zeros(MAX_NAMES, np.int64))
    cpu_first: np.ndarray = field(default_factory=lambda: np.full(MAX_CPUS, -1, np.int64))
    cpu_last: np.ndarray = field(default_factory=lambda: np.full(MAX_CPUS, -1, np.int64))
    cpu_gap: np.ndarray = field(default_factory=lambda: np.full(MAX_CPUS, -1, np.int64))  # open gap of the CPU
    gaps: np.ndarray = field(default_factory=lambda: np.zeros((MAX_GAPS, 4), np.int64))  # cpu, from, to, events
    comm_at: np.ndarray = field(default_factory=lambda: np.zeros(MAX_TID + 1, np.int64))
    comm_size: np.ndarray = field(default_factory=lambda: np.zeros(MAX_TID + 1, np.int32))
    seen: np.ndarray = field(default_factory=lambda: np.zeros(MAX_TID + 1, np.uint8))
    tgid: np.ndarray = field(default_factory=lambda: np.zeros(MAX_TID + 1, np.int32))  # tgid + 1
    # tid, first time under another process, process before it, comm_at and comm_size of then
    moves: np.ndarray = field(default_factory=lambda: np.zeros((MAX_MOVES, 5), np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """The event lines of one chunk, in file order; ``start`` and ``end`` bound the payload."""

    ts_ns: np.ndarray
    tid: np.ndarray
    cpu: np.ndarray
    name: np.ndarray
    delim: np.ndarray
    start: np.ndarray
    end: np.ndarray


def scan_chunk(buf: np.ndarray, begin: int, end: int, state: ScanState) -> Lines:
    """Scans the whole lines of ``buf[begin:end]``.

    Args:
        buf: the text, uint8.
        begin: offset of a line's start.
        end: offset after a newline, or the end of the text.
        state: carried from chunk to chunk, changed in place.
    """
    size = (end - begin) // _SHORTEST_LINE + 1  # room that is not used costs nothing
    ts, tid, cpu = np.empty(size, np.int64), np.empty(size, np.int32), np.empty(size, np.int32)
    name, delim = np.empty(size, np.int16), np.empty(size, np.int8)
    starts, ends = np.empty(size, np.int64), np.empty(size, np.int64)
    words, first_word = whole_words(buf)
    n = _scan(
        buf, words, first_word, begin, end, ts, tid, cpu, name, delim, starts, ends,
        state.counts, state.name_slots, state.name_start, state.name_size, state.cpu_first, state.cpu_last, state.cpu_gap,
        state.gaps, state.comm_at, state.comm_size, state.seen, state.tgid, state.moves,
    )  # fmt: skip
    return Lines(ts_ns=ts[:n], tid=tid[:n], cpu=cpu[:n], name=name[:n], delim=delim[:n], start=starts[:n], end=ends[:n])


@compiled
def _scan(
    buf: np.ndarray, words: np.ndarray, first_word: int, begin: int, limit: int,
    out_ts: np.ndarray, out_tid: np.ndarray, out_cpu: np.ndarray, out_name: np.ndarray, out_delim: np.ndarray,
    out_start: np.ndarray, out_end: np.ndarray,
    counts: np.ndarray, name_slots: np.ndarray, name_start: np.ndarray, name_size: np.ndarray,
    cpu_first: np.ndarray, cpu_last: np.ndarray, cpu_gap: np.ndarray, gaps: np.ndarray,
    comm_at: np.ndarray, comm_size: np.ndarray, seen: np.ndarray, tgids: np.ndarray, moves: np.ndarray,
) -> int:  # fmt: skip
    n = 0
    at = begin
    while at < limit and n < len(out_ts):
        start = at
        end = find_newline(buf, words, first_word, at, limit)
        at = end + 1
        while end > start and (buf[end - 1] == 13 or buf[end - 1] == 0):
            end -= 1
        start = skip_spaces(buf, start, end)
        if start == end:
            continue
        if buf[start] == 35:  # '#'
            _read_header(buf, start, end, counts)
            continue
        ts, digits, after, search = 0, 0, -1, start
        strange_clock = False
        while after < 0:  # a comm may look like the columns after it: take the first bracket that a time follows
            tid, tgid, cpu, comm_end, search = _read_task(buf, start, search, end)
            if search < 0:
                break
            ts, digits, after = _read_time(buf, search, end, counts[FLAGS], counts[NEAR])
            strange_clock |= digits < 0
        if after < 0 and not strange_clock:
            comm_start, tid, cpu, comm_end, ts, digits, after = _read_latency(buf, start, end)
            if after >= 0:
                start, tgid = comm_start, -1
                counts[LATENCY] += 1
            strange_clock = digits < 0
        if after < 0:
            if strange_clock:
                counts[BAD_TIME] += 1
            else:
                _read_other(buf, _skip_log_prefix(buf, start, end), end, counts, cpu_last, cpu_gap, gaps)
            continue
        first = skip_spaces(buf, after, end)
        name_end, delim, payload = _read_name(buf, first, end)
        kind = _read_short(buf, first, end) if name_end < 0 or 48 <= buf[first] <= 57 else FUNCTION
        if kind != FUNCTION:
            name_end, payload = first, first
        if name_end < 0:
            counts[STACKS if buf[first] == 60 and find(buf, first, end, _STACK) >= 0 else UNPARSED] += 1
            continue
        if ts == 0 and find(buf, payload, end, _SYNC) >= 0:
            counts[SYNCS] += 1  # systrace's own last line, at time 0.0: no event
            continue
        name = kind
        if delim != 3 and kind == FUNCTION:
            name = _name_id(buf, first, name_end, counts, name_slots, name_start, name_size)
        out_ts[n], out_tid[n], out_cpu[n], out_name[n], out_delim[n] = ts, tid, cpu, name, delim
        out_start[n], out_end[n] = payload, end
        n += 1
        counts[DIGITS] = max(counts[DIGITS], digits)
        if ts < counts[LAST_TS]:
            counts[UNSORTED] += 1
        counts[LAST_TS], counts[NEAR] = ts, ts // 1_000_000_000
        if cpu_first[cpu] < 0:
            cpu_first[cpu] = ts
        if cpu_gap[cpu] >= 0:
            gaps[cpu_gap[cpu], 2] = ts
            cpu_gap[cpu] = -1
        cpu_last[cpu] = ts
        seen[tid] = 1
        counts[LARGEST_TID] = max(counts[LARGEST_TID], tid)
        if tgid >= 0:
            if tgids[tid] != tgid + 1 and tgids[tid] != 0:
                if counts[MOVED] < len(moves):
                    move = moves[counts[MOVED]]
                    move[0], move[1], move[2], move[3], move[4] = tid, ts, tgids[tid] - 1, comm_at[tid], comm_size[tid]
                counts[MOVED] += 1
            tgids[tid] = tgid + 1
        size = comm_end - start
        if size > 0 and not (size == 5 and buf[start] == 60 and buf[start + 1] == 46):  # <...>
            comm_at[tid] = start + 1
            comm_size[tid] = size
    return n


@compiled
def _read_task(buf: np.ndarray, start: int, search: int, end: int) -> tuple[int, int, int, int, int]:
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
def _read_time(buf: np.ndarray, start: int, end: int, flags: int, near: int) -> tuple[int, int, int]:
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
def _read_latency(buf: np.ndarray, start: int, end: int) -> tuple[int, int, int, int, int, int, int]:
    """``COMM-TID CPUFLAGS TIME:``: start of the comm, tid, cpu, end of the comm, then as ``_read_time``."""
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
        ts, digits, after = _read_time(buf, where, end, 0, 0)
        if after < 0:
            ts, digits, after = _read_us(buf, where, end)
        if after >= 0:
            return _skip_log_prefix(buf, start, at), tid, cpu, at, ts, digits, after
        strange = min(strange, digits)
    return 0, 0, 0, 0, 0, strange, -1


@compiled
def _read_us(buf: np.ndarray, start: int, end: int) -> tuple[int, int, int]:
    """``12us+: ``, as ``_read_time``; the mark tells how long it was to the next line."""
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
def _skip_log_prefix(buf: np.ndarray, start: int, end: int) -> int:
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
def _read_short(buf: np.ndarray, start: int, end: int) -> int:
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
def _read_name(buf: np.ndarray, start: int, end: int) -> tuple[int, int, int]:
    """End of the event's name (-1: none), how it ends (3: a function-tracer line), start of the payload."""
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
        return at, 3, start
    return -1, 0, 0


@compiled
def _name_id(
    buf: np.ndarray, start: int, end: int,
    counts: np.ndarray, slots: np.ndarray, name_start: np.ndarray, name_size: np.ndarray,
) -> int:  # fmt: skip
    """Number of the name in ``buf[start:end]``, the same for equal names (open addressing, FNV-1a)."""
    code = np.uint64(14695981039346656037)
    for i in range(start, end):
        code = (code ^ np.uint64(buf[i])) * np.uint64(1099511628211)
    slot = np.int64((code ^ (code >> np.uint64(29))) & np.uint64(len(slots) - 1))  # their number is a power of two
    while slots[slot] != 0:
        known = slots[slot]
        if name_size[known] == end - start:
            same = True
            for i in range(end - start):
                if buf[name_start[known] + i] != buf[start + i]:
                    same = False
                    break
            if same:
                return int(known)
        slot = (slot + 1) & (len(slots) - 1)
    if counts[NAMES] + FIRST_NAME >= len(name_start):
        return OVERFLOW
    fresh = counts[NAMES] + FIRST_NAME
    counts[NAMES] += 1
    slots[slot] = fresh
    name_start[fresh], name_size[fresh] = start, end - start
    return int(fresh)


@compiled
def _read_header(buf: np.ndarray, start: int, end: int, counts: np.ndarray) -> None:
    """``# entries-in-buffer/entries-written: A/B   #P:N``, or ``# latency: N us, #A/B, CPU#0 | (... #P:N)``."""
    at = find(buf, start, end, _ENTRIES)
    if at < 0 and find(buf, start, min(end, start + len(_LATENCY_HEADER)), _LATENCY_HEADER) >= 0:
        at = find(buf, start, end, _ENTRIES_OF_LATENCY)
    if at < 0:
        return
    kept, after = read_int(buf, at, end)
    if after == at or after >= end or buf[after] != 47:
        return
    written, stop = read_int(buf, after + 1, end)
    if stop == after + 1 or not 0 <= kept <= written:
        return
    counts[HEADERS] += 1
    counts[IN_BUFFER] += kept
    counts[WRITTEN] += written
    at = find(buf, stop, end, _CPUS)
    if at >= 0:
        cpus, after = read_int(buf, at, end)
        if after > at and 0 < cpus <= MAX_CPUS:
            counts[ANNOUNCED_CPUS] = cpus


@compiled
def _read_other(
    buf: np.ndarray, start: int, end: int,
    counts: np.ndarray, cpu_last: np.ndarray, cpu_gap: np.ndarray, gaps: np.ndarray,
) -> None:  # fmt: skip
    """``CPU:0 [LOST 123 EVENTS]`` or trace-cmd's ``CPU:0 [123 EVENTS DROPPED]``; any other line is counted as unparsed."""
    if end - start > 5 and buf[start] == 67 and buf[start + 1] == 80 and buf[start + 2] == 85:
        if buf[start + 3] == 32:
            return  # "CPU 3 is empty"
        cpu, after = read_int(buf, start + 4, end)
        events = -1
        at = find(buf, after, end, _LOST)
        if at >= 0:
            value, stop = read_int(buf, at, end)
            events = value if stop > at else events
        elif find(buf, after, end, _DROPPED) >= 0:
            at = skip_spaces(buf, after, end) + 1
            value, stop = read_int(buf, min(at, end), end)
            events = value if stop > at else events
        else:
            after = start + 4
        if after > start + 4 and 0 <= cpu < MAX_CPUS:
            if cpu_gap[cpu] >= 0 or counts[GAPS] >= len(gaps):  # two in a row, or too many to list: add up
                row = cpu_gap[cpu] if cpu_gap[cpu] >= 0 else len(gaps) - 1
                gaps[row, 3] = -1 if events < 0 or gaps[row, 3] < 0 else gaps[row, 3] + events
                if cpu_gap[cpu] < 0:
                    gaps[row, 0], gaps[row, 2] = -1, -1
                return
            row = counts[GAPS]
            counts[GAPS] += 1
            gaps[row, 0], gaps[row, 1], gaps[row, 2], gaps[row, 3] = cpu, cpu_last[cpu], -1, events
            cpu_gap[cpu] = row
            return
    if buf[start] == 61 and end - start > 2 and buf[start + 1] == 62:  # "=> function"
        counts[STACKS] += 1
        return
    if find(buf, start, min(end, start + 9), _VERSION) < 0 and find(buf, start, min(end, start + 5), _CPUS_IN_FILE) < 0:
        counts[UNPARSED] += 1
