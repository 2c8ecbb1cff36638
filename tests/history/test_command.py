"""The command as its user meets it: text, JSON by its schema, the page, bad input."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from android_suite.cli.main import run
from android_suite.store.remote import open_store
from tests.made_stores import MadeBoot, renamed, series_of, write_run

KERNELS = ["6.14.1", "6.15.1", "6.16.1", "6.17.1"]
SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "schema" / "history.json"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for made in series_of(KERNELS, [50, 50, 50, 8], 3, np.random.default_rng(1)):
        write_run(tmp_path / "store" / f"{made.kernel}-{made.boot}", made)
    return tmp_path / "store"


def ask(*argv: str | Path) -> int:
    return run(["history", *map(str, argv), "--null-series", "20"])


def test_text_names_the_change(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(store) == 0
    out = capsys.readouterr().out
    assert "1 change of level and 0 changes of modes in 1 series." in out
    assert "BETTER 6.16.1 to 6.17.1" in out
    assert "by chance in 1 of 21" in out
    assert "False alarms, measured" in out


def test_in_order_of_date_the_kernels_are_named(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(store, "--by", "date") == 0
    assert "BETTER 2026-11-03 (6.16.1) to 2026-11-04 (6.17.1)" in capsys.readouterr().out


def test_json_fits_its_schema_and_broken_runs_give_code_5(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (store / "broken").mkdir()
    (store / "broken" / "manifest.json").write_text("{")
    assert ask(store, "--format", "json") == 5
    said = capsys.readouterr()
    told = json.loads(said.out)
    jsonschema.validate(told, json.loads(SCHEMA.read_text()))
    assert told["series"][0]["changes"][0]["after"] == 3
    assert [each["run"] for each in told["refused"]] == ["broken"]
    assert "broken is left out" in said.err


def test_the_page_escapes_what_a_store_says(store: Path, tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>\u202e"
    made = MadeBoot(kernel=f"6.18.1-{hostile}", label=hostile, scenario=hostile, values={"mmapLockWaitMs_ui": [1.0]})
    write_run(store / "hostile", made)
    write_run(store / "again", renamed(made, boot="other", label="x", at="zzz"))
    assert ask(store, "--html", tmp_path / "page.html") == 0
    page = (tmp_path / "page.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "\u202e" not in page
    assert page.count("<svg") == 2


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--metric", "nonsense"], "no run of the store has the metric nonsense; there are: mmapLockWaitMs_ui."),
        (["--scenario", "nonsense"], "no run of the store has the scenario nonsense; there are: gc_stress."),
        (["--p-value", "0.5"], "0.5 is not in the range"),
        (["--by", "colour"], "'colour' is not one of"),
        (["--kcidb", "k.json", "--origin", "A B"], "cannot be an origin of KCIDB"),
    ],
)
def test_bad_input(
    store: Path, argv: list[str], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(store.parent)
    assert ask(store, *argv) == 2
    assert words in capsys.readouterr().err
    assert not (store.parent / "k.json").exists()


def test_a_run_store_behind_a_url(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"memory://{tmp_path}/store"
    remote = open_store(url)
    for number, kernel in enumerate(("6.16.12", "6.17.13")):
        values = {"invertedMs": [100.0 - 90 * number] * 3}
        made = write_run(tmp_path / kernel, MadeBoot(kernel=kernel, values=values, boot=f"b{number}"))
        (made / "raw").mkdir()
        (made / "raw" / "evidence").write_text("stays there")
        assert remote.publish(kernel, "aa", made)
    assert ask(url, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["store"] == url
    (series,) = found["series"]
    assert [(point["kernel"]["release"], point["level"]) for point in series["points"]] == [
        ("6.16.12", 100.0),
        ("6.17.13", 10.0),
    ]
    with remote._fs.open(f"{remote._root}/runs/6.16.12@aa/derived/samples.parquet", "wb") as file:
        file.write(b"something else")
    assert ask(url, "--json") == 5
    assert "6.16.12 is left out" in capsys.readouterr().err
    assert ask(f"memory://{tmp_path}/nothing") == 2
