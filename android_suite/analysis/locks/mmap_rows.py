"""The columns that the pass over the lock events reads and writes, and memory for those it writes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from android_suite.analysis.jit import I8, I32, I64, Array, Bools


class LockEvents(NamedTuple):
    """The mmap_lock table, threads and mms as dense numbers."""

    seq: I64
    ts: I64
    tidx: I32
    mmx: I32
    kind: I8
    write: Bools
    success: Bools


class CallEvents(NamedTuple):
    """The syscall table, threads as dense numbers."""

    seq: I64
    ts: I64
    tidx: I32
    kind: I8
    call: I32
    nr: I32
    arg0: Array
    arg1: Array
    arg2: Array
    arg3: Array
    ret: I64


class ContentionEvents(NamedTuple):
    """The contention table, threads as dense numbers."""

    seq: I64
    tidx: I32
    kind: I8
    flags: I32


class Waits(NamedTuple):
    """Columns of tables.derived.LOCK_WAITS."""

    tid: I32
    mm: Array
    write: Bools
    start_ns: I64
    end_ns: I64
    start_seq: I64
    end_seq: I64
    outcome: I8
    quality: I8
    call: I32
    contended: I8


class Holds(NamedTuple):
    """Columns of tables.derived.LOCK_HOLDS."""

    tid: I32
    mm: Array
    write: Bools
    start_ns: I64
    end_ns: I64
    start_seq: I64
    end_seq: I64
    downgrade_ns: I64
    how: I8
    quality: I8
    call: I32
    wait: I64


class Calls(NamedTuple):
    """Columns of tables.derived.SYSCALL_CALLS."""

    tid: I32
    call: I32
    nr: I32
    start_ns: I64
    end_ns: I64
    start_seq: I64
    end_seq: I64
    arg0: Array
    arg1: Array
    arg2: Array
    arg3: Array
    ret: I64
    quality: I8
    lock_mm: Array
    lock_wait_ns: I64


# Not cleared: the pass writes every field of a row when it begins the row, and memory that it does not touch is free.
def _long(rows: int) -> I64:
    return np.empty(rows, np.int64)


def _address(rows: int) -> Array:
    return np.empty(rows, np.uint64)


def _int(rows: int) -> I32:
    return np.empty(rows, np.int32)


def _small(rows: int) -> I8:
    return np.empty(rows, np.int8)


def _flag(rows: int) -> Bools:
    return np.empty(rows, np.bool_)


def new_waits(rows: int) -> Waits:
    """Room for ``rows`` waits."""
    return Waits(
        tid=_int(rows), mm=_address(rows), write=_flag(rows), start_ns=_long(rows), end_ns=_long(rows),
        start_seq=_long(rows), end_seq=_long(rows), outcome=_small(rows), quality=_small(rows), call=_int(rows),
        contended=_small(rows),
    )  # fmt: skip


def new_holds(rows: int) -> Holds:
    """Room for ``rows`` holds."""
    return Holds(
        tid=_int(rows), mm=_address(rows), write=_flag(rows), start_ns=_long(rows), end_ns=_long(rows),
        start_seq=_long(rows), end_seq=_long(rows), downgrade_ns=_long(rows), how=_small(rows), quality=_small(rows),
        call=_int(rows), wait=_long(rows),
    )  # fmt: skip


def new_calls(rows: int) -> Calls:
    """Room for ``rows`` calls."""
    return Calls(
        tid=_int(rows), call=_int(rows), nr=_int(rows), start_ns=_long(rows), end_ns=_long(rows),
        start_seq=_long(rows), end_seq=_long(rows), arg0=_address(rows), arg1=_address(rows), arg2=_address(rows),
        arg3=_address(rows), ret=_long(rows), quality=_small(rows), lock_mm=_address(rows), lock_wait_ns=_long(rows),
    )  # fmt: skip
