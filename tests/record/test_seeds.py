"""`record --deterministic --iterations N`: N seeds, each in a boot of its own, and each the run that its seed alone gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from android_suite.analyze import load_run
from android_suite.cli import main as cli
from android_suite.model.run import IterationRecord
from android_suite.store.run import Run, open_run

pytestmark = [pytest.mark.vdev, pytest.mark.slow, pytest.mark.timeout(1200)]

FILES = {
    "app_result.json", "framestats.txt", "smaps.txt", "vmstat_before.txt", "vmstat_after.txt", "logcat.txt", "am_start.txt",
    "ftrace/cpu0.raw", "ftrace/meta.json", "ftrace/header_page", "ftrace/threads.txt", "ftrace/processes.txt",
}  # fmt: skip


def record(folder: Path, *words: str) -> tuple[Run, tuple[IterationRecord, ...]]:
    argv = [
        "record",
        "gc_stress",
        "--kernel",
        "6.17.13",
        "--deterministic",
        "--set",
        "duration_ms=500",
        "-o",
        str(folder),
    ]
    assert cli.run([*argv, *words]) == 0
    run = open_run(folder)
    return run, run.manifest.iterations


def test_each_iteration_has_the_next_seed(tmp_path: Path) -> None:
    run, iterations = record(tmp_path / "three", "--iterations", "3", "--seed", "5")
    manifest = run.manifest
    assert (manifest.mode, manifest.sealed, manifest.crash) == ("deterministic", True, None)
    assert manifest.kernel is not None
    assert manifest.kernel.release.startswith("6.17.13+")
    assert [(i.index, i.scenario, i.seed, i.boot) for i in iterations] == [
        (0, "gc_stress", 5, "seed-5"), (1, "gc_stress", 6, "seed-6"), (2, "gc_stress", 7, "seed-7"),
    ]  # fmt: skip
    assert [(i.status, i.reason, i.lost_events, i.traced) for i in iterations] == [("complete", "", 0, True)] * 3
    assert {folder.name for folder in (tmp_path / "three/raw").iterdir()} == {i.directory for i in iterations}
    for each in iterations:
        raw = run.raw(each)
        assert {str(file.relative_to(raw)) for file in raw.rglob("*") if file.is_file()} >= FILES
        told = json.loads((raw / "app_result.json").read_text())
        assert (told["seed"], told["complete"], told["duration_ms"]) == (each.seed, True, 500)
    assert len({i.trace_digest for i in iterations}) == 3, "another seed is another run"

    samples = load_run(tmp_path / "three").samples
    assert sorted(samples["seed"].unique().tolist()) == [5, 6, 7]
    assert samples["boot"].nunique() == 3

    # The second one is what that seed gives alone: nothing of an iteration reaches the next.
    alone, (single,) = record(tmp_path / "alone", "--seed", "6")
    assert single.trace_digest == iterations[1].trace_digest
    for name in ("app_result.json", "framestats.txt", "ftrace/threads.txt", "ftrace/processes.txt"):
        assert (alone.raw(single) / name).read_bytes() == (run.raw(iterations[1]) / name).read_bytes(), name


def test_without_a_virtual_device_it_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["record", "gc_stress", "--deterministic", "--iterations", "3", "-o", str(tmp_path / "run")]
    assert cli.run(words) == 2
    assert "are for virtual devices; add --kernel" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
