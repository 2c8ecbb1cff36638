"""From analyzed run directories to a comparison and its report: what `compare`, `report` and `qualify` share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from android_suite import __version__
from android_suite.analyze import RunAnalysis, analyze_run, load_run
from android_suite.campaign.analyzed_runs import make_analyzed_runs
from android_suite.compare.comparability import summarize_evidence
from android_suite.compare.runs import RunSet, compare_runs
from android_suite.model.comparison import Comparison, GateResult, MadvisePaths
from android_suite.model.plan import Plan
from android_suite.model.verdict import GateOutcome
from android_suite.report.html import render_html
from android_suite.report.junit import render_junit
from android_suite.report.markdown import render_markdown
from android_suite.report.model import ReportModel
from android_suite.store.run import Run, open_run


def make_run_set(analyses: Sequence[RunAnalysis]) -> RunSet:
    """One side of a comparison."""
    samples = pd.concat([a.samples for a in analyses], ignore_index=True) if analyses else pd.DataFrame()
    return RunSet(
        manifests=tuple(a.run.manifest for a in analyses),
        samples=samples,
        paths=add_paths([i.summary for a in analyses for i in a.iterations if i.record.traced]),
    )


def add_paths(summaries: Sequence[Mapping[str, Any]]) -> MadvisePaths:
    """The seed's numbers: calls of role ``gc`` by path, added up over analyses."""
    rows = [row for summary in summaries for row in summary["madvise"] if row["role"] == "gc"]
    reasons: Counter[str] = Counter()
    for row in rows:
        reasons.update(row["reasons"])
    return MadvisePaths(
        per_vma=sum(row["per_vma"] for row in rows),
        mmap_lock=sum(row["mmap_lock"] for row in rows),
        unknown=sum(row["unknown"] for row in rows),
        bytes=sum(row["bytes"] or 0 for row in rows),
        reasons=dict(reasons),
    )


def make_report(
    title: str,
    comparison: Comparison,
    baseline: Sequence[RunAnalysis],
    candidate: Sequence[RunAnalysis],
    *,
    commands: Sequence[str] = (),
    notes: Sequence[str] = (),
    created_at: str = "",
) -> ReportModel:
    """A report of a comparison with the evidence of both sides."""
    return ReportModel(
        title=title,
        comparison=comparison,
        runs=[*make_analyzed_runs(baseline, "baseline"), *make_analyzed_runs(candidate, "candidate")],
        commands=commands,
        notes=[*notes, *(note for a in (*baseline, *candidate) for note in a.run.manifest.notes)],
        created_at=created_at,
        suite_version=__version__,
    )


def render_files(model: ReportModel) -> dict[str, str]:
    """The report in every format that is a file."""
    return {
        "report.html": render_html(model),
        "report.md": render_markdown(model),
        "junit.xml": render_junit(model),
    }


def analyze_job(path: Path) -> None:
    """The analyzer of a campaign: makes ``derived/`` of a sealed run directory."""
    analyze_run(open_run(path))


def compare_plan(plan: Plan, baseline: Sequence[Run], candidate: Sequence[Run]) -> Comparison:
    """The comparer of a campaign: the plan's gates and margins over what `analyze` found.

    Boots in which the kernel crashed before anything answered have no identity to compare and are left out.
    """
    sides = [[run for run in side if run.manifest.kernel is not None] for side in (baseline, candidate)]
    if not all(sides):
        return _compare_nothing(plan, baseline, candidate)
    one, other = (make_run_set([load_run(run.path) for run in side]) for side in sides)
    return compare_runs(one, other, gates=plan.gates, margins=plan.margins, seed=plan.random_seed)


def _compare_nothing(plan: Plan, baseline: Sequence[Run], candidate: Sequence[Run]) -> Comparison:
    """What there is to say where a kernel came up in no boot: every gate failed."""
    identities: list[dict[str, Any]] = []
    for side in (baseline, candidate):
        kernel = next((run.manifest.kernel for run in side if run.manifest.kernel is not None), None)
        identities.append({"label": side[0].manifest.label, **(asdict(kernel) if kernel else {})})
    dead = " and ".join(str(identity["label"]) for identity in identities if len(identity) == 1)
    gates = [
        GateResult(
            scenario=gate.scenario or "*",
            metric=gate.metric,
            margin_text=str(gate.margin or "the catalogue's"),
            confidence=gate.confidence,
            undecided=gate.undecided,
            outcome=GateOutcome.FAILED,
            verdict=None,
            message=f"{dead} crashed in every boot; read its console in the report",
        )
        for gate in plan.gates
    ]
    return Comparison(
        baseline=identities[0],
        candidate=identities[1],
        metrics=(),
        paths={"baseline": MadvisePaths(), "candidate": MadvisePaths()},
        gates=tuple(gates),
        evidence={
            "baseline": summarize_evidence([run.manifest for run in baseline]),
            "candidate": summarize_evidence([run.manifest for run in candidate]),
        },
        seed=plan.random_seed,
    )


def render_plan(
    comparison: Comparison, plan: Plan, baseline: Sequence[Run], candidate: Sequence[Run], summary: Mapping[str, Any]
) -> dict[str, str]:
    """The renderer of a campaign: every report file. No time and no path enters, so the same jobs give the same bytes."""
    sides = [[load_run(run.path) for run in side] for side in (baseline, candidate)]
    crashes = [f"{c['label']} crashed during {c['during']}: {c['summary']}" for c in summary["crashes"]]
    command = "android-suite qualify plan.toml"
    return render_files(
        make_report(plan.name, comparison, *sides, commands=[command], notes=[*crashes, *plan.warnings])
    )
