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
def note_threads(
    words: Array, where: Array, kind: Array, tid_word: Array, seen: Array, out_tid: Array, first_pair: Array,
    pairs: Array, cache_tid: Array, cache_name: Array, out_event: Array, out_pair: Array,
) -> tuple[int, int]:  # fmt: skip
    """Threads that have not run before, and events that call one something else than the last one did, in merged order.

    Threads keep their names, so both are few; a few may come again.

    Args:
        words: the arena.
        where: uint32 (events): the records.
        kind: int32 (events).
        tid_word: int64 (kinds): word of the record where the thread that ran stands; -1: nobody knows.
        seen: int64 (power of two), in and out: threads that have run.
        out_tid: int64 (events), out: those that have not.
        first_pair: int64 (kinds + 1): the first pair of each kind.
        pairs: int64 (pairs, 3): words of the record where thread id and name stand, and the name's length in words: at
            most 4, 0 if it has to be looked at every time.
        cache_tid: int64 (power of two), in and out: the thread that each slot remembers.
        cache_name: uint32 (slots, 4), in and out: its name.
        out_event: int32, out, room for each pair of each event: the events,
        out_pair: int32, out: and which of their pairs.

    Returns:
        How many threads, how many events.
    """
    threads, n = 0, 0
    for e in range(where.size):
        at, k = np.int64(where[e]), kind[e]
        if tid_word[k] >= 0:
            tid = np.int64(np.int32(words[at + tid_word[k]]))
            slot = tid & (seen.size - 1)
            if seen[slot] != tid:
                seen[slot] = tid
                out_tid[threads] = tid
                threads += 1
        for pair in range(first_pair[k], first_pair[k + 1]):
            same = pairs[pair, 2] > 0
            if same:
                tid = np.int64(np.int32(words[at + pairs[pair, 0]]))
                slot = tid & (cache_tid.size - 1)
                same = cache_tid[slot] == tid
                cache_tid[slot] = tid
                if tid == 0 and same:
                    continue  # every CPU has an idle thread of its own name
                for i in range(pairs[pair, 2]):
                    word = words[at + pairs[pair, 1] + i]
                    same &= cache_name[slot, i] == word
                    cache_name[slot, i] = word
            if not same:
                out_event[n] = e
                out_pair[n] = pair
                n += 1
    return threads, n
