"""The positive control: its arithmetic on made tables, and a delay planted into a real kernel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from android_suite.tables.derived import LOCK_HOLDS, MADVISE, PATHS, ROLES, STATES, THREAD_ROLES, THREAD_STATES
from android_suite.tables.schema import Table, make_frame
from android_suite.workload.gc_stress import PROFILES
from benchmarks.control import Finding, Side, find_planted, main, measure_holds, render_findings
from tests.journeys.conftest import BASELINE, CANDIDATE

GC, UI = 7, 6


def table(of: Table, rows: int, **columns: object) -> pd.DataFrame:
    """A frame of a declared table, zero or empty where no values are given."""
    made = {c.name: np.full(rows, "" if c.dtype == "str" else 0) for c in of.columns}
    return make_frame(of, {**made, **columns})


def write(folder: Path, path: str) -> Path:
    """Three calls of the collector that hold for 10, 20 and 30 us; in the second it is off its CPU for 4 us."""
    start = np.array([100_000, 200_000, 300_000, 100_000])
    end = start + np.array([10_000, 20_000, 30_000, 99_000])
    tids = [GC, GC, GC, UI]
    calls = table(
        MADVISE, 4, tid=tids, start_ns=start - 5_000 * (path == "mmap_lock"), end_ns=end, advice=[4] * 4,
        path=[PATHS.index(path)] * 4, call=[0, 1, 2, 3],
    )  # fmt: skip
    holds = table(LOCK_HOLDS, 4, tid=tids, start_ns=start, end_ns=end, call=[0, 1, 2, 3])
    roles = table(
        THREAD_ROLES, 2, tid=[GC, UI], comm=["HeapTaskDaemon", "main"], role=[ROLES.index(r) for r in ("gc", "ui")]
    )
    running, runnable = STATES.index("running"), STATES.index("runnable")
    states = table(
        THREAD_STATES, 4, tid=[GC, GC, GC, UI], start_ns=[0, 205_000, 209_000, 0], end_ns=[205_000, 209_000, 400_000, 400_000],
        state=[running, runnable, running, running],
    )  # fmt: skip
    for name, frame in (("madvise", calls), ("lock_holds", holds), ("thread_roles", roles), ("thread_states", states)):
        frame.to_parquet(folder / f"{name}.parquet")
    return folder


@pytest.mark.parametrize("path", ["mmap_lock", "per_vma"])
def test_a_hold_is_the_time_on_a_cpu_under_the_lock(path: str, tmp_path: Path) -> None:
    found, held = measure_holds(write(tmp_path, path))
    assert found == path
    assert held.tolist() == [10_000, 16_000, 30_000]


def side(*held_ns: float, calls: int, planted_ns: int) -> Side:
    return Side(path="per_vma", held_ns=np.array(held_ns), planted_calls=calls, planted_ns=planted_ns)


@pytest.mark.parametrize(("later", "error", "holds"), [(50.0, 0.0, True), (52.4, 0.048, True), (45.0, -0.1, False)])
def test_what_is_found_is_held_against_what_was_planted(later: float, error: float, holds: bool) -> None:
    found = Finding(
        kernel="k",
        profile="steady",
        without=side(1e3, 2e3, 3e3, calls=10, planted_ns=1_000),  # it measures 100 ns of itself
        planted=side(*(1e3 * (t + later) for t in (1, 2, 3)), calls=10, planted_ns=501_000),
    )
    assert found.expected_ns == 50_000
    assert found.error == pytest.approx(error)
    assert found.holds is holds
    assert ("NOT FOUND" in render_findings([found])) is not holds


@pytest.mark.parametrize("delay", ["0", "5000"])
def test_a_delay_that_cannot_be_planted_is_refused(
    delay: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "--delay-us", delay]) == 2
    assert "choose 1 to 400" in capsys.readouterr().err


@pytest.mark.vdev
@pytest.mark.parametrize(
    ("kernel", "path", "profile"),
    [(BASELINE, "mmap_lock", "steady"), *((CANDIDATE, "per_vma", profile) for profile in PROFILES)],
)
def test_a_delay_planted_into_a_stock_kernel_is_found_with_its_size(
    kernel: str, path: str, profile: str, tmp_path: Path
) -> None:
    found = find_planted(tmp_path, kernel=kernel, profile=profile, delay_ns=50_000, duration_ms=400)
    assert found.planted.path == path
    assert found.expected_ns == pytest.approx(50_000, rel=0.02)
    assert found.holds, render_findings([found])
