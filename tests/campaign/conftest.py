from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from android_suite.campaign.plan_file import PlanFile, read_plan
from android_suite.campaign.qualify import Collaborators
from tests.campaign.scripted import ScriptedAnalyzer, ScriptedRecorder
from tests.campaign.scripted_compare import compare_scripted, render_scripted

PLAN = """\
[plan]
name = "scripted"
mode = "deterministic"
seeds = [1, 2, 3]

[[kernel]]
label = "before"
kernel = "6.16.12"
role = "baseline"

[[kernel]]
label = "after"
kernel = "6.17.13"
role = "candidate"

[[scenario]]
name = "gc_stress"
parameters = { duration_ms = 100 }

[[gate]]
metric = "invertedMs"
undecided = "pass"
"""


@pytest.fixture
def faults(tmp_path: Path) -> Path:
    folder = tmp_path / "faults"
    folder.mkdir()
    return folder


@pytest.fixture
def lab(faults: Path) -> Collaborators:
    return Collaborators(
        recorder=ScriptedRecorder(faults),
        analyzer=ScriptedAnalyzer(faults),
        comparer=compare_scripted,
        renderer=render_scripted,
    )


@pytest.fixture
def make_plan(tmp_path: Path) -> Callable[..., PlanFile]:
    def make(*changes: tuple[str, str]) -> PlanFile:
        text = PLAN
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        file = tmp_path / "plan.toml"
        file.write_text(text)
        return read_plan(file, scenarios=("gc_stress", "app_launch"))

    return make
