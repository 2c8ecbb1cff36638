"""The latest frames: what their time went to, and who woke their threads."""

from __future__ import annotations

from android_suite.analysis.pipeline import analyze_trace
from android_suite.analysis.summary import summarize
from tests.analysis.build import APP, GC, TraceBuilder
from tests.analysis.test_frames import MS, busy


def test_a_late_frame_says_when_whose_on_what_and_who_woke_it() -> None:
    late = (
        busy().frame(7, (0, 16 * MS), (0, 26 * MS), "App Deadline Missed").frame(8, (0, 60 * MS), (0, 29 * MS), "None")
    )
    summary = summarize(analyze_trace(late.trace()))
    (worst,) = summary.frames.worst  # the frame in time is not among them
    assert (worst.start_ns, worst.duration_ns, worst.overrun_ms) == (0, 26 * MS, 10.0)
    assert (worst.process, worst.frame_id, worst.jank_type) == ("com.example", 7, "App Deadline Missed")
    assert worst.ui_ns is not None
    assert (worst.ui_ns["mmap_lock"], worst.ui_ns["monitor"]) == (10 * MS, 3 * MS)
    assert worst.render_ns is None
    assert worst.woken_by is not None
    (waker,) = worst.woken_by  # the builder's wake-ups come from an idle CPU
    assert (waker.woken, waker.tid, waker.wakes, waker.slept_ns) == ("ui", 0, 3, 10 * MS + 3 * MS + 1 * MS)


def test_wakers_are_told_apart_and_the_longest_sleep_comes_first() -> None:
    b = TraceBuilder().switch(0, 0, "R", APP)
    b.switch(1 * MS, APP, "S", 0).wake(2 * MS, APP, waker=55).switch(2 * MS, 0, "R", APP)
    b.switch(3 * MS, APP, "D", 0).boost(4 * MS, APP, 120, 110).wake(9 * MS, APP, waker=GC).switch(9 * MS, 0, "R", APP)
    b.switch(30 * MS, APP, "S", 0).wake(31 * MS, APP, waker=77)
    b.frame(1, (0, 16 * MS), (0, 20 * MS), "App Deadline Missed")
    analysis = analyze_trace(b.trace())
    (worst,) = summarize(analysis).frames.worst
    assert worst.woken_by is not None
    assert [(w.tid, w.thread, w.slept_ns) for w in worst.woken_by] == [
        (GC, "HeapTaskDaemon", 6 * MS),  # a change of priority does not cut the sleep
        (55, "55", 1 * MS),
    ]
    assert analysis["wakeups"][["start_ns", "end_ns", "waker_tid"]].values.tolist() == [
        [1 * MS, 2 * MS, 55], [3 * MS, 9 * MS, GC], [30 * MS, 31 * MS, 77],
    ]  # fmt: skip


def test_without_wake_ups_nobody_is_named() -> None:
    b = TraceBuilder().switch(0, 0, "R", APP).switch(1 * MS, APP, "S", 0).switch(9 * MS, 0, "R", APP)
    b.frame(1, (0, 16 * MS), (0, 20 * MS), "App Deadline Missed").switch(30 * MS, APP, "S", 0)
    (worst,) = summarize(analyze_trace(b.trace())).frames.worst
    assert worst.woken_by is None
    assert worst.inverted_ns is None  # mmap_lock events were not recorded either
