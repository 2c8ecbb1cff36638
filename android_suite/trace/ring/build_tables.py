"""Builds the event tables from batches of merged events. Every value is written once, to its final place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from android_suite.errors import TraceError
from android_suite.jit.workers import Workers
from android_suite.tables import events
from android_suite.tables.schema import make_frame
from android_suite.trace.catalogue import CLONE_THREAD, COMM_BYTES
from android_suite.trace.core import gather
from android_suite.trace.core.event_format import EventFormat, Field, StateLetters, parse_state_letters
from android_suite.trace.core.scratch import Scratch
from android_suite.trace.core.string_columns import decode_text
from android_suite.trace.ring import fill_rows, merge
from android_suite.trace.ring.batches import Batch, locate
from android_suite.trace.ring.event_plan import EventPlan, plan_events
from android_suite.trace.ring.page_stream import PageStream
from android_suite.trace.ring.row_store import RowStore
from android_suite.trace.ring.thread_names import ThreadNames

Array = npt.NDArray[Any]

_LETTER_INDEX = {letter: index for index, letter in enumerate(events.TASK_STATES)}
_UNKNOWN_STATE = _LETTER_INDEX["?"]
_STATE_TABLE = 1 << 14  # the highest bit that any kernel has used here is 4096


class RingTables:
    """Builds tables from batches. It needs only the memory of the tables, one compact row per event.

    Args:
        formats: every event that the trace describes.
        streams: the source of the batches, for errors.
        calls: index into SYSCALLS by system call number, for raw_syscalls; None for an unknown machine.
        symbol: returns the name of a kernel address, for sched_blocked_reason.
    """

    def __init__(
        self, formats: Sequence[EventFormat], streams: Sequence[PageStream], *, calls: Array | None,
        symbol: Callable[[int], str],
    ) -> None:  # fmt: skip
        self._streams, self._symbol = streams, symbol
        self._turns = [Scratch(), Scratch()]  # for this batch and for the one whose rows are being written
        self._plans = plan_events(formats)
        self.threads = ThreadNames(self._plans)
        self.dense: Array = np.zeros(1 << 16, np.int32)  # kind 0: an id without format
        for kind, plan in enumerate(self._plans, start=1):
            self.dense[plan.form.id] = kind
        self._tables = list({p.table.name: p.table for p in self._plans if p.table is not None}.values())
        self._stores = [RowStore(table) for table in self._tables]
        at = {table.name: number for number, table in enumerate(self._tables)}
        none = len(self._tables)
        self._table_of: Array = np.array(
            [none, *(at[p.table.name] if p.table else none for p in self._plans)], np.int32
        )
        self._needed: Array = np.array([0, *(p.needed_bytes for p in self._plans)], np.int64)
        self._kinds_of = [np.flatnonzero(self._table_of == number).astype(np.int32) for number in range(none)]
        self._values = [Scratch() for _ in self._tables]
        self._text_columns = [[c.name for c in t.columns if c.dtype == "str"] for t in self._tables]
        self._texts: dict[tuple[int, str], list[Any]] = {
            (number, name): [] for number, names in enumerate(self._text_columns) for name in names
        }
        self._make_ops(calls if calls is not None else np.zeros(1, np.int8))

    def _make_ops(self, calls: Array) -> None:
        """Makes the ops of ``fill_rows`` for each kind."""
        lookups, length = [calls.astype(np.int16)], calls.size
        ops: list[tuple[int, ...]] = []
        first = [0, 0]
        for kind, plan in enumerate(self._plans, start=1):
            if plan.table is not None:
                if plan.event is not None and any(p.change == "state" for p in plan.event.columns.values()):
                    lookups.append(make_state_lookup(plan.form.print_fmt))
                    length += _STATE_TABLE
                state = {"change": fill_rows.LOW_BITS, "begin": length - _STATE_TABLE, "length": _STATE_TABLE}
                changes = {
                    "state": state,  # only flags count, and they are low bits
                    "call": {"change": fill_rows.IN_RANGE, "begin": 0, "length": calls.size},
                    "shares_tgid": {"change": fill_rows.MASKED, "begin": CLONE_THREAD},
                }
                ops.extend(_plan_ops(plan, self._stores[self._table_of[kind]], changes))
            first.append(len(ops))
        self._ops: Array = np.array(ops, np.int64).reshape(-1, fill_rows.OP_SIZE)
        self._first_op: Array = np.array(first, np.int64)
        self._lookups: Array = np.concatenate(lookups)

    def add(self, batch: Batch, workers: Workers) -> None:
        """Decodes one batch into the tables. ``workers`` write the rows and must finish after the last batch.

        Raises:
            TraceError: a record is shorter than its format requires.
        """
        n, kinds, tables = batch.ts.size, self._table_of.size, len(self._tables) + 1
        self._turns.reverse()
        take = self._turns[0].take
        start, rows = np.empty(kinds + 1, np.int64), np.empty(tables, np.int64)
        order, row, where = take("order", n, np.int32), take("row", n, np.int32), take("where", n, np.uint32)
        if not merge.group_events(
            batch.kind, batch.where, batch.size, self._table_of, self._needed, start, order, row, where, rows
        ):
            self._refuse_short_record(batch)
        workers.finish()
        tasks: list[Callable[[], None]] = [partial(self.threads.note, batch)]
        for number, store in enumerate(self._stores):
            count = int(rows[number])
            if count:
                store.make_room(count, batch.share)
                tasks.append(partial(self._write_rows, batch, number, count, start, order, row, where))
        workers.begin(tasks)

    def _write_rows(
        self, batch: Batch, number: int, count: int, start: Array, order: Array, row: Array, where: Array
    ) -> None:
        """Writes a batch's rows of one table."""
        store, of_table = self._stores[number], self._kinds_of[number]
        wide, middle, narrow = store.arrays
        values = self._values[number].take("values", batch.ts.size, np.int64)
        fill_rows.fill_rows(
            of_table, self._first_op, self._ops, self._lookups, batch.words, batch.big, batch.first_seq,
            batch.ts, batch.stream, batch.cpus, start, order, where, row, store.used, wide, middle, narrow, values,
        )  # fmt: skip
        store.used += count
        for column in self._text_columns[number]:
            self._texts[number, column].append(self._text_column(batch, number, column, count, start, order, row))

    def _refuse_short_record(self, batch: Batch) -> None:
        short = batch.size < self._needed[batch.kind]
        chosen = np.flatnonzero(short & (batch.kind == batch.kind[short].min()))
        event = int(chosen[np.argmin(batch.size[chosen])])
        plan = self._plans[int(batch.kind[event]) - 1]
        raise TraceError(
            *locate(self._streams, batch, event),
            f"records of {plan.form.full_name} with at least {plan.needed_bytes} bytes, found "
            f"{int(batch.size[event])} at {int(batch.ts[event])} ns",
        )  # fmt: skip

    def _text_column(
        self, batch: Batch, number: int, column: str, rows: int, start: Array, order: Array, row: Array
    ) -> Any:
        """The texts of a batch's rows of a table; empty if the kernel's format lacks the field."""
        whole: Array | None = None
        for kind in self._kinds_of[number].tolist():
            a, b = int(start[kind]), int(start[kind + 1])
            field = dict(self._plans[kind - 1].texts).get(column)
            if a < b and field is not None:
                made = self._decode_texts(self._plans[kind - 1], batch, order[a:b], column, field)
                if b - a == rows:
                    return made  # the only kind of this table in the batch, whose rows are already in order
                whole = np.full(rows, "", object) if whole is None else whole
                whole[row[a:b]] = made.to_pylist()
        return pa.array(np.full(rows, "", object) if whole is None else whole, pa.large_string())

    def _decode_texts(self, plan: EventPlan, batch: Batch, chosen: Array, column: str, field: Field) -> Any:
        change = plan.event.columns[column].change if plan.event else ""
        where = batch.where[chosen]
        if change == "symbol":
            got = np.empty(where.size, np.int64)
            gather.gather_field(batch.words, where, field.offset, min(field.size, 8), False, batch.big, got)
            values, inverse = np.unique(got, return_inverse=True)
            names = [self._symbol(int(v) & (1 << 64) - 1) for v in values]
            return pa.array(names, pa.large_string()).take(pa.array(inverse))
        size = batch.size[chosen]
        texts = decode_text(batch.words, where, size, batch.big, field, strip_newline=change == "line")
        if change == "comm_of_path":
            return pa.array([t.rpartition("/")[2][:COMM_BYTES] for t in texts.to_pylist()], pa.large_string())
        return texts

    def finish(self) -> dict[str, pd.DataFrame]:
        """The tables, each sorted by ``seq``."""
        made = {}
        for number, (table, store) in enumerate(zip(self._tables, self._stores, strict=True)):
            columns: dict[str, object] = dict(store.columns())
            for column in table.columns:
                if column.dtype == "str":
                    whole = pa.chunked_array(self._texts[number, column.name], pa.large_string()).combine_chunks()
                    columns[column.name] = pd.Series(pd.array(whole, dtype="str"))
            made[table.name] = make_frame(table, columns)
        return made


def _plan_ops(plan: EventPlan, store: RowStore, changes: Mapping[str, Mapping[str, int]]) -> list[tuple[int, ...]]:
    """The ops that write every column of one kind's rows."""
    assert plan.event is not None
    columns = plan.event.columns
    op = fill_rows.make_op
    heads = {"seq": fill_rows.FROM_SEQ, "ts_ns": fill_rows.FROM_TIME, "cpu": fill_rows.FROM_CPU}
    ops = {column: op(source, store.place[column]) for column, source in heads.items()}
    fields = {**({"tid": plan.tid} if "tid" in store.place else {}), **dict(plan.integers)}
    for column, place in store.place.items():
        field = fields.get(column)
        if field is not None:
            truth = {"change": fill_rows.MASKED, "begin": -1} if store.is_truth(column) else {}
            change = changes.get(columns[column].change if column in columns else "", truth)
            ops[column] = op(
                fill_rows.FROM_FIELD, place, offset=field.offset, nbytes=field.size, signed=field.signed, **change
            )
        elif column not in heads:
            absent = columns[column].absent if column in columns else None
            number = plan.event.constants.get(column, absent or 0)
            ops[column] = op(fill_rows.FROM_NUMBER, place, offset=number)
    return list(ops.values())


def make_state_lookup(print_fmt: str) -> Array:
    """Index into TASK_STATES (int8) by the low bits of prev_state; all '?' where the format cannot be read."""
    letters: StateLetters | None = parse_state_letters(print_fmt)
    if letters is None:
        return np.full(_STATE_TABLE, _UNKNOWN_STATE, np.int8)
    states = np.arange(_STATE_TABLE)
    index = np.where(states & letters.preempted, _LETTER_INDEX["R+"], _LETTER_INDEX["R"]).astype(np.int8)
    for value, letter in reversed(letters.flags):  # the first flag that is set wins
        if value:
            index[states & value == value] = _LETTER_INDEX.get(letter[:1], _UNKNOWN_STATE)
    return index


def event_counts(id_counts: Array, formats: Sequence[EventFormat]) -> Mapping[str, int]:
    """Number of events by ``system:name``; ids without a format are ``unknown:ID``."""
    names = {f.id: f.full_name for f in formats}
    counts: dict[str, int] = {}
    for i in np.flatnonzero(id_counts).tolist():
        name = names.get(i, f"unknown:{i}")  # damaged format files may give the same name to two ids
        counts[name] = counts.get(name, 0) + int(id_counts[i])
    return counts
