"""The JSON: keys, types, nothing that is not JSON, and unknown where nothing is known."""

from __future__ import annotations

import json
from typing import Any

from android_suite.analysis.pipeline import Analysis, analyze_trace
from android_suite.analysis.summary import summarize_analysis
from android_suite.tables.derived import DERIVED_TABLES
from android_suite.tables.schema import check_frame
from tests.analysis.build import APP, GC, MM, TraceBuilder
from tests.analysis.test_frames import busy


def metrics(analysis: Analysis) -> dict[str, tuple[Any, str]]:
    return {m["name"]: (m["value"], m["quality"]) for m in summarize_analysis(analysis)["metrics"]}


def test_an_empty_trace_has_every_key_and_no_numbers_made_up() -> None:
    summary = summarize_analysis(analyze_trace(TraceBuilder().trace()))
    assert list(summary)[:3] == ["schema", "version", "source"]
    assert (summary["schema"], summary["version"]) == ("android-suite/analysis", 1)
    assert (summary["madvise"], summary["locks"], summary["launches"], summary["gc"]) == ([], [], [], [])
    assert summary["inversions"]["count"] is None
    assert all(m["value"] is None for m in summary["metrics"] if m["name"] != "frameCount")
    json.dumps(summary, allow_nan=False)


def test_every_table_is_of_its_declaration() -> None:
    for trace in (TraceBuilder().trace(), busy().trace()):
        analysis = analyze_trace(trace)
        for table in DERIVED_TABLES:
            check_frame(table, analysis[table.name])


def test_python_types_only() -> None:
    def walk(value: Any) -> None:
        assert type(value) in (dict, list, str, int, float, bool, type(None)), (type(value), value)
        for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(one)

    walk(summarize_analysis(analyze_trace(busy().trace(), process="com.example")))


def test_an_inversion_as_json() -> None:
    summary = summarize_analysis(analyze_trace(busy().trace()))
    (chain,) = summary["inversions"]["chains"]
    assert (chain["start_ns"], chain["duration_ns"], chain["via"]) == (4_000_000, 10_000_000, None)
    assert (chain["waiter"]["thread"], chain["waiter"]["role"], chain["waiter"]["prio"]) == ("com.example", "ui", 110)
    assert (chain["holder"]["thread"], chain["holder_operation"]) == ("HeapTaskDaemon", "madvise(MADV_DONTNEED)")
    assert chain["holder_state_ns"] == {"running": 10_000_000, "runnable": 0, "blocked": 0}
    assert sum(piece["duration_ns"] for piece in chain["holder_segments"]) == chain["duration_ns"]
    found = metrics(analyze_trace(busy().trace()))
    assert found["invertedMs"] == found["invertedMs_gcMadvise"] == (10.0, "exact")
    assert found["mmapLockWaitMaxMs_ui"][0] == 13.0


def test_another_process_is_left_out() -> None:
    b = busy().thread(300, 300, "other", "other").hold(40_000_000, 41_000_000, 300, MM + 64)
    summary = summarize_analysis(analyze_trace(b.trace(), process="com.example"))
    assert {row["process"] for row in summary["locks"]} == {"com.example"}
    nobody = summarize_analysis(analyze_trace(b.trace(), process="not.there"))
    assert nobody["locks"] == []
    assert any("not.there" in note for note in nobody["source"]["notes"])


def test_a_downgraded_hold_counts_in_both_modes() -> None:
    b = TraceBuilder().lock(9, APP, "start", write=True).lock(10, APP, "acquired", write=True).lock(30, APP, "acquired")
    summary = summarize_analysis(analyze_trace(b.lock(35, APP, "released").trace()))
    assert {row["mode"]: row["hold_total_ns"] for row in summary["locks"]} == {"write": 20, "read": 5}


def test_losses_make_lower_bounds() -> None:
    b = busy().lose(3, 5_000_000, 6_000_000)
    found = metrics(analyze_trace(b.trace()))
    assert found["mmapLockWaitMs_ui"] == (0.0, "lower_bound")  # the one wait lies across the gap: it may be two
    assert found["invertedMs"] == (0.0, "lower_bound")


def test_a_share_of_nothing_is_unknown() -> None:
    b = TraceBuilder().hold(5, 9, GC)
    assert metrics(analyze_trace(b.trace()))["madviseMmapLockPct_gc"] == (None, "unknown")
