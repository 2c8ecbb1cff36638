"""A real Android runtime in the virtual device: built, driven by the same scenario, repeatable to the bit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from android_suite.analyze import load_run
from android_suite.cli.main import run
from android_suite.model.analysis import AnalysisSummary
from android_suite.store.run import open_run
from tests.journeys.conftest import BASELINE, CANDIDATE

pytestmark = [pytest.mark.vdev, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One seed on the kernel without the patch, and twice on the one that has it."""
    folder = tmp_path_factory.mktemp("art")
    made = {}
    for name, kernel in (("baseline", BASELINE), ("candidate", CANDIDATE), ("again", CANDIDATE)):
        path = folder / name
        command = ["record", "gc_stress", "--kernel", kernel, "--runtime", "art", "--deterministic"]
        assert run([*command, "--set", "duration_ms=2000", "-o", str(path)]) == 0
        made[name] = path
    return made


def summary_of(path: Path) -> AnalysisSummary:
    return load_run(path).iterations[0].summary


def test_the_collector_is_arts_and_its_calls_take_the_path_of_the_kernel(runs: dict[str, Path]) -> None:
    for name in ("baseline", "candidate"):
        [calls] = [each for each in summary_of(runs[name]).madvise if each.thread == "HeapTaskDaemon"]
        counted = calls.per_vma + calls.mmap_lock
        assert counted >= 1000
        assert calls.unknown == 0
        if name == "baseline":
            assert calls.per_vma == 0
        else:
            assert calls.per_vma >= 0.995 * counted


def test_the_app_reports_what_art_did(runs: dict[str, Path]) -> None:
    [file] = runs["candidate"].glob("raw/*/app_result.json")
    told = json.loads(file.read_text())
    assert told["runtime"] == "art"
    assert told["complete"] is True
    assert told["gc_cycles"] >= 1
    assert told["gc_freed_bytes"] > 50_000_000
    assert told["allocated_bytes"] >= told["gc_freed_bytes"] / 2
    assert 1_000_000 < told["heap_used_bytes"] < 384 << 20
    assert told["frames"] > 100


def test_the_run_says_whose_heap_it_was(runs: dict[str, Path]) -> None:
    assert "the app's heap and collector are a real Android runtime's (ART 14), not the model's" in (
        open_run(runs["candidate"]).manifest.notes
    )


def test_two_runs_of_one_seed_are_the_same_to_the_bit(runs: dict[str, Path]) -> None:
    one, other = (open_run(runs[name]).manifest.iterations[0] for name in ("candidate", "again"))
    assert one.trace_digest
    assert one.trace_digest == other.trace_digest


def test_the_stress_class_makes_the_same_objects_as_on_a_jvm(tmp_path: Path) -> None:
    """The digest is that of `java ...Stress seed=1 steps=40000`; tests/apks tells it again from its definition."""
    stress = "dalvikvm -Xmx64m com.androidsuite.workload.Stress seed=1 steps=40000"
    path = tmp_path / "run"
    command = ["record", "command", "--kernel", CANDIDATE, "--runtime", "art", "--run", stress, "-o", str(path)]
    assert run([*command, "--process", "dalvikvm"]) == 0
    [file] = path.glob("raw/*/command_stdout.txt")
    told = json.loads(file.read_text().partition("result ")[2])
    assert told["digest"] == "5ccc3f200eecaf41"
    assert told["allocations"] == 40_000
    # ART calls the main thread "main", and the process has ended: its file's name finds it, with its collector.
    assert "HeapTaskDaemon" in {calls.thread for calls in summary_of(path).madvise if calls.process == "dalvikvm"}


def test_what_only_the_model_has_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = ["record", "vma_stress", "--kernel", CANDIDATE, "--runtime", "art"]
    assert run([*command, "-o", str(tmp_path / "run")]) == 2
    assert "change the model's own heap; record without --runtime art" in capfd.readouterr().err
