"""Indexes the events in the kernel's ring-buffer pages (time, kind, place, size), in one pass of a compiled loop.

A page has a 64-bit time stamp, a commit word (bytes of data; its two top bits say that events were lost before this page)
and events. An event is a 32-bit word (type_len in 5 bits, time delta in 27) and its record. Pages of either byte order are
handled as words in the host's order: ``load_words`` swaps them once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from android_suite.trace.core.compiled import compiled

Array = npt.NDArray[Any]

MISSED_EVENTS = 1 << 31
MISSED_STORED = 1 << 30
COMMIT_MASK = (1 << 27) - 1

# The faults that scan_pages can find, each with what was expected there.
FAULTS = {
    1: "a page whose committed bytes fit into the page",
    2: "an event that ends within the page's committed bytes",
    3: "an event length of at least 4 bytes",
    4: "a page time stamp below 2^63 ns",
    5: "time stamps below 2^63 ns",
}
LOST_NONE = -2  # in the lost column: nothing was lost before this page
LOST_UNKNOWN = -1  # events were lost, and the kernel had no room to store how many

_PADDING, _TIME_EXTEND, _TIME_STAMP = 29, 30, 31
_NO_DELTA = 1  # of a discarded event: the kernel writes 1, because 0 would mark the rest of the page as empty
_TS_TOP = 0xF8 << 56  # an absolute time stamp has 59 bits; these are taken from the time before


@compiled
def scan_pages(
    words: Array, first: int, pages: int, page_words: int, data_word: int, commit_word: int, big: bool, long_words: int,
    dense: Array, ts: Array, kind: Array, where: Array, size: Array, page_event: Array, page_lost: Array,
    id_counts: Array,
) -> tuple[int, int, int]:  # fmt: skip
    """Scans ``pages`` pages that start at word ``first`` of ``words``, all of which must lie inside.

    Args:
        words: uint32, host order.
        first: first word of the first page.
        pages: number of pages.
        page_words: size of a page, in words.
        data_word: first word of the data in a page.
        commit_word: word of a page with the low half of the commit word.
        big: the pages are big endian (bit fields and 64-bit halves are in the opposite order).
        long_words: size of the kernel's long, in words (the stored count of lost events is a long).
        dense: int32 (65536): event id to the number for ``kind``.
        ts: int64, out: time of each event, in ns.
        kind: int32, out: the number in ``dense`` for its id.
        where: uint32, out: first word of the record.
        size: int32, out: size of the record, in bytes.
        page_event: int64 (pages), out: index of the page's first event.
        page_lost: int64 (pages), out: events lost before the page, LOST_NONE or LOST_UNKNOWN.
        id_counts: int64 (65536), in and out: events of each id.

    Returns:
        Number of events, fault (0: none, else a key of FAULTS), word of the fault.
    """
    n = 0
    limit = ts.size
    top = np.uint64(_TS_TOP)
    for page in range(pages):
        base = first + page * page_words
        lo, hi = (1, 0) if big else (0, 1)
        now = np.uint64(words[base + lo]) | (np.uint64(words[base + hi]) << np.uint64(32))
        if now >> np.uint64(63):
            return n, 4, base
        commit = int(np.int64(words[base + commit_word]))
        bytes_ = commit & COMMIT_MASK
        at = base + data_word
        page_end = base + page_words
        if bytes_ & 3 or at + (bytes_ >> 2) > page_end:
            return n, 1, base
        end = at + (bytes_ >> 2)
        page_event[page] = n
        page_lost[page] = LOST_NONE
        if commit & MISSED_EVENTS:
            page_lost[page] = LOST_UNKNOWN
            if commit & MISSED_STORED and end + long_words <= page_end:
                low = end + long_words - 1 if big else end
                page_lost[page] = np.int64(words[low]) & 0x7FFFFFFF
        while at < end:
            word = int(np.int64(words[at]))
            if big:
                type_len = word >> 27
                delta = np.uint64(word & 0x7FFFFFF)
            else:
                type_len = word & 31
                delta = np.uint64(word >> 5)
            if 0 < type_len < _PADDING:
                now += delta
                record = at + 1
                nbytes = type_len << 2
                after = record + type_len
            elif type_len == 0:
                if at + 1 >= end:
                    return n, 2, at
                length = int(np.int64(words[at + 1]))
                if length <= 4:
                    return n, 3, at
                now += delta
                record = at + 2
                nbytes = length - 4
                after = at + 1 + ((length + 3) >> 2)
            elif type_len == _PADDING:
                if delta == 0:
                    break  # the rest of the page is empty
                if at + 1 >= end:
                    return n, 2, at
                # As in the kernel's check_buffer. The kernel's readers add nothing; libtraceevent adds the 1 as well.
                if delta != _NO_DELTA:
                    now += delta
                after = at + 1 + ((int(np.int64(words[at + 1])) + 3) >> 2)
                if after > end:
                    return n, 2, at
                at = after
                continue
            else:
                if at + 1 >= end:
                    return n, 2, at
                high = np.uint64(words[at + 1]) << np.uint64(27)
                if type_len == _TIME_EXTEND:
                    now += delta + high
                else:
                    stamp = delta + high
                    if now & top:
                        stamp |= now & top
                        if stamp < now:
                            stamp += np.uint64(1 << 59)
                    now = stamp
                at += 2
                continue
            if after > end:
                return n, 2, at
            if now >> np.uint64(63):
                return n, 5, at
            if n >= limit:
                return n, 2, at
            ts[n] = np.int64(now)
            first_word = int(np.int64(words[record]))
            ident = (first_word >> 16) if big else (first_word & 0xFFFF)
            id_counts[ident] += 1
            kind[n] = dense[ident]
            where[n] = record
            size[n] = nbytes
            n += 1
            at = after
    return n, 0, 0
