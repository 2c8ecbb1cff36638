"""The scheduler's page: delays, run time, uninterruptible sleep by caller."""

from __future__ import annotations

from android_suite.analysis.pipeline import analyze_trace
from android_suite.analysis.summary import summarize
from tests.analysis.build import APP, GC, TraceBuilder

MS = 1_000_000


def contended() -> TraceBuilder:
    """One CPU: GC is woken, waits for it, is preempted once (with a boost meanwhile), and sleeps twice in state D."""
    b = TraceBuilder().switch(0, 0, "R", APP).wake(1 * MS, GC).switch(3 * MS, APP, "R+", GC)
    b.switch(5 * MS, GC, "R+", APP).boost(6 * MS, GC, 120, 110).switch(9 * MS, APP, "S", GC)
    b.switch(10 * MS, GC, "D", 0).wake(14 * MS, GC, waker=APP).reason(
        14 * MS + 500, GC, "folio_wait_bit+0x12/0x80", io=True
    )
    b.switch(14 * MS + 1000, 0, "R", GC).switch(20 * MS, GC, "D", 0).wake(21 * MS, GC).switch(21 * MS, 0, "R", GC)
    return b.switch(22 * MS, GC, "S", 0)


def test_delays_run_time_and_sleep_to_the_nanosecond() -> None:
    scheduling = summarize(analyze_trace(contended().trace())).scheduling
    gc = next(row for row in scheduling.threads if row.tid == GC)
    assert (gc.process, gc.role, gc.thread) == ("com.example", "gc", "HeapTaskDaemon")
    assert gc.running_ns == 2 * MS + 1 * MS + (6 * MS - 1000) + 1 * MS
    # After the first waking, after the preemption (one delay, whatever its priority), after the second waking.
    assert (gc.delays, gc.delay_ns, gc.delay_max_ns) == (3, 2 * MS + 4 * MS + 1000, 4 * MS)
    assert (gc.preempted_ns, gc.uninterruptible_ns) == (4 * MS, 5 * MS)
    assert scheduling.threads[0].tid == GC
    assert (scheduling.quality, scheduling.reason) == ("exact", None)


def test_uninterruptible_sleep_by_caller_where_it_is_told() -> None:
    scheduling = summarize(analyze_trace(contended().trace())).scheduling
    told, untold = scheduling.uninterruptible
    assert (told.tid, told.caller, told.io_wait, told.sleeps, told.total_ns) == (GC, "folio_wait_bit", True, 1, 4 * MS)
    assert (untold.caller, untold.io_wait, untold.total_ns, untold.longest_ns) == (None, None, 1 * MS, 1 * MS)
    table = analyze_trace(contended().trace())["uninterruptible_sleeps"]
    assert table[["tid", "start_ns", "waker_tid", "told"]].values.tolist() == [
        [GC, 10 * MS, APP, True],
        [GC, 20 * MS, 0, False],
    ]


def test_without_wake_ups_delays_are_a_lower_bound_that_says_so() -> None:
    b = TraceBuilder().switch(0, 0, "R", APP).switch(3 * MS, APP, "R+", GC).switch(9 * MS, GC, "S", APP)
    scheduling = summarize(analyze_trace(b.trace())).scheduling
    assert scheduling.quality == "lower_bound"
    assert scheduling.reason == "wake-ups were not recorded; enable events/sched/sched_waking"


def test_without_sched_events_it_is_unknown() -> None:
    scheduling = summarize(analyze_trace(TraceBuilder().hold(2, 9, APP).trace())).scheduling
    assert (scheduling.threads, scheduling.quality) == ((), "unknown")
    assert "enable events/sched/sched_switch" in (scheduling.reason or "")
