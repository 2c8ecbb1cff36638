"""What is not exact says why, and what to enable."""

from __future__ import annotations

from itertools import pairwise

import pytest

from android_suite.analysis.pipeline import analyze_trace
from android_suite.analysis.summary import summarize
from android_suite.model.analysis import MetricValue
from android_suite.tables.derived import QUALITIES
from android_suite.tables.trace import Trace
from android_suite.trace.text.reader import read_text
from tests.analysis.build import APP, BINDER, GC, TraceBuilder
from tests.analysis.test_frames import MS, busy

TRACES = {
    "empty": TraceBuilder().trace(),
    "busy": busy().trace(),
    "lost": busy().lose(0, 3 * MS, 4 * MS).trace(),
    "sched only": TraceBuilder().switch(0, 0, "R", APP).switch(9, APP, "S", 0).trace(),
    "locks only": TraceBuilder().hold(2, 9, APP).trace(),
    "cut wait": TraceBuilder().switch(0, 0, "R", APP).lock(5, APP, "start").trace(),
    "cut hold": TraceBuilder().switch(0, 0, "R", APP).lock(5, APP, "released", write=True).trace(),
    "late": busy().frame(7, (0, 16 * MS), (0, 26 * MS), "App Deadline Missed").trace(),
}


def metrics(trace: Trace, process: str | None = None) -> dict[str, MetricValue]:
    return {metric.name: metric for metric in summarize(analyze_trace(trace, process=process)).metrics}


@pytest.mark.parametrize("name", TRACES)
def test_a_metric_has_a_reason_exactly_where_it_is_not_exact(name: str) -> None:
    for metric in metrics(TRACES[name]).values():
        assert bool(metric.reason) == (metric.quality != "exact"), metric


def test_the_event_to_enable_is_named() -> None:
    found = metrics(TRACES["sched only"])
    for name in ("mmapLockWaitMs_ui", "invertedMs", "vmaLockWaitMs_ui", "gcMmapLockWaitMs"):
        assert found[name].reason == "mmap_lock events were not recorded; enable events/mmap_lock"
    assert "enable events/raw_syscalls" in (found["madviseMmapLockPct_gc"].reason or "")
    assert "framestats" in (found["frameCount"].reason or "")
    assert "enable events/sched/sched_switch" in (metrics(TRACES["locks only"])["invertedMs"].reason or "")


def test_lost_events_are_the_reason_of_lower_bounds() -> None:
    found = metrics(TRACES["lost"])
    assert found["mmapLockWaitMs_gc"].quality == "lower_bound"
    assert found["mmapLockWaitMs_gc"].reason == (
        "events are missing in 1.000 ms of the trace; record with a larger buffer"
    )


def test_a_thread_that_is_not_there_is_named() -> None:
    assert metrics(TRACES["busy"])["mmapLockWaitMs_render"].reason == "no RenderThread is in the trace"
    untold = TraceBuilder().thread(900, -1, "who").hold(2, 9, GC).trace()
    assert "record-tgid" in (metrics(untold)["mmapLockWaitMs_render"].reason or "")


def value(trace: Trace, name: str) -> tuple[float | None, str]:
    found = metrics(trace)[name]
    return found.value, found.quality


def collections(*lengths_ms: int, cut_ms: int = 0) -> TraceBuilder:
    """HeapTaskDaemon collects for so long each time; the trace ends in the last, ``cut_ms`` after it began."""
    b, at = TraceBuilder().switch(0, 0, "R", GC), 1
    for length in lengths_ms:
        b.mark(at * MS, GC, "B|100|Explicit concurrent copying GC").mark((at + length) * MS, GC, "E|100")
        at += length + 1
    if cut_ms:
        b.mark(at * MS, GC, "B|100|Explicit concurrent copying GC").switch((at + cut_ms) * MS, GC, "S", 0)
    return b


def test_a_median_of_collections_is_never_above_the_true_one() -> None:
    assert value(collections(10, 20, 30).trace(), "gcDurationMs_p50") == (20.0, "exact")
    # The one that is cut lasted 4 ms or more: if it was the shortest, the median is 15.
    assert value(collections(10, 20, 30, cut_ms=4).trace(), "gcDurationMs_p50") == (15.0, "lower_bound")
    # 25 ms without events may hide two more collections of 10 ms.
    assert value(collections(10, 20, 30).lose(0, 70 * MS, 95 * MS).trace(), "gcDurationMs_p50") == (10.0, "lower_bound")
    hidden = metrics(collections(10, 20, 30).lose(0, 70 * MS, 120 * MS).trace())["gcDurationMs_p50"]
    assert (hidden.value, hidden.quality) == (None, "unknown")
    assert hidden.reason == "events are missing in 50.000 ms of the trace; record with a larger buffer"
    # A gap that is too short for any of them changes no number.
    assert value(collections(10, 20, 30).lose(0, 70 * MS, 71 * MS).trace(), "gcDurationMs_p50") == (20.0, "lower_bound")


def calls_of_gc(*, locked: int, per_vma: int, lost: bool = False) -> TraceBuilder:
    """Calls of 2 ms each; with ``lost``, one more whose middle is lost."""
    b, at = TraceBuilder().switch(0, 0, "R", GC).hold(1, 2, APP), 1
    for nth in range(locked + per_vma):
        b.enter(at * MS, GC, "madvise", 0, 4096, 4)
        if nth < locked:
            b.hold(at * MS + 10, at * MS + 20, GC)
        b.leave((at + 2) * MS, GC, "madvise")
        at += 3
    if lost:
        b.enter(at * MS, GC, "madvise", 0, 4096, 4).lose(0, at * MS + 10, at * MS + 20)
        b.leave((at + 2) * MS, GC, "madvise")
    return b


def test_a_share_of_calls_is_never_above_the_true_one() -> None:
    assert value(calls_of_gc(locked=1, per_vma=3).trace(), "madviseMmapLockPct_gc") == (25.0, "exact")
    # One call of unknown path may have taken the VMA's lock.
    assert value(calls_of_gc(locked=1, per_vma=3, lost=True).trace(), "madviseMmapLockPct_gc") == (20.0, "lower_bound")
    # 8 ms without events may hide four more such calls.
    gap = calls_of_gc(locked=1, per_vma=3).lose(0, 50 * MS, 58 * MS).trace()
    assert value(gap, "madviseMmapLockPct_gc") == (12.5, "lower_bound")


def inverted_behind_gc(calls: str) -> TraceBuilder:
    """HeapTaskDaemon holds the lock for 12 ms and the stronger main thread waits for it; ``calls`` are recorded."""
    b = TraceBuilder().switch(0, 0, "R", APP, prio=(120, 110)).switch(1, 0, "R", GC, prio=(120, 124), cpu=1)
    if calls == "all":
        b.enter(1 * MS, GC, "madvise", 0, 4096, 4, cpu=1)
    elif calls == "munmap alone":
        b.enter(1 * MS, APP, "munmap", 0, 4096).leave(2 * MS, APP, "munmap")
    b.hold(2 * MS, 14 * MS, GC)
    b.lock(4 * MS, APP, "start", write=True).switch(4 * MS + 1, APP, "D", 0, prio=(110, 120))
    b.wake(14 * MS + 1, APP, prio=110).switch(14 * MS + 2, 0, "R", APP, prio=(120, 110))
    b.lock(14 * MS + 3, APP, "acquired", write=True).lock(15 * MS, APP, "released", write=True)
    if calls == "all":
        b.leave(16 * MS, GC, "madvise", cpu=1)
    return b


@pytest.mark.parametrize(
    ("calls", "found", "words"),
    [
        ("all", (10.0, "exact"), ""),
        ("none", (None, "unknown"), "enable events/raw_syscalls"),
        ("munmap alone", (0.0, "lower_bound"), "what HeapTaskDaemon was doing in 1 inversions is not known"),
    ],
)
def test_what_a_lock_was_held_for_needs_the_calls(calls: str, found: tuple[float | None, str], words: str) -> None:
    trace = inverted_behind_gc(calls).trace()
    assert value(trace, "invertedMs") == (10.0, "exact")
    assert value(trace, "invertedMs_gcMadvise") == found
    assert words in (metrics(trace)["invertedMs_gcMadvise"].reason or "")


def test_a_wait_in_which_a_priority_changed_without_an_event_may_be_inverted_for_longer() -> None:
    """system_server strengthens the main thread while it waits behind HeapTaskDaemon; no event tells when."""
    b = TraceBuilder().switch(0, 0, "R", APP, prio=(120, 130)).switch(1, 0, "R", GC, prio=(120, 124), cpu=1)
    b.hold(2 * MS, 14 * MS, GC)
    b.lock(4 * MS, APP, "start", write=True).switch(4 * MS, APP, "D", 0, prio=(130, 120))
    b.wake(14 * MS, APP, prio=110).switch(14 * MS, 0, "R", APP, prio=(120, 110))
    b.lock(14 * MS + 3, APP, "acquired", write=True).lock(15 * MS, APP, "released", write=True)
    assert value(b.trace(), "invertedMs") == (0.0, "lower_bound")


def waiting_in_art(steps: int, *, marked: bool = True) -> TraceBuilder:
    """The main thread waits for a lock of a thread that waits for one of the next ..., 10 ms long; the last one is weak."""
    b, order = TraceBuilder().send(0, BINDER, 1, 300, one_way=True), [APP, *range(111, 111 + steps)]
    for cpu, tid in enumerate(order):
        b.thread(tid, APP, f"thread {tid}", "com.example")
        b.switch(1 + cpu, 0, "R", tid, prio=(120, 110 if cpu < steps else 130), cpu=cpu)
    b.hold(100, 110, order[-1])
    for cpu, (tid, owner) in enumerate(pairwise(order)):
        begin, end = 1 * MS, 11 * MS + 10 * (steps - cpu)
        text = f"Lock contention on a lock (owner tid: {owner})" if marked else "measure"
        b.mark(begin - 10, tid, f"B|100|{text}").switch(begin, tid, "S", 0, prio=(110, 120), cpu=cpu)
        b.wake(end, tid, prio=110, waker=owner, cpu=cpu).switch(end + 1, 0, "R", tid, prio=(120, 110), cpu=cpu)
        b.mark(end + 2, tid, "E|100")
    return b


def test_a_chain_that_is_not_followed_to_its_end_is_no_exact_inversion() -> None:
    for steps in (7, 8):
        found, quality = value(waiting_in_art(steps).trace(), "blamedInvertedMs")
        assert (found, quality) == (pytest.approx(10.0, abs=0.001), "exact")
    assert value(waiting_in_art(9).trace(), "blamedInvertedMs") == (0.0, "lower_bound")


@pytest.mark.parametrize(
    ("first", "sleeps", "quality"),
    [
        ("E|100", True, "lower_bound"),  # perhaps the end of a wait for a monitor
        ("B|100|a section", True, "exact"),  # nothing begins inside of such a wait
        ("E|100", False, "exact"),
        ("", True, "lower_bound"),  # the main thread writes nothing: the wait may last until the end
    ],
)
def test_a_wait_for_a_monitor_that_began_before_the_trace_is_not_seen(first: str, sleeps: bool, quality: str) -> None:
    b = TraceBuilder().send(0, BINDER, 1, 300, one_way=True).hold(5, 6, GC)
    b.mark(1, GC, "B|100|Lock contention on a lock (owner tid: 0)").mark(2, GC, "E|100")
    if sleeps:
        b.wake(10, APP).switch(11, 0, "R", APP)
    if first:
        b.mark(20, APP, first).mark(30, APP, "E|100" if first.startswith("B") else "B|100|more")
    b.switch(40, APP, "S", 0)
    found = metrics(b.trace())
    for name in ("monitorWaitMs_ui", "blamedInvertedMs"):
        assert (found[name].value, found[name].quality) == (0.0, quality)
        assert ("a wait for a monitor may have begun before the trace" in (found[name].reason or "")) == (
            quality != "exact"
        )


def test_no_wait_in_art_is_no_zero_without_the_markers_of_art() -> None:
    assert value(waiting_in_art(1).trace(), "monitorWaitMs_ui") == (pytest.approx(10.0, abs=0.001), "exact")
    drawn = waiting_in_art(1, marked=False).trace()
    assert value(drawn, "monitorWaitMs_ui") == (None, "unknown")
    assert value(drawn, "blamedInvertedMs") == (0.0, "lower_bound")
    assert metrics(drawn)["blamedInvertedMs"].reason == "no markers of ART were recorded; record atrace category dalvik"


def test_no_collection_is_no_zero_without_the_markers_of_art() -> None:
    drawn = TraceBuilder().mark(1, APP, "B|100|Choreographer#doFrame").mark(9, APP, "E|100")
    found = metrics(drawn.trace())["gcCount"]
    assert (found.value, found.reason) == (None, "no markers of ART were recorded; record atrace category dalvik")
    drawn.mark(10, APP, "B|100|Lock contention on thread list lock (owner tid: 5)").mark(11, APP, "E|100")
    assert value(drawn.trace(), "gcCount") == (0, "exact")


def test_no_frame_is_no_zero_without_the_markers_of_views() -> None:
    collected = collections(10).mark(40 * MS, APP, "B|100|a section of the app").mark(41 * MS, APP, "E|100")
    found = metrics(collected.trace())["frameCount"]
    assert (found.value, found.quality) == (None, "unknown")
    assert "atrace category view" in (found.reason or "")
    collected.mark(50 * MS, APP, "B|100|inflate").mark(51 * MS, APP, "E|100")
    assert value(collected.trace(), "frameCount") == (0, "exact")


def test_an_unknown_priority_is_no_reason_for_zero_inversion() -> None:
    # HeapTaskDaemon ran all the while, so no scheduling event tells its priority.
    silent = TraceBuilder().switch(0, 0, "R", APP, prio=(120, 110)).hold(2 * MS, 14 * MS, GC)
    silent.lock(4 * MS, APP, "start", write=True).lock(14 * MS + 3, APP, "acquired", write=True)
    found = metrics(silent.lock(15 * MS, APP, "released", write=True).trace())["invertedMs"]
    assert (found.value, found.quality) == (0.0, "lower_bound")
    assert found.reason == "whether waits of 1 threads were inverted is not known, because a priority is not"
    # Nobody waited: what is not known of priorities changes nothing.
    assert value(TraceBuilder().switch(0, 0, "R", APP).hold(2, 9, GC).trace(), "invertedMs") == (0.0, "exact")


def test_an_inversion_may_have_begun_before_the_trace() -> None:
    late = (
        TraceBuilder().switch(0, 0, "R", APP).lock(5, APP, "acquired", write=True).lock(9, APP, "released", write=True)
    )
    found = metrics(late.trace())["invertedMs"]
    assert (found.value, found.quality) == (0.0, "lower_bound")
    assert found.reason == "a wait may have begun before the trace"


def test_an_event_that_could_not_be_read_is_as_good_as_lost() -> None:
    lines = [
        "  HeapTaskDaemon-101 ( 100) [000] .... 1.000000: tracing_mark_write: B|100|Choreographer#doFrame",
        "  HeapTaskDaemon-101 ( 100) [000] .... 1.001000: mmap_lock_start_locking: mm=00000000aaaa0001 memcg_path=/ write=true",
        "  HeapTaskDaemon-101 ( 100) [000] .... 1.003000: mmap_lock_acquire_returned: mm=(efault) write=true success=true",
        "  HeapTaskDaemon-101 ( 100) [000] .... 1.009000: tracing_mark_write: E|100",
        "  ui-100 ( 100) [000] .... 1.010000: sched_switch: ui:100 [110] S ==> HeapTaskDaemon:101 [124]",
    ]
    trace = read_text("\n".join(lines).encode())
    for name in ("mmapLockWaitMs_gc", "invertedMs"):
        found = metrics(trace)[name]
        assert (found.value, found.quality) == (0.0, "lower_bound")
        assert (found.reason or "").startswith("the fields of 1 events could not be read")
    analysis = analyze_trace(trace)
    # When the wait ended is not known; markers are read as they are, so the slice is whole.
    assert [QUALITIES[q] for q in analysis["lock_waits"]["quality"]] == ["unknown"]
    assert analysis["slices"][["start_ns", "end_ns", "cut"]].values.tolist() == [[1_000000000, 1_009000000, 0]]
