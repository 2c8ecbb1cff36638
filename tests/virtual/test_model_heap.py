"""The model's heap alone, built for this host: it makes the objects that Java's Stress makes, and frees what is garbage."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from android_suite.virtual.image import GUEST

APP = GUEST / "src/app_process"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("heap")
    flags = ["-O2", "-static", "-pthread", "-Wall", "-Wextra", "-Werror", f"-I{APP}"]
    subprocess.run(["gcc", *flags, "-o", folder / "program", Path(__file__).with_name("model_heap.c")], check=True)
    return json.loads(subprocess.run([folder / "program"], capture_output=True, text=True, check=True).stdout)


def test_it_makes_the_objects_that_java_makes(told: dict[str, Any]) -> None:
    """The digest of `Stress seed=1 steps=40000` on a JVM and on ART."""
    assert told["digest"] == "5ccc3f200eecaf41"


def test_it_frees_garbage_and_nothing_else(told: dict[str, Any]) -> None:
    assert told["held"] > 500
    assert told["lost"] == 0
    assert told["objects"] < 256, "what no slot holds is gone after a collection"
    assert told["pages"] * 4096 < 256 * 266_240


def test_most_ranges_are_single_objects_and_few_are_runs_of_regions(told: dict[str, Any]) -> None:
    main, large = 0, 2
    freed = Counter(space for space, _ in told["freed"])
    assert set(freed) == {main, large}
    assert 10 <= freed[main] <= 40
    assert 9500 <= freed[large] <= 10_100
    sizes = sorted(size for space, size in told["freed"] if space == large)
    assert sizes[0] == 20 << 10
    assert sizes[-1] == sizes[len(sizes) * 4 // 5] == 260 << 10
    assert all(size % (256 << 10) == 0 for space, size in told["freed"] if space == main)
