"""Decodes any event of a binary ftrace trace with all its fields, on request, in a second pass over the pages."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from android_suite.errors import TraceError, UsageError
from android_suite.trace.core import gather
from android_suite.trace.core.event_format import EventFormat, Field
from android_suite.trace.core.string_columns import decode_text, text_spans
from android_suite.trace.ring.batches import Batch, ScanSummary, iter_batches, locate
from android_suite.trace.ring.ring_trace import RingBufferTrace

Array = npt.NDArray[Any]

HEAD = {"seq": "int64", "ts_ns": "int64", "cpu": "int32", "tid": "int32"}


def decode_whole_event(opened: RingBufferTrace, name: str) -> pd.DataFrame:
    """Decodes every event of one kind.

    Args:
        opened: the trace.
        name: ``system:event``, or the event's name alone.

    Returns:
        One row per event: seq, ts_ns, cpu, tid, then the fields under their own names. Integers keep their sign; char
        arrays are str; other arrays are one column per element (``args0``, ...) or, if dynamic, bytes.

    Raises:
        UsageError: the trace does not describe such an event.
        TraceError: a page or a record cannot be decoded.
    """
    form = find_format(opened.formats, name)
    dense = np.zeros(1 << 16, np.int32)
    dense[form.id & 0xFFFF] = 1
    parts = [
        decode_records(form, batch, np.flatnonzero(batch.kind == 1), opened)
        for batch in iter_batches(opened.streams, opened.layout, dense, ScanSummary())
    ]
    whole = pd.concat(parts, ignore_index=True) if parts else None
    if whole is None:
        return pd.DataFrame({k: pd.Series(dtype=v) for k, v in HEAD.items()})
    return whole


def find_format(formats: tuple[EventFormat, ...], name: str) -> EventFormat:
    """The format of an event by ``system:name`` or name.

    Raises:
        UsageError: there is none.
    """
    for form in formats:
        if name in (form.full_name, form.name):
            return form
    raise UsageError(f"this trace describes no event {name!r}; see event_counts for those it has")


def decode_records(form: EventFormat, batch: Batch, rows: Array, opened: RingBufferTrace) -> pd.DataFrame:
    """The events ``rows`` of a batch, all of kind ``form``, as a frame."""
    where, size = batch.where[rows], batch.size[rows]
    needed = form.record_bytes
    if rows.size and int(size.min()) < needed:
        event = int(rows[int(np.argmin(size))])
        raise TraceError(
            *locate(opened.streams, batch, event),
            f"records of {form.full_name} with at least {needed} bytes, found {int(size.min())} at {int(batch.ts[event])} ns",
        )  # fmt: skip
    columns: dict[str, Any] = {
        "seq": batch.first_seq + rows, "ts_ns": batch.ts[rows].copy(), "cpu": batch.cpu[rows].copy(),
    }  # fmt: skip
    tid = form.field("common_pid")
    columns["tid"] = _integers(batch, where, tid).astype(np.int32) if tid else np.full(rows.size, -1, np.int32)
    for field in form.own_fields:
        columns.update(_decode_field(batch, where, size, field))
    return pd.DataFrame(columns)


def _decode_field(batch: Batch, where: Array, size: Array, field: Field) -> dict[str, Any]:
    if field.is_text:
        texts = decode_text(batch.words, where, size, batch.big, field)
        return {field.name: pd.Series(pd.array(pa.chunked_array([texts]), dtype="str"))}
    step = field.element_bytes
    if field.is_array and field.location == "here" and field.size and step in (1, 2, 4, 8) and field.size // step <= 64:
        return {
            f"{field.name}{i}": _integers(
                batch, where,
                Field(name=field.name, type=field.type, offset=field.offset + i * step, size=step, signed=field.signed),
            )
            for i in range(field.size // step)
        }  # fmt: skip
    if field.is_array or not 1 <= field.size <= 8:
        begin, limit = text_spans(batch.words, where, size, batch.big, field)
        offsets = np.zeros(where.size + 1, np.int64)
        np.cumsum(limit, out=offsets[1:])
        data = np.empty(int(offsets[-1]), np.uint8)
        gather.gather_bytes(batch.words, where, begin, batch.big, offsets, data)
        raw = data.tobytes()
        ends = offsets.tolist()
        return {field.name: pd.Series([raw[a:b] for a, b in itertools.pairwise(ends)], dtype=object)}
    return {field.name: _integers(batch, where, field)}


def _integers(batch: Batch, where: Array, field: Field) -> Array:
    out = np.empty(where.size, np.int64)
    gather.gather_field(batch.words, where, field.offset, field.size, field.signed, batch.big, out)
    if field.size == 8 and not field.signed:
        return out.view(np.uint64)
    return out != 0 if field.type in ("bool", "_Bool") else out
