"""Run directories whose traces are not all whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from android_suite.analyze import analyze_run, load_run
from android_suite.errors import TraceError
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
