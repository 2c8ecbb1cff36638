from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import jsonschema
import pytest

from android_suite.campaign import qualify as qualify_module
from android_suite.campaign.attempt import Progress
from android_suite.campaign.journal import open_campaign, read_journal
from android_suite.campaign.plan_file import PlanFile
from android_suite.campaign.qualify import Collaborators, Preview, qualify, schedule
from android_suite.campaign.runner import Runner
from android_suite.errors import ConfigError, EvidenceError, LabError, NotComparable, Unsupported, UsageError
from android_suite.model.campaign import CampaignSummary
from android_suite.model.comparison import Comparison
from android_suite.model.plan import Plan
from android_suite.model.verdict import Verdict
from android_suite.store.run import Run, open_run

MakePlan = Callable[..., PlanFile]


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def test_a_plan_ends_in_verdicts_and_reports(
    tmp_path: Path, lab: Collaborators, make_plan: MakePlan, faults: Path
) -> None:
    told: list[Progress] = []
    out = tmp_path / "out"
    outcome = qualify(make_plan(), out, lab, workers=2, progress=told.append)
    comparison = outcome.comparisons["after"]
    [metric] = comparison.metrics
    assert (metric.baseline.boots, metric.candidate.boots, metric.paired) == (3, 3, True)
    assert metric.effect == pytest.approx(-116, abs=5)
    assert outcome.exit_code == (1 if metric.verdict is Verdict.WORSE else 0)
    assert sorted(path.name for path in out.iterdir()) == [
        ".lock", ".workers", "comparison.json", "jobs", "journal.jsonl", "partial", "plan.toml", "provenance.json",
        "report.md", "summary.json",
    ]  # fmt: skip
    assert len(list((out / "jobs").iterdir())) == 6
    assert all(open_run(path).manifest.sealed for path in (out / "jobs").iterdir())
    summary = json.loads((out / "summary.json").read_text())
    assert summary["schema"] == "android-suite/comparison"
    assert all(item["trace_digest"] for job in summary["jobs"] for item in job["iterations"])
    assert (told[-1].done, told[-1].total, told[-1].remaining_s) == (6, 6, 0.0)
    assert len(lines(faults / "recorded")) == 6


def test_a_preview_after_each_seed_but_the_last(
    tmp_path: Path, lab: Collaborators, make_plan: MakePlan, faults: Path
) -> None:
    shown: list[Preview] = []
    outcome = qualify(make_plan(), tmp_path / "out", lab, workers=1, preview=shown.append)
    assert [(each.label, each.scenario, each.boots) for each in shown] == [
        ("after", "gc_stress", 1), ("after", "gc_stress", 2),
    ]  # fmt: skip
    for each in shown:
        [metric] = each.comparison.metrics
        assert (metric.baseline.boots, metric.candidate.boots) == (each.boots, each.boots)
    assert outcome.comparisons["after"].metrics[0].baseline.boots == 3


def test_a_preview_that_cannot_be_compared_is_left_to_the_end(
    tmp_path: Path, lab: Collaborators, make_plan: MakePlan
) -> None:
    def refuse(plan: Plan, baseline: Sequence[Run], candidate: Sequence[Run]) -> Comparison:
        if len(baseline) < 3:
            raise NotComparable("other devices")
        return lab.comparer(plan, baseline, candidate)

    shown: list[Preview] = []
    qualify(make_plan(), tmp_path / "out", replace(lab, comparer=refuse), workers=1, preview=shown.append)
    assert shown == []


def test_its_result_files_keep_to_their_schemas(
    tmp_path: Path, lab: Collaborators, make_plan: MakePlan, faults: Path, project_root: Path
) -> None:
    (faults / "lab-before-seed2").touch()
    (faults / "crash-after-seed2").touch()
    out = tmp_path / "out"
    qualify(make_plan(), out, lab, workers=2, retry_after_s=(0.1, 0.1))
    found = {}
    for name in ("comparison.json", "summary.json", "provenance.json"):
        found[name] = json.loads((out / name).read_text())
        jsonschema.validate(found[name], json.loads((project_root / "docs/schema" / name).read_text()))
    assert CampaignSummary.from_json(found["summary.json"]).to_json() == found["summary.json"]
    assert [crash["kind"] for crash in found["summary.json"]["crashes"]] == ["panic"]
    [failure] = found["provenance.json"]["failures"]
    assert (failure["event"], failure["error"], failure["kept"][:7]) == ("failed", "LabError", "failed/")
    assert all(job["seconds"] > 0 for job in found["provenance.json"]["jobs"])


def test_a_second_call_repeats_nothing_and_changes_nothing(
    tmp_path: Path, lab: Collaborators, make_plan: MakePlan, faults: Path
) -> None:
    out = tmp_path / "out"
    qualify(make_plan(), out, lab, workers=2)
    results = {name: (out / name).read_bytes() for name in ("comparison.json", "summary.json", "report.md")}
    qualify(make_plan(), out, lab, workers=2)
    assert {name: (out / name).read_bytes() for name in results} == results
    assert len(lines(faults / "recorded")) == len(lines(faults / "analyzed")) == 6


def test_what_the_lab_breaks_is_tried_again_and_kept(
    tmp_path: Path, lab: Collaborators, make_plan: MakePlan, faults: Path
) -> None:
    (faults / "lab-before-seed2").touch()
    (faults / "killed-after-seed1").touch()
    out = tmp_path / "out"
    qualify(make_plan(), out, lab, workers=2, retry_after_s=(0.1, 0.1))
    assert len(lines(faults / "recorded")) == 8
    failed = [event for event in read_journal(out / "journal.jsonl") if event["event"] == "failed"]
    assert sorted((event["error"], event["kept"][:6]) for event in failed) == [("LabError", "failed")] * 2
    assert any("cable fell out" in event["text"] for event in failed)
    assert any("ended with status 9" in event["text"] for event in failed)
    assert all(open_run(out / event["kept"]).manifest.sealed is False for event in failed)


def test_a_lab_that_stays_broken_ends_it_and_the_rest_is_kept(
    tmp_path: Path, lab: Collaborators, make_plan: MakePlan, faults: Path
) -> None:
    (faults / "dead-before-seed2").touch()
    out = tmp_path / "out"
    with pytest.raises(LabError, match="does not boot; look at its console") as caught:
        qualify(make_plan(), out, lab, workers=2, retry_after_s=(0.1, 0.1))
    assert any("after 3 attempts" in note for note in caught.value.__notes__)
    assert not (out / "comparison.json").exists()
    (faults / "dead-before-seed2").unlink()
    qualify(make_plan(), out, lab, workers=2)
    assert len(lines(faults / "recorded")) == 6 + 3
    assert (out / "comparison.json").exists()


def test_an_incapable_kernel_is_not_tried_again(
    tmp_path: Path, lab: Collaborators, make_plan: MakePlan, faults: Path
) -> None:
    (faults / "unsupported-after-seed1").touch()
    with pytest.raises(Unsupported, match="no mmap_lock events"):
        qualify(make_plan(), tmp_path / "out", lab, workers=1)
    assert sum("after-seed1-" in line for line in lines(faults / "recorded")) == 1


def test_a_crash_of_the_kernel_is_a_result(
    tmp_path: Path, lab: Collaborators, make_plan: MakePlan, faults: Path
) -> None:
    (faults / "crash-after-seed2").touch()
    out = tmp_path / "out"
    outcome = qualify(make_plan(), out, lab, workers=2)
    assert outcome.exit_code == 1
    [crash] = outcome.crashes
    assert (crash.label, crash.kind, crash.during) == ("after", "panic", "gc_stress")
    assert "crashes: 1" in (out / "report.md").read_text()
    assert len(lines(faults / "recorded")) == 6
    [metric] = outcome.comparisons["after"].metrics
    assert metric.candidate.boots == 2


def test_distrusted_evidence_ends_it_after_the_other_jobs(
    tmp_path: Path, lab: Collaborators, make_plan: MakePlan, faults: Path
) -> None:
    (faults / "untrusted").write_text("before-seed1")
    out = tmp_path / "out"
    with pytest.raises(EvidenceError, match="events were lost"):
        qualify(make_plan(), out, lab, workers=1)
    assert len(list((out / "jobs").iterdir())) == 6
    (faults / "untrusted").unlink()
    qualify(make_plan(), out, lab, workers=1)
    assert len(lines(faults / "recorded")) == 6


def test_another_plan_is_refused_with_the_difference(tmp_path: Path, lab: Collaborators, make_plan: MakePlan) -> None:
    out = tmp_path / "out"
    qualify(make_plan(("[1, 2, 3]", "[1, 2]")), out, lab, workers=2)
    with pytest.raises(UsageError, match=r"scenarios\[0\].parameters.duration_ms was 100, is 200") as caught:
        qualify(make_plan(("[1, 2, 3]", "[1, 2]"), ("= 100", "= 200")), out, lab, workers=2)
    assert "--fresh" in str(caught.value)
    changed = make_plan(("[1, 2, 3]", "[1, 2]"), ("= 100", "= 200"))
    qualify(changed, out, lab, workers=2, fresh=True)
    assert (tmp_path / "out.old-1" / "comparison.json").exists()
    assert "duration_ms = 200" in (out / "plan.toml").read_text()


def test_a_changed_budget_is_no_other_plan(tmp_path: Path, lab: Collaborators, make_plan: MakePlan) -> None:
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match=r"plan\.budget: expected at least \d+ min") as caught:
        qualify(make_plan(('"scripted"', '"scripted"\nbudget = "10 s"')), out, lab, workers=2)
    assert caught.value.line == 3
    qualify(make_plan(('"scripted"', '"scripted"\nbudget = "2 h"')), out, lab, workers=2)
    qualify(make_plan(), out, lab, workers=2)


def test_a_kernel_against_itself(tmp_path: Path, lab: Collaborators, make_plan: MakePlan) -> None:
    outcome = qualify(make_plan(), tmp_path / "out", lab, workers=2, aa=True)
    comparison = outcome.comparisons["before-again"]
    assert comparison.same_kernel
    assert {metric.verdict for metric in comparison.metrics} <= {Verdict.SAME, Verdict.UNDECIDED}
    assert [metric.effect for metric in comparison.metrics] == [0.0]


def test_two_candidates_get_a_folder_each(tmp_path: Path, lab: Collaborators, make_plan: MakePlan) -> None:
    third = ("[[scenario]]", '[[kernel]]\nlabel = "next"\nkernel = "6.18.1"\nrole = "candidate"\n\n[[scenario]]')
    out = tmp_path / "out"
    outcome = qualify(make_plan(third, ("[1, 2, 3]", "[1, 2]")), out, lab, workers=2)
    assert list(outcome.comparisons) == ["after", "next"]
    for label in outcome.comparisons:
        assert {path.name for path in (out / f"vs-{label}").iterdir()} == {
            "comparison.json", "report.md", "summary.json"
        }  # fmt: skip


def test_a_folder_in_use_is_refused(tmp_path: Path, lab: Collaborators, make_plan: MakePlan) -> None:
    out = tmp_path / "out"
    with open_campaign(out, {}), pytest.raises(UsageError, match=r"in use by process \d+"):
        qualify(make_plan(), out, lab)


def test_a_folder_of_something_else_is_refused(tmp_path: Path, lab: Collaborators, make_plan: MakePlan) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").touch()
    for fresh in (False, True):
        with pytest.raises(UsageError, match="not of a campaign"):
            qualify(make_plan(), tmp_path / "out", lab, fresh=fresh)


def test_a_spent_budget_starts_no_job_and_loses_none(
    tmp_path: Path, lab: Collaborators, make_plan: MakePlan, faults: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_plan(('"scripted"', '"scripted"\nbudget = "3 s"'))
    durations_s = {job.kind: [0.5] for job in schedule(file)[1]}
    with monkeypatch.context() as patch:  # a clock on which each job takes 2 s, however busy the host is
        clock = lambda: 2.0 * len(lines(faults / "recorded"))  # noqa: E731
        patch.setattr(qualify_module, "Runner", partial(Runner, clock=clock))
        with pytest.raises(
            LabError, match=r"the budget of 0.05 min is used up with 2 of 6 jobs done; run qualify again"
        ):
            qualify(file, tmp_path / "out", lab, workers=1, durations_s=dict(durations_s))
    assert len(lines(faults / "recorded")) == 2
    assert len(list((tmp_path / "out" / "jobs").iterdir())) == 2
    qualify(make_plan(), tmp_path / "out", lab, workers=2)
    assert len(lines(faults / "recorded")) == 6
