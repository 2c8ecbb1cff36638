"""Thread states, priorities and CPUs over time."""

from __future__ import annotations

import numpy as np

from android_suite.analysis.loss import Losses
from android_suite.analysis.sched import Timeline, measure_thread_states, ran_through, states_in
from android_suite.tables.derived import STATES
from tests.analysis.build import APP, BINDER, GC, TraceBuilder


def timeline(b: TraceBuilder, **more: int) -> Timeline:
    trace = b.trace(**more)  # type: ignore[arg-type]
    losses = Losses.of(trace["lost"])
    return measure_thread_states(
        trace["sched_switch"], trace["sched_wake"], trace["pi_setprio"], losses, trace.source.end_ns
    )


def told(line: Timeline, tid: int) -> list[tuple[int, int, str, int, int]]:
    table = line.to_frame()
    table = table[table["tid"] == tid]
    rows = zip(table["start_ns"], table["end_ns"], table["state"], table["cpu"], table["prio"], strict=True)
    return [(s, e, STATES[k], c, p) for s, e, k, c, p in rows]


def test_a_life() -> None:
    b = TraceBuilder().wake(5, GC, prio=124, cpu=1).switch(10, 0, "R", GC, prio=(120, 124), cpu=1)
    b.switch(20, GC, "R+", APP, prio=(124, 110), cpu=1).switch(30, APP, "S", GC, prio=(110, 124), cpu=1)
    b.switch(40, GC, "D", 0, prio=(124, 120), cpu=1)
    line = timeline(b, end=50)
    assert told(line, GC) == [
        (5, 10, "runnable", 1, 124), (10, 20, "running", 1, 124), (20, 30, "runnable", 1, 124),
        (30, 40, "running", 1, 124), (40, 50, "disk", 1, 124),
    ]  # fmt: skip
    assert line.to_frame().query("tid == @GC")["preempted"].tolist() == [False, False, True, False, False]
    assert told(line, APP)[0] == (20, 30, "running", 1, 110)
    assert told(line, 0) == []


def test_a_boost_changes_the_priority_of_whatever_the_thread_does() -> None:
    b = (
        TraceBuilder()
        .switch(10, 0, "R", GC, prio=(120, 124))
        .boost(15, GC, 124, 98)
        .switch(20, GC, "S", 0, prio=(98, 120))
    )
    assert told(timeline(b.boost(25, GC, 98, 124), end=30), GC) == [
        (10, 15, "running", 0, 124), (15, 20, "running", 0, 98), (20, 25, "sleeping", 0, 98), (25, 30, "sleeping", 0, 124),
    ]  # fmt: skip


def test_a_priority_that_changed_without_an_event_is_not_known_until_it_shows() -> None:
    """Another thread calls setpriority while GC runs, then while it waits for a CPU, and while it sleeps."""
    b = TraceBuilder().switch(10, 0, "R", GC, prio=(120, 124)).switch(20, GC, "R+", APP, prio=(130, 120))
    b.switch(30, APP, "S", GC, prio=(120, 110)).switch(40, GC, "S", 0, prio=(110, 120))
    b.wake(50, GC, prio=124).switch(55, 0, "R", GC, prio=(120, 124)).switch(60, GC, "S", 0, prio=(124, 120))
    assert told(timeline(b, end=70), GC) == [
        (10, 20, "running", 0, -1), (20, 30, "runnable", 0, -1), (30, 40, "running", 0, 110), (40, 50, "sleeping", 0, -1),
        (50, 55, "runnable", 0, 124), (55, 60, "running", 0, 124), (60, 70, "sleeping", 0, 124),
    ]  # fmt: skip


def test_a_boost_tells_that_the_priority_before_it_had_changed() -> None:
    """Another thread calls setpriority while GC runs; at 20 it is boosted from what it has now, to what it had."""
    b = TraceBuilder().switch(10, 0, "R", GC, prio=(120, 124), cpu=1).boost(20, GC, 110, 124)
    line = timeline(b.switch(30, GC, "S", 0, prio=(124, 120), cpu=1), end=40)
    assert told(line, GC) == [(10, 20, "running", 1, -1), (20, 30, "running", 1, 124), (30, 40, "sleeping", 1, 124)]


def test_a_gap_on_its_cpu_hides_who_ran_and_one_elsewhere_does_not() -> None:
    b = TraceBuilder().switch(10, 0, "R", GC, prio=(120, 124)).switch(11, 0, "R", APP, prio=(120, 110), cpu=1)
    b.switch(50, GC, "S", 0, prio=(124, 120)).switch(51, APP, "S", 0, prio=(110, 120), cpu=1).lose(1, 20, 30)
    line = timeline(b)
    assert told(line, APP)[0] == (11, 20, "running", 1, 110)
    assert told(line, GC)[:2] == [(10, 20, "running", 0, 124), (20, 50, "running", 0, -1)]  # a boost may have been lost


def test_nobody_is_known_to_sleep_through_a_gap() -> None:
    b = TraceBuilder().switch(10, GC, "S", 0, prio=(124, 120)).wake(60, GC, prio=124).lose(1, 20, 30)
    assert told(timeline(b), GC) == [(10, 20, "sleeping", 0, 124)]


def test_sums_and_proofs() -> None:
    b = (
        TraceBuilder()
        .switch(10, 0, "R", GC, prio=(120, 124))
        .switch(20, GC, "S", 0, prio=(124, 120))
        .wake(40, GC, prio=124)
    )
    line = timeline(b.switch(45, 0, "R", GC, prio=(120, 124)), end=60)
    tids, start, end = np.array([GC, GC, BINDER], np.int32), np.array([15, 0, 0]), np.array([50, 12, 60])
    assert states_in(line, tids, start, end).tolist() == [[10, 5, 20, 0, 0, 0], [2, 0, 0, 0, 0, 0], [0] * 6]
    proofs = ran_through(line, np.array([GC, GC, GC], np.int32), np.array([12, 12, 19]), np.array([18, 22, 19]))
    assert proofs.tolist() == [True, False, True]


def test_wakeup_knows_the_cpu_better_than_waking() -> None:
    b = TraceBuilder().switch(1, GC, "S", 0, prio=(124, 120)).wake(5, GC, prio=124, cpu=0)
    b._add("sched_wake", 7, 0, 0, 1, GC, 124, 1)
    assert told(timeline(b, end=9), GC)[1:] == [(5, 7, "runnable", 0, 124), (7, 9, "runnable", 1, 124)]


def test_a_state_that_nobody_knows_is_a_gap() -> None:
    b = TraceBuilder().switch(10, 0, "R", GC, prio=(120, 124)).switch(20, GC, "?", 0, prio=(124, 120))
    b.wake(30, GC, prio=124).switch(40, 0, "R", GC, prio=(120, 124))
    assert told(timeline(b, end=50), GC) == [
        (10, 20, "running", 0, 124), (30, 40, "runnable", 0, 124), (40, 50, "running", 0, 124),
    ]  # fmt: skip
