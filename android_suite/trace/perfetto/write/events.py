"""Event tables to columns ready to encode: which Perfetto event each row becomes, and with which fields."""

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
from android_suite.trace.perfetto.index import FIRST_DESCRIBED
from android_suite.trace.perfetto.tables import ARGUMENTS
from android_suite.trace.perfetto.write.encode import NUMBERS, TEXTS, Array, EventColumns

# The states' numbers in kernels since 4.14 (x, dead, of older ones is X there). States without one
# there are written as a bit that no letter has.
_STATE_BITS = {"R": 0, "R+": 256, "S": 1, "D": 2, "T": 4, "t": 8, "X": 16, "x": 16, "Z": 32, "P": 64, "I": 128}
_NO_STATE_BIT = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of event: Perfetto's field number, and the fields of ours. Generic kinds are described in the trace."""

    number: int
    fields: tuple[int, ...]
    texts: tuple[int, ...] = ()
    generic: tuple[str, tuple[str, ...]] | None = None  # group:name, names of the fields


class EventWriter:
    """Collects rows of every table and puts them in order."""

    def __init__(self, trace: Trace) -> None:
        self._kinds: list[Kind] = []
        self._rows: list[dict[str, Array]] = []
        self.symbol_names: list[str] = []  # kernel symbols; the number of each is its position plus one
        threads = trace["threads"]
        self._text, at = _joined(threads["comm"])
        order = np.argsort(threads["tid"].to_numpy(), kind="stable")
        self._tids, self._comm_at = threads["tid"].to_numpy()[order], np.stack([at[:-1], at[1:]], axis=1)[order]

    def comm(self, tids: pd.Series) -> Array:
        """Bounds of each thread's name in the text (n, 2); empty for a thread that has none."""
        if not len(self._tids):
            return np.zeros((len(tids), 2), np.int64)
        at = np.clip(np.searchsorted(self._tids, tids.to_numpy()), 0, len(self._tids) - 1)
        return np.where((self._tids[at] == tids.to_numpy())[:, None], self._comm_at[at], 0)

    def text(self, texts: pd.Series) -> Array:
        """Adds texts; their bounds (n, 2)."""
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
        tid = frame["tid"] if "tid" in frame else frame["prev_tid"]
        self._rows.append(
            {
                "seq": frame["seq"].to_numpy(), "ts": frame["ts_ns"].to_numpy(), "cpu": frame["cpu"].to_numpy(),
                "tid": np.maximum(tid.to_numpy(), 0), "kind": np.full(n, len(self._kinds)), "values": values, "spans": spans,
            }
        )  # fmt: skip
        self._kinds.append(kind)

    def ordered(self) -> tuple[Array, EventColumns]:
        """CPU of each event, and the events by CPU and time."""
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
        """What the generic kinds look like, for the trace to carry."""
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
    if isinstance(array, pa.ChunkedArray):  # tables that were read in pieces
        array = array.combine_chunks()
    encoded = compute.binary_length(array).to_numpy(zero_copy_only=False)
    at = np.concatenate([[0], np.cumsum(encoded)]).astype(np.int64)
    data = array.buffers()[2]
    first = array.offset and np.frombuffer(array.buffers()[1], np.int64)[array.offset]
    return (np.frombuffer(data, np.uint8)[first : first + at[-1]] if data is not None else np.empty(0, np.uint8)), at


def collect_events(trace: Trace) -> EventWriter:
    """Every row of the event tables of ``trace`` as a Perfetto event."""
    out = EventWriter(trace)
    _add_sched(out, trace)
    _add_locks(out, trace)
    _add_syscalls(out, trace["syscall"])
    marker = trace["marker"]
    out.add(marker, Kind(number=3, fields=(), texts=(2,)), [], [out.text(marker["text"])])
    return out


def _add_sched(out: EventWriter, trace: Trace) -> None:
    switch = trace["sched_switch"]
    bits = np.array([_STATE_BITS.get(letter, _NO_STATE_BIT) for letter in events.TASK_STATES])
    out.add(
        switch, Kind(number=4, fields=(2, 3, 4, 6, 7), texts=(1, 5)),
        [switch["prev_tid"], switch["prev_prio"], bits[switch["prev_state"]], switch["next_tid"], switch["next_prio"]],
        [out.comm(switch["prev_tid"]), out.comm(switch["next_tid"])],
    )  # fmt: skip
    for kind, number in enumerate((20, 17, 114)):
        wake = trace["sched_wake"]
        wake = wake[wake["kind"] == kind]
        out.add(
            wake, Kind(number=number, fields=(2, 3, 5), texts=(1,)),
            [wake["target_tid"], wake["target_prio"], wake["target_cpu"]], [out.comm(wake["target_tid"])],
        )  # fmt: skip
    blocked = trace["blocked_reason"]
    out.add(
        blocked, Kind(number=18, fields=(1, 2, 3)), [blocked["target_tid"], out.symbols(blocked["caller"]), blocked["io_wait"]],
    )  # fmt: skip
    boost = trace["pi_setprio"]
    out.add(
        boost, Kind(number=353, fields=(4, 3, 2), texts=(1,)), [boost["target_tid"], boost["old_prio"], boost["new_prio"]],
        [out.comm(boost["target_tid"])],
    )  # fmt: skip
    task = trace["task"]
    rows = task[task["kind"] == events.TASK_KINDS.index("newtask")]
    out.add(
        rows, Kind(number=235, fields=(1, 3), texts=(2,)), [rows["target_tid"], rows["thread_of_caller"] * 0x10000],
        [out.text(rows["comm"])],
    )  # fmt: skip
    for name, number, tid_field, comm_field in (
        ("rename", 236, 1, 3),
        ("exec", 237, 2, 1),
        ("exit", 238, 2, 1),
        ("fork", 239, 4, 3),
    ):
        rows = task[task["kind"] == events.TASK_KINDS.index(name)]
        kind_of = Kind(number=number, fields=(tid_field,), texts=(comm_field,))
        out.add(rows, kind_of, [rows["target_tid"]], [out.text(rows["comm"])])


def _generic(index: int, name: str, *fields: str) -> Kind:
    return Kind(number=FIRST_DESCRIBED + index, fields=tuple(range(1, len(fields) + 1)), generic=(name, fields))


def _add_locks(out: EventWriter, trace: Trace) -> None:
    locks = trace["mmap_lock"]
    for kind, name in enumerate(events.MMAP_LOCK_KINDS):
        rows = locks[locks["kind"] == kind]
        fields, columns = ["mm", "write"], [rows["mm"], rows["write"]]
        if kind == 1:
            fields, columns = [*fields, "success"], [*columns, rows["success"]]
        out.add(rows, _generic(kind, f"mmap_lock:{name}", *fields), columns)
    contention = trace["contention"]
    for kind, (name, last) in enumerate((("contention_begin", "flags"), ("contention_end", "ret"))):
        rows = contention[contention["kind"] == kind]
        out.add(rows, _generic(3 + kind, f"lock:{name}", "lock_addr", last), [rows["lock_addr"], rows[last]])
    fault = trace["page_fault"]
    named = _generic(5, "exceptions:page_fault_user", "address", "ip", "error_code")
    out.add(fault, named, [fault["address"], fault["ip"], fault["error_code"]])


def _add_syscalls(out: EventWriter, calls: pd.DataFrame) -> None:
    numbered = calls["nr"] >= 0
    entered = calls["kind"] == 0
    arguments = [f"arg{i}" for i in range(6)]
    rows = calls[numbered & entered]
    out.add(rows, Kind(number=329, fields=(1, 2, 2, 2, 2, 2, 2)), [rows["nr"], *(rows[a] for a in arguments)])
    rows = calls[numbered & ~entered]
    out.add(rows, Kind(number=330, fields=(1, 2)), [rows["nr"], rows["ret"]])
    # Calls that only have a name: as the events of the syscalls group.
    for call in np.unique(calls["call"][~numbered]).tolist():
        name = events.SYSCALLS[call]
        rows = calls[~numbered & entered & (calls["call"] == call)]
        out.add(
            rows,
            _generic(64 + 2 * call, f"syscalls:sys_enter_{name}", *_argument_names(name)),
            [rows[a] for a in arguments],
        )
        rows = calls[~numbered & ~entered & (calls["call"] == call)]
        out.add(rows, _generic(65 + 2 * call, f"syscalls:sys_exit_{name}", "ret"), [rows["ret"]])


def _argument_names(call: str) -> tuple[str, ...]:
    known = ARGUMENTS.get(call, ())
    return (*known, *(f"arg{i}" for i in range(len(known), 6)))
