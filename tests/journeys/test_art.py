"""A real Android runtime in the virtual device: built, driven by the same scenario, repeatable to the bit."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from android_suite.analyze import load_run
from android_suite.cli.main import run
from android_suite.evidence.logcat import parse_gc_lines, parse_logcat
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


CHECKED = "/data/local/tmp/checked"
COMMANDS = f"""dalvikvm -Xmx64m com.androidsuite.workload.Stress seed=1 steps=40000
dalvikvm -Xmx64m com.androidsuite.workload.RuntimeCheck {CHECKED}
test -e {CHECKED} || echo removed"""
# `java ...Stress seed=1 steps=40000` prints it; tests/apks tells it again from its definition.
DIGEST = "5ccc3f200eecaf41"


def read_results(raw: Path) -> list[dict[str, Any]]:
    lines = (raw / "command_stdout.txt").read_text().splitlines()
    return [json.loads(line.partition("result ")[2]) for line in lines if line.startswith("result ")]


@pytest.fixture(scope="module")
def more(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The raw folder of each scenario by name. In virtual time, so that a busy host starts no runtime too slowly."""
    path = tmp_path_factory.mktemp("art") / "more"
    words = ["record", "command", "app_launch", "gc_stress", "--kernel", CANDIDATE, "--runtime", "art"]
    words += ["--deterministic", "--run", COMMANDS, "-o", str(path)]
    for name, value in {"launches": 1, "heap": "phone-4g", "threads": 2, "duration_ms": 1000}.items():
        words += ["--set", f"{name}={value}"]
    assert run(words) == 0
    recorded = open_run(path)
    return {each.scenario: recorded.raw(each) for each in recorded.manifest.iterations}


def test_a_cold_launch_is_a_new_runtime_and_warm_and_hot_ones_are_not(more: dict[str, Path]) -> None:
    launches = json.loads((more["app_launch"] / "launches.json").read_text())
    assert [(each["asked"], each["got"], each["outcome"]) for each in launches] == [
        (state, state.upper(), "ok") for state in ("cold", "warm", "hot")
    ]
    assert all(each["fully_drawn"] for each in launches if each["asked"] != "hot")


def test_a_heap_larger_than_the_guest_has_memory_for_starts(more: dict[str, Path]) -> None:
    """ART reserves twice the 512 MB of `phone-4g` in a guest of 1024 MB, and keeps below its growth limit."""
    told = json.loads((more["gc_stress"] / "app_result.json").read_text())
    assert told["complete"] is True
    assert told["threads"] == 2
    assert told["gc_cycles"] >= 1
    assert told["heap_used_bytes"] < 192 << 20


def test_java_on_art(more: dict[str, Path]) -> None:
    """The allocation digest, Runtime's numbers, gc(), and files."""
    stress, checked = read_results(more["command"])
    assert (stress["digest"], stress["allocations"]) == (DIGEST, 40_000)
    assert checked["max_bytes"] == 64 << 20
    assert checked["garbage_bytes"] > 16_000_000
    assert checked["freed_bytes"] > 0.99 * checked["garbage_bytes"]
    assert checked["file"] is True
    assert "removed" in (more["command"] / "command_stdout.txt").read_text().splitlines()
    errors = (more["command"] / "command_stderr.txt").read_text()
    explicit = parse_gc_lines(parse_logcat(re.sub(r": heap\.cc:\d+ ", ": ", errors)))  # liblog's own format
    explicit = explicit[explicit["cause"] == "Explicit"]
    assert len(explicit) == 2
    assert explicit["los_freed_bytes"].max() > 15_000_000
    assert (explicit["pause_total_ns"] > 0).all()


def test_art_on_amd64_makes_the_same_objects(tmp_path: Path) -> None:
    path = tmp_path / "run"
    words = ["record", "command", "--kernel", CANDIDATE, "--arch", "amd64", "--runtime", "art", "--no-trace"]
    assert run([*words, "--run", COMMANDS.splitlines()[0], "-o", str(path)]) == 0
    recorded = open_run(path)
    [stress] = read_results(recorded.raw(recorded.manifest.iterations[0]))
    assert (stress["digest"], stress["allocations"]) == (DIGEST, 40_000)


def test_art_and_the_model_are_never_compared(
    runs: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model"
    words = ["record", "gc_stress", "--kernel", BASELINE, "--deterministic", "--set", "duration_ms=500"]
    assert run([*words, "-o", str(model)]) == 0
    assert run(["compare", str(model), str(runs["candidate"]), "-o", str(tmp_path / "out")]) == 6
    assert "overlays" in capfd.readouterr().err


def test_what_only_the_model_has_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = ["record", "gc_stress", "--kernel", CANDIDATE, "--runtime", "art", "--set", "planted=tagged"]
    assert run([*command, "-o", str(tmp_path / "run")]) == 2
    assert "planted is of the model's collector, and ART has its own" in capfd.readouterr().err
