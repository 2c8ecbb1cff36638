"""The export is valid by KCIDB's own schema, and no number in it is other than exact."""

from __future__ import annotations

import json
from pathlib import Path

import kcidb_io
import pytest

from android_suite.cli.main import run
from android_suite.errors import UsageError
from android_suite.history.kcidb import render_kcidb
from android_suite.model.identity import CrashRecord
from tests.made_stores import MadeBoot, stored, write_run

WAIT = "mmapLockWaitMs_ui"
HOSTILE = "x\x00</script>\ud800"
BOOTS = (
    MadeBoot(kernel="6.16.12", boot="a", build_id="ab", values={WAIT: [5.0, (9.0, "lower_bound")], "frameCount": [360.0, None]}),
    MadeBoot(
        kernel="6.17.13", boot="b", scenario="app_launch",
        values={"timeToInitialDisplayMs_cold": [300.0, (10_000.0, "failed")]},
    ),
    MadeBoot(kernel="6.17.13", boot="c", status="incomplete", values={WAIT: [5.0]}),
    MadeBoot(
        kernel=HOSTILE, boot="d", status="incomplete", at="not a time", values={WAIT: [5.0]}, scenario="my scenario.1",
        crash=CrashRecord(kind="panic", summary=HOSTILE, console=HOSTILE * 9000),
    ),
)  # fmt: skip


def test_it_is_valid_for_every_version_5() -> None:
    told = json.loads(json.dumps(render_kcidb(stored(*BOOTS)), allow_nan=False))
    for version in (kcidb_io.schema.V5_0, kcidb_io.schema.LATEST):
        version.validate(told)
    assert kcidb_io.schema.V5_0.is_valid_exactly(told)
    builds = {build["id"] for build in told["builds"]}
    assert {test["build_id"] for test in told["tests"]} <= builds
    assert {build["checkout_id"] for build in told["builds"]} == {each["id"] for each in told["checkouts"]}
    assert len({test["id"] for test in told["tests"]}) == len(told["tests"])


def test_numbers_are_exact_and_the_rest_says_why_it_has_none() -> None:
    tests = render_kcidb(stored(*BOOTS))["tests"]
    told = {(test["path"], test["status"], test.get("number", {}).get("value")): test for test in tests}
    prefix = "android_suite.gc_stress"
    assert told.keys() == {
        (f"{prefix}.{WAIT}", "DONE", 5.0),
        (f"{prefix}.{WAIT}", "MISS", None),
        (f"{prefix}.frameCount", "DONE", 360.0),
        (f"{prefix}.frameCount", "MISS", None),
        ("android_suite.app_launch.timeToInitialDisplayMs_cold", "DONE", 300.0),
        ("android_suite.app_launch.timeToInitialDisplayMs_cold", "FAIL", None),
        (prefix, "MISS", None),
        ("android_suite.my_scenario_1", "FAIL", None),
    }
    assert told[f"{prefix}.{WAIT}", "DONE", 5.0]["number"] == {"value": 5.0, "unit": "ms"}
    assert told[f"{prefix}.frameCount", "DONE", 360.0]["number"] == {"value": 360.0}
    assert told[f"{prefix}.{WAIT}", "MISS", None]["misc"]["at_least"] == 9.0
    assert "127.0.0.1:5555" not in json.dumps(tests), "no serial leaves the house"


def test_a_wrong_origin_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be an origin"):
        render_kcidb([], origin="My Lab")


def test_the_command_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "store" / "a", BOOTS[0])
    assert run(["history", str(tmp_path / "store"), "--json", "--kcidb", str(tmp_path / "out.json")]) == 0
    kcidb_io.schema.V5_0.validate(json.loads((tmp_path / "out.json").read_text()))
    assert json.loads(capsys.readouterr().out)["schema"] == "android-suite/history"
