"""Recordings on real kernels, beside which the kernel counts by itself, perf samples and trace-cmd reads."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.witness.comparing import (
    Finding,
    Looked,
    analyze_witnessed,
    compare_calls,
    compare_locks,
    compare_switches,
    disagreements,
)
from tests.witness.perf_overlay import write_perf_overlay
from tests.witness.perf_reports import compare_perf
from tests.witness.recording import Witnessed, run_witnessed
from tests.witness.trace_cmd import compare_trace_cmd

pytestmark = pytest.mark.vdev

CALLS = 3000


@pytest.fixture(scope="module")
def perf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = tmp_path_factory.mktemp("perf") / "perf.cpio"
    write_perf_overlay(archive)
    return archive


@pytest.fixture(scope="module", params=["6.16.12", "6.17.13"])
def witnessed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, perf: Path
) -> tuple[Witnessed, Looked]:
    found = run_witnessed(request.param, tmp_path_factory.mktemp("witness"), calls=CALLS, perf=perf)
    return found, analyze_witnessed(found)


def numbers(found: list[Finding], end: str) -> list[int]:
    return [f.witness for f in found if f.what.endswith(end) and isinstance(f.witness, int)]


def test_calls_and_paths_to_the_last_call(witnessed: tuple[Witnessed, Looked]) -> None:
    found = compare_calls(*witnessed)
    assert disagreements(found) == []
    assert not any(f.explained for f in found)
    # Each of the five threads ends with one call of the C library's.
    assert sum(numbers(found, ": calls")) == CALLS + 5
    patched = witnessed[0].release.startswith("6.17.13+")
    assert (sum(witnessed[0].counts.vma_found.values()) > CALLS // 2) == patched
    assert sum(numbers(found, ": on mmap_lock")) < CALLS // 2 or not patched


def test_lock_times_are_the_kernels(witnessed: tuple[Witnessed, Looked]) -> None:
    found = compare_locks(*witnessed)
    assert disagreements(found) == []
    assert sum(f.agrees for f in found) > len(found) // 2, "late stamps are the exception"
    # The program goes on until it slept that often in munmap, whatever the others do.
    [mapper] = [thread for thread in witnessed[0].account["threads"] if thread["name"] == "mapper"]
    assert mapper["slept"] >= 20
    [waits] = numbers(found, "mapper: contended waits for mmap_lock")
    assert waits >= mapper["slept"]


def test_switches(witnessed: tuple[Witnessed, Looked]) -> None:
    found = compare_switches(*witnessed)
    assert disagreements(found) == []
    assert all(f.witness for f in found)


@pytest.mark.skipif(shutil.which("trace-cmd") is None, reason="trace-cmd is the witness of this test")
def test_trace_cmd_reads_the_same(witnessed: tuple[Witnessed, Looked], tmp_path: Path) -> None:
    assert disagreements(compare_trace_cmd(witnessed[1], tmp_path / "trace.dat")) == []


def test_perf_saw_the_same(witnessed: tuple[Witnessed, Looked]) -> None:
    found, shifts = compare_perf(*witnessed)
    assert disagreements(found) == []
    assert "mapper" in shifts, "the others may never have met"
    # Two readings of one clock a few instructions apart, unless the host stops the guest's CPU between them.
    assert all(shift.typical_ns < 1_000_000 for shift in shifts.values() if shift.number >= 20)
