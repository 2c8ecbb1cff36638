"""What a command loads before it answers: the rest of the house stays on disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.generate import generate

_RUN = "import sys; from android_suite.cli.main import run; run(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"


def loaded(project_root: Path, *argv: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *argv], cwd=project_root, capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        ["lab", "serve", "--help"],
        *([v, "--help"] for v in ("analyze", "compare", "report", "export", "history")),
    ],
)
def test_help_needs_no_data_libraries(project_root: Path, argv: list[str]) -> None:
    assert not loaded(project_root, *argv) & {
        "numpy",
        "pandas",
        "pyarrow",
        "pydantic",
        "numba",
        "llvmlite",
        "google.protobuf",
        "jinja2",
        "starlette",
        "uvicorn",
    }


def test_analyze_needs_no_compiler(project_root: Path, tmp_path: Path) -> None:
    generate(tmp_path, 2_000, ("raw", "dat"))
    path = str(tmp_path / "trace.dat")
    loaded(project_root, "analyze", path)  # makes what is not there yet
    modules = loaded(project_root, "analyze", path)
    assert {"pandas", "llvmlite"} <= modules
    assert not modules & {"numba", "scipy", "google.protobuf", "altair"}
