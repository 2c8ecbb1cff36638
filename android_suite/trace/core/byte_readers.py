"""Byte readers for the compiled loops of the text readers.

numba's nopython loops do not check indexes, and traces are hostile input: every function here takes ``(buf, start, end)``
with ``0 <= start <= end <= len(buf)`` and never touches a byte outside ``[start, end)``. The position ``-1`` is "not there".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from android_suite.trace.core.compiled import compiled


def pattern(text: str) -> np.ndarray:
    """``text`` as a byte array for ``find``."""
    return np.frombuffer(text.encode(), dtype=np.uint8)


@compiled
def line_end(buf: np.ndarray, at: int, end: int) -> int:
    """Position after the newline of the line that ``at`` stands in; ``end`` if it has none."""
    while at < end:
        at += 1
        if buf[at - 1] == 10:
            break
    return at


_ONES, _TOPS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_NEWLINES = _ONES * np.uint64(10)


def whole_words(buf: np.ndarray) -> tuple[np.ndarray, int]:
    """The 64-bit words of ``buf`` that are aligned in memory, and the position of the first one's first byte."""
    first = min(int(-buf.ctypes.data % 8), len(buf))
    return buf[first : first + (len(buf) - first) // 8 * 8].view(np.uint64), first


@compiled
def find_newline(buf: np.ndarray, words: np.ndarray, first_word: int, at: int, end: int) -> int:
    """Position of the first newline in ``[at, end)``, or ``end``: eight bytes at a time, with ``whole_words`` of ``buf``."""
    while at < end and (at - first_word) & 7:
        if buf[at] == 10:
            return at
        at += 1
    word: Any = np.uint64((at - first_word) >> 3)
    last: Any = np.uint64(min(max(end - first_word, 0) >> 3, len(words)))
    while word < last:
        x = words[word] ^ _NEWLINES
        if (x - _ONES) & ~x & _TOPS:  # some byte of x is zero
            break
        word += np.uint64(1)
    at = max(at, first_word + int(word) * 8)
    while at < end and buf[at] != 10:
        at += 1
    return at


@compiled
def find(buf: np.ndarray, start: int, end: int, wanted: np.ndarray) -> int:
    """Position after the first ``wanted`` in the span, or -1."""
    size = len(wanted)
    first = wanted[0]
    for i in range(start, end - size + 1):
        if buf[i] == first:
            same = True
            for j in range(1, size):
                if buf[i + j] != wanted[j]:
                    same = False
                    break
            if same:
                return i + size
    return -1


@compiled
def find_key(buf: np.ndarray, start: int, end: int, key: np.ndarray) -> int:
    """Position after the first ``key`` that stands at the start of the span or after a space or bracket, or -1."""
    at = start
    while True:
        after = find(buf, at, end, key)
        if after < 0:
            return -1
        before = after - len(key) - 1
        if before < start or buf[before] == 32 or buf[before] == 40:
            return after
        at = before + 2


@compiled
def find_past_comm(buf: np.ndarray, start: int, end: int, key: np.ndarray) -> int:
    """Position after ``key`` that follows a comm starting at ``start``, or -1.

    A comm has at most 15 bytes and may hold anything, a look-alike of the key included: the last match within its reach is
    the real one. Some tools print longer names; then the first match counts.
    """
    found = -1
    reach = min(end, start + 16 + len(key))
    at = start
    while True:
        after = find(buf, at, reach, key)
        if after < 0:
            break
        found = after
        at = after - len(key) + 1
    return found if found >= 0 else find(buf, start, end, key)


@compiled
def read_int(buf: np.ndarray, start: int, end: int) -> tuple[Any, int]:
    """A signed decimal at ``start``: its value and the position after it (``start`` if there is none or it overflows)."""
    at = start
    negative = at < end and buf[at] == 45
    if negative:
        at += 1
    first = at
    value = np.int64(0)
    while at < end and 48 <= buf[at] <= 57:
        if at - first >= 18:
            return np.int64(0), start
        value = value * 10 + np.int64(buf[at] - 48)
        at += 1
    if at == first:
        return np.int64(0), start
    return (-value if negative else value), at


@compiled
def read_hex(buf: np.ndarray, start: int, end: int) -> tuple[Any, int]:
    """A hexadecimal number, with or without 0x: its 64 bits as uint64, and the position after it (``start`` if none)."""
    at = start
    if end - at >= 2 and buf[at] == 48 and (buf[at + 1] == 120 or buf[at + 1] == 88):
        at += 2
    first = at
    value = np.uint64(0)
    while at < end:
        c = buf[at]
        if 48 <= c <= 57:
            digit = c - 48
        elif 97 <= c <= 102:
            digit = c - 87
        elif 65 <= c <= 70:
            digit = c - 55
        else:
            break
        if at - first >= 16:
            return np.uint64(0), start
        value = (value << np.uint64(4)) | np.uint64(digit)
        at += 1
    if at == first:
        return np.uint64(0), start
    return value, at


@compiled
def read_number(buf: np.ndarray, start: int, end: int) -> tuple[Any, int]:
    """A decimal as ``read_int``, or ``0x37 (55)`` as ftrace's option ``fields`` prints numbers; without (55), its 64 bits."""
    if start + 1 >= end or buf[start] != 48 or buf[start + 1] != 120:
        return read_int(buf, start, end)
    bits, at = read_hex(buf, start, end)
    value = np.int64(bits)
    if at + 2 < end and buf[at] == 32 and buf[at + 1] == 40:
        number, stop = read_int(buf, at + 2, end)
        if stop > at + 2 and stop < end and buf[stop] == 41:
            return number, stop + 1
    return value, at


@compiled
def skip_spaces(buf: np.ndarray, start: int, end: int) -> int:
    """Position of the first byte in the span that is no space or tab."""
    at = start
    while at < end and (buf[at] == 32 or buf[at] == 9):
        at += 1
    return at


@compiled
def copy_spans(buf: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The bytes of the spans one after another, and the offset of each (one more than spans): Arrow's string layout."""
    offsets = np.zeros(len(starts) + 1, dtype=np.int64)
    for i in range(len(starts)):
        offsets[i + 1] = offsets[i] + max(np.int64(0), ends[i] - starts[i])
    out = np.empty(offsets[-1], dtype=np.uint8)
    for i in range(len(starts)):
        out[offsets[i] : offsets[i + 1]] = buf[starts[i] : starts[i] + offsets[i + 1] - offsets[i]]
    return out, offsets
