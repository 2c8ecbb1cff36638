"""Traces of the shape that people reported (../shared/cases/traces), each with its right value."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from android_suite.analyze import analyze_file, summarize, write_tables
from android_suite.cli.main import run
from android_suite.errors import SuiteError, TraceError, UsageError
from android_suite.model.document import to_plain

Analyze = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="session")
def cases(shared_root: Path) -> Path:
    folder = shared_root / "cases/traces"
    if not folder.is_dir():
        pytest.skip("no cases beside the reference data")
    return folder


@pytest.fixture
def analyze(cases: Path) -> Analyze:
    def analyzed(name: str) -> dict[str, Any]:
        plain: dict[str, Any] = to_plain(summarize(analyze_file(cases / name)))
        return plain

    return analyzed


def metric(summary: dict[str, Any], name: str) -> tuple[float | None, str]:
    return next((m["value"], m["quality"]) for m in summary["metrics"] if m["name"] == name)


@pytest.mark.parametrize(
    ("name", "form", "events", "duration_ns", "cpus"),
    [
        ("latency-format/nop_latency.txt", "ftrace_text", 3, 500_000, 4),
        ("latency-format/irqsoff.txt", "ftrace_text", 5, 812_000, 4),
        ("latency-format/report_l.txt", "ftrace_text", 2, 1_000_000_000, 2),
        ("no-gap-after-flags/trace.txt", "ftrace_text", 4, 20_000, 6),
        ("json-and-others/utf16.txt", "ftrace_text", 2, 1_000_000_000, 2),
        ("legacy-html-with-viewer/trace.html", "systrace_html", 2, 1_000_000_000, 2),
        ("trace-dat-option-8/with.dat", "trace_dat", 2, 50_000_000, 1),
        ("trace-dat-option-8/without.dat", "trace_dat", 2, 50_000_000, 1),
        ("zip-members/alone.pftrace", "perfetto", 3, 1_000_000_000, 2),
        ("zip-members/bugreport.zip", "perfetto", 3, 1_000_000_000, 2),
    ],
)
def test_what_is_in_it(analyze: Analyze, name: str, form: str, events: int, duration_ns: int, cpus: int) -> None:
    source = analyze(name)["source"]
    assert [source[k] for k in ("format", "events", "duration_ns", "cpus")] == [form, events, duration_ns, cpus]


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("no-events-exit-0/funcgraph.txt", 5, "function_graph"),
        ("no-events-exit-0/log_with_empty_trace.txt", 5, "trace is empty"),
        ("json-and-others/array.json", 2, "Chrome's trace event format"),
        ("json-and-others/newline.json", 2, "Chrome's trace event format"),
        ("json-and-others/perf_script.txt", 2, "output of perf script"),
        ("zip-members/two.zip", 2, r"2 traces \(a.txt, b.txt\)"),
    ],
)
def test_what_is_refused(analyze: Analyze, name: str, code: int, words: str) -> None:
    with pytest.raises((UsageError, TraceError), match=words) as caught:
        analyze(name)
    assert isinstance(caught.value, SuiteError)
    assert caught.value.exit_code == code


def test_latency_format_is_a_schedule(cases: Path) -> None:
    states = analyze_file(cases / "latency-format/nop_latency.txt")["thread_states"]
    own = states[states["tid"] == 77].sort_values("start_ns")
    assert (own["end_ns"] - own["start_ns"]).tolist()[:2] == [10_000, 490_000]  # runnable, then running


def test_32_bit_processes(analyze: Analyze) -> None:
    both = analyze("compat-32bit/mixed.txt")
    assert {row["tid"]: row["calls"] for row in both["madvise"]} == {101: 20, 201: 20}
    assert any("1 32-bit processes" in note for note in both["source"]["notes"])
    assert {row["tid"]: row["calls"] for row in analyze("compat-32bit/arm32_only.txt")["madvise"]} == {101: 20}


@pytest.mark.parametrize("name", ["named.txt", "raw.txt"])
def test_operations_by_name(analyze: Analyze, name: str) -> None:
    rows = analyze(f"syscall-names/{name}")["blockers"]
    found = [
        (r["waiter"]["tid"], r["holder"]["tid"], r["kind"], r["operation"].split("(")[0], r["total_ns"]) for r in rows
    ]
    assert found == [
        (102, 101, "direct", "mincore", 7_999_000), (103, 101, "chained", "mincore", 5_999_000),
        (103, 102, "direct", "madvise", 1_980_000),
    ]  # fmt: skip


def test_raw_markers(cases: Path) -> None:
    analysis = analyze_file(cases / "trace-cmd-report-R-markers/report_R.txt")
    assert analysis["slices"]["name"].tolist() == ["Choreographer#doFrame 1"]
    frames = analysis["frames"]
    assert (frames["end_ns"] - frames["start_ns"]).tolist() == [4_000_000]


def test_slices_of_lines_without_a_gap(cases: Path) -> None:
    slices = analyze_file(cases / "no-gap-after-flags/trace.txt")["slices"]
    lengths = (slices["end_ns"] - slices["start_ns"]).tolist()
    assert dict(zip(slices["name"], lengths, strict=True)) == {"one": 10_000, "two": 10_000}


def test_tgids_from_option_8(cases: Path) -> None:
    roles = analyze_file(cases / "trace-dat-option-8/with.dat")["thread_roles"].set_index("tid")
    assert roles.loc[55, "tgid"] == 55
    assert not roles.loc[55, "inferred"]


def test_what_is_inferred_says_so(cases: Path, tmp_path: Path) -> None:
    analysis = analyze_file(cases / "inferred-from-markers/trace.txt")
    roles = analysis["thread_roles"].set_index("tid")
    assert roles.loc[[100, 101], ["tgid", "inferred"]].values.tolist() == [[100, True], [100, True]]
    assert any("was inferred" in note for note in analysis.notes)
    write_tables(analysis, summarize(analysis), tmp_path / "out")
    assert (tmp_path / "out/thread_roles.parquet").is_file()


def test_frame_counts(analyze: Analyze) -> None:
    assert metric(analyze("framecount-quality/sched_only.txt"), "frameCount") == (None, "unknown")
    assert metric(analyze("framecount-quality/lost_in_frame.txt"), "frameCount") == (13, "lower_bound")
    assert metric(analyze("process-not-there/trace.txt"), "frameCount") == (12, "exact")


def test_a_process_that_is_not_there(cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(cases / "process-not-there/trace.txt")
    assert run(["analyze", file, "--process", "com.example.absent", "--json"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "no process com.example.absent; there is app100" in said.err
    assert run(["analyze", file, "--process", "/opt/x/app100", "--json"]) == 0
    assert metric(json.loads(capsys.readouterr().out), "frameCount") == (12, "exact")


def test_one_bad_file_of_several(cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = cases / "zip-members/alone.pftrace", cases / "no-events-exit-0/funcgraph.txt"
    for order in ([good, bad], [bad, good]):
        assert run(["analyze", *map(str, order), "--json"]) == 5
        said = capsys.readouterr()
        assert [s["source"]["events"] for s in json.loads(said.out)] == [3]
        assert "function_graph" in said.err
    assert run(["analyze", str(good), str(bad)]) == 5
    assert "alone.pftrace" in capsys.readouterr().out
