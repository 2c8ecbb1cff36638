"""Reads lock and system call events of ftrace text, whose text is more than keys and values, to columns.

Each function takes the text and the bounds of the payloads; it returns its columns and, last, whether each row could be
read. The key=value form of ``trace-cmd report -R`` is read too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from android_suite.trace.catalogue import text_key
from android_suite.trace.core.byte_readers import (
    find,
    find_key,
    pattern,
    read_hex,
    read_int,
    read_number,
    skip_spaces,
)
from android_suite.trace.core.compiled import compiled

_LOCK_ADDR = pattern(text_key("lock:contention_begin", "lock_addr"))
_FLAGS, _RET = pattern(text_key("lock:contention_begin", "flags")), pattern(text_key("lock:contention_end", "ret"))
_ID = pattern(text_key("raw_syscalls:sys_enter", "nr"))
_NR, _ARGS, _COLON = pattern("NR "), pattern("args=ARRAY["), pattern(": ")
_SYSCALL_NR, _EQUALS = pattern("__syscall_nr="), pattern("=")


@compiled
def int_after(buf: np.ndarray, start: int, end: int, key: np.ndarray) -> tuple[int, int]:
    """The number after ``key``, and the position after it (-1: no key or no number)."""
    at = find_key(buf, start, end, key)
    if at < 0:
        return 0, -1
    value, stop = read_number(buf, at, end)
    return value, stop if stop > at else -1


@compiled
def hex_after(buf: np.ndarray, start: int, end: int, key: np.ndarray) -> tuple[Any, int]:
    """The hexadecimal number after ``key``, and the position after it (-1: none)."""
    at = find_key(buf, start, end, key)
    if at < 0:
        return np.uint64(0), -1
    value, stop = read_hex(buf, at, end)
    return value, stop if stop > at else -1


@compiled
def parse_contention(
    buf: np.ndarray, starts: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """lock:contention_*: lock_addr, flags (LCB_F_* bits from names or a number), ret."""
    n = len(starts)
    addr, flags, ret = np.zeros(n, np.uint64), np.zeros(n, np.int32), np.zeros(n, np.int32)
    good = np.zeros(n, np.bool_)
    for i in range(n):
        end = ends[i]
        start = skip_spaces(buf, starts[i], end)
        value, at = hex_after(buf, start, end, _LOCK_ADDR)
        if at < 0:
            value, at = read_hex(buf, start, end)
            if at == start:
                continue
        addr[i] = value
        where = find_key(buf, at, end, _FLAGS)
        result, stop = int_after(buf, at, end, _RET)
        if where >= 0:
            flags[i] = _contention_flags(buf, where, end)
            good[i] = True
        elif stop >= 0 and -4096 < result < 4096:
            ret[i] = result
            good[i] = True
    return addr, flags, ret, good


@compiled
def parse_contended_release(buf: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """lock:contended_release: lock_addr, which stands alone (``%p``) or after its key."""
    n = len(starts)
    addr, good = np.zeros(n, np.uint64), np.zeros(n, np.bool_)
    for i in range(n):
        end = ends[i]
        start = skip_spaces(buf, starts[i], end)
        value, at = hex_after(buf, start, end, _LOCK_ADDR)
        if at < 0:
            value, at = read_hex(buf, start, end)
            if at == start:
                continue
        addr[i], good[i] = value, value != 0
    return addr, good


@compiled
def _contention_flags(buf: np.ndarray, at: int, end: int) -> int:
    if at < end and 48 <= buf[at] <= 57:
        value, _ = read_hex(buf, at, end) if at + 1 < end and buf[at + 1] == 120 else read_int(buf, at, end)
        return int(value) & 0xFFFF
    bits = 0
    while at < end and buf[at] != 41:  # ')'
        c, c2 = buf[at], buf[at + 1] if at + 1 < end else np.uint8(0)
        if c == 83:  # SPIN
            bits |= 1
        elif c == 82:  # READ, RT
            bits |= 2 if c2 == 69 else 8
        elif c == 87:  # WRITE
            bits |= 4
        elif c == 80:  # PERCPU
            bits |= 16
        elif c == 77:  # MUTEX
            bits |= 32
        while at < end and buf[at] != 124 and buf[at] != 41:
            at += 1
        if at < end and buf[at] == 124:
            at += 1
    return bits


@compiled
def parse_raw_syscall(
    buf: np.ndarray, starts: np.ndarray, ends: np.ndarray, is_exit: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """raw_syscalls: nr, args (6 columns), ret; ``NR 233 (7f.., 40000, 4, ...)`` or ``id=233 args=ARRAY[bytes]``."""
    n = len(starts)
    nr, args, ret = np.zeros(n, np.int32), np.zeros((n, 6), np.uint64), np.zeros(n, np.int64)
    good = np.zeros(n, np.bool_)
    for i in range(n):
        end = ends[i]
        value, at = int_after(buf, starts[i], end, _NR)
        if at < 0:
            value, at = int_after(buf, starts[i], end, _ID)
        if at < 0 or not -1 <= value < 1 << 20:
            continue
        nr[i] = value
        if is_exit[i]:
            at = skip_spaces(buf, at, end)
            if at < end and buf[at] == 61:  # '='
                at = skip_spaces(buf, at + 1, end)
            else:
                at = find_key(buf, at, end, _RET)
                if at < 0:
                    continue
            result, stop = read_int(buf, at, end)
            if stop == at + 1 and buf[at] == 48 and stop < end and buf[stop] == 120:
                bits, stop = read_hex(buf, at, end)
                result = np.int64(bits)  # the same 64 bits, signed
            ret[i], good[i] = result, stop > at
        else:
            good[i] = _read_args(buf, at, end, args[i])
    return nr, args, ret, good


@compiled
def _read_args(buf: np.ndarray, start: int, end: int, out: np.ndarray) -> bool:
    at = find(buf, start, end, _ARGS)
    if at >= 0:
        for k in range(48):  # six little-endian 64-bit words, byte by byte
            byte, stop = read_hex(buf, skip_spaces(buf, at, end), end)
            if stop >= end or byte > np.uint64(255) or (buf[stop] != 44 and buf[stop] != 93):
                return False
            out[k // 8] |= byte << np.uint64(8 * (k % 8))
            at = stop + 1
        return True
    at = start
    while at < end and buf[at] != 40:
        at += 1
    for k in range(6):
        at = skip_spaces(buf, min(at + 1, end), end)
        value, stop = read_hex(buf, at, end)
        if stop == at:
            return False
        out[k] = value
        at = stop
    return True


@compiled
def _number(buf: np.ndarray, at: int, end: int, decimal: bool) -> tuple[Any, int]:
    """The 64-bit number at ``at`` and the position after it: hexadecimal, or if ``decimal``, decimal unless it has 0x."""
    if not decimal or (at + 1 < end and buf[at] == 48 and buf[at + 1] == 120):
        return read_hex(buf, at, end)
    value, stop = read_int(buf, at, end)
    return np.uint64(value), stop


@compiled
def parse_named_syscall(
    buf: np.ndarray, starts: np.ndarray, ends: np.ndarray, is_exit: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """syscalls:sys_enter_X and sys_exit_X: args, ret; ``start: 7f.., len_in: 40000, behavior: 4)`` and ``-> 0x0``.

    ``trace-cmd report -R`` prints ``__syscall_nr=233 start=0x7f..``, with decimals for fields that are not addresses.
    """
    n = len(starts)
    args, ret, good = np.zeros((n, 6), np.uint64), np.zeros(n, np.int64), np.zeros(n, np.bool_)
    for i in range(n):
        end = ends[i]
        at = skip_spaces(buf, starts[i], end)
        raw = find(buf, at, min(end, at + len(_SYSCALL_NR)), _SYSCALL_NR) >= 0
        if is_exit[i]:
            at = find_key(buf, at, end, _RET) if raw else at
            bits, stop = _number(buf, at, end, raw)
            ret[i], good[i] = np.int64(bits), stop > at
            continue
        good[i] = True
        if raw:
            at += len(_SYSCALL_NR)
        for k in range(6):
            at = find(buf, at, end, _EQUALS if raw else _COLON)
            if at < 0:
                break
            value, stop = _number(buf, at, end, raw)
            if stop == at:
                good[i] = False
                break
            args[i, k] = value
            at = stop
    return args, ret, good
