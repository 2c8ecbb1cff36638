"""What `init` writes is valid: the suite reads the plan and the settings, and the workflow calls the action as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from android_suite.campaign.plan_file import read_plan
from android_suite.cli.init import WRITTEN
from android_suite.cli.main import run
from android_suite.config import Config, read_config
from android_suite.workload.registry import scenario_names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert run(["init", str(tmp_path / "new" / "project")]) == 0
    return tmp_path / "new" / "project"


def test_all_three_are_there_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", str(tmp_path)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told == [str(tmp_path / name) for name in WRITTEN]
    assert all(Path(line).is_file() for line in told)


def test_the_plan_is_one_that_qualify_takes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = read_plan(folder / "plan.toml", scenarios=scenario_names()).plan
    assert (plan.mode, len(plan.seeds), len(plan.gates)) == ("deterministic", 6, 2)
    monkeypatch.chdir(folder)
    assert run(["qualify", "plan.toml", "--dry-run"]) == 0
    schedule = capsys.readouterr().out
    assert all(word in schedule for word in ("before", "after", "gc_stress", "app_launch"))


def test_every_line_that_is_commented_out_is_one_that_the_suite_knows(folder: Path) -> None:
    for name in ("suite.toml", "plan.toml"):
        lines = (folder / name).read_text().splitlines()
        shown = [re.sub(r"^# (?=\w+ = )", "", line) for line in lines]
        if name == "plan.toml":
            shown = [line for line in shown if not line.startswith(('mode = "deterministic"', "seeds"))]
        (folder / name).write_text("\n".join(shown) + "\n")
    settings = read_config(env={}, folder=folder)
    assert (settings.file, settings.serial, settings.cpus) == (folder / "suite.toml", "0A1B2C3D", 2)
    plan = read_plan(folder / "plan.toml", scenarios=scenario_names()).plan
    assert (plan.mode, plan.boots) == ("realtime", 8)


def test_the_settings_change_nothing(folder: Path) -> None:
    found = read_config(env={"ANDROID_SUITE_CACHE": "/c"}, folder=folder)
    assert found == Config(file=folder / "suite.toml", cache=Path("/c"))


def test_the_workflow_gives_the_action_what_it_takes(folder: Path, project_root: Path) -> None:
    workflow = yaml.safe_load((folder / ".github/workflows/android-suite.yml").read_text())
    (job,) = workflow["jobs"].values()
    (step,) = (step for step in job["steps"] if "android-suite" in step.get("uses", ""))
    action = yaml.safe_load((project_root / "action.yml").read_text())
    assert set(step["with"]) <= set(action["inputs"])
    assert (folder / step["with"]["plan"]).is_file()


def test_nothing_is_overwritten_unless_it_is_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "plan.toml").write_text("mine")
    (folder / "suite.toml").unlink()
    assert run(["init", str(folder)]) == 2
    assert "has plan.toml, .github/workflows/android-suite.yml already" in capsys.readouterr().err
    assert (folder / "plan.toml").read_text() == "mine"
    assert not (folder / "suite.toml").exists(), "all or nothing"
    assert run(["init", str(folder), "--force"]) == 0
    assert "[plan]" in (folder / "plan.toml").read_text()


def test_a_file_in_the_way_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert run(["init", str(tmp_path / "file")]) == 2
    assert "cannot write" in capsys.readouterr().err
