"""A run directory that somebody hostile made: refused with exit code 5, and nothing outside it is written."""

from __future__ import annotations

import itertools
import json
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from android_suite.cli.main import run
from tests.made_stores import MadeBoot, write_run
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
        target.parent.mkdir(exist_ok=True, parents=True)
        target.symlink_to(path.parent / "outside")

    return apply


def nest(name: str) -> Callable[[Path], None]:
    return lambda path: (path / name).write_text("[" * 200_000)  # type: ignore[func-returns-value, return-value]


def nested(levels: int) -> list[Any]:
    """Few enough levels for the JSON parser, too many for code that walks through it by recursion."""
    found: list[Any] = []
    for _ in range(levels):
        found = [found]
    return found


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
    "a file of the evidence is a link": link("raw/000-gc_stress/launches.json"),
    "a file below the evidence is a link": link("raw/000-gc_stress/formats/sched/sched_switch"),
    "the results are a link": link("derived/samples.parquet"),
    "parameters that are nested": change_manifest(lambda d: d["iterations"][0]["parameters"].update(x=nested(300))),
    "a trace of nonsense": lambda p: None,
}


@pytest.mark.parametrize("what", HOSTILE)
def test_it_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str) -> None:
    path = make_run(tmp_path / "run", "nonsense")
    (tmp_path / "outside").mkdir()
    HOSTILE[what](path)
    before = sorted(each for each in tmp_path.rglob("*") if path not in each.parents)
    assert run(["analyze", str(path)]) == 5
    said = capsys.readouterr().err
    assert "android-suite: " in said
    assert ("is a link" in said) == ("is a link" in what or "are a link" in what)
    assert sorted(each for each in tmp_path.rglob("*") if path not in each.parents) == before


@pytest.fixture(scope="module")
def analyzed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was analyzed: without a trace, so that it has few numbers and is quick."""
    path = write_run(tmp_path_factory.mktemp("made") / "run", MadeBoot(kernel="6.16.12", values={"invertedMs": [1.0]}))
    shutil.rmtree(path / "derived")
    assert run(["analyze", str(path)]) == 0
    return path


def places(value: object, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in a JSON document; of a list the first element."""
    if at:
        yield at
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*at, key))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*at, 0))


def test_no_value_in_a_stored_file_makes_a_traceback(analyzed: Path, tmp_path: Path) -> None:
    """Each place gets one of the values in turn."""
    values = itertools.cycle([2**70, nested(300), "<script>x</script>", "\ud800", []])
    page = tmp_path / "page.html"
    for name in ("manifest.json", "derived/made_by.json", "derived/000-x/analysis.json", "derived/000-x/counters.json"):
        data = json.loads((analyzed / name).read_text())
        for at in places(data):
            path = shutil.copytree(analyzed, tmp_path / "run")
            changed = json.loads(json.dumps(data))
            inner = changed
            for key in at[:-1]:
                inner = inner[key]
            inner[at[-1]] = value = next(values)
            (path / name).write_text(json.dumps(changed))
            code = run(["report", str(path), "--html", str(page)])
            assert code in (0, 5), (name, at, value, code)
            if code == 0:
                assert "<script>x" not in page.read_text(), (name, at)
            shutil.rmtree(path)


@pytest.mark.parametrize("name", ["derived/samples.parquet", "derived/000-x/analysis.json"])
def test_a_result_that_is_missing_or_no_result_is_refused(
    analyzed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    path = shutil.copytree(analyzed, tmp_path / "run")
    for content in (None, b"", b"PAR1nonsensePAR1", pickle.dumps(len)):
        (path / name).unlink(missing_ok=True)
        if content is not None:
            (path / name).write_bytes(content)
        assert run(["report", str(path)]) == 5
        assert Path(name).name in capsys.readouterr().err
