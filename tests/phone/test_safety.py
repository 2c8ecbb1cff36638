"""What a kernel must not do wrong, and what page faults cost, on a phone: the program is built, pushed and run."""

from __future__ import annotations

import json
from pathlib import Path

from android_suite.model.fault_costs import KINDS
from tests.phone.conftest import MakePhone, Suite

RACE = ("--set", "race=borders", "--set", "rounds=5", "--set", "cpus=1")


def test_the_checks_are_recorded_and_told(make_phone: MakePhone, suite: Suite, tmp_path: Path) -> None:
    phone = make_phone()
    done = suite("record", "madvise_safety", "--serial", phone.address, "-o", "run", *RACE)
    assert done.exit_code == 0, done.output
    told = suite("analyze", "run", "--json")
    assert told.exit_code == 0, told.output
    analysis = json.loads(told.stdout)["iterations"][0]["analysis"]
    checks = {each["check"]: each for each in analysis["checks"]}
    assert checks["borders/zeros"]["result"] == "passed"
    assert checks["borders/zeros"]["tried"] > 0
    [metric] = analysis["metrics"]  # no event was recorded, so no other metric is asked for
    assert metric["name"] == "failedChecksCount"
    assert (metric["value"], metric["quality"]) == (sum(c["result"] == "failed" for c in checks.values()), "exact")
    assert "Checks: " in suite("analyze", "run").stdout


def test_the_costs_of_page_faults_alone_are_told(make_phone: MakePhone, suite: Suite) -> None:
    phone = make_phone()
    argv = ("--serial", phone.address, "-o", "run", "--set", "pages=64", "--set", "rounds=3")
    done = suite("record", "page_faults", *argv)
    assert done.exit_code == 0, done.output
    analysis = json.loads(suite("analyze", "run", "--json").stdout)["iterations"][0]["analysis"]
    names = {each["name"] for each in analysis["metrics"]}  # no event was recorded, so no other metric is asked for
    assert names == {f"pageFaultNs_{kind}" for kind in KINDS}
    assert all(each["value"] > 0 for each in analysis["metrics"])
