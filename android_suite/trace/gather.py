"""Reads one field of many records into a column: compiled loops over word positions.

Records start on a word. ``words`` are uint32 of the host's order; where the trace is big endian (``big``) every word was
swapped on loading, so a byte inside a word is found by counting from the other end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from android_suite.trace.jit import compiled

Array = npt.NDArray[Any]


@compiled
def gather_field(words: Array, where: Array, offset: int, nbytes: int, signed: bool, big: bool, out: Array) -> None:
    """Reads the integer of ``nbytes`` (1 to 8) at ``offset`` of each record into ``out`` (int64; uint64 bit patterns).

    The caller has checked that every record is at least ``offset + nbytes`` long.
    """
    word = offset >> 2
    shift = offset & 3
    if nbytes == 4 and shift == 0:
        for i in range(where.size):
            plain = np.int64(words[where[i] + word])
            out[i] = np.int64(np.int32(plain)) if signed else plain
    elif nbytes == 8 and shift == 0:
        lo, hi = (1, 0) if big else (0, 1)
        for i in range(where.size):
            at = where[i] + word
            out[i] = np.int64(np.uint64(words[at + lo]) | (np.uint64(words[at + hi]) << np.uint64(32)))
    else:
        for i in range(where.size):
            value = np.uint64(0)
            for k in range(nbytes):
                byte = shift + k
                inside = byte & 3
                bits = 8 * (3 - inside) if big else 8 * inside
                one = np.uint64((np.int64(words[where[i] + word + (byte >> 2)]) >> bits) & 0xFF)
                value |= one << np.uint64(8 * (nbytes - 1 - k) if big else 8 * k)
            unused = 64 - 8 * nbytes
            if signed:
                out[i] = (np.int64(value) << unused) >> unused
            else:
                out[i] = np.int64(value)


@compiled
def put_field(
    words: Array, where: Array, offset: int, nbytes: int, signed: bool, big: bool, row: Array, base: int, out: Array
) -> None:
    """Like ``gather_field``, into ``out[base + row[i]]`` of any signed integer dtype; 4 and 8 aligned bytes only."""
    word = offset >> 2
    if nbytes == 4:
        for i in range(where.size):
            plain = np.int64(words[where[i] + word])
            out[base + row[i]] = np.int64(np.int32(plain)) if signed else plain
    else:
        lo, hi = (1, 0) if big else (0, 1)
        for i in range(where.size):
            at = where[i] + word
            out[base + row[i]] = np.int64(np.uint64(words[at + lo]) | (np.uint64(words[at + hi]) << np.uint64(32)))


@compiled
def put_flag(words: Array, where: Array, offset: int, big: bool, row: Array, base: int, out: Array) -> None:
    """A field of one byte as a truth value into ``out[base + row[i]]`` (bool)."""
    word = offset >> 2
    inside = offset & 3
    bits = 8 * (3 - inside) if big else 8 * inside
    for i in range(where.size):
        out[base + row[i]] = (np.int64(words[where[i] + word]) >> bits) & 0xFF != 0


@compiled
def take_records(events: Array, where: Array, size: Array, out_where: Array, out_size: Array) -> int:
    """Takes the records of some events; returns the position of the shortest."""
    shortest = 0
    for i in range(events.size):
        out_where[i] = where[events[i]]
        out_size[i] = size[events[i]]
        if out_size[i] < out_size[shortest]:
            shortest = i
    return shortest


@compiled
def put_head(
    events: Array,
    row: Array,
    base: int,
    first_seq: int,
    ts: Array,
    cpu: Array,
    out_seq: Array,
    out_ts: Array,
    out_cpu: Array,
) -> None:
    """Writes seq, time and CPU of some events to their rows."""
    for i in range(events.size):
        e = events[i]
        r = base + row[i]
        out_seq[r] = first_seq + e
        out_ts[r] = ts[e]
        out_cpu[r] = cpu[e]


@compiled
def put_values(values: Array, row: Array, base: int, out: Array) -> None:
    """``out[base + row[i]] = values[i]``."""
    for i in range(row.size):
        out[base + row[i]] = values[i]


@compiled
def put_constant(value: int, row: Array, base: int, out: Array) -> None:
    """``out[base + row[i]] = value``."""
    for i in range(row.size):
        out[base + row[i]] = value


@compiled
def gather_text_spans(
    words: Array, where: Array, begin: Array, limit: Array, big: bool, strip_newline: bool, out_length: Array
) -> None:
    """Length of the zero-terminated text that starts at byte ``begin`` of each record and has at most ``limit`` bytes."""
    for i in range(where.size):
        base = (np.int64(where[i]) << 2) + begin[i]
        n = 0
        while n < limit[i]:
            at = base + n
            inside = at & 3
            bits = 8 * (3 - inside) if big else 8 * inside
            if (np.int64(words[at >> 2]) >> bits) & 0xFF == 0:
                break
            n += 1
        if strip_newline and n > 0:
            at = base + n - 1
            inside = at & 3
            bits = 8 * (3 - inside) if big else 8 * inside
            if (np.int64(words[at >> 2]) >> bits) & 0xFF == 10:
                n -= 1
        out_length[i] = n


@compiled
def gather_bytes(words: Array, where: Array, begin: Array, big: bool, offsets: Array, out: Array) -> None:
    """Copies ``offsets[i + 1] - offsets[i]`` bytes from byte ``begin[i]`` of record i to ``out`` at ``offsets[i]``."""
    for i in range(where.size):
        base = (np.int64(where[i]) << 2) + begin[i]
        for n in range(offsets[i + 1] - offsets[i]):
            at = base + n
            inside = at & 3
            bits = 8 * (3 - inside) if big else 8 * inside
            out[offsets[i] + n] = (np.int64(words[at >> 2]) >> bits) & 0xFF


@compiled
def changed_names(
    tid: Array, words: Array, where: Array, offset: int, nwords: int, cache_tid: Array, cache_name: Array, out: Array
) -> int:
    """Rows whose (tid, name) differs from what that thread was called before: threads keep their names, so few do.

    Args:
        tid: int64 (n).
        words: the arena.
        where: the records.
        offset: byte of the name in the record, a multiple of 4.
        nwords: length of the name in words, at most 4.
        cache_tid: int64 (power of two), in and out: the thread that each slot remembers.
        cache_name: uint32 (slots, 4), in and out: its name.
        out: int64 (n), out: rows.

    Returns:
        How many rows.
    """
    n = 0
    mask = cache_tid.size - 1
    for i in range(tid.size):
        slot = tid[i] & mask
        same = cache_tid[slot] == tid[i]
        at = np.int64(where[i]) + (offset >> 2)
        for k in range(nwords):
            if cache_name[slot, k] != words[at + k]:
                same = False
                cache_name[slot, k] = words[at + k]
        if not same:
            cache_tid[slot] = tid[i]
            out[n] = i
            n += 1
    return n


@compiled
def new_tids(tid: Array, cache_tid: Array, out: Array) -> int:
    """Thread ids that the cache (int64, power of two, in and out) does not remember; a few may come again."""
    n = 0
    mask = cache_tid.size - 1
    for i in range(tid.size):
        slot = tid[i] & mask
        if cache_tid[slot] != tid[i]:
            cache_tid[slot] = tid[i]
            out[n] = tid[i]
            n += 1
    return n
