"""What `analyze` found in run directories to one side of a comparison."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from android_suite.analyze import RunAnalysis
from android_suite.compare.runs import RunSet
from android_suite.model.comparison import MadvisePaths


def make_run_set(analyses: Sequence[RunAnalysis]) -> RunSet:
    """One side of a comparison: the runs of one kernel."""
    samples = pd.concat([a.samples for a in analyses], ignore_index=True) if analyses else pd.DataFrame()
    traced = (i.summary for a in analyses for i in a.iterations if i.record.traced)
    complete = [i for a in analyses for i in a.iterations if i.record.status == "complete"]
    return RunSet(
        manifests=tuple(a.run.manifest for a in analyses),
        samples=samples,
        paths=MadvisePaths.add_up(traced),
        checks=tuple(check for i in complete for check in i.summary.checks),
    )
