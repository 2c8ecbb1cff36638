"""Packs events into ring-buffer pages per CPU, as a little-endian 64-bit kernel does, without a loop over events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.event_forms import FORMS, Form
from benchmarks.scenes import Event

PAGE_BYTES = 4096
HEAD_BYTES = 16  # time stamp and commit word
HEADER_PAGE = (
    "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
    "\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n"
    "\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n"
    f"\tfield: char data;\toffset:{HEAD_BYTES};\tsize:{PAGE_BYTES - HEAD_BYTES};\tsigned:1;\n"
)
_WORD_BYTES = 4  # before each record: length and time delta
_MOST_DELTA_NS = (1 << 27) - 1
_MOST_SHORT_BYTES = 112  # a longer record would need a length word

Array = npt.NDArray[Any]


def pack_events(events: Sequence[Event]) -> dict[int, Array]:
    """Pages of each CPU: uint8 (pages, PAGE_BYTES).

    Args:
        events: of each CPU in order of time, less than 2^27 ns apart.
    """
    by_cpu: dict[int, list[Event]] = defaultdict(list)
    for event in events:
        by_cpu[event.cpu].append(event)
    return {cpu: _pack_cpu(own) for cpu, own in sorted(by_cpu.items())}


def shift_pages(pages: Array, by_ns: int) -> Array:
    """The same pages at a later time. The deltas of the events are relative, so only the pages' time stamps change."""
    moved = pages.copy()
    moved.view(np.uint64)[:, 0] += np.uint64(by_ns)
    return moved


def _pack_cpu(events: Sequence[Event]) -> Array:
    ts = np.array([e.ts_ns for e in events], np.int64)
    records, sizes = _make_records(events)
    taken = sizes + _WORD_BYTES
    page, first = _cut_pages(taken)
    before = np.concatenate([[0], np.cumsum(taken)[:-1]])
    at = page * PAGE_BYTES + HEAD_BYTES + before - before[first][page]
    delta = np.diff(ts, prepend=ts[:1])
    delta[first] = 0
    if delta.min() < 0 or delta.max() > _MOST_DELTA_NS:
        raise ValueError("events of a CPU must be in order and less than 2^27 ns apart")
    out = np.zeros(len(first) * PAGE_BYTES, np.uint8)
    _put(out, at, (delta << 5 | sizes >> 2).astype("<u4")[:, None].view(np.uint8))
    for rows, data in records:
        _put(out, at[rows] + _WORD_BYTES, data)
    pages = out.reshape(-1, PAGE_BYTES)
    head = pages.view("<u8")
    head[:, 0] = ts[first]
    last = np.append(first[1:], len(events)) - 1
    head[:, 1] = at[last] + taken[last] - np.arange(len(first)) * PAGE_BYTES - HEAD_BYTES
    return pages


def _put(out: Array, at: Array, data: Array) -> None:
    out[at[:, None] + np.arange(data.shape[1])] = data


def _cut_pages(taken: Array) -> tuple[Array, Array]:
    """Page of each event, and the first event of each page; every page as full as its events allow."""
    ends = np.cumsum(taken)
    first = [0]
    room = PAGE_BYTES - HEAD_BYTES
    while (cut := int(np.searchsorted(ends, (ends[first[-1] - 1] if first[-1] else 0) + room, "right"))) < len(taken):
        first.append(cut)
    starts = np.array(first)
    return np.searchsorted(starts, np.arange(len(taken)), "right") - 1, starts


def _make_records(events: Sequence[Event]) -> tuple[list[tuple[Array, Array]], Array]:
    """Groups of events whose records have one size: their rows and bytes (rows, size); and the size of every record."""
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, event in enumerate(events):
        rows_of[event.name].append(row)
    sizes = np.zeros(len(events), np.int64)
    groups = []
    for name, found in rows_of.items():
        rows, form = np.array(found), FORMS[name]
        data = np.array([(form.number, 0, 0, events[r].tid, *_encoded(events[r].values)) for r in found], form.record)
        own = _record_sizes(form, data)
        sizes[rows] = own
        raw = data.view(np.uint8).reshape(len(rows), -1)
        groups += [(rows[own == size], raw[own == size, :size]) for size in np.unique(own).tolist()]
    if sizes.max() > _MOST_SHORT_BYTES:
        raise ValueError(f"records of at most {_MOST_SHORT_BYTES} bytes")
    return groups, sizes


def _encoded(values: tuple[object, ...]) -> tuple[object, ...]:
    return tuple(v.encode() if isinstance(v, str) else v for v in values)


def _record_sizes(form: Form, data: Array) -> Array:
    """Bytes of each record, padded to words: a text at the end takes its length and a zero byte."""
    if form.text_field is None:
        return np.full(len(data), (form.record.itemsize + 3) // 4 * 4)
    start = form.record.fields[form.text_field][1]  # type: ignore[index]
    return (start + np.char.str_len(data[form.text_field]) + 1 + 3) // 4 * 4
