"""Encodes columns as ftrace events in protobuf, in one compiled pass for all kinds, as a capture has millions of events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from android_suite.trace.core.compiled import compiled
from android_suite.trace.perfetto.numbers import number_of, numbers_of

Array = npt.NDArray[Any]
NUMBERS, TEXTS = 8, 2  # fields an event may have
_EVENT = number_of("FtraceEventBundle", "event")
_TIMESTAMP, _PID = numbers_of("FtraceEvent", "timestamp", "pid")  # below 16: their tags are one byte


@dataclass(frozen=True, slots=True, kw_only=True)
class EventColumns:
    """Events to encode, in order. A kind is a row of ``kinds``, ``number_fields`` and ``text_fields`` (field 0: unused)."""

    ts_ns: Array
    tid: Array
    kind: Array
    numbers: Array  # int64 (n, NUMBERS)
    text_start: Array  # int64 (n, TEXTS), into ``text``
    text_end: Array
    kinds: Array  # FtraceEvent's field number of each kind
    number_fields: Array  # (kinds, NUMBERS)
    text_fields: Array  # (kinds, TEXTS)
    text: Array  # uint8


def encode_events(events: EventColumns) -> tuple[Array, Array]:
    """``FtraceEventBundle.event`` fields: where each begins (one more than events), and the bytes of all."""
    sizes = np.zeros(len(events.ts_ns) + 1, np.int64)
    arguments = (
        events.ts_ns, events.tid, events.kind, events.numbers, events.text_start, events.text_end, events.kinds,
        events.number_fields, events.text_fields, events.text,
    )  # fmt: skip
    _encode(*arguments, sizes, np.empty(0, np.uint8), False)
    offsets = np.cumsum(sizes)
    out = np.empty(int(offsets[-1]), np.uint8)
    _encode(*arguments, offsets, out, True)
    return offsets, out


@compiled
def _size(value: Any) -> int:
    n = 1
    value = np.uint64(value)
    while value > np.uint64(127):
        value >>= np.uint64(7)
        n += 1
    return n


@compiled
def _put(out: Array, at: int, value: Any) -> int:
    value = np.uint64(value)
    while value > np.uint64(127):
        out[at] = np.uint8(value & np.uint64(127)) | np.uint8(128)
        value >>= np.uint64(7)
        at += 1
    out[at] = np.uint8(value)
    return at + 1


@compiled
def _encode(
    ts: Array, tid: Array, kind: Array, numbers: Array, text_start: Array, text_end: Array, kinds: Array,
    number_fields: Array, text_fields: Array, text: Array, offsets: Array, out: Array, write: bool,
) -> None:  # fmt: skip
    for i in range(len(ts)):
        k = kind[i]
        body = 0
        for j in range(number_fields.shape[1]):
            if number_fields[k, j] > 0:
                body += _size(number_fields[k, j] << 3) + _size(numbers[i, j])
        for j in range(text_fields.shape[1]):
            if text_fields[k, j] > 0:
                size = text_end[i, j] - text_start[i, j]
                body += _size(text_fields[k, j] << 3) + _size(size) + size
        inner = 1 + _size(ts[i]) + 1 + _size(tid[i]) + _size(kinds[k] << 3) + _size(body) + body
        if not write:
            offsets[i + 1] = 1 + _size(inner) + inner
            continue
        at = _put(out, offsets[i], _EVENT << 3 | 2)
        at = _put(out, at, inner)
        at = _put(out, _put(out, at, _TIMESTAMP << 3), ts[i])
        at = _put(out, _put(out, at, _PID << 3), tid[i])
        at = _put(out, _put(out, at, kinds[k] << 3 | 2), body)
        for j in range(number_fields.shape[1]):
            if number_fields[k, j] > 0:
                at = _put(out, _put(out, at, number_fields[k, j] << 3), numbers[i, j])
        for j in range(text_fields.shape[1]):
            if text_fields[k, j] > 0:
                size = text_end[i, j] - text_start[i, j]
                at = _put(out, _put(out, at, text_fields[k, j] << 3 | 2), size)
                for b in range(size):
                    out[at + b] = text[text_start[i, j] + b]
                at += size
