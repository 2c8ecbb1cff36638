"""Reads ``key=value`` text to columns by the catalogue's keys: one compiled reader for all events without a special form."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from android_suite.tables.events import MAX_TID
from android_suite.trace.catalogue import Event
from android_suite.trace.core.byte_readers import find_key, find_past_comm, pattern, read_hex, read_number
from android_suite.trace.core.compiled import compiled
from android_suite.trace.core.string_columns import string_column

_DECIMAL, _HEXADECIMAL, _FLAG, _WORD = range(4)
_WAYS = {"uint64": _HEXADECIMAL, "bool": _FLAG, "str": _WORD}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Keys:
    """The keys of one event, in the form that the compiled reader takes."""

    columns: tuple[str, ...]
    ways: np.ndarray  # int64 (columns): how each value is written
    text: np.ndarray  # uint8: all keys one after another, each with its '='
    at: np.ndarray  # int64 (keys + 1): where each begins
    column_of: np.ndarray  # int64 (keys): a column may have several keys; the first one in the text counts
    comms: np.ndarray  # int64 (comms, 2): key of a comm, key of the number that ends it
    comm_column: np.ndarray  # int64 (comms): that number's column, -1 if it is not requested


def read_keyed(
    buf: np.ndarray, starts: np.ndarray, ends: np.ndarray, event: Event, wanted: Collection[str]
) -> tuple[dict[str, Any], np.ndarray]:
    """Reads columns of one kind of event from its payloads.

    Args:
        buf: the text, uint8.
        starts: first byte of each payload.
        ends: byte after each payload.
        event: the kind of event.
        wanted: the columns; each has a key in text.

    Returns:
        The columns, and whether each payload could be read.
    """
    keys = _prepare(event, tuple(column for column in event.columns if column in wanted))
    n, width = len(starts), len(keys.columns)
    values, stops = np.zeros((n, width), np.int64), np.full((n, width), -1, np.int64)
    _read(buf, starts, ends, keys.text, keys.at, keys.column_of, keys.ways, keys.comms, keys.comm_column, values, stops)
    columns: dict[str, Any] = {}
    good = np.ones(n, np.bool_)
    for k, column in enumerate(keys.columns):
        value, there, place = values[:, k], stops[:, k] >= 0, event.columns[column]
        dtype = event.table.dtypes[column]
        if dtype == "str":
            columns[column] = string_column(buf, value, np.maximum(stops[:, k], value))
            continue
        if place.absent is None:
            good &= there
        else:
            value = np.where(there, value, place.absent)
        if dtype == "int32":
            lowest, largest = (0, MAX_TID) if column.endswith("tid") else (-(1 << 31), (1 << 31) - 1)
            good &= (value >= lowest) & (value <= largest)
        columns[column] = value.view(np.uint64) if dtype == "uint64" else value.astype(dtype)
    return columns, good


def _prepare(event: Event, columns: tuple[str, ...]) -> _Keys:
    words: list[str] = []
    column_of: list[int] = []
    for k, column in enumerate(columns):
        names = event.columns[column].text
        words += [f"{name}=" for name in names]
        column_of += [k] * len(names)
    comms: list[tuple[int, int]] = []
    comm_column: list[int] = []
    for column, comm in event.names:
        comms.append((len(words), len(words) + 1))
        comm_column.append(columns.index(column) if column in columns else -1)
        words += [f"{comm.text[0]}=", f" {event.columns[column].text[0]}="]
    return _Keys(
        columns=columns,
        ways=np.array([_WAYS.get(event.table.dtypes[column], _DECIMAL) for column in columns], np.int64),
        text=pattern("".join(words)),
        at=np.cumsum([0, *(len(word) for word in words)]),
        column_of=np.array(column_of, np.int64),
        comms=np.array(comms, np.int64).reshape(-1, 2),
        comm_column=np.array(comm_column, np.int64),
    )


@compiled
def _read(
    buf: np.ndarray, starts: np.ndarray, ends: np.ndarray, text: np.ndarray, key_at: np.ndarray, column_of: np.ndarray,
    ways: np.ndarray, comms: np.ndarray, comm_column: np.ndarray, values: np.ndarray, stops: np.ndarray,
) -> None:  # fmt: skip
    """Reads each payload: ``values`` gets numbers, or where a word begins; ``stops`` is where each ends (-1: absent)."""
    for i in range(len(starts)):
        start, end = min(starts[i], ends[i]), ends[i]
        first = start
        for c in range(len(comms)):
            # A comm may contain anything, even look-alikes of keys, so keys after it are searched for only after its end.
            name, number = comms[c, 0], comms[c, 1]
            comm = find_key(buf, first, end, text[key_at[name] : key_at[name + 1]])
            if comm < 0:
                break
            after = find_past_comm(buf, comm, end, text[key_at[number] : key_at[number + 1]])
            if after < 0:
                break
            first = after
            if comm_column[c] >= 0:
                _read_value(buf, after, end, _DECIMAL, i, comm_column[c], values, stops)
        for key in range(len(column_of)):
            k = column_of[key]
            if stops[i, k] >= 0:
                continue
            at = find_key(buf, first, end, text[key_at[key] : key_at[key + 1]])
            if at < 0 and first > start:
                at = find_key(buf, start, first, text[key_at[key] : key_at[key + 1]])
            if at >= 0:
                _read_value(buf, at, end, ways[k], i, k, values, stops)


@compiled
def _read_value(
    buf: np.ndarray, at: int, end: int, way: int, i: int, k: int, values: np.ndarray, stops: np.ndarray
) -> None:
    if way == _DECIMAL:
        number, stop = read_number(buf, at, end)
        if stop > at:
            values[i, k], stops[i, k] = number, stop
    elif way == _HEXADECIMAL:
        bits, stop = read_hex(buf, at, end)
        if stop > at:
            values[i, k], stops[i, k] = np.int64(bits), stop
    elif way == _FLAG:
        flag = read_flag(buf, at, end)
        if flag >= 0:
            values[i, k], stops[i, k] = flag, at + 1
    else:
        stop = at
        while stop < end and buf[stop] > 32:
            stop += 1
        bits, after = read_hex(buf, at, stop)
        if after == stop and bits == 0:
            stop = at  # an address of 0 is not a name
        values[i, k], stops[i, k] = at, stop


@compiled
def read_flag(buf: np.ndarray, at: int, end: int) -> int:
    """1 for true, 0 for false at ``at`` (true/false, 1/0, 0x1, Y/N), else -1."""
    if at >= end:
        return -1
    if at + 2 < end and buf[at] == 48 and buf[at + 1] == 120:
        value, _ = read_number(buf, at, end)
        return int(value != 0)
    c = buf[at]
    if c in (116, 49, 89):
        return 1
    return 0 if c in (102, 48, 78) else -1
