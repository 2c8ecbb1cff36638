"""Chains through futexes, with and without priority inheritance."""

from __future__ import annotations

import pytest

from android_suite.analysis.pipeline import analyze_trace
from tests.analysis.blame.blaming import OTHER, STRONG, WEAK, WORKER, Row, build, chains, runs
from tests.analysis.build import APP, GC, TraceBuilder


def futex(
    b: TraceBuilder, tid: int, start: int, end: int, op: int, *, ret: int = 0, addr: int = 0x7000
) -> TraceBuilder:
    return b.enter(start, tid, "futex", addr, op).leave(end, tid, "futex", ret)


WAIT, WAKE, LOCK_PI, UNLOCK_PI, PRIVATE = 0, 1, 6, 7, 128


def test_a_futex_is_due_to_the_thread_that_wakes() -> None:
    b = futex(runs(build(), APP, 0, 10, 100, prio=STRONG), APP, 95, 310, WAIT | PRIVATE)
    b = runs(b, GC, 1, 50, 400, prio=WEAK)
    futex(b, GC, 295, 305, WAKE | PRIVATE).wake(300, APP, waker=GC, prio=STRONG)
    b.switch(306, 0, "R", APP, prio=(120, STRONG))
    analysis = analyze_trace(b.trace(end=500))
    assert chains(analysis) == [(100, 300, f"futex:{GC}:inferred", "inferred", 200)]
    wait = analysis["futex_waits"].iloc[0]
    assert wait[["tid", "start_ns", "end_ns", "slept_ns", "address", "operation", "holder_tid"]].tolist() == [
        APP, 95, 310, 200, 0x7000, "FUTEX_WAIT", GC,
    ]  # fmt: skip


@pytest.mark.parametrize(("addr", "op"), [(0x7008, WAKE | PRIVATE), (0x7000, WAIT | PRIVATE), (0x7000, WAKE)])
def test_another_futex_or_an_interrupt_names_nobody(addr: int, op: int) -> None:
    """Woken by a thread in a call on another address, in no waking call, or in one for a futex that processes share."""
    b = futex(runs(build(), APP, 0, 10, 100), APP, 95, 310, WAIT | PRIVATE)
    futex(runs(b, GC, 1, 50, 400), GC, 295, 305, op, addr=addr).wake(300, APP, waker=GC).switch(306, 0, "R", APP)
    assert chains(analyze_trace(b.trace(end=500))) == [(100, 300, "futex:-1:unknown", "unknown", 0)]


def test_a_futex_that_inherits_has_its_owners_exactly() -> None:
    """GC gives the lock back to RenderThread, which gives it back to the UI thread."""
    b = futex(runs(build(), APP, 0, 10, 100, prio=STRONG), APP, 95, 410, LOCK_PI | PRIVATE)
    b = futex(runs(b, GC, 1, 50, 400, prio=WEAK), GC, 200, 210, UNLOCK_PI | PRIVATE)
    b.wake(205, OTHER, waker=GC, cpu=2)
    b = futex(runs(b, OTHER, 2, 207, 500), OTHER, 395, 405, UNLOCK_PI | PRIVATE).wake(
        400, APP, waker=OTHER, prio=STRONG
    )
    b.switch(406, 0, "R", APP, prio=(120, STRONG))
    assert chains(analyze_trace(b.trace(end=600))) == [
        (100, 200, f"futex:{GC}:exact", "exact", 100),
        (200, 400, f"futex:{OTHER}:exact", "exact", 195),  # its priority is not known before its first event
    ]


@pytest.mark.parametrize(
    ("owner", "flag", "ret", "first"),
    [
        (GC, 0, 0, [(100, 200, f"futex:{GC}:exact", "exact", 0)]),
        (
            WORKER,
            0,
            0,
            [(100, 200, f"futex:{WORKER}:inferred", "inferred", 0)],
        ),  # perhaps another futex at that address
        (WORKER, PRIVATE, 0, []),
        (GC, PRIVATE, -1, []),  # it is not the owner
    ],
)
def test_whose_release_of_an_inherited_futex_is_certain(owner: int, flag: int, ret: int, first: list[Row]) -> None:
    """Somebody gives a lock at that address back at 200; the one who wakes the UI thread at 400 does so for certain."""
    b = futex(runs(build(), APP, 0, 10, 100), APP, 95, 410, LOCK_PI | flag)
    b = futex(runs(b, owner, 1, 50, 300), owner, 200, 210, UNLOCK_PI | flag, ret=ret)
    b = futex(runs(b, OTHER, 2, 207, 500), OTHER, 395, 405, UNLOCK_PI | flag).wake(400, APP, waker=OTHER)
    b.switch(406, 0, "R", APP)
    since = 200 if first else 100
    last = (since, 400, f"futex:{OTHER}:exact", "exact", 0)
    assert chains(analyze_trace(b.trace(end=600))) == [*first, last]


def test_what_no_release_explains_has_an_unknown_owner() -> None:
    b = futex(runs(build(), APP, 0, 10, 100), APP, 95, 410, LOCK_PI | PRIVATE, ret=-110)
    b = futex(runs(b, GC, 1, 50, 400), GC, 200, 210, UNLOCK_PI | PRIVATE).wake(400, APP)
    b.switch(406, 0, "R", APP)
    assert chains(analyze_trace(b.trace(end=600))) == [
        (100, 200, f"futex:{GC}:exact", "exact", 0),
        (200, 400, "futex:-1:unknown", "unknown", 0),
    ]


@pytest.mark.parametrize(("op", "first"), [(UNLOCK_PI, f"futex:{GC}:exact"), (None, "futex:-1:unknown")])
def test_an_owner_that_dies_is_not_the_next_one(op: int | None, first: str) -> None:
    """GC gives the lock to RenderThread, by a call or by dying, which only the wake-up shows; that one's call is for the UI."""
    b = futex(runs(build(), OTHER, 2, 10, 60), OTHER, 50, 210, LOCK_PI | PRIVATE)
    b = futex(runs(b, APP, 0, 10, 100), APP, 95, 410, LOCK_PI | PRIVATE)
    b = runs(b, GC, 1, 50, 260, "X" if op is None else "S")
    if op is not None:
        futex(b, GC, 195, 204, op | PRIVATE)
    b.wake(200, OTHER, waker=GC, cpu=2).switch(202, 0, "R", OTHER, cpu=2)
    b = futex(b, OTHER, 395, 405, UNLOCK_PI | PRIVATE).wake(400, APP, waker=OTHER)
    rows = chains(analyze_trace(b.switch(406, 0, "R", APP).trace(end=600)))
    mine = [row[:3] for row in rows if row[1] > 100 and row[0] >= 100]
    # RenderThread did not have the lock while it waited for it itself.
    assert mine[0] == (100, 200 if op is None else 195, first)
    assert mine[-1] == (200, 400, f"futex:{OTHER}:exact")
