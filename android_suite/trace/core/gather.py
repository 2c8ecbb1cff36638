"""Reads one field of many records into a column, in compiled loops over word positions.

Records start on a word. ``words`` are uint32 in the host's byte order. If the trace's byte order differs, every word was
swapped on loading, so in a big-endian trace (``big``) bytes inside a word count from the other end.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from android_suite.trace.core.compiled import compiled

Array = npt.NDArray[Any]

_HOST_BIG = sys.byteorder == "big"


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
def find_spans(
    words: Array, where: Array, size: Array, offset: int, nbytes: int, dynamic: bool, after: int, big: bool,
    begin: Array, limit: Array,
) -> None:  # fmt: skip
    """Finds where the data of a field begins in each record, and its largest size; both stay inside the record.

    Args:
        words: the arena.
        where: uint32 (records): first word of each record.
        size: int32 (records): size of each record, in bytes.
        offset: offset of the field in the record, in bytes.
        nbytes: size of the field, in bytes; 0: to the end of the record.
        dynamic: the field holds length (upper 16 bits) and offset of its data.
        after: byte from which that offset counts.
        big: the trace is big endian.
        begin: int64 (records), out: first byte of the data in the record.
        limit: int64 (records), out: largest size of the data, in bytes.
    """
    if dynamic:
        gather_field(words, where, offset, 4, False, big, limit)
    for i in range(where.size):
        first = min((limit[i] & 0xFFFF) + after if dynamic else offset, size[i])
        most = limit[i] >> 16 if dynamic else (nbytes or size[i] - offset)
        begin[i] = first
        limit[i] = max(0, min(most, size[i] - first))


@compiled
def measure_texts(
    words: Array, where: Array, begin: Array, limit: Array, big: bool, strip_newline: bool, offsets: Array
) -> None:
    """Measures zero-terminated texts, to place them one after another.

    Args:
        words: the arena.
        where: uint32 (records): first word of each record.
        begin: int64 (records), from ``find_spans``.
        limit: int64 (records), from ``find_spans``.
        big: the trace is big endian.
        strip_newline: omit a newline at the end.
        offsets: int64 (records + 1), out: place of each text, in bytes.
    """
    memory, flip = words.view(np.uint8), np.uint64(3 if big != _HOST_BIG else 0)
    total = np.int64(0)
    for i in range(where.size):
        base = (np.uint64(where[i]) << np.uint64(2)) + np.uint64(begin[i])
        n, most = np.uint64(0), np.uint64(limit[i])
        while n < most and memory[(base + n) ^ flip] != 0:
            n += np.uint64(1)
        if strip_newline and n > 0 and memory[(base + n - np.uint64(1)) ^ flip] == 10:
            n -= np.uint64(1)
        offsets[i] = total
        total += np.int64(n)
    offsets[where.size] = total


@compiled
def gather_bytes(words: Array, where: Array, begin: Array, big: bool, offsets: Array, out: Array) -> int:
    """Copies ``offsets[i + 1] - offsets[i]`` bytes from byte ``begin[i]`` of record i to ``out`` at ``offsets[i]``.

    Returns:
        The bitwise or of all of them: below 128 if they are ASCII.
    """
    memory, flip = words.view(np.uint8), np.uint64(3 if big != _HOST_BIG else 0)
    seen = np.uint8(0)
    for i in range(where.size):
        base = (np.uint64(where[i]) << np.uint64(2)) + np.uint64(begin[i])
        at = np.uint64(offsets[i])
        for n in range(np.uint64(offsets[i + 1]) - at):
            byte = memory[(base + n) ^ flip]
            out[at + n] = byte
            seen |= byte
    return int(seen)


@compiled
def note_threads(
    words: Array, where: Array, kind: Array, tid_word: Array, seen: Array, out_tid: Array, first_pair: Array,
    pairs: Array, cache_tid: Array, cache_name: Array, out_event: Array, out_pair: Array,
) -> tuple[int, int]:  # fmt: skip
    """Finds threads that have not run before, and events that give a thread a new name, in merged order.

    Both are rare, because threads keep their names. A few may be reported more than once.

    Args:
        words: the arena.
        where: uint32 (events): first word of each record.
        kind: int32 (events).
        tid_word: int64 (kinds): word of the record with the thread that ran; -1 if unknown.
        seen: int64 (power of two), in and out: threads that have run.
        out_tid: int64 (events), out: threads that had not run before.
        first_pair: int64 (kinds + 1): the first pair of each kind.
        pairs: int64 (pairs, 3): words of the record with the thread id and the name, and the name's length in words: at
            most 4; 0 if the name must be reported every time.
        cache_tid: int64 (power of two), in and out: the thread that each slot remembers.
        cache_name: uint32 (slots, 4), in and out: its name.
        out_event: int32, out, with room for each pair of each event: events with a new name.
        out_pair: int32, out: the pair of each such event.

    Returns:
        The number of threads and the number of events with a new name.
    """
    threads, n = 0, 0
    slots, one = np.uint64(seen.size - 1), np.uint64(1)
    name_slots = np.uint64(cache_tid.size - 1)
    for e in range(where.size):
        at, k = np.uint64(where[e]), np.uint32(kind[e])
        if tid_word[k] >= 0:
            tid = np.int64(np.int32(words[at + np.uint64(tid_word[k])]))
            slot = np.uint64(tid) & slots
            if seen[slot] != tid:
                seen[slot] = tid
                out_tid[threads] = tid
                threads += 1
        for pair in range(np.uint64(first_pair[k]), np.uint64(first_pair[k + np.uint32(1)])):
            length = np.uint64(pairs[pair, 2])
            if length:
                tid = np.int64(np.int32(words[at + np.uint64(pairs[pair, 0])]))
                slot = np.uint64(tid) & name_slots
                known = cache_tid[slot] == tid
                if tid == 0 and known:
                    continue  # every CPU has its own idle thread with its own name
                name = at + np.uint64(pairs[pair, 1])
                same = np.uint64(0)
                while known and same < length:
                    known = cache_name[slot, same] == words[name + same]
                    same += one
                if known:
                    continue
                cache_tid[slot] = tid
                for i in range(length):
                    cache_name[slot, i] = words[name + i]
            out_event[n] = e
            out_pair[n] = pair
            n += 1
    return threads, n
