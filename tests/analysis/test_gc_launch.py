"""GC cycles and launches."""

from __future__ import annotations

import numpy as np
import pandas as pd

from android_suite.analysis.pipeline import Evidence, analyze_trace
from android_suite.analysis.summary import summarize_analysis
from android_suite.tables.evidence import AM_STARTS, DISPLAYED
from android_suite.tables.schema import make_frame
from tests.analysis.build import APP, GC, TraceBuilder

MS = 1_000_000
COMPONENT = "com.example/.Main"


def starts(*rows: tuple[str, int, str]) -> pd.DataFrame:
    """State, TotalTime and complaint of each."""
    n = len(rows)
    return make_frame(
        AM_STARTS,
        {
            "intent": [COMPONENT] * n, "status": ["ok"] * n, "launch_state": [r[0] for r in rows], "activity": [COMPONENT] * n,
            "this_ms": [-1] * n, "total_ms": [r[1] for r in rows], "wait_ms": [-1] * n, "complaint": [r[2] for r in rows],
        },
    )  # fmt: skip


def displayed(*rows: tuple[bool, int]) -> pd.DataFrame:
    n = len(rows)
    columns = {c: [-1 if d.startswith("int") else ""] * n for c, d in DISPLAYED.dtypes.items()}
    told = {"fully_drawn": [r[0] for r in rows], "component": [COMPONENT] * n, "duration_ms": [r[1] for r in rows]}
    return make_frame(DISPLAYED, {**columns, **told})


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
    evidence = Evidence(
        am_starts=starts(("COLD", 250, "")), asked_states=("cold",), displayed=displayed((False, 251), (True, 400))
    )
    summary = summarize_analysis(analyze_trace(b.trace(), evidence=evidence))
    (row,) = summary["launches"]
    assert (row["timeToInitialDisplayMs"], row["timeToFullDisplayMs"], row["discarded"]) == (250.0, 400.0, None)
    assert row["ui_ns"]["running"] == 10 * MS
    assert row["gc_ns"] == 3 * MS
    metrics = {m["name"]: m["value"] for m in summary["metrics"]}
    assert metrics["timeToInitialDisplayMs_cold"] == 250.0


def test_what_is_no_launch_is_kept_and_not_counted() -> None:
    rows = starts(("COLD", 300, ""), ("WARM", 90, ""), ("HOT", 40, "brought to the front"))
    evidence = Evidence(am_starts=rows, asked_states=("cold", "cold", "hot"))
    summary = summarize_analysis(analyze_trace(TraceBuilder().trace(), evidence=evidence))
    assert [row["discarded"] for row in summary["launches"]] == [None, "asked cold, got warm", "brought to the front"]
    assert {m["name"]: m["value"] for m in summary["metrics"]}["timeToInitialDisplayMs_cold"] == 300.0
    assert summary["launches"][0]["ui_ns"] is None


def test_numbers_that_do_not_match_are_not_joined() -> None:
    b = launch(launch(TraceBuilder(), 10 * MS), 100 * MS)
    one = analyze_trace(
        b.trace(), evidence=Evidence(am_starts=starts(("COLD", 250, "")), displayed=displayed((True, 1), (True, 2)))
    )
    assert one["launches"]["start_ns"].tolist() == [-1]
    assert np.isnan(one["launches"]["full_display_ms"]).all()
    two = analyze_trace(b.trace(), evidence=Evidence(am_starts=starts(("COLD", 250, ""), ("WARM", -1, ""))))
    assert two["launches"]["start_ns"].tolist() == [11 * MS, 101 * MS]
    assert summarize_analysis(two)["launches"][1]["timeToInitialDisplayMs"] is None


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
