"""The derived tables of waits that lead through other locks and other processes, and of who is to blame for them."""

from __future__ import annotations

from android_suite.tables.parts import (
    END,
    HOLDER_EVIDENCE,
    HOLDER_TID,
    QUALITY,
    START,
    TID,
    WHO_EVIDENCE,
    index_into,
)
from android_suite.tables.schema import Column, Table

LINKS = (
    "mmap_lock", "vma_lock", "rwsem", "mutex", "rtmutex", "percpu", "spin", "folio", "writeback", "monitor", "art_lock",
    "futex", "binder",
)  # fmt: skip

FUTEX_WAITS = Table(
    "futex_waits",
    "One row per futex call in which its thread slept. For a lock with priority inheritance the holder is who gave it back "
    "last (exact); else the thread that woke the sleeper with a futex call on the same address (inferred): the owner of a "
    "mutex, or whoever signalled a condition.",
    (
        TID, START, END,
        Column("slept_ns", "int64", "ns", "part of it in which it slept"),
        Column("address", "uint64", "", "address of the futex in its process"),
        Column("operation", "str", "", "FUTEX_WAIT, FUTEX_LOCK_PI, ..."),
        HOLDER_TID, HOLDER_EVIDENCE, QUALITY,
        Column("call", "int64", "", "row of syscall_calls"),
    ),
)  # fmt: skip
MONITOR_WAITS = Table(
    "monitor_waits",
    "One row per slice in which ART tells that a thread waits for a Java monitor or for a lock of ART's own. The holder is "
    "the owner that the slice names, as of the beginning of the wait: exact by its thread id, inferred by its name alone.",
    (
        TID, START, END,
        Column("kind", "str", "", "monitor or art_lock"),
        Column("lock", "str", "", "method in which the owner took the monitor; name of ART's lock; empty where not told"),
        Column("owner", "str", "", "name of the owner as the slice has it; empty where it has none"),
        HOLDER_TID, HOLDER_EVIDENCE, QUALITY,
    ),
)  # fmt: skip
BINDER_CALLS = Table(
    "binder_calls",
    "One row per binder call that waits for its answer: from binder_transaction to the receipt of the answer.",
    (
        TID, START, END,
        Column("transaction", "int32", "", "the kernel's number of it; -1 if it began before the trace"),
        Column("to_tgid", "int32", "", "process that is called; -1 if it began before the trace"),
        Column("server_tid", "int32", "", "thread that took the call; -1 none is seen to"),
        Column("received_ns", "int64", "ns", "when it took the call; -1 not seen"),
        Column("replied_ns", "int64", "ns", "when it answered; -1 not seen"),
        QUALITY,
    ),
)  # fmt: skip
BLAME = Table(
    "blame",
    "Who is to blame: one row per stretch of a wait of a UI or render thread with one and the same chain of threads, each "
    "of which waits for the next. The last one does not wait for anybody that the trace shows.",
    (
        START, END,
        Column("waiter_tid", "int32", "", ""), Column("waiter_prio", "int32", "", "at the start; -1 unknown"),
        index_into("kind", LINKS),
        Column("links", "int32", "", "rows of blame_links"),
        Column("end_tid", "int32", "", "thread at the end of the chain; -1 unknown"),
        Column("end_prio", "int32", "", "at the start; -1 unknown"),
        index_into("evidence", WHO_EVIDENCE),
        Column("running_ns", "int64", "ns", "the last thread ran"),
        Column("runnable_ns", "int64", "ns", "the last thread was runnable: preempted or not yet on a CPU"),
        Column("blocked_ns", "int64", "ns", "the last thread slept, and nothing shows for whom"),
        Column("inverted_ns", "int64", "ns", "the last thread had the lower priority"),
        Column("unjudged_ns", "int64", "ns", "time for which one of both priorities is not known"),
        Column("cut", "bool", "", "the chain is not followed to its end: it is too long, or comes back to itself"),
    ),
)  # fmt: skip
BLAME_LINKS = Table(
    "blame_links",
    "One row per step of a chain of blame.",
    (
        Column("blame", "int64", "", "row of blame"),
        Column("position", "int32", "", "0 is the wait of the UI or render thread"),
        index_into("kind", LINKS),
        Column("name", "str", "", "which lock, as far as it is known: anon_vma, the owner's method, operation of the holder"),
        TID,
        Column("holder_tid", "int32", "", "thread it waits for; -1 unknown"),
        Column("holder_prio", "int32", "", "at the start of the stretch; -1 unknown"),
        index_into("evidence", WHO_EVIDENCE),
    ),
)  # fmt: skip
