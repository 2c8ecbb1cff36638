"""The short form of the fuzzing; ``python -m tests.fuzz`` has the long one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from android_suite.errors import EvidenceError, TraceError, UsageError
from android_suite.trace.text.reader import read_text
from tests.fuzz.bombs import KINDS, SMALL_BOUND_BYTES, make_bomb, small_bounds
from tests.fuzz.checks import check_kept, rows_of
from tests.fuzz.engine import Case, Reader, run_cases
from tests.fuzz.run import READERS, fuzz
from tests.trace.samples import TRACE_TEXT

# Cases, and classes of faults that must have been drawn among them.
SHORT: dict[str, tuple[int, tuple[str, ...]]] = {
    "raw": (400, ("flip", "cut", "splice", "page: commit", "page: type_len", "format: offset", "format: size")),
    "dat6": (150, ("header: option", "page: commit", "format: missing")),
    "dat7": (150, ("packed: insides", "header: packed size", "header: option's size")),
    "text": (400, ("word in", "lines shuffled", "cut")),
    "packed": (400, ("wrapped: atrace -z", "wrapped: html", "wrapped: zip")),
    "perfetto": (150, ("packet: nesting", "packet: varint", "packet: zlib inside")),
    "detect": (150, ("file: layers", "file: noise", "file: trace.dat")),
    "evidence": (150, ("words", "read: frames", "read: by every parser")),
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
def test_broken_input_is_decoded_or_refused(name: str, tmp_path: Path) -> None:
    cases, classes = SHORT[name]
    tally = run_cases(READERS[name](tmp_path), range(cases), seed=20261123)
    assert not tally.violations, tally.violations
    assert tally.cases == tally.decoded + tally.refused == cases
    assert tally.decoded > 10
    assert tally.refused > 10 or name == "text"  # lines that are no events are left out
    assert all(tally.drawn[drawn] for drawn in classes), tally.drawn


class _Faulty(Reader):
    """A reader with one of everything that must be found."""

    name = "faulty"

    def warm_up(self) -> None:
        self.file = self.scratch / "t"

    def make(self, case: Case) -> int:
        return case.number

    def read(self, case: Case, made: int) -> None:
        match made:
            case 0:
                raise KeyError("no such column")
            case 1:
                raise TraceError("elsewhere", 5, "a page")
            case 2:
                raise TraceError(self.file, 500, "a page")
            case 3:
                raise UsageError("that is no trace; give a trace.")
            case 4:
                raise TimeoutError
            case 5:
                raise TraceError(self.file, 99, "a page")
            case 6:
                raise EvidenceError("nothing")

    def input_bytes(self, made: int, file: Path) -> int:
        return 100


def test_what_is_wrong_is_found(tmp_path: Path) -> None:
    tally = run_cases(_Faulty(tmp_path), range(8), seed=1)
    assert [text.split(":")[0] for text in tally.violations] == [f"faulty --only {n}" for n in (0, 1, 2, 3, 4, 6)]
    assert (tally.cases, tally.decoded) == (8, 1)


def test_a_changed_row_is_found() -> None:
    trace = read_text(TRACE_TEXT)
    rows = Counter(row for _, row in rows_of(trace))
    check_kept(trace, rows)
    other = read_text(TRACE_TEXT.replace(b"prev_prio=124", b"prev_prio=125"))
    with pytest.raises(
        AssertionError, match="1 undamaged events are lost or changed, such as \\('sched_switch', 1000000000"
    ):
        check_kept(other, rows)


@pytest.mark.parametrize("kind", KINDS)
def test_bombs_stop_at_the_bound(kind: str, tmp_path: Path) -> None:
    bomb = make_bomb(kind, 32 << 20, "text")
    assert len(bomb) < SMALL_BOUND_BYTES
    reader = READERS["detect"].__new__(READERS["detect"])
    reader._file = tmp_path / "any"
    with small_bounds(), pytest.raises(TraceError, match=r"at most|expected") as caught:
        reader.read(Case.of(1, 1), (bomb, True))
    assert caught.value.file == reader._file


def test_the_command_names_what_it_did(project_root: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--reader", "evidence", "--cases", "20", "--first", "40"],
        cwd=project_root, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "evidence: seed 1, cases 40 to 59: " in run.stdout


@pytest.mark.slow
def test_slices_are_joined() -> None:
    tally = fuzz("evidence", range(2030), seed=3, jobs=2)
    assert (tally.cases, tally.violations) == (2030, [])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["raw", "dat7", "text", "perfetto"])
def test_compiled_loops_stay_inside_their_arrays(name: str, project_root: Path) -> None:
    # The setting is part of the names in the store: code without checks is not used here.
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1"}
    run = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--reader", name, "--cases", "400", "--seed", "11"],
        cwd=project_root, env=environment, capture_output=True, text=True, check=False, timeout=550,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.slow
def test_a_killed_parent_takes_its_workers_along(project_root: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--reader", "evidence", "--cases", "2000000"]
    parent = subprocess.Popen(command, cwd=project_root, stdout=subprocess.DEVNULL)
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    try:
        wait_until(lambda: len(children.read_text().split()) >= 2, 60)  # a worker, and what tracks its resources
        workers = [Path(f"/proc/{pid}") for pid in children.read_text().split()]
    finally:
        parent.kill()
        parent.wait()
    wait_until(lambda: not any(map(runs, workers)), 30)


def runs(process: Path) -> bool:
    """Whether it is there, and not only waits for init to take note of its end."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(true: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.1)
