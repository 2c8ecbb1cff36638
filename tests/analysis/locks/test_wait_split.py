"""What a wait for mmap_lock consists of."""

from __future__ import annotations

from android_suite.analysis.pipeline import analyze_trace
from android_suite.analysis.summary import summarize_analysis
from tests.analysis.build import APP, BINDER, GC, TraceBuilder


def test_a_wait_is_told_apart() -> None:
    b = TraceBuilder().switch(1, 0, "R", APP, cpu=0).switch(2, 0, "R", GC, cpu=1).hold(20, 80, GC)
    b.lock(40, APP, "start", write=True).switch(45, APP, "D", BINDER, cpu=0).wake(81, APP, waker=GC)
    b.switch(95, BINDER, "R+", APP, cpu=0).lock(99, APP, "acquired", write=True).lock(120, APP, "released", write=True)
    analysis = analyze_trace(b.trace())
    wait = analysis["lock_waits"].iloc[-1]
    # 80 to 81 it still sleeps, and the release was told; 81 to 95 it waits for the CPU; 95 to 99 it runs.
    assert wait[["behind_ns", "asleep_ns", "runnable_ns", "running_ns"]].tolist() == [40, 1, 14, 4]
    (row,) = (r for r in summarize_analysis(analysis)["locks"] if r["tid"] == APP)
    assert row["wait_total_ns"] == 59
    assert row["wait_split_ns"] == {"behind": 40, "running": 4, "runnable": 14, "asleep": 1, "unknown": 0}
    values = {m["name"]: m["value"] for m in summarize_analysis(analysis)["metrics"]}
    assert (values["mmapLockWaitMs_ui"], values["mmapLockBehindMs_ui"]) == (59e-6, 40e-6)


def test_a_wait_that_nobody_caused_is_its_own() -> None:
    b = TraceBuilder().switch(1, 0, "R", APP).lock(10, APP, "start").lock(13, APP, "acquired").lock(20, APP, "released")
    wait = analyze_trace(b.switch(30, APP, "S", 0).trace())["lock_waits"].iloc[0]
    assert wait[["behind_ns", "asleep_ns", "runnable_ns", "running_ns"]].tolist() == [0, 0, 0, 3]


def test_two_holders_at_once_count_once_and_without_switches_the_rest_is_unknown() -> None:
    b = TraceBuilder().lock(5, BINDER, "start").lock(6, BINDER, "acquired").lock(7, GC, "start").lock(8, GC, "acquired")
    b.lock(10, APP, "start", write=True).lock(30, GC, "released").lock(50, BINDER, "released")
    analysis = analyze_trace(b.lock(60, APP, "acquired", write=True).lock(61, APP, "released", write=True).trace())
    (row,) = (r for r in summarize_analysis(analysis)["locks"] if r["tid"] == APP)
    assert row["wait_split_ns"] == {"behind": 40, "running": 0, "runnable": 0, "asleep": 0, "unknown": 10}
