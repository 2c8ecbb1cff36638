"""Batches of merged events to the event tables.

The rows of each table are counted before (``count_ids``), so every value is written once, to its final place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from android_suite.trace.event_plan import EventPlan, plan_events
from android_suite.trace.page_stream import PageStream
from android_suite.trace.text_column import decode_text
from android_suite.trace.thread_names import ThreadNames

Array = npt.NDArray[Any]

CLONE_THREAD = 0x10000
_LETTER_INDEX = {letter: index for index, letter in enumerate(events.TASK_STATES)}
_UNKNOWN_STATE = _LETTER_INDEX["?"]
_STATE_TABLE = 1 << 14  # the highest bit that any kernel has used here is 4096
_MARKER_TEXT = "text"


class TableBuilder:
    """Takes batches, gives tables. Memory is that of the tables, one compact row an event.

    Args:
        formats: every event that the trace describes.
        id_counts: int64 (65536), events of each id.
        streams: where the batches come from, for errors.
        calls: index into SYSCALLS by system call number, for raw_syscalls; None: unknown machine.
        symbol: name of a kernel address, for sched_blocked_reason.
    """

    def __init__(
        self, formats: Sequence[EventFormat], id_counts: Array, streams: Sequence[PageStream], *,
        calls: Array | None, symbol: Callable[[int], str],
    ) -> None:  # fmt: skip
        self._streams, self._calls, self._symbol = streams, calls, symbol
        self.id_counts = id_counts
        self.threads = ThreadNames()
        self._plans = plan_events(formats)
        self.dense: Array = np.zeros(1 << 16, np.int32)  # kind 0: an id without format
        self._tables: list[Table] = []
        rows: dict[str, int] = {}
        for number, plan in enumerate(self._plans, start=1):
            self.dense[plan.form.id] = number
            if plan.table is not None:
                if plan.table not in self._tables:
                    self._tables.append(plan.table)
                rows[plan.table.name] = rows.get(plan.table.name, 0) + int(id_counts[plan.form.id])
        none = len(self._tables)
        self._table_of: Array = np.array(
            [none, *(none if p.table is None else self._tables.index(p.table) for p in self._plans)], np.int32
        )
        self._rows = rows
        self._index_of = {table.name: at for at, table in enumerate(self._tables)}
        self._used = np.zeros(none + 1, np.int64)
        # Where a column has a default, every row gets it from here; rows of other kinds overwrite it.
        self._columns = {
            t.name: {c.name: np.zeros(rows[t.name], c.dtype) for c in t.columns if c.dtype != "str"}
            for t in self._tables
        }
        self._texts: dict[tuple[str, str], list[Any]] = {
            (t.name, c.name): [] for t in self._tables for c in t.columns if c.dtype == "str"
        }
        self._states: dict[int, Array] = {}

    def add(self, batch: Batch) -> None:
        """Decodes one batch into the tables.

        Raises:
            TraceError: a record is shorter than its format says, or the file changes while it is read.
        """
        kinds, tables = len(self._plans) + 1, len(self._tables) + 1
        n = batch.ts.size
        start, rows = np.empty(kinds + 1, np.int64), np.empty(tables, np.int64)
        order, row = np.empty(n, np.int64), np.empty(n, np.int64)
        merge.group_events(batch.kind, self._table_of, kinds, tables, start, order, row, rows)
        for at, table in enumerate(self._tables):
            if int(self._used[at] + rows[at]) > self._rows[table.name]:
                raise TraceError(self._streams[0].file, None, "a trace that does not grow while it is read")
        texts: dict[tuple[str, str], Any] = {}
        for kind, plan in enumerate(self._plans, start=1):
            a, b = int(start[kind]), int(start[kind + 1])
            if a < b:
                at = int(self._table_of[kind])
                self._add_kind(batch, plan, order[a:b], row[a:b], int(self._used[at]), int(rows[at]), texts)
        self.threads.end_batch()
        self._used += rows
        for (table_name, column), chunks in self._texts.items():
            # A kernel may have renamed the text's field: then its rows say nothing.
            count = int(rows[self._index_of[table_name]])
            parts = texts.get((table_name, column), np.full(count, "", object))
            chunks.append(parts if not isinstance(parts, np.ndarray) else pa.array(parts, pa.large_string()))

    def _add_kind(
        self, batch: Batch, plan: EventPlan, chosen: Array, row: Array, base: int, table_rows: int,
        texts: dict[tuple[str, str], Any],
    ) -> None:  # fmt: skip
        """Decodes the events ``chosen``, all of one kind, into rows ``base + row`` of their table."""
        words, big = batch.words, batch.big
        where, size = np.empty(chosen.size, np.uint32), np.empty(chosen.size, np.int32)
        shortest = gather.take_records(chosen, batch.where, batch.size, where, size)
        if size[shortest] < plan.needed_bytes:
            event = int(chosen[shortest])
            raise TraceError(
                *locate(self._streams, batch, event),
                f"records of {plan.form.full_name} with at least {plan.needed_bytes} bytes, found "
                f"{int(size[shortest])} at {int(batch.ts[event])} ns",
            )  # fmt: skip
        tid = np.empty(chosen.size, np.int64)
        gather.gather_field(words, where, plan.tid.offset, 4, True, big, tid)
        self.threads.saw(tid)
        if plan.spec is None or plan.table is None:
            return
        out = self._columns[plan.table.name]
        gather.put_head(
            chosen, row, base, batch.first_seq, batch.ts, batch.cpu, out["seq"], out["ts_ns"], out["cpu"]
        )  # fmt: skip
        if "tid" in out:
            gather.put_values(tid, row, base, out["tid"])
        for column, value in plan.spec.defaults.items():
            if value:
                target = out[column]
                gather.put_constant(value, row, base, target.view(np.int8) if target.dtype == np.bool_ else target)
        for column, field in plan.integers:
            self._put_integers(plan, batch, where, column, field, row, base, out[column])
        for column, field in plan.texts:
            made = self._decode_texts(plan, batch, where, size, column, field)
            key = (plan.table.name, column)
            if len(made) == table_rows:
                texts[key] = made  # the only kind of this table here: its rows are in order already
            else:
                texts.setdefault(key, np.full(table_rows, "", object))[row] = made.to_pylist()
        for who, called in plan.names:
            spoken = np.empty(chosen.size, np.int64)
            gather.gather_field(words, where, who.offset, who.size, True, big, spoken)
            self.threads.heard(batch.first_seq + chosen, spoken, words, where, size, big, called)

    def _put_integers(
        self, plan: EventPlan, batch: Batch, where: Array, column: str, field: Field, row: Array, base: int, out: Array
    ) -> None:  # fmt: skip
        special = plan.spec.special.get(column) if plan.spec else None
        words, big = batch.words, batch.big
        if special is None and out.dtype == np.bool_ and field.size == 1:
            gather.put_flag(words, where, field.offset, big, row, base, out)
            return
        if special is None and out.dtype != np.bool_ and field.size in (4, 8) and field.offset % 4 == 0:
            signed_out = out.view(f"i{out.itemsize}")
            gather.put_field(words, where, field.offset, field.size, field.signed, big, row, base, signed_out)
            return
        got = np.empty(where.size, np.int64)
        gather.gather_field(words, where, field.offset, field.size, field.signed, big, got)
        out[base + row] = self._convert(plan.form, special, got, out.dtype)

    def _convert(self, form: EventFormat, special: str | None, got: Array, dtype: Any) -> Array:
        if special == "state":
            if form.id not in self._states:
                self._states[form.id] = make_state_lookup(form.print_fmt)
            states: Array = self._states[form.id]
            return np.asarray(states[got & (_STATE_TABLE - 1)])  # only flags count, and they are that low
        if special == "call":
            calls = self._calls if self._calls is not None else np.zeros(1, np.int8)
            known: Array = calls[np.where((got >= 0) & (got < calls.size), got, calls.size - 1)]
            return known
        if special == "newtask":
            return np.asarray((got & CLONE_THREAD) != 0)
        return np.asarray(got != 0) if dtype == np.bool_ else got.astype(dtype)

    def _decode_texts(
        self, plan: EventPlan, batch: Batch, where: Array, size: Array, column: str, field: Field
    ) -> Any:  # fmt: skip
        special = plan.spec.special.get(column) if plan.spec else None
        if special == "address_name":
            got = np.empty(where.size, np.int64)
            gather.gather_field(batch.words, where, field.offset, min(field.size, 8), False, batch.big, got)
            values, inverse = np.unique(got, return_inverse=True)
            names = [self._symbol(int(v) & (1 << 64) - 1) for v in values]
            return pa.array(names, pa.large_string()).take(pa.array(inverse))
        texts = decode_text(batch.words, where, size, batch.big, field, strip_newline=column == _MARKER_TEXT)
        if special == "comm_of_path":
            return pa.array([t.rpartition("/")[2][:15] for t in texts.to_pylist()], pa.large_string())
        return texts

    def finish(self) -> dict[str, pd.DataFrame]:
        """The tables, each sorted by ``seq``.

        Raises:
            TraceError: the file shrank while it was read.
        """
        made = {}
        for at, table in enumerate(self._tables):
            if int(self._used[at]) != self._rows[table.name]:
                raise TraceError(self._streams[0].file, None, "a trace that does not shrink while it is read")
            columns: dict[str, object] = dict(self._columns[table.name])
            for column in table.columns:
                if column.dtype == "str":
                    whole = pa.chunked_array(self._texts[table.name, column.name], pa.large_string())
                    columns[column.name] = pd.Series(pd.array(whole, dtype="str"))
            made[table.name] = make_frame(table, columns)
        return made


def make_state_lookup(print_fmt: str) -> Array:
    """Index into TASK_STATES (int8) by the low bits of prev_state; all '?' where the format cannot be read."""
    letters: StateLetters | None = parse_state_letters(print_fmt)
    if letters is None:
        return np.full(_STATE_TABLE, _UNKNOWN_STATE, np.int8)
    states = np.arange(_STATE_TABLE)
    index = np.where(states & letters.preempted, _LETTER_INDEX["R+"], _LETTER_INDEX["R"]).astype(np.int8)
    for value, letter in reversed(letters.flags):  # the first flag that is set has the last word
        if value:
            index[states & value == value] = _LETTER_INDEX.get(letter[:1], _UNKNOWN_STATE)
    return index


def event_counts(id_counts: Array, formats: Sequence[EventFormat]) -> Mapping[str, int]:
    """``system:name`` to the number of events; ids that no format describes are ``unknown:ID``."""
    names = {f.id: f.full_name for f in formats}
    return {names.get(int(i), f"unknown:{int(i)}"): int(id_counts[i]) for i in np.flatnonzero(id_counts)}
