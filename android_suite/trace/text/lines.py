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
from android_suite.trace.text.line_parts import (
    DELIM_FUNCTION,
    FIRST_NAME,
    FUNCTION,
    MAX_CPUS,
    OVERFLOW,
    read_latency,
    read_name,
    read_short,
    read_task,
    read_time,
    skip_difference,
    skip_log_prefix,
)

MAX_NAMES = 4096  # different events in one trace; a phone has about 1,500
MAX_GAPS = 1 << 16
MAX_MOVES = 4096  # thread ids that the trace names with a second process
_SHORTEST_LINE = 12  # of an event: "-1 [0] 0.0:x:" and its newline have more

# Indexes into ScanState.counts.
UNPARSED, BAD_TIME, IN_BUFFER, WRITTEN, HEADERS, GAPS, NAMES, DIGITS, UNSORTED, LAST_TS = range(10)
ANNOUNCED_CPUS, SYNCS, LARGEST_TID, LATENCY, STACKS, FLAGS, NEAR, MOVED = range(10, 18)

_ENTRIES = pattern("entries-in-buffer/entries-written: ")
_CPUS = pattern("#P:")
_LOST = pattern("[LOST ")
_DROPPED = pattern("EVENTS DROPPED]")
_LATENCY_HEADER, _ENTRIES_OF_LATENCY, _STACK = pattern("# latency: "), pattern(" us, #"), pattern("stack trace>")
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
            tid, tgid, cpu, comm_end, search = read_task(buf, start, search, end)
            if search < 0:
                break
            ts, digits, after = read_time(buf, search, end, counts[FLAGS], counts[NEAR])
            strange_clock |= digits < 0
        if after < 0 and not strange_clock:
            comm_start, tid, cpu, comm_end, ts, digits, after = read_latency(buf, start, end)
            if after >= 0:
                start, tgid = comm_start, -1
                counts[LATENCY] += 1
            strange_clock = digits < 0
        if after < 0:
            if strange_clock:
                counts[BAD_TIME] += 1
            else:
                _read_other(buf, skip_log_prefix(buf, start, end), end, counts, cpu_last, cpu_gap, gaps)
            continue
        first = skip_difference(buf, skip_spaces(buf, after, end), end)
        name_end, delim, payload = read_name(buf, first, end)
        kind = read_short(buf, first, end) if name_end < 0 or 48 <= buf[first] <= 57 else FUNCTION
        if kind != FUNCTION:
            name_end, payload = first, first
        if name_end < 0:
            counts[STACKS if buf[first] == 60 and find(buf, first, end, _STACK) >= 0 else UNPARSED] += 1
            continue
        if ts == 0 and find(buf, payload, end, _SYNC) >= 0:
            counts[SYNCS] += 1  # systrace's own last line, at time 0.0: no event
            continue
        name = kind
        if delim != DELIM_FUNCTION and kind == FUNCTION:
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
