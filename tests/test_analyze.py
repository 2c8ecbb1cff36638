"""Run directories whose traces are not all whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from android_suite.analyze import analyze_run, load_run
from android_suite.cli import main as cli
from android_suite.errors import TraceError
from android_suite.model.identity import CrashRecord
from android_suite.model.run import Status
from android_suite.store.run import Run, create_run
from tests.made_runs import BEFORE, DEVICE

GOLDEN = Path(__file__).parent / "trace" / "golden" / "6.16.12-arm64" / "ftrace"


def make_run(path: Path, second: Status) -> Run:
    """Two iterations; of the second the recorder got no further than half of ``meta.json``."""
    writer = create_run(path, label="before", mode="realtime")
    writer.set_identity(BEFORE, DEVICE)
    for status in ("complete", second):
        iteration = writer.begin_iteration("command", seed=1, boot="b", traced=True, parameters={})
        shutil.copytree(GOLDEN, iteration.folder / "ftrace")
        if iteration.record.index == 1:
            (iteration.folder / "ftrace" / "meta.json").write_text('{"page_si')
        iteration.note(lost_events=0)
        iteration.seal(status, "" if status == "complete" else "the kernel crashed")
    return writer.seal()


def test_what_a_crash_left_of_a_trace_does_not_take_the_other_iterations_with_it(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "incomplete")
    whole, damaged = analyze_run(run).iterations
    assert whole.summary.source.events > 0
    assert damaged.summary.source.events == 0
    assert any("incomplete iteration cannot be read" in note for note in damaged.summary.source.notes)
    samples = load_run(run.path).samples
    assert set(samples["iteration"]) == {0}


def test_a_complete_iteration_with_a_damaged_trace_is_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"meta\.json"):
        analyze_run(make_run(tmp_path / "run", "complete"))


def untraced(path: Path, process: str, files: dict[str, str]) -> Run:
    """One complete iteration without a trace, with the given evidence beside it."""
    writer = create_run(path, label="x", mode="realtime")
    writer.set_identity(BEFORE, DEVICE)
    iteration = writer.begin_iteration("app_launch", seed=1, boot="b", traced=False, parameters={}, process=process)
    for name, text in files.items():
        iteration.write(name, text)
    iteration.seal("complete")
    return writer.seal()


def poll(frames: range, *, total: int | None = None) -> str:
    """An answer of gfxinfo with these frames in its ring, 10 ms apart."""
    header = "Flags,FrameTimelineVsyncId,IntendedVsync,Vsync,FrameDeadline,FrameCompleted,"
    rows = "\n".join(
        f"0,{i},{i * 10_000_000},{i * 10_000_000},{i * 10_000_000 + 9},{i * 10_000_000 + 5}," for i in frames
    )
    return (
        "Applications Graphics Acceleration Info:\nUptime: 1 Realtime: 1\n\n** Graphics info for pid 9 [com.ex.game] **\n\n"
        f"Total frames rendered: {len(frames) if total is None else total}\nJanky frames: 0 (0.00%)\n\n"
        f"---PROFILEDATA---\n{header}\n{rows}\n---PROFILEDATA---\n"
    )


@pytest.mark.parametrize(("second", "quality"), [(range(60, 180), "exact"), (range(200, 320), "lower_bound")])
def test_a_ring_of_frames_that_overran_makes_lower_bounds(tmp_path: Path, second: range, quality: str) -> None:
    files = {"framestats.txt": poll(range(120)) + poll(second)}
    (found,) = analyze_run(untraced(tmp_path / "run", "com.ex.game", files)).iterations
    metrics = {metric.name: (metric.value, metric.quality) for metric in found.summary.metrics}
    assert metrics["frameCount"] == (180 if quality == "exact" else 240, quality)
    assert metrics["jankyFramesPct"] == (0.0, quality)
    noted = [note for note in found.summary.source.notes if "ring of 120 frames overran 1 times" in note]
    assert bool(noted) is (quality == "lower_bound")


def test_a_game_that_draws_without_hwui_is_told_which_source_shows_its_frames(tmp_path: Path) -> None:
    files = {"framestats.txt": poll(range(0)), "capture_notes.txt": "the device refused the property a (b)\n"}
    (found,) = analyze_run(untraced(tmp_path / "run", "com.ex.game", files)).iterations
    notes = found.summary.source.notes
    assert any("com.ex.game drew no frame through HWUI" in note and "frametimeline" in note for note in notes)
    assert "the device refused the property a (b)" in notes


def test_evidence_that_is_not_to_be_trusted_is_noted(tmp_path: Path, shared_root: Path) -> None:
    files = {
        "lock_stat.txt": (shared_root / "cases/device/08-lock_stat-disabled.txt").read_text(),
        "logcat.txt": (shared_root / "cases/device/10-gc-lines.txt").read_text() + "logcat: Unexpected EOF!\n",
    }
    run = untraced(tmp_path / "run", "com.ex.app", files)
    (found,) = analyze_run(run).iterations
    assert not found.counters.lock_stat
    notes = found.summary.source.notes
    assert any(
        "lock_stat is not to be trusted: the kernel reports that lock debugging is disabled" in note for note in notes
    )
    assert any("logcat broke off 1 time (Unexpected EOF)" in note for note in notes)
    gcs = pd.read_parquet(run.derived(run.manifest.iterations[0]) / "gc_log.parquet")
    assert gcs["cause"].tolist() == ["HomogeneousSpaceCompact", "Explicit"]


def test_launches_that_failed_are_samples_above_every_other(tmp_path: Path) -> None:
    def launch(state: str, status: str = "ok", total: str = "TotalTime: 300\n") -> dict[str, object]:
        output = (
            f"Starting: Intent {{ cmp=com.ex.app/.Main }}\nStatus: {status}\nLaunchState: {state}\n"
            f"Activity: com.ex.app/.Main\n{total}WaitTime: 10012\nComplete\n"
        )
        return {"asked": "cold", "component": "com.ex.app/.Main", "fully_drawn": None, "output": output}

    rows = [launch("COLD"), launch("UNKNOWN (-1)", "timeout", ""), launch("WARM")]
    analysis = analyze_run(untraced(tmp_path / "run", "com.ex.app", {"launches.json": json.dumps(rows)}))
    samples = analysis.samples
    times = samples[samples["metric"] == "timeToInitialDisplayMs_cold"]
    assert times[["value", "censored"]].values.tolist() == [[300.0, False], [10012.0, True]]
    assert samples.loc[samples["metric"] == "launchFailedPct", "value"].tolist() == [50.0]


@pytest.mark.parametrize("begun", [0, 1, 2])
def test_a_killed_recording_is_analyzed_as_far_as_it_goes_and_ends_with_5(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], begun: int
) -> None:
    writer = create_run(tmp_path / "run", label="before", mode="realtime")
    writer.set_identity(BEFORE, DEVICE)
    for index in range(begun):  # the last one was never sealed
        iteration = writer.begin_iteration("command", seed=1, boot="b", traced=True, parameters={})
        shutil.copytree(GOLDEN, iteration.folder / "ftrace")
        if index + 1 < begun:
            iteration.note(lost_events=0)
            iteration.seal("complete")
    assert cli.run(["analyze", str(writer.path), "--json"]) == 5
    shown = capsys.readouterr()
    analyzed = json.loads(shown.out)["iterations"]
    assert [each["analysis"]["source"]["events"] > 0 for each in analyzed] == [True] * begun
    assert "is not sealed: its recording was killed or still runs" in shown.err
    assert ("command is incomplete (not sealed: " in shown.err) == (begun > 0)
    assert shown.err.strip().endswith("record it again.")


@pytest.mark.parametrize(
    ("status", "crash", "code"),
    [
        ("complete", None, 0),
        ("incomplete", None, 5),
        ("discarded", None, 5),
        ("incomplete", CrashRecord(kind="panic", summary="sysrq", console=""), 0),
    ],
)
def test_a_run_without_a_complete_iteration_ends_with_5_unless_what_is_tested_crashed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], status: Status, crash: CrashRecord | None, code: int
) -> None:
    writer = create_run(tmp_path / "run", label="before", mode="realtime")
    writer.set_identity(BEFORE, DEVICE)
    iteration = writer.begin_iteration("command", seed=1, boot="b", traced=False, parameters={})
    iteration.seal(status, "" if status == "complete" else "the trace was disturbed", crash=crash)
    writer.seal()
    assert cli.run(["analyze", str(writer.path)]) == code
    assert ("has no complete iteration; " in capsys.readouterr().err) == (code == 5)


def test_what_was_analyzed_while_it_was_recorded_is_analyzed_again(tmp_path: Path) -> None:
    writer = create_run(tmp_path / "run", label="before", mode="realtime")
    writer.set_identity(BEFORE, DEVICE)
    iteration = writer.begin_iteration("command", seed=1, boot="b", traced=True, parameters={})
    assert load_run(writer.path).iterations[0].summary.source.events == 0
    shutil.copytree(GOLDEN, iteration.folder / "ftrace")
    iteration.note(lost_events=0)
    iteration.seal("complete")
    writer.seal()
    assert load_run(writer.path).iterations[0].summary.source.events > 0
