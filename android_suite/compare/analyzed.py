"""What `analyze` found in run directories to one side of a comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from android_suite.analyze import RunAnalysis
from android_suite.compare.runs import RunSet
from android_suite.model.comparison import MadvisePaths


def make_run_set(analyses: Sequence[RunAnalysis]) -> RunSet:
    """One side of a comparison: the runs of one kernel."""
    samples = pd.concat([a.samples for a in analyses], ignore_index=True) if analyses else pd.DataFrame()
    return RunSet(
        manifests=tuple(a.run.manifest for a in analyses),
        samples=samples,
        paths=add_paths([i.summary for a in analyses for i in a.iterations if i.record.traced]),
    )


def add_paths(summaries: Sequence[Mapping[str, Any]]) -> MadvisePaths:
    """Calls of role ``gc`` by path, added up over analyses."""
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
