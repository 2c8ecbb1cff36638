"""Real runs of the command on real virtual devices; recorded once, looked at by many tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from android_suite.cli.main import run

BASELINE, CANDIDATE = "6.16.12", "6.17.13"


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``recorded(kernel, scenario..., **parameters)``: a sealed run directory; the same request is recorded once."""
    made: dict[object, Path] = {}

    def record(kernel: str, *scenarios: str, label: str = "", **parameters: object) -> Path:
        key = (kernel, scenarios, label, tuple(parameters.items()))
        if key not in made:
            path = tmp_path_factory.mktemp("runs") / "run"
            settings = [word for name, value in parameters.items() for word in ("--set", f"{name}={value}")]
            arguments = [
                "record",
                *scenarios,
                "--kernel",
                kernel,
                "--label",
                label or kernel,
                *settings,
                "-o",
                str(path),
            ]
            assert run(arguments) == 0
            made[key] = path
        return made[key]

    return record
