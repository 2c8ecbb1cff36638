"""GC cycles and launches."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from android_suite.analysis.pipeline import Evidence, analyze_trace
from android_suite.analysis.summary import summarize_analysis
from android_suite.tables.evidence import AM_STARTS
from android_suite.tables.schema import make_frame
from tests.analysis.build import APP, GC, TraceBuilder

MS = 1_000_000
COMPONENT = "com.example/.Main"


def starts(*rows: tuple[str, int, str], outcome: str = "", asked: str = "", drawn_ms: int = -1) -> pd.DataFrame:
    """State, TotalTime and reason of each; each with a reason is of ``outcome``."""
    n = len(rows)
    return make_frame(
        AM_STARTS,
        {
            "intent": [COMPONENT] * n, "asked": [asked] * n, "status": ["ok"] * n, "launch_state": [r[0] for r in rows],
            "activity": [COMPONENT] * n, "this_ms": [-1] * n, "total_ms": [r[1] for r in rows], "wait_ms": [10_000] * n,
            "fully_drawn_ms": [drawn_ms] * n, "outcome": [outcome if r[2] else "ok" for r in rows],
            "reason": [r[2] for r in rows],
        },
    )  # fmt: skip


def launch(b: TraceBuilder, at: int) -> TraceBuilder:
    b.wake(at, APP, prio=110).switch(at + 1, 0, "R", APP, prio=(120, 110)).mark(
        at + 1 * MS, APP, "B|100|bindApplication"
    )
    b.mark(at + 3 * MS, APP, "E|100").mark(at + 4 * MS, APP, "B|100|activityStart").mark(at + 5 * MS, APP, "E|100")
    b.mark(at + 6 * MS, APP, "B|100|Choreographer#doFrame 1").mark(at + 11 * MS, APP, "E|100")
    return b.switch(at + 12 * MS, APP, "S", 0, prio=(110, 120))


def test_a_launch_and_its_main_thread() -> None:
    b = (
        launch(TraceBuilder(), 10 * MS)
        .mark(12 * MS, GC, "B|100|Background young concurrent copying GC")
        .mark(15 * MS, GC, "E|100")
    )
    evidence = Evidence(am_starts=starts(("cold", 250, ""), drawn_ms=400))
    summary = summarize_analysis(analyze_trace(b.trace(), evidence=evidence))
    (row,) = summary["launches"]
    assert (row["timeToInitialDisplayMs"], row["timeToFullDisplayMs"], row["discarded"]) == (250.0, 400.0, None)
    assert row["ui_ns"]["running"] == 10 * MS
    assert row["gc_ns"] == 3 * MS
    metrics = {m["name"]: m["value"] for m in summary["metrics"]}
    assert metrics["timeToInitialDisplayMs_cold"] == 250.0


def test_what_is_no_launch_is_kept_and_not_counted() -> None:
    rows = starts(("cold", 300, ""), ("warm", 90, "asked cold, got WARM"), ("hot", 40, ""), outcome="wrong_state")
    summary = summarize_analysis(analyze_trace(TraceBuilder().trace(), evidence=Evidence(am_starts=rows)))
    assert [row["discarded"] for row in summary["launches"]] == [None, "asked cold, got WARM", None]
    metrics = {m["name"]: m["value"] for m in summary["metrics"]}
    assert metrics["timeToInitialDisplayMs_cold"] == 300.0
    assert metrics["timeToInitialDisplayMs_hot"] == 40.0
    assert "timeToInitialDisplayMs_warm" not in metrics
    assert "timeToInitialDisplayMs" not in metrics, "states are never pooled"
    assert metrics["launchFailedPct"] == 0.0
    assert summary["launches"][0]["ui_ns"] is None


@pytest.mark.parametrize("outcome", ["timeout", "crash", "elsewhere"])
def test_a_launch_that_failed_is_slower_than_every_other(outcome: str) -> None:
    def measure(*rows: tuple[str, int, str]) -> dict[str, tuple[float | None, str]]:
        told = starts(*rows, outcome=outcome, asked="cold")
        summary = summarize_analysis(analyze_trace(TraceBuilder().trace(), evidence=Evidence(am_starts=told)))
        for row in summary["launches"]:
            assert (row["limit_ms"] == 10_000) is (row["outcome"] == outcome)
            assert (row["timeToInitialDisplayMs"] is None) is (row["outcome"] == outcome)
        return {m["name"]: (m["value"], m["quality"]) for m in summary["metrics"]}

    good = [("cold", ms, "") for ms in (100, 200, 300)]
    fail = ("unknown", -1, "failed")
    few = measure(*good, fail)
    assert few["launchFailedPct"] == (25.0, "exact")
    assert few["timeToInitialDisplayMs_cold"] == (250.0, "exact")
    many = measure(*good, fail, fail, fail, fail)
    assert many["launchFailedPct"] == (pytest.approx(400 / 7), "exact")
    assert many["timeToInitialDisplayMs_cold"] == (10_000.0, "lower_bound")
    assert measure(fail)["launchFailedPct"] == (100.0, "exact")


def test_numbers_that_do_not_match_are_not_joined() -> None:
    b = launch(launch(TraceBuilder(), 10 * MS), 100 * MS)
    one = analyze_trace(b.trace(), evidence=Evidence(am_starts=starts(("cold", 250, ""))))
    assert one["launches"]["start_ns"].tolist() == [-1]
    assert np.isnan(one["launches"]["full_display_ms"]).all()
    two = analyze_trace(b.trace(), evidence=Evidence(am_starts=starts(("cold", 250, ""), ("warm", -1, ""))))
    assert two["launches"]["start_ns"].tolist() == [11 * MS, 101 * MS]
    assert summarize_analysis(two)["launches"][1]["timeToInitialDisplayMs"] is None


def test_launches_of_a_trace_alone() -> None:
    b = launch(launch(TraceBuilder(), 10 * MS), 100 * MS)
    b.mark(120 * MS, APP, "B|100|reportFullyDrawn() for ComponentInfo{com.example/com.example.Main}").mark(
        121 * MS, APP, "E|100"
    )
    summary = summarize_analysis(analyze_trace(b.trace(end=200 * MS)))
    assert [row["source"] for row in summary["launches"]] == ["trace", "trace"]
    assert [row["got"] for row in summary["launches"]] == ["cold", "cold"]
    # from the app's first step on, which is not the intent
    assert [row["timeToInitialDisplayMs"] for row in summary["launches"]] == [10.0, 10.0]
    assert [row["timeToFullDisplayMs"] for row in summary["launches"]] == [None, 19.0]
    assert {row["quality"] for row in summary["launches"]} == {"lower_bound"}
    assert "launchFailedPct" not in {m["name"] for m in summary["metrics"]}  # one that never drew is not to be seen


@pytest.mark.parametrize("android", [10, 13])
def test_launches_that_system_server_tells(android: int) -> None:
    server = 900
    b = TraceBuilder()
    name = "launching: com.example" if android == 10 else "launchingActivity#7"
    b.mark(5 * MS, server, f"S|900|{name}|3")
    launch(b, 10 * MS)
    b.mark(30 * MS, server, f"F|900|{name}|3")
    if android == 13:
        b.mark(30 * MS + 1, server, "I|900|launchingActivity#7:completed-warm:com.example")
    analysis = analyze_trace(b.trace(end=99 * MS))
    (row,) = summarize_analysis(analysis)["launches"]
    assert (row["timeToInitialDisplayMs"], row["quality"], row["component"]) == (25.0, "exact", "com.example")
    assert row["got"] == ("cold" if android == 10 else "warm"), "what Android says goes before what slices show"
    assert row["ui_ns"]["running"] == 12 * MS - 1
    other = analyze_trace(b.trace(end=99 * MS), process="com.other")
    assert not len(other["launches"])


def test_gc_cycles_by_slice() -> None:
    b = TraceBuilder().switch(1, 0, "R", GC, prio=(120, 124)).mark(10, GC, "B|100|Explicit concurrent mark compact GC")
    b.hold(20, 24, GC, wait=3).enter(30, GC, "madvise", 0, 4096, 4).leave(40, GC, "madvise").mark(60, GC, "E|100")
    b.mark(70, APP, "B|100|Lock contention on GC barrier lock (owner tid: 5)").mark(80, APP, "E|100")
    b.mark(81, APP, "B|100|young concurrent copying GC").mark(90, APP, "E|100").mark(95, GC, "B|100|Alloc semispace GC")
    analysis = analyze_trace(b.trace(end=99))
    table = analysis["gc_cycles"]
    told = table[["tid", "cause", "collector", "lock_wait_ns", "madvise_calls", "madvise_bytes", "quality"]]
    assert [*told.itertuples(index=False, name=None)] == [
        (GC, "Explicit", "concurrent mark compact", 3, 1, 4096, 0), (APP, "", "young concurrent copying", 0, 0, 0, 0),
        (GC, "Alloc", "semispace", 0, 0, 0, 1),
    ]  # fmt: skip
    assert table["running_ns"].tolist() == [50, 0, 4]
    metrics = {m["name"]: (m["value"], m["quality"]) for m in summarize_analysis(analysis)["metrics"]}
    assert metrics["gcCount"] == (3, "lower_bound")
