"""The short form of the fuzzing; ``python -m tests.trace.fuzz`` has the long one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trace.fuzz import run_cases


@pytest.mark.parametrize("reader", ["raw", "dat6", "dat7"])
def test_mutated_traces_are_decoded_or_refused(reader: str) -> None:
    ended = run_cases(reader, iter(range(60)), seed=7)
    assert ended["ok"] > 0
    assert ended["refused"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["raw", "dat7"])
def test_compiled_loops_stay_inside_their_arrays(reader: str, project_root: Path, tmp_path: Path) -> None:
    # Checked code is compiled anew, so its cache must not mix with the other one's.
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-m", "tests.trace.fuzz", "--reader", reader, "--cases", "300", "--seed", "11"],
        cwd=project_root, env=environment, capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
