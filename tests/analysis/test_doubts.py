"""What is not exact says why, and what to enable."""

from __future__ import annotations

import pytest

from android_suite.analysis.pipeline import analyze_trace
from android_suite.analysis.summary import summarize
from android_suite.model.analysis import MetricValue
from android_suite.tables.trace import Trace
from tests.analysis.build import APP, GC, TraceBuilder
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
