"""ART's other collector in the virtual device: mark compact with userfaultfd."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from android_suite.analyze import load_run
from android_suite.cli.main import run
from tests.journeys.conftest import CANDIDATE

pytestmark = [pytest.mark.vdev, pytest.mark.timeout(1800)]


def test_mark_compact_collects_without_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "run"
    command = ["record", "gc_stress", "--kernel", CANDIDATE, "--runtime", "art", "--deterministic"]
    assert run([*command, "--set", "collector=cmc", "--set", "duration_ms=1000", "-o", str(path)]) == 0
    [file] = path.glob("raw/*/app_result.json")
    told = json.loads(file.read_text())
    assert told["complete"] is True
    assert told["gc_freed_bytes"] > 500_000_000
    summary = load_run(path).iterations[0].summary
    assert {each.collector for each in summary.gc} == {"concurrent mark compact"}
    # Without thread-local buffers the second one crashed.
    assert sum(each.cycles for each in summary.gc) >= 3
    [calls] = [each for each in summary.madvise if each.thread == "HeapTaskDaemon"]
    assert calls.unknown == 0
    assert calls.per_vma >= 0.995 * (calls.per_vma + calls.mmap_lock) >= 1000
