"""From analyzed run directories to a comparison and its report: what `compare`, `report` and `qualify` share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from android_suite import __version__
from android_suite.analyze import RunAnalysis
from android_suite.compare.runs import RunSet
from android_suite.model.comparison import Comparison, MadvisePaths
from android_suite.report.html import render_html
from android_suite.report.junit import render_junit
from android_suite.report.markdown import render_markdown
from android_suite.report.model import AnalyzedRun, ReportModel


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


def make_analyzed_runs(analyses: Sequence[RunAnalysis], side: str = "") -> list[AnalyzedRun]:
    """The runs of one side, as the report shows them."""
    return [
        AnalyzedRun(
            name=f"{a.run.manifest.label or a.run.path.name} {i.record.scenario} {i.record.index}",
            analysis=i.summary,
            side=side,
            scenario=i.record.scenario,
            boot=i.record.boot,
            seed=i.record.seed,
            lock_stat=i.lock_stat,
            vmstat=i.vmstat,
        )
        for a in analyses
        for i in a.iterations
    ]


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
