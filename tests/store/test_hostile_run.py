"""A run directory that somebody hostile made: refused with exit code 5, and nothing outside it is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from android_suite.cli.main import run
from tests.store.test_remote import make_run


def change_manifest(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        file = path / "manifest.json"
        data = json.loads(file.read_text())
        changed = change(data)
        file.write_text(changed if isinstance(changed, str) else json.dumps(data))

    return apply


def link(name: str) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        target = path / name
        if target.exists():
            target.rename(path.parent / "outside" / "moved")
        target.parent.mkdir(exist_ok=True)
        target.symlink_to(path.parent / "outside")

    return apply


def nest(name: str) -> Callable[[Path], None]:
    return lambda path: (path / name).write_text("[" * 200_000)  # type: ignore[func-returns-value, return-value]


HOSTILE = {
    "a directory outside": change_manifest(lambda d: d["iterations"][0].__setitem__("directory", "../../outside")),
    "an absolute directory": change_manifest(lambda d: d["iterations"][0].__setitem__("directory", "/etc")),
    "script in a directory": change_manifest(lambda d: d["iterations"][0].__setitem__("directory", "<script>")),
    "a manifest that is nested deeply": nest("manifest.json"),
    "launches that are nested deeply": nest("raw/000-gc_stress/launches.json"),
    "launches that are no JSON": lambda p: (p / "raw/000-gc_stress/launches.json").write_text("{"),
    "derived is a link": link("derived"),
    "the evidence is a link": link("raw"),
    "an iteration is a link": link("derived/000-gc_stress"),
    "a trace of nonsense": lambda p: None,
}


@pytest.mark.parametrize("what", HOSTILE)
def test_it_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str) -> None:
    path = make_run(tmp_path / "run", "nonsense")
    (tmp_path / "outside").mkdir()
    HOSTILE[what](path)
    before = sorted(each for each in tmp_path.rglob("*") if path not in each.parents)
    assert run(["analyze", str(path)]) == 5
    assert "android-suite: " in capsys.readouterr().err
    assert sorted(each for each in tmp_path.rglob("*") if path not in each.parents) == before
