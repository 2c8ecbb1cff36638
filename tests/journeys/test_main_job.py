"""The main job, end to end: two real kernels, the seed's table, verdicts and a report."""

from __future__ import annotations

import json
import subprocess
import xml.etree.ElementTree as Xml
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from android_suite.analyze import analyze_file
from android_suite.cli.main import run
from android_suite.store.run import open_run
from tests.journeys.conftest import BASELINE, CANDIDATE

pytestmark = [pytest.mark.vdev, pytest.mark.timeout(900)]

PLANTED = ("spans_vmas", "userfaultfd", "remote", "process_madvise_self", "tagged")
Recorded = Callable[..., Path]


def analyze(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert run(["analyze", str(path), "--json"]) == 0
    return json.loads(capsys.readouterr().out)["iterations"][0]["analysis"]


def gc_row(analysis: dict[str, Any]) -> dict[str, Any]:
    [row] = [row for row in analysis["madvise"] if row["role"] == "gc"]
    return row


def busy(rows: list[dict[str, Any]]) -> int:
    """Calls that found a VMA locked by a writer at that moment: a race, which real time loses now and then."""
    return sum(row["reasons"].get("vma_lock_busy", 0) for row in rows)


def told_by_the_app(path: Path) -> dict[str, Any]:
    [file] = path.glob("raw/*/app_result.json")
    return json.loads(file.read_text())


def test_before_the_patch_every_call_takes_mmap_lock(recorded: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    path = recorded(BASELINE, "gc_stress", duration_ms=6000)
    row = gc_row(analyze(path, capsys))
    assert row["thread"] == "HeapTaskDaemon"
    assert row["calls"] == told_by_the_app(path)["madvise"]["gc.dontneed"] > 0
    assert (row["per_vma"], row["unknown"]) == (0, 0)
    assert row["reasons"] == {"unpatched": row["calls"]}


def test_with_the_patch_hardly_any_call_does(recorded: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    path = recorded(CANDIDATE, "gc_stress", duration_ms=6000)
    analysis = analyze(path, capsys)
    row = gc_row(analysis)
    assert row["calls"] == told_by_the_app(path)["madvise"]["gc.dontneed"] > 0
    assert row["unknown"] == 0
    assert (row["per_vma"] + busy([row])) / row["calls"] >= 0.995, row
    assert analysis["source"]["lost_events"] == 0
    assert analysis["frames"]["count"] > 0


def test_every_planted_fallback_is_found_with_its_reason(
    recorded: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recorded(
        CANDIDATE, "gc_stress", label="planted", duration_ms=15_000, gc_continuous=1, planted=",".join(PLANTED)
    )
    truth = told_by_the_app(path)["planted"]
    assert all(truth[kind] > 0 for kind in PLANTED), f"the device was too slow to plant every kind: {truth}"
    rows = analyze(path, capsys)["madvise"]
    reasons: dict[str, int] = {}
    for row in rows:
        for name, count in row["reasons"].items():
            reasons[name] = reasons.get(name, 0) + count
    assert reasons["spans_vmas"] == truth["spans_vmas"]
    assert reasons["userfaultfd"] == truth["userfaultfd"]
    assert reasons["remote"] == truth["remote"]
    # process_madvise on the own process may meet a writer, too; its range is not in the trace, so nor is the reason.
    assert reasons.pop("unknown", 0) < truth["process_madvise_self"] / 10
    assert set(reasons) <= {"spans_vmas", "userfaultfd", "remote", "advice", "vma_lock_busy"}
    assert sum(row["unknown"] for row in rows) == 0
    # Tagged addresses and process_madvise on the own process are no fallbacks: they take the per-VMA path.
    told = told_by_the_app(path)["madvise"]
    gc = gc_row({"madvise": rows})
    assert gc["per_vma"] + busy([gc]) >= told["gc.dontneed"] - truth["spans_vmas"] - truth["userfaultfd"], rows


def test_the_manifest_proves_which_kernel_it_was(recorded: Recorded) -> None:
    for kernel in (BASELINE, CANDIDATE):
        manifest = open_run(recorded(kernel, "gc_stress", duration_ms=6000)).manifest
        assert manifest.sealed
        assert manifest.kernel is not None
        assert manifest.kernel.release.startswith(kernel)
        assert manifest.kernel.build_id
        assert manifest.kernel.config_sha256
        [iteration] = manifest.iterations
        assert iteration.status == "complete"
        assert iteration.lost_events == 0
        assert iteration.trace_digest


def test_comparison_and_report_in_every_format(
    recorded: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sides = [str(recorded(kernel, "gc_stress", duration_ms=6000)) for kernel in (BASELINE, CANDIDATE)]
    assert run(["compare", *sides, "--json", "-o", str(tmp_path / "out")]) in (0, 1)
    comparison = json.loads(capsys.readouterr().out)
    paths = comparison["madvise_paths"]
    assert paths["baseline"]["per_vma"] == 0
    assert paths["candidate"]["per_vma"] > 0
    assert comparison == json.loads((tmp_path / "out" / "summary.json").read_text())
    # One boot a side proves nothing, and the comparison must say so.
    assert {metric["verdict"] for metric in comparison["metrics"]} == {"UNDECIDED"}
    page = (tmp_path / "out" / "report.html").read_text()
    assert "HeapTaskDaemon" in page
    assert comparison["baseline"]["build_id"] in page
    assert Xml.parse(tmp_path / "out" / "junit.xml").getroot().tag in ("testsuites", "testsuite")


def test_launches_reach_their_states(recorded: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    analysis = analyze(recorded(CANDIDATE, "app_launch", launches=1), capsys)
    assert [launch["asked"] for launch in analysis["launches"]] == ["cold", "warm", "hot"]
    assert [launch["got"] for launch in analysis["launches"]] == ["cold", "warm", "hot"]
    assert all(launch["timeToInitialDisplayMs"] > 0 for launch in analysis["launches"])


def test_any_command_is_a_workload(recorded: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    path = recorded(CANDIDATE, "command", run="ls -R /proc/self; exit 3", process="ls")
    told = json.loads(next(path.glob("raw/*/command.json")).read_text())
    assert told["status"] == 3
    assert analyze(path, capsys)["source"]["events"] > 0
    # It ended before the recording did, so only the trace has its name.
    threads = analyze_file(path, process="ls")["thread_roles"]
    assert (threads["process"] == "ls").sum() == 1
    assert run(["analyze", str(path), "--process", "nobody.at.all", "--json"]) == 2


def test_exports_are_read_by_the_fields_tools(recorded: Recorded, tmp_path: Path) -> None:
    path = recorded(CANDIDATE, "gc_stress", duration_ms=6000)
    target = tmp_path / "trace.dat"
    assert run(["export", str(path), "--trace-dat", str(target), "--perfetto", str(tmp_path / "x.pftrace")]) == 0
    said = subprocess.run(["trace-cmd", "report", str(target)], capture_output=True, check=True).stdout
    assert said.count(b"mmap_lock_start_locking") > 100
    assert run(["analyze", str(tmp_path / "x.pftrace")]) == 0
