"""`bisect` from the command to its reports, on real kernels."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from android_suite.campaign.plan_file import ANY_PAIR
from android_suite.cli.main import run
from tests.journeys.conftest import BASELINE, CANDIDATE

PLAN = f"""\
[plan]
name = "short"
mode = "deterministic"
seeds = [1, 2, 3, 4]

{ANY_PAIR}
[[scenario]]
name = "gc_stress"
parameters = {{ duration_ms = 1500, profile = "inversion" }}
"""


@pytest.mark.vdev
def test_the_release_that_moved_a_metric_comes_with_two_reports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, out = tmp_path / "plan.toml", tmp_path / "out"
    plan.write_text(PLAN)
    kernels = f"{BASELINE},{CANDIDATE}"
    assert run(["bisect", "--kernels", kernels, "--metric", "invertedMs", "--plan", str(plan), "-o", str(out)]) == 0
    said = capsys.readouterr()
    assert f"1. {CANDIDATE}" in said.out
    found = json.loads((out / "bisection.json").read_bytes())
    assert (found["outcome"], found["first"], found["direction"], found["repeated"]) == ("found", 1, "better", True)
    for name in ("change", "ends"):
        assert f"{name}/report.html: position 0 against 1" in said.err
        assert (out / name / "report.html").stat().st_size > 10_000
        summary = json.loads((out / name / "summary.json").read_bytes())
        [moved] = [m for m in summary["metrics"] if m["name"] == "invertedMs"]
        assert moved["baseline"]["level"] > moved["candidate"]["level"] == 0
