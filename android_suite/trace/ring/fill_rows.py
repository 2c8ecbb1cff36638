"""Writes rows from records: one compiled call writes all columns of a table that are not text.

A column is written by an *op*, a row of numbers: the source of the value, how it is changed, where it is stored.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from android_suite.trace.core.compiled import compiled
from android_suite.trace.core.gather import gather_field

Array = npt.NDArray[Any]

# The numbers of an op, in order.
_SOURCE, _OFFSET, _BYTES, _SIGNED, _CHANGE, _BEGIN, _LENGTH, _WIDTH, _COLUMN = range(9)
OP_SIZE = 9

FROM_FIELD, FROM_SEQ, FROM_TIME, FROM_CPU, FROM_NUMBER = range(5)  # FROM_NUMBER: a constant in place of the offset
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
        lookups: int16: the lookup tables of the ops.
        words: the arena. The caller has checked that every record has the fields of its ops.
        big: the trace is big endian.
        first_seq: ``seq`` of the batch's first event.
        ts: int64 (events).
        stream: int32 (events).
        cpus: int32 (streams).
        start: int64 (all kinds + 1): where each kind starts in ``order``.
        order: int32 (events): event positions, by kind.
        where: uint32, like ``order``: first word of the record.
        row: int32, like ``order``: the event's row among the batch's rows of its table.
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
        of, at, to = order[a:b], where[a:b], row[a:b]
        got = values[: b - a]
        for op in ops[first_op[kind] : first_op[kind + 1]]:
            column, width = op[_COLUMN], op[_WIDTH]
            if width == 0:
                _fill_column(op, lookups, words, big, first_seq, ts, stream, cpus, of, at, got, to, wide[column, base:])
            elif width == 1:
                _fill_column(
                    op, lookups, words, big, first_seq, ts, stream, cpus, of, at, got, to, middle[column, base:]
                )
            else:
                _fill_column(
                    op, lookups, words, big, first_seq, ts, stream, cpus, of, at, got, to, narrow[column, base:]
                )


@compiled
def _fill_column(
    op: Array, lookups: Array, words: Array, big: bool, first_seq: int, ts: Array, stream: Array, cpus: Array,
    events: Array, where: Array, got: Array, to: Array, out: Array,
) -> None:  # fmt: skip
    """Runs one op. Most columns are written directly, others by way of ``got``.

    Positions are unsigned, because numba checks each signed one for counting from the end.
    """
    source, change, offset, nbytes = op[_SOURCE], op[_CHANGE], op[_OFFSET], op[_BYTES]
    aligned, word = offset & 3 == 0, np.uint64(offset >> 2)
    low = word + np.uint64(big and nbytes == 8)
    if source == FROM_SEQ:
        for i in range(to.size):
            out[np.uint32(to[i])] = first_seq + events[i]
    elif source == FROM_TIME:
        for i in range(to.size):
            out[np.uint32(to[i])] = ts[np.uint32(events[i])]
    elif source == FROM_CPU:
        for i in range(to.size):
            out[np.uint32(to[i])] = cpus[np.uint32(stream[np.uint32(events[i])])]
    elif source == FROM_NUMBER:
        for i in range(to.size):
            out[np.uint32(to[i])] = offset
    elif change == AS_IS and nbytes == 4 and aligned and op[_SIGNED] != 0:
        for i in range(to.size):
            out[np.uint32(to[i])] = np.int32(words[np.uint64(where[i]) + word])
    elif change == AS_IS and nbytes == 4 and aligned:
        for i in range(to.size):
            out[np.uint32(to[i])] = np.int64(words[np.uint64(where[i]) + word])
    elif change == AS_IS and nbytes == 8 and aligned:
        high = word + np.uint64(not big)
        for i in range(to.size):
            at = np.uint64(where[i])
            value = np.uint64(words[at + low]) | (np.uint64(words[at + high]) << np.uint64(32))
            out[np.uint32(to[i])] = np.int64(value)
    elif change == MASKED and nbytes == 1:
        bits = np.uint32(24 - 8 * (offset & 3) if big else 8 * (offset & 3))
        mask = np.uint32(op[_BEGIN] & 0xFF)
        for i in range(to.size):
            out[np.uint32(to[i])] = (words[np.uint64(where[i]) + word] >> bits) & mask != 0
    elif change == LOW_BITS and nbytes >= 4 and nbytes & 3 == 0 and aligned:
        # The size of a lookup table fits into 32 bits.
        begin, mask = np.uint64(op[_BEGIN]), np.uint32(op[_LENGTH] - 1)
        for i in range(to.size):
            out[np.uint32(to[i])] = lookups[begin + np.uint64(words[np.uint64(where[i]) + low] & mask)]
    else:
        gather_field(words, where, offset, nbytes, op[_SIGNED] != 0, big, got)
        _change(op, lookups, got)
        for i in range(to.size):
            out[np.uint32(to[i])] = got[i]


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


def make_op(
    source: int, place: tuple[int, int], *, offset: int = 0, nbytes: int = 0, signed: bool = False, change: int = AS_IS,
    begin: int = 0, length: int = 0,
) -> tuple[int, ...]:  # fmt: skip
    """Makes an op from ``source`` to ``place`` (see RowStore). For FROM_NUMBER, ``offset`` is the constant."""
    return (source, offset, nbytes, int(signed), change, begin, length, *place)
