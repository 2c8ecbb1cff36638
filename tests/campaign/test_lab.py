"""The real comparer and renderer over runs that no device has to make."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from android_suite.campaign.evaluate import analyze_job, compare_plan, render_plan
from android_suite.campaign.plan_file import PlanFile
from android_suite.campaign.qualify import Collaborators, qualify
from android_suite.campaign.schedule import Job
from android_suite.model.identity import CrashRecord
from android_suite.store.run import create_run


class DeadOnArrival:
    """A recorder whose kernels panic before anything answers."""

    def __call__(self, job: Job, path: Path, say: Callable[[str], None]) -> None:
        run = create_run(path, label=job.label, mode=job.mode)
        run.set_crash(CrashRecord(kind="panic", summary="VFS: no root <b>", console="Kernel panic - not syncing: VFS"))
        run.seal()


def test_kernels_that_never_come_up_are_a_report_and_a_failed_gate(
    tmp_path: Path, lab: Collaborators, make_plan: Callable[..., PlanFile]
) -> None:
    lab = replace(lab, recorder=DeadOnArrival(), analyzer=analyze_job, comparer=compare_plan, renderer=render_plan)
    out = tmp_path / "out"
    outcome = qualify(make_plan(("[1, 2, 3]", "[1]")), out, lab, workers=2)
    assert outcome.exit_code == 1
    summary = json.loads((out / "summary.json").read_text())
    assert summary["metrics"] == []
    assert (summary["gate"]["passed"], len(summary["gate"]["failed"])) == (False, 1)
    assert "before and after crashed in every boot" in summary["gate"]["results"][0]["message"]
    assert sorted(crash["label"] for crash in summary["crashes"]) == ["after", "before"]
    html = (out / "report.html").read_text()
    assert "Kernel panic - not syncing: VFS" in html
    assert "<b>" not in html.split("VFS: no root")[1][:20]
    assert "<failure" in (out / "junit.xml").read_text()
