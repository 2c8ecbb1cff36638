"""Analyzed runs as every report shows them. Apart from ``evaluate``, so that `analyze` loads neither statistics nor charts."""

from __future__ import annotations

from collections.abc import Sequence

from android_suite.analyze import RunAnalysis
from android_suite.report.model import AnalyzedRun


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
