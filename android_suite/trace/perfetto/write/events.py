"""Converts event tables to columns ready to encode: the Perfetto event of each row, and its fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as compute
from google.protobuf import descriptor_pb2
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

from android_suite.tables import events
from android_suite.tables.trace import Trace
from android_suite.trace.catalogue import (
    ARGUMENTS,
    CLONE_THREAD,
    ENTERED,
    EVENTS,
    LEFT,
    Change,
    Event,
    is_text,
    named_syscall,
)
from android_suite.trace.perfetto.index import FIRST_DESCRIBED
from android_suite.trace.perfetto.numbers import has_field, message_of_event, number_of, numbers_of
from android_suite.trace.perfetto.write.encode import NUMBERS, TEXTS, Array, EventColumns

# The numbers of the states in kernels since 4.14 (where x, dead, of older ones is X). Other states are written as a bit
# without a letter.
_STATE_BITS = {"R": 0, "R+": 256, "S": 1, "D": 2, "T": 4, "t": 8, "X": 16, "x": 16, "Z": 32, "P": 64, "I": 128}
_NO_STATE_BIT = 512
_STATE_NUMBERS = np.array([_STATE_BITS.get(letter, _NO_STATE_BIT) for letter in events.TASK_STATES])
_FIRST_NAMED_CALL = FIRST_DESCRIBED + 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of event: Perfetto's number for it, and the numbers of its fields. Generic kinds are described in the trace."""

    number: int
    fields: tuple[int, ...]
    texts: tuple[int, ...] = ()
    generic: tuple[str, tuple[str, ...]] | None = None  # group:name, names of the fields


class EventWriter:
    """Collects rows of every table and puts them in order."""

    def __init__(self, trace: Trace) -> None:
        self._kinds: list[Kind] = []
        self._rows: list[dict[str, Array]] = []
        self.symbol_names: list[str] = []  # kernel symbols; a symbol's number is its position plus one
        threads = trace["threads"]
        self._text, at = _joined(threads["comm"])
        order = np.argsort(threads["tid"].to_numpy(), kind="stable")
        self._tids, self._comm_at = threads["tid"].to_numpy()[order], np.stack([at[:-1], at[1:]], axis=1)[order]

    def comm(self, tids: pd.Series) -> Array:
        """Bounds of each thread's name in the text (n, 2); empty for a thread without a name."""
        if not len(self._tids):
            return np.zeros((len(tids), 2), np.int64)
        at = np.clip(np.searchsorted(self._tids, tids.to_numpy()), 0, len(self._tids) - 1)
        return np.where((self._tids[at] == tids.to_numpy())[:, None], self._comm_at[at], 0)

    def text(self, texts: pd.Series) -> Array:
        """Adds texts and returns their bounds (n, 2)."""
        data, at = _joined(texts)
        base = len(self._text)
        self._text = np.concatenate([self._text, data])
        return np.stack([at[:-1], at[1:]], axis=1) + base

    def symbols(self, callers: pd.Series) -> Array:
        """Numbers of kernel symbols: 0 for an unknown caller, the address itself for one without a name."""
        different, index = np.unique(callers.to_numpy(dtype=object), return_inverse=True)
        numbers = []
        for name in different:
            if not name:
                numbers.append(0)
            elif name.startswith("0x") and len(name) > 10:
                numbers.append(int(name, 16) & 0xFFFFFFFFFFFFFFFF)
            else:
                self.symbol_names.append(name)
                numbers.append(len(self.symbol_names))
        return np.array(numbers, np.uint64)[index] if numbers else np.empty(0, np.uint64)

    def add(self, frame: pd.DataFrame, kind: Kind, numbers: list[Any], texts: list[Array] | None = None) -> None:
        """Adds the rows of ``frame`` as events of ``kind``."""
        n = len(frame)
        if not n:
            return
        values = np.zeros((n, NUMBERS), np.int64)
        for k, column in enumerate(numbers):
            array = np.asarray(column)
            values[:, k] = array.view(np.int64) if array.dtype == np.uint64 else array.astype(np.int64)
        spans = np.zeros((n, TEXTS, 2), np.int64)
        for k, span in enumerate(texts or ()):
            spans[:, k] = span
        tid = _kernel_tids((frame["tid"] if "tid" in frame else frame["prev_tid"]).to_numpy())
        self._rows.append(
            {
                "seq": frame["seq"].to_numpy(), "ts": frame["ts_ns"].to_numpy(), "cpu": frame["cpu"].to_numpy(),
                "tid": np.maximum(tid, 0), "kind": np.full(n, len(self._kinds)), "values": values, "spans": spans,
            }
        )  # fmt: skip
        self._kinds.append(kind)

    def ordered(self) -> tuple[Array, EventColumns]:
        """The CPU of each event, and the events, both sorted by CPU and time."""
        rows = {key: np.concatenate([part[key] for part in self._rows]) for key in self._rows[0]}
        order = np.lexsort((rows["seq"], rows["cpu"]))
        rows = {key: value[order] for key, value in rows.items()}
        number_fields = np.zeros((len(self._kinds), NUMBERS), np.int64)
        text_fields = np.zeros((len(self._kinds), TEXTS), np.int64)
        for k, kind in enumerate(self._kinds):
            number_fields[k, : len(kind.fields)] = kind.fields
            text_fields[k, : len(kind.texts)] = kind.texts
        return rows["cpu"], EventColumns(
            ts_ns=rows["ts"], tid=rows["tid"], kind=rows["kind"], numbers=rows["values"],
            text_start=np.ascontiguousarray(rows["spans"][:, :, 0]), text_end=np.ascontiguousarray(rows["spans"][:, :, 1]),
            kinds=np.array([kind.number for kind in self._kinds]), number_fields=number_fields, text_fields=text_fields,
            text=self._text,
        )  # fmt: skip

    def is_empty(self) -> bool:
        """Whether nothing was added."""
        return not self._rows

    def descriptors(self) -> list[protos.FtraceEventBundle.GenericEventDescriptor]:
        """Descriptors of the generic kinds, to be included in the trace."""
        out = []
        for kind in {k.number: k for k in self._kinds if k.generic}.values():
            assert kind.generic is not None
            name, fields = kind.generic
            group, _, event = name.partition(":")
            message = descriptor_pb2.DescriptorProto(name=event)
            for number, field in zip(kind.fields, fields, strict=True):
                message.field.add(
                    name=field, number=number, type=descriptor_pb2.FieldDescriptorProto.TYPE_UINT64,
                    label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
                )  # fmt: skip
            out.append(
                protos.FtraceEventBundle.GenericEventDescriptor(
                    field_id=kind.number, group_name=group, event_descriptor=message.SerializeToString()
                )
            )
        return out


def _joined(texts: pd.Series) -> tuple[Array, Array]:
    """The bytes of all texts, and where each begins (one more than texts)."""
    array = pa.array(texts, type=pa.large_string())
    if isinstance(array, pa.ChunkedArray):  # of tables that were read in pieces
        array = array.combine_chunks()
    encoded = compute.binary_length(array).to_numpy(zero_copy_only=False)
    at = np.concatenate([[0], np.cumsum(encoded)]).astype(np.int64)
    data = array.buffers()[2]
    first = array.offset and np.frombuffer(array.buffers()[1], np.int64)[array.offset]
    return (np.frombuffer(data, np.uint8)[first : first + at[-1]] if data is not None else np.empty(0, np.uint8)), at


def collect_events(trace: Trace) -> EventWriter:
    """Every row of the event tables of ``trace`` as a Perfetto event."""
    out = EventWriter(trace)
    described = FIRST_DESCRIBED
    written: set[tuple[str, int]] = set()
    for event in EVENTS:
        key = event.table.name, event.kind
        if key in written:
            continue
        written.add(key)
        rows = trace[event.table.name]
        rows = rows[rows["kind"] == event.kind] if "kind" in rows else rows
        if event.table is events.SYSCALL:
            rows = rows[rows["nr"] >= 0]
        message = message_of_event(event.bare_name)
        _add_rows(out, event, rows, message, number=described)
        described += message is None
    _add_named_syscalls(out, trace[events.SYSCALL.name])
    return out


def _add_rows(out: EventWriter, event: Event, rows: pd.DataFrame, message: str | None, *, number: int) -> None:
    """Adds rows as events of Perfetto's ``message``, or as events that the trace describes under ``number``."""
    names: list[str] = []
    numbers: list[Any] = []
    text_names: list[str] = []
    texts: list[Array] = []
    for column, place in event.columns.items():
        name = place.kernel[0]
        if place.change == "call" or (message is not None and not has_field(message, name)):
            continue  # the number implies it, or Perfetto has no field for it
        if is_text(event.table, column) and place.change != "symbol":
            text_names.append(name)
            texts.append(out.text(rows[column]))
        else:
            names.append(name)
            numbers.append(_kernel_values(out, rows[column], place.change))
    for array, prefix in event.arrays.items():
        elements = [column for column in event.table.dtypes if column.startswith(prefix)]
        names += [array] * len(elements)
        numbers += [rows[column] for column in elements]
    for column, comm in event.names:
        if comm.kernel[0] not in text_names and message is not None:
            text_names.append(comm.kernel[0])
            texts.append(out.comm(rows[column]))
    if message is None:
        kind = Kind(number=number, fields=tuple(range(1, len(names) + 1)), generic=(event.name, tuple(names)))
    else:
        fields, text_fields = numbers_of(message, *names), numbers_of(message, *text_names)
        kind = Kind(number=number_of("FtraceEvent", event.bare_name), fields=fields, texts=text_fields)
    out.add(rows, kind, numbers, texts)


def _kernel_values(out: EventWriter, column: pd.Series, change: Change) -> Any:
    """The values that the kernel would have written for a column."""
    match change:
        case "state":
            return _STATE_NUMBERS[column]
        case "shares_tgid":
            return column * CLONE_THREAD
        case "symbol":
            return out.symbols(column)
    return _kernel_tids(column.to_numpy()) if str(column.name).endswith("tid") else column


def _kernel_tids(tid: Array) -> Array:
    """``kernel_tid`` for an array."""
    return np.where(tid > events.MAX_TID, tid % events.MAX_TID, tid)


def _add_named_syscalls(out: EventWriter, calls: pd.DataFrame) -> None:
    """Adds calls that have only a name, as events of the syscalls group."""
    named = calls[calls["nr"] < 0]
    for call in np.unique(named["call"]).tolist():
        name = events.SYSCALLS[call]
        known = ARGUMENTS.get(name, ())
        arguments = (*known, *(f"arg{i}" for i in range(len(known), 6)))
        for kind, event in enumerate((named_syscall(ENTERED + name, arguments), named_syscall(LEFT + name))):
            assert event is not None
            rows = named[(named["call"] == call) & (named["kind"] == kind)]
            _add_rows(out, event, rows, None, number=_FIRST_NAMED_CALL + 2 * call + kind)
