"""Batches of merged events to the event tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from android_suite.errors import TraceError
from android_suite.tables import events
from android_suite.tables.schema import Table, make_frame
from android_suite.trace import gather, merge
from android_suite.trace.batches import Batch, locate
from android_suite.trace.event_format import EventFormat, Field, StateLetters, parse_state_letters
from android_suite.trace.event_specs import EventSpec, find_spec
from android_suite.trace.page_stream import PageStream
from android_suite.trace.text_column import decode_text
from android_suite.trace.thread_names import ThreadNames

Array = npt.NDArray[Any]

CLONE_THREAD = 0x10000
_LETTER_INDEX = {letter: index for index, letter in enumerate(events.TASK_STATES)}
_UNKNOWN_STATE = _LETTER_INDEX["?"]
_STATE_TABLE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """One kind of event, made ready: fields found, lookups built."""

    form: EventFormat
    spec: EventSpec | None
    table: int  # index into the builder's tables; the last one is 'none'
    tid: Field
    integers: tuple[tuple[str, Field], ...]  # column, field
    texts: tuple[tuple[str, Field], ...]
    names: tuple[tuple[Field, Field], ...]
    needed_bytes: int


class TableBuilder:
    """Takes batches, gives tables. Memory is that of the tables, which hold one compact row an event.

    Args:
        formats: every event that the trace describes.
        streams: where the batches come from, for errors.
        calls: index into SYSCALLS by system call number, for raw_syscalls; None: unknown machine.
        symbol: name of a kernel address, for sched_blocked_reason.
    """

    def __init__(
        self, formats: Sequence[EventFormat], streams: Sequence[PageStream], *, calls: Array | None,
        symbol: Callable[[int], str],
    ) -> None:  # fmt: skip
        self._streams, self._calls, self._symbol = streams, calls, symbol
        self.threads = ThreadNames()
        self._tables: list[Table] = []
        self._plans: list[_Plan] = []
        self.dense: Array = np.zeros(1 << 16, np.int32)  # kind 0: an id without format
        for form in formats:
            if form.id < 1 << 16 and (plan := self._plan(form)) is not None:
                self._plans.append(plan)
                self.dense[form.id] = len(self._plans)
        self._table_of: Array = np.array(
            [len(self._tables), *(p.table if p.table >= 0 else len(self._tables) for p in self._plans)], np.int32
        )
        self._chunks: dict[str, dict[str, list[Any]]] = {t.name: {c.name: [] for c in t.columns} for t in self._tables}
        self._states: dict[int, tuple[StateLetters, Array]] = {}

    def _plan(self, form: EventFormat) -> _Plan | None:
        tid = form.field("common_pid")
        if tid is None or tid.size != 4 or tid.is_array:
            return None
        spec = find_spec(form)
        integers: list[tuple[str, Field]] = []
        texts: list[tuple[str, Field]] = []
        names: list[tuple[Field, Field]] = []
        table = -1
        if spec is not None:
            for column, wanted in spec.fields.items():
                field = form.field(*wanted)
                if field is not None and field.location == "here" and not field.is_array and 1 <= field.size <= 8:
                    integers.append((column, field))
            for array, prefix in spec.array_columns.items():
                integers.extend(_array_elements(form.field(array), prefix))
            texts.extend((c, f) for c, wanted in spec.texts.items() if (f := form.field(*wanted)) is not None)
            for who, called in spec.names:
                a, b = form.field(who), form.field(called)
                if a is not None and b is not None and a.size == 4 and b.is_text:
                    names.append((a, b))
            if spec.table not in self._tables:
                self._tables.append(spec.table)
            table = self._tables.index(spec.table)
        used = [tid, *(f for _, f in integers), *(f for _, f in texts), *(f for pair in names for f in pair)]
        needed = max(f.offset + f.size for f in used)
        return _Plan(
            form=form, spec=spec, table=table, tid=tid, integers=tuple(integers), texts=tuple(texts),
            names=tuple(names), needed_bytes=needed,
        )  # fmt: skip

    def add(self, batch: Batch) -> None:
        """Decodes one batch into the tables.

        Raises:
            TraceError: a record is shorter than its format says.
        """
        kinds, tables = len(self._plans) + 1, len(self._tables) + 1
        n = batch.ts.size
        start, rows = np.empty(kinds + 1, np.int64), np.empty(tables, np.int64)
        order, row = np.empty(n, np.int64), np.empty(n, np.int64)
        merge.group_events(batch.kind, self._table_of, kinds, tables, start, order, row, rows)
        frames: list[dict[str, Any]] = [self._new_columns(t, int(rows[i])) for i, t in enumerate(self._tables)]
        for kind, plan in enumerate(self._plans, start=1):
            a, b = int(start[kind]), int(start[kind + 1])
            if a < b:
                self._add_kind(batch, plan, order[a:b], row[a:b], frames[plan.table] if plan.table >= 0 else None)
        self.threads.end_batch()
        for table, columns in zip(self._tables, frames, strict=True):
            chunks = self._chunks[table.name]
            for name, values in columns.items():
                if len(values):
                    chunks[name].append(values)

    @staticmethod
    def _new_columns(table: Table, rows: int) -> dict[str, Any]:
        return {
            c.name: np.full(rows, "", object) if c.dtype == "str" else np.zeros(rows, c.dtype) for c in table.columns
        }

    def _add_kind(self, batch: Batch, plan: _Plan, events_: Array, row: Array, out: dict[str, Any] | None) -> None:
        where, size = batch.where[events_], batch.size[events_]
        short = int(size.min())
        if short < plan.needed_bytes:
            event = int(events_[int(np.argmin(size))])
            raise TraceError(
                locate(self._streams, batch, event), None,
                f"records of {plan.form.full_name} with at least {plan.needed_bytes} bytes, found {short} "
                f"at {int(batch.ts[event])} ns",
            )  # fmt: skip
        words, big = batch.words, batch.big
        tid = np.empty(events_.size, np.int64)
        gather.gather_field(words, where, plan.tid.offset, 4, True, big, tid)
        self.threads.saw(tid)
        if out is None or plan.spec is None:
            return
        seq = batch.first_seq + events_
        for name, values in (("seq", seq), ("ts_ns", batch.ts[events_]), ("cpu", batch.cpu[events_]), ("tid", tid)):
            if name in out:
                out[name][row] = values
        for column, value in plan.spec.defaults.items():
            if value:
                out[column][row] = value
        got = np.empty(events_.size, np.int64)
        for column, field in plan.integers:
            gather.gather_field(words, where, field.offset, field.size, field.signed, big, got)
            out[column][row] = self._convert(plan, column, got, out[column].dtype)
        for column, field in plan.texts:
            out[column] = self._texts(plan, batch, where, size, column, field, row, out[column])
        for who, called in plan.names:
            gather.gather_field(words, where, who.offset, 4, True, big, got)
            self.threads.heard(seq, got, words, where, size, big, called)

    def _convert(self, plan: _Plan, column: str, got: Array, dtype: Any) -> Array:
        special = plan.spec.special.get(column) if plan.spec else None
        if special == "state":
            return self._state_index(plan.form, got)
        if special == "call":
            if self._calls is None:
                return np.zeros(got.size, np.int8)
            known: Array = self._calls[np.where((got >= 0) & (got < self._calls.size), got, self._calls.size - 1)]
            return known
        if special == "newtask":
            return np.asarray((got & CLONE_THREAD) != 0)
        if dtype == np.bool_:
            return np.asarray(got != 0)
        return got.astype(dtype)

    def _state_index(self, form: EventFormat, got: Array) -> Array:
        if form.id not in self._states:
            letters = parse_state_letters(form.print_fmt)
            if letters is None:
                letters = StateLetters(flags=(), preempted=0)
                lookup = np.full(_STATE_TABLE, _UNKNOWN_STATE, np.int8)
            else:
                lookup = np.array([_state(letters, v) for v in range(_STATE_TABLE)], np.int8)
            self._states[form.id] = (letters, lookup)
        letters, lookup = self._states[form.id]
        inside = (got >= 0) & (got < _STATE_TABLE)
        index = lookup[np.where(inside, got, 0)]
        if not inside.all():
            values, inverse = np.unique(got[~inside], return_inverse=True)
            # Only flags decide, so hostile values cost one lookup each of their low bits.
            index[~inside] = lookup[values & (_STATE_TABLE - 1)][inverse]
        return index

    def _texts(
        self, plan: _Plan, batch: Batch, where: Array, size: Array, column: str, field: Field, row: Array, out: Any
    ) -> Any:  # fmt: skip
        special = plan.spec.special.get(column) if plan.spec else None
        if special == "address_name":
            got = np.empty(where.size, np.int64)
            gather.gather_field(batch.words, where, field.offset, field.size, False, batch.big, got)
            values, inverse = np.unique(got, return_inverse=True)
            names = [self._symbol(int(v) & (1 << 64) - 1) for v in values]
            texts = pa.array(names, pa.large_string()).take(pa.array(inverse))
        else:
            texts = decode_text(batch.words, where, size, batch.big, field, strip_newline=column == "text")
            if special == "comm_of_path":
                texts = pa.array([t.rpartition("/")[2][:15] for t in texts.to_pylist()], pa.large_string())
        if isinstance(out, np.ndarray) and len(out) == len(texts):
            return texts  # the only kind of this table here: rows are in order already
        if not isinstance(out, np.ndarray):
            out = np.array(out.to_pylist(), object)
        out[row] = texts.to_pylist()
        return out

    def finish(self) -> dict[str, pd.DataFrame]:
        """The tables, each sorted by ``seq``. The builder is empty afterwards."""
        made = {}
        for table in self._tables:
            chunks = self._chunks[table.name]
            columns: dict[str, object] = {}
            for column in table.columns:
                parts = chunks.pop(column.name)
                if column.dtype == "str":
                    arrays = [p if not isinstance(p, np.ndarray) else pa.array(p, pa.large_string()) for p in parts]
                    columns[column.name] = _string_series(arrays)
                else:
                    columns[column.name] = np.concatenate(parts) if parts else np.empty(0, column.dtype)
                del parts
            made[table.name] = make_frame(table, columns)
        return made


def _state(letters: StateLetters, value: int) -> int:
    return _LETTER_INDEX.get(letters.letter(value), _UNKNOWN_STATE)


def _array_elements(field: Field | None, prefix: str) -> list[tuple[str, Field]]:
    if field is None or not field.is_array or field.location != "here" or field.element_bytes not in (1, 2, 4, 8):
        return []
    step = field.element_bytes
    return [
        (
            f"{prefix}{i}",
            Field(name=field.name, type=field.type, offset=field.offset + i * step, size=step, signed=False),
        )
        for i in range(min(6, field.size // step))
    ]


def _string_series(arrays: Sequence[Any]) -> pd.Series:
    whole = pa.chunked_array(list(arrays), pa.large_string())
    return pd.Series(pd.array(whole, dtype="str"))


def event_counts(id_counts: Array, formats: Sequence[EventFormat]) -> Mapping[str, int]:
    """``system:name`` to the number of events; ids that no format describes are ``unknown:ID``."""
    names = {f.id: f.full_name for f in formats}
    return {names.get(int(i), f"unknown:{int(i)}"): int(id_counts[i]) for i in np.flatnonzero(id_counts)}
