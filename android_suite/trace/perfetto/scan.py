"""Scans protobuf bytes in compiled loops: messages to columns, repeated fields to spans, compact_sched to rows.

``read_columns`` reads all typed messages: many of one type at once, with one column per field number. Input is hostile:
a message is read only inside its bounds and marked bad if it is malformed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from android_suite.trace.core.compiled import compiled
from android_suite.trace.perfetto.numbers import number_of, numbers_of

Array = npt.NDArray[Any]
_MAX_FIELD = 1 << 29
_PACKET = number_of("Trace", "packet")
# The only fields of FtraceEvent that are not events; a test compares them with Perfetto's descriptors.
_TIMESTAMP, _PID, _COMMON_FLAGS = numbers_of("FtraceEvent", "timestamp", "pid", "common_flags")
_NAMED_FIELD = number_of("GenericFtraceEvent", "field")
_NAME, _TEXT, _INT, _UINT = numbers_of("GenericFtraceEvent.Field", "name", "str_value", "int_value", "uint_value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Fields of many messages. ``value[:, k]`` is a number's 64 bits, or the first byte of a length-delimited field.

    ``size[:, k]`` is -1 if the field is absent, 0 for a number, else the field's size in bytes. A field without bytes looks
    like the number 0: both are protobuf's default. If damage turns one into the other, it reads as that default.
    """

    value: Array  # int64 (n, k)
    size: Array  # int64 (n, k)
    good: Array  # bool (n): the message is sound

    def has(self, k: int) -> Array:
        """Which messages have field ``k``."""
        return np.asarray(self.size[:, k] >= 0)

    def number(self, k: int) -> Array:
        """Field ``k`` as int64; 0, protobuf's default, if it is absent or not a number."""
        return np.where(self.size[:, k] == 0, self.value[:, k], 0)

    def span(self, k: int) -> tuple[Array, Array]:
        """Start and end of the bytes of field ``k``; empty if it is absent or a number."""
        start = np.where(self.size[:, k] > 0, self.value[:, k], 0)
        return start, start + np.maximum(self.size[:, k], 0)


def read_columns(buf: Array, starts: Array, ends: Array, numbers: Sequence[int]) -> Columns:
    """Reads the fields ``numbers`` of each message ``buf[starts[i]:ends[i]]``; the last of a repeated field counts."""
    column = np.full(max(numbers, default=0) + 1, -1, np.int16)  # a described event may have no fields
    column[np.array(numbers, np.int64)] = np.arange(len(numbers))
    value = np.zeros((len(starts), len(numbers)), np.int64)
    size = np.full((len(starts), len(numbers)), -1, np.int64)
    good = np.zeros(len(starts), np.bool_)
    _read_columns(buf, starts, ends, column, value, size, good)
    return Columns(value=value, size=size, good=good)


def expand_field(buf: Array, starts: Array, ends: Array, number: int) -> tuple[Array, Array, Array]:
    """All occurrences of a repeated length-delimited field, in order: the index of its message, start and end."""
    counts = np.zeros(len(starts) + 1, np.int64)
    _count_field(buf, starts, ends, number, counts)
    offsets = np.cumsum(counts)
    total = int(offsets[-1])
    parent, first, last = np.empty(total, np.int64), np.empty(total, np.int64), np.empty(total, np.int64)
    _fill_field(buf, starts, ends, number, offsets, parent, first, last)
    return parent, first, last


def unpack_varints(buf: Array, starts: Array, ends: Array) -> tuple[Array, Array]:
    """Packed varints of each span: offsets (one more than spans), and the values (int64), one span after another."""
    counts = np.zeros(len(starts) + 1, np.int64)
    _count_varints(buf, starts, ends, counts)
    offsets = np.cumsum(counts)
    values = np.empty(int(offsets[-1]), np.int64)
    _fill_varints(buf, starts, ends, offsets, values)
    return offsets, values


@compiled
def varint(buf: Array, at: int, end: int) -> tuple[Any, int]:
    """The varint at ``at`` as uint64 and the position after it; -1 where it is cut or too long."""
    value = np.uint64(0)
    shift = 0
    while at < end and shift < 70:
        byte = buf[at]
        at += 1
        value |= np.uint64(byte & 0x7F) << np.uint64(min(shift, 63))
        if byte < 0x80:
            return value, at
        shift += 7
    return np.uint64(0), -1


@compiled
def next_field(buf: Array, at: int, end: int) -> tuple[Any, Any, Any, Any, Any]:
    """The field at ``at``: number (-1: malformed), wire type, value, start of the bytes, position after the field."""
    if at < end and buf[at] < 0x80:  # nearly all tags are one byte
        tag = np.uint64(buf[at])
        at += 1
    else:
        tag, at = varint(buf, at, end)
        if at < 0:
            return -1, 0, np.int64(0), 0, 0
    number = np.int64(tag >> np.uint64(3))
    wire = np.int64(tag & np.uint64(7))
    if number < 1 or number >= _MAX_FIELD:
        return -1, 0, np.int64(0), 0, 0
    if wire == 0:
        value, after = varint(buf, at, end)
        if after < 0:
            return -1, 0, np.int64(0), 0, 0
        return number, wire, np.int64(value), at, after
    if wire == 2:
        length, start = varint(buf, at, end)
        if start < 0 or length > np.uint64(end - start):
            return -1, 0, np.int64(0), 0, 0
        return number, wire, np.int64(length), start, start + np.int64(length)
    width = 8 if wire == 1 else 4
    if (wire != 1 and wire != 5) or end - at < width:
        return -1, 0, np.int64(0), 0, 0
    value = np.uint64(0)
    for k in range(width):
        value |= np.uint64(buf[at + k]) << np.uint64(8 * k)
    return number, wire, np.int64(value), at, at + width


@compiled
def _read_columns(
    buf: Array, starts: Array, ends: Array, column: Array, value: Array, size: Array, good: Array
) -> None:
    for i in range(len(starts)):
        at, end = starts[i], ends[i]
        sound = True
        while at < end:
            number, wire, found, start, after = next_field(buf, at, end)
            if number < 0:
                sound = False
                break
            at = after
            if number < len(column) and column[number] >= 0:
                k = column[number]
                value[i, k] = start if wire == 2 and found else found
                size[i, k] = found if wire == 2 else 0
        good[i] = sound


@compiled
def _count_field(buf: Array, starts: Array, ends: Array, wanted: int, counts: Array) -> None:
    for i in range(len(starts)):
        at, end = starts[i], ends[i]
        while at < end:
            number, wire, _, _, after = next_field(buf, at, end)
            if number < 0:
                break
            at = after
            if number == wanted and wire == 2:
                counts[i + 1] += 1


@compiled
def _fill_field(
    buf: Array, starts: Array, ends: Array, wanted: int, offsets: Array, parent: Array, first: Array, last: Array
) -> None:
    for i in range(len(starts)):
        at, end, out = starts[i], ends[i], offsets[i]
        while at < end:
            number, wire, _, start, after = next_field(buf, at, end)
            if number < 0:
                break
            at = after
            if number == wanted and wire == 2:
                parent[out], first[out], last[out] = i, start, after
                out += 1


@compiled
def _count_varints(buf: Array, starts: Array, ends: Array, counts: Array) -> None:
    for i in range(len(starts)):
        at = starts[i]
        while at < ends[i]:
            _, at = varint(buf, at, ends[i])
            if at < 0:
                break
            counts[i + 1] += 1


@compiled
def _fill_varints(buf: Array, starts: Array, ends: Array, offsets: Array, values: Array) -> None:
    for i in range(len(starts)):
        at = starts[i]
        for out in range(offsets[i], offsets[i + 1]):
            value, at = varint(buf, at, ends[i])
            values[out] = np.int64(value)


@compiled
def scan_packets(buf: Array, starts: Array, ends: Array) -> tuple[int, int]:
    """Bounds of the packets: how many, and where the walk ended; fills no further than the arrays' length."""
    at, n = 0, 0
    while at < len(buf):
        number, wire, _, start, after = next_field(buf, at, len(buf))
        if number != _PACKET or wire != 2:
            break
        if n < len(starts):
            starts[n], ends[n] = start, after
        n += 1
        at = after
    return n, at


@compiled
def scan_event(buf: Array, at: int, end: int) -> tuple[Any, Any, Any, Any, Any]:
    """An event of a bundle: time, thread, number of the field that holds it (0: none, or malformed) and its bounds."""
    ts, tid, kind = np.int64(-1), np.int64(-1), np.int64(0)
    first, last = np.int64(0), np.int64(0)
    while at < end:
        number, wire, value, start, after = next_field(buf, at, end)
        if number < 0:
            return ts, tid, np.int64(0), first, last
        at = after
        if number == _TIMESTAMP and wire == 0:
            ts = value
        elif number == _PID and wire == 0:
            tid = value
        elif wire == 2 and kind == 0 and number > _PID and number != _COMMON_FLAGS:
            kind, first, last = number, start, after
    if ts < 0 or tid < -1 or tid >= (1 << 31):
        kind = np.int64(0)
    return ts, tid, kind, first, last


@compiled
def follow_switches(
    cpu: Array, lost: Array, dropped: Array, switch_at: Array, switch_ts: Array, next_tid: Array, next_prio: Array,
    prev_tid: Array, prev_prio: Array, wake_at: Array, wake_ts: Array, waker: Array, running: Array, running_prio: Array,
) -> None:  # fmt: skip
    """Fills in the previous thread and the waker, which compact_sched omits: the last one on that CPU (-1: unknown)."""
    for bundle in range(len(cpu)):
        where = cpu[bundle]
        if dropped[bundle]:  # of any CPU
            running[:], running_prio[:] = -1, 0
        if lost[bundle]:
            running[where], running_prio[where] = -1, 0
        wake = wake_at[bundle]
        for i in range(switch_at[bundle], switch_at[bundle + 1]):
            while wake < wake_at[bundle + 1] and wake_ts[wake] <= switch_ts[i]:
                waker[wake] = running[where]
                wake += 1
            prev_tid[i], prev_prio[i] = running[where], running_prio[where]
            running[where], running_prio[where] = next_tid[i], next_prio[i]
        while wake < wake_at[bundle + 1]:
            waker[wake] = running[where]
            wake += 1


@compiled
def note_names(seq: Array, tid: Array, start: Array, end: Array, said: Array, first: Array, last: Array) -> None:
    """Keeps for each thread the bounds of the name that the latest event gives it; ``said`` is that event's seq + 1."""
    for i in range(len(tid)):
        t = tid[i]
        if 0 <= t < len(said) and end[i] > start[i] and seq[i] + 1 >= said[t]:
            said[t], first[t], last[t] = seq[i] + 1, start[i], end[i]


@compiled
def read_elements(buf: Array, starts: Array, ends: Array, wanted: int, values: Array) -> None:
    """The first values of the repeated field ``wanted``, packed or one by one: as many as ``values`` (uint64) has columns."""
    for i in range(len(starts)):
        at, end, k = starts[i], ends[i], 0
        while at < end and k < values.shape[1]:
            number, wire, value, start, after = next_field(buf, at, end)
            if number < 0:
                break
            at = after
            if number != wanted:
                continue
            if wire == 0:
                values[i, k] = np.uint64(value)
                k += 1
            elif wire == 2:
                inner = start
                while inner < after and k < values.shape[1]:
                    one, inner = varint(buf, inner, after)
                    if inner < 0:
                        break
                    values[i, k] = one
                    k += 1


@compiled
def read_named_fields(
    buf: Array, starts: Array, ends: Array, names: Array, name_at: Array, value: Array, size: Array
) -> None:
    """Reads fields ``names[name_at[k]:name_at[k+1]]`` of generic events: repeated field 2 {name 1, str 3, int 4, uint 5}."""
    for i in range(len(starts)):
        at, end = starts[i], ends[i]
        while at < end:
            number, wire, _, start, after = next_field(buf, at, end)
            if number < 0:
                break
            at = after
            if number == _NAMED_FIELD and wire == 2:
                _read_named(buf, start, after, names, name_at, value, size, i)


@compiled
def _read_named(
    buf: Array, at: int, end: int, names: Array, name_at: Array, value: Array, size: Array, row: int
) -> None:
    column = -1
    found: Any = np.int64(0)
    length: Any = np.int64(-1)
    while at < end:
        number, wire, number_value, start, after = next_field(buf, at, end)
        if number < 0:
            return
        at = after
        if number == _NAME and wire == 2:
            for k in range(len(name_at) - 1):
                if name_at[k + 1] - name_at[k] == after - start:
                    same = True
                    for j in range(after - start):
                        if buf[start + j] != names[name_at[k] + j]:
                            same = False
                            break
                    if same:
                        column = k
        elif number == _TEXT and wire == 2:
            found, length = start, after - start
        elif _INT <= number <= _UINT and wire == 0:
            found, length = number_value, 0
    if column >= 0 and length >= 0:
        value[row, column], size[row, column] = found, length
