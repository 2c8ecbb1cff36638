"""Waits and holds: every shape of the three events, whole, cut and with gaps."""

from __future__ import annotations

import pandas as pd

from android_suite.analysis.alive import find_ends
from android_suite.analysis.lives import Lives
from android_suite.analysis.locks.mmap_lock import MmapLock, scan_mmap_lock, trust_mmap_lock
from android_suite.analysis.loss import Losses
from android_suite.analysis.sched import measure_thread_states
from android_suite.tables.derived import EXACT, HOW, LOWER_BOUND, OUTCOMES, UNKNOWN
from android_suite.tables.trace import Trace
from tests.analysis.build import APP, BINDER, GC, MM, OTHER_MM, TraceBuilder


def locks_of(trace: Trace) -> MmapLock:
    losses = Losses.of(trace["lost"])
    line = measure_thread_states(
        trace["sched_switch"], trace["sched_wake"], trace["pi_setprio"], losses, trace.source.end_ns
    )
    return trust_mmap_lock(scan_mmap_lock(trace, losses), trace["contention"], line, losses, find_ends(trace, Lives()))


def rows(frame: pd.DataFrame, *columns: str) -> list[tuple[object, ...]]:
    return [*frame[[*columns]].itertuples(index=False, name=None)]


def test_a_wait_and_its_hold() -> None:
    found = locks_of(TraceBuilder().hold(20, 50, GC, wait=10).trace())
    assert rows(found.waits, "tid", "write", "start_ns", "end_ns", "quality") == [(GC, False, 10, 20, EXACT)]
    assert rows(found.holds, "tid", "start_ns", "end_ns", "wait", "quality") == [(GC, 20, 50, 0, EXACT)]


def test_a_downgrade_is_one_hold_in_two_modes() -> None:
    b = TraceBuilder().lock(10, GC, "start", write=True).lock(11, GC, "acquired", write=True)
    found = locks_of(b.lock(20, GC, "acquired").lock(30, GC, "released").trace())
    assert rows(found.holds, "write", "start_ns", "end_ns", "downgrade_ns") == [(True, 11, 30, 20)]
    assert len(found.waits) == 1


def test_an_acquire_without_a_start_is_a_trylock_of_a_thread_seen_before() -> None:
    b = TraceBuilder().hold(5, 6, GC).lock(10, GC, "acquired").lock(12, GC, "released")
    assert rows(locks_of(b.trace()).holds, "how", "wait")[1] == (HOW.index("trylock"), -1)


def test_the_first_thing_seen_of_a_thread_may_be_the_end_of_a_wait() -> None:
    found = locks_of(TraceBuilder().lock(10, GC, "acquired").lock(12, GC, "released").trace())
    assert rows(found.holds, "how", "quality") == [(HOW.index("unknown"), EXACT)]
    born = TraceBuilder().born(1, GC, APP).lock(10, GC, "acquired").lock(12, GC, "released")
    assert rows(locks_of(born.trace()).holds, "how") == [(HOW.index("trylock"),)]


def test_a_failed_trylock_and_a_killed_wait_hold_nothing() -> None:
    b = (
        TraceBuilder()
        .lock(1, GC, "acquired", success=False)
        .lock(10, GC, "start")
        .lock(30, GC, "acquired", success=False)
    )
    found = locks_of(b.trace())
    assert rows(found.waits, "start_ns", "end_ns", "outcome") == [(10, 30, OUTCOMES.index("failed"))]
    assert not len(found.holds)


def test_two_locks_at_once_are_kept_apart() -> None:
    b = TraceBuilder().lock(1, APP, "start", write=True).lock(2, APP, "acquired", write=True)
    b.hold(4, 6, APP, OTHER_MM, write=True).lock(9, APP, "released", write=True)
    assert rows(locks_of(b.trace()).holds, "mm", "start_ns", "end_ns") == [(MM, 2, 9), (OTHER_MM, 4, 6)]


def test_edges_of_the_trace_give_lower_bounds() -> None:
    b = TraceBuilder().lock(10, GC, "released").lock(20, APP, "start", write=True).lock(30, BINDER, "start")
    found = locks_of(b.lock(31, BINDER, "acquired").trace(start=5, end=100))
    assert rows(found.holds, "tid", "start_ns", "end_ns", "quality") == [
        (GC, 5, 10, LOWER_BOUND),
        (BINDER, 31, 100, LOWER_BOUND),
    ]
    assert rows(found.waits, "end_ns", "outcome", "quality")[0] == (100, OUTCOMES.index("cut"), LOWER_BOUND)


def test_a_gap_makes_unknown_what_it_touches_and_nothing_else() -> None:
    b = TraceBuilder().hold(5, 8, GC).hold(20, 60, GC, wait=5).hold(80, 90, GC).lose(1, 30, 50)
    assert locks_of(b.trace()).holds["quality"].tolist() == [EXACT, UNKNOWN, EXACT]


def test_a_thread_that_ran_on_elsewhere_is_believed() -> None:
    b = TraceBuilder().switch(1, 0, "R", GC).hold(20, 60, GC, wait=5).switch(99, GC, "S", 0).lose(1, 30, 50)
    assert locks_of(b.trace()).holds["quality"].tolist() == [EXACT]
    b = TraceBuilder().switch(1, 0, "R", GC).hold(20, 60, GC, wait=5).switch(99, GC, "S", 0).lose(0, 30, 50)
    assert locks_of(b.trace()).holds["quality"].tolist() == [UNKNOWN]


def test_after_a_gap_an_acquire_is_not_called_a_trylock() -> None:
    b = TraceBuilder().hold(5, 8, GC).lose(0, 10, 20).lock(30, GC, "acquired").lock(35, GC, "released")
    assert rows(locks_of(b.trace()).holds, "how")[1] == (HOW.index("unknown"),)


def test_a_lost_release_accuses_nobody() -> None:
    b = TraceBuilder().lock(5, GC, "start").lock(6, GC, "acquired").lose(0, 10, 20)
    found = locks_of(b.lock(30, APP, "start", write=True).lock(90, APP, "acquired", write=True).trace())
    assert not len(found.segments)
    assert found.holds["quality"].tolist()[0] == UNKNOWN


def test_events_that_cannot_be_are_survived() -> None:
    b = TraceBuilder()
    for ts, kind in enumerate(
        ("released", "released", "start", "start", "acquired", "acquired", "released", "released")
    ):
        b.lock(ts + 1, GC, kind, write=ts % 2 == 0)
    for mm in range(10):
        b.lock(50 + mm, GC, "start", 0x1000 * (mm + 1))
    found = locks_of(b.trace())
    assert (found.waits["quality"] == UNKNOWN).sum() >= 1
    assert (found.holds["quality"] == UNKNOWN).sum() >= 2


def test_contention_inside_a_wait_names_the_lock() -> None:
    b = TraceBuilder()
    for ts in (10, 110):
        b.lock(ts, APP, "start", write=True).contend(ts + 5, APP, MM + 0x98, 4).contend(ts + 30, APP, MM + 0x98, None)
        b.lock(ts + 31, APP, "acquired", write=True).lock(ts + 40, APP, "released", write=True)
    found = locks_of(b.trace())
    assert found.lock_offset == 0x98
    assert found.waits["contended"].tolist() == [1, 1]
    assert locks_of(TraceBuilder().hold(5, 9, APP).trace()).waits["contended"].tolist() == [-1]


def test_calls_are_joined_and_cut() -> None:
    b = (
        TraceBuilder()
        .leave(2, APP, "munmap")
        .enter(5, APP, "madvise", 1, 2, 4)
        .leave(9, APP, "madvise")
        .enter(12, APP, "mmap")
    )
    found = locks_of(b.trace(start=0, end=20)).calls
    assert rows(found, "start_ns", "end_ns", "quality") == [(0, 2, LOWER_BOUND), (5, 9, EXACT), (12, 20, LOWER_BOUND)]


def test_an_empty_trace() -> None:
    found = locks_of(TraceBuilder().trace())
    assert (len(found.waits), len(found.holds), len(found.calls), found.lock_offset) == (0, 0, 0, None)


def test_a_thread_that_is_dead_waits_and_holds_no_longer() -> None:
    b = TraceBuilder().lock(10, GC, "start").lock(20, GC, "acquired").lock(30, APP, "start", write=True)
    b.lock(35, BINDER, "start", write=True).lock(90, BINDER, "acquired", write=True)
    b.enter(36, APP, "munmap").switch(40, GC, "X", 0).switch(50, APP, "Z", 0).lock(95, BINDER, "released", write=True)
    found = locks_of(b.trace(end=5000))
    assert rows(found.waits, "tid", "end_ns", "quality") == [
        (GC, 20, EXACT), (APP, 50, LOWER_BOUND), (BINDER, 90, EXACT)
    ]  # fmt: skip
    assert rows(found.holds, "tid", "end_ns", "quality") == [(GC, 40, LOWER_BOUND), (BINDER, 95, EXACT)]
    assert rows(found.calls, "tid", "end_ns") == [(APP, 50)]
    # Nobody stands behind a dead thread.
    assert found.segments[:, [2, 3]].tolist() == [[30, 40], [35, 40]]
