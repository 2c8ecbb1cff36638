"""Records to rows: one compiled call writes all columns of a table that are not text.

What goes into a column is an *op*, a row of numbers: where the value comes from, how it is changed, where it is stored.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from android_suite.trace.gather import gather_field
from android_suite.trace.jit import compiled

Array = npt.NDArray[Any]

# The numbers of an op, in order.
_SOURCE, _OFFSET, _BYTES, _SIGNED, _CHANGE, _BEGIN, _LENGTH, _WIDTH, _COLUMN = range(9)
OP_SIZE = 9

FROM_FIELD, FROM_SEQ, FROM_TIME, FROM_CPU, FROM_NUMBER = range(5)  # a number stands where the offset would
# MASKED: whether any bit of BEGIN is set. LOW_BITS: looked up by the low bits (LENGTH is a power of two).
# IN_RANGE: looked up if 0 <= value < LENGTH, else the last of the table. Tables are LENGTH values from BEGIN on.
AS_IS, MASKED, LOW_BITS, IN_RANGE = range(4)


@compiled
def fill_rows(
    kinds: Array, first_op: Array, ops: Array, lookups: Array, words: Array, big: bool, first_seq: int,
    ts: Array, stream: Array, cpus: Array, start: Array, order: Array, where: Array, row: Array, base: int,
    wide: Array, middle: Array, narrow: Array, values: Array,
) -> None:  # fmt: skip
    """Writes the rows of one table for a batch, kind by kind and column by column.

    Args:
        kinds: int32: the kinds of event that belong to the table.
        first_op: int64 (all kinds + 1): the first op of each kind.
        ops: int64 (ops, OP_SIZE).
        lookups: int8: the tables that ops look values up in.
        words: the arena. The caller has checked that every record has the fields of its ops.
        big: its words were swapped.
        first_seq: of the batch.
        ts: int64 (events).
        stream: int32 (events).
        cpus: int32 (streams).
        start: int64 (all kinds + 1): where each kind starts in ``order``.
        order: int32 (events): event positions, by kind.
        where: uint32, beside ``order``: the word of the record.
        row: int32, beside ``order``: the event's row among the batch's rows of its table.
        base: row of the table where the batch's rows start; there is room for them.
        wide: int64 (columns, capacity), out.
        middle: int32 (columns, capacity), out.
        narrow: int8 (columns, capacity), out.
        values: int64 (events at least), scratch.
    """
    for kind in kinds:
        a, b = start[kind], start[kind + 1]
        if a == b:
            continue
        got, to = values[: b - a], row[a:b]
        for op in ops[first_op[kind] : first_op[kind + 1]]:
            _take(op, words, big, first_seq, ts, stream, cpus, order[a:b], where[a:b], got)
            _change(op, lookups, got)
            if op[_WIDTH] == 0:
                _store(got, to, base, wide[op[_COLUMN]])
            elif op[_WIDTH] == 1:
                _store(got, to, base, middle[op[_COLUMN]])
            else:
                _store(got, to, base, narrow[op[_COLUMN]])


@compiled
def _take(
    op: Array, words: Array, big: bool, first_seq: int, ts: Array, stream: Array, cpus: Array, events: Array,
    where: Array, got: Array,
) -> None:  # fmt: skip
    source = op[_SOURCE]
    if source == FROM_FIELD:
        gather_field(words, where, op[_OFFSET], op[_BYTES], op[_SIGNED] != 0, big, got)
    elif source == FROM_SEQ:
        for i in range(got.size):
            got[i] = first_seq + events[i]
    elif source == FROM_TIME:
        for i in range(got.size):
            got[i] = ts[events[i]]
    elif source == FROM_CPU:
        for i in range(got.size):
            got[i] = cpus[stream[events[i]]]
    else:
        got[:] = op[_OFFSET]


@compiled
def _change(op: Array, lookups: Array, got: Array) -> None:
    change, begin, length = op[_CHANGE], op[_BEGIN], op[_LENGTH]
    if change == MASKED:
        for i in range(got.size):
            got[i] = got[i] & begin != 0
    elif change == LOW_BITS:
        for i in range(got.size):
            got[i] = lookups[begin + (got[i] & (length - 1))]
    elif change == IN_RANGE:
        for i in range(got.size):
            got[i] = lookups[begin + (got[i] if 0 <= got[i] < length else length - 1)]


@compiled
def _store(got: Array, to: Array, base: int, out: Array) -> None:
    for i in range(got.size):
        out[base + to[i]] = got[i]


def make_op(
    source: int, place: tuple[int, int], *, offset: int = 0, nbytes: int = 0, signed: bool = False, change: int = AS_IS,
    begin: int = 0, length: int = 0,
) -> tuple[int, ...]:  # fmt: skip
    """An op: from ``source`` to ``place`` (see RowStore). For FROM_NUMBER ``offset`` is the number."""
    return (source, offset, nbytes, int(signed), change, begin, length, *place)
