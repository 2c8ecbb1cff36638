"""The parent's half of the scripted lab: compares with the real statistics, renders a few lines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from android_suite.compare import RunSet, compare_runs
from android_suite.model.campaign import CampaignSummary
from android_suite.model.comparison import Comparison
from android_suite.model.metrics import find_metric
from android_suite.model.plan import Plan
from android_suite.store.run import Run
from android_suite.tables.samples import SAMPLES
from android_suite.tables.schema import make_frame


def compare_scripted(plan: Plan, baseline: Sequence[Run], candidate: Sequence[Run]) -> Comparison:
    return compare_runs(read_set(baseline), read_set(candidate), gates=plan.gates, margins=plan.margins, seed=1)


def read_set(runs: Sequence[Run]) -> RunSet:
    rows: list[dict[str, Any]] = []
    for run in runs:
        for item in run.manifest.iterations:
            file = run.derived(item) / "value.json"
            if file.exists():
                metric = find_metric("invertedMs")
                values = json.loads(file.read_text())
                rows.append(
                    {
                        "label": run.manifest.label, "kernel": run.manifest.kernel.release if run.manifest.kernel else "",
                        "boot": item.boot, "seed": item.seed, "scenario": item.scenario, "iteration": item.index,
                        "sample": 0, "traced": item.traced, "metric": metric.name, "unit": metric.unit,
                        "better": metric.better, "value": values["invertedMs"], "quality": "exact",
                        "reason": "",
                        "censored": False,
                    }
                )  # fmt: skip
    columns = pd.DataFrame(rows, columns=list(SAMPLES.dtypes))
    manifests = [
        replace(run.manifest, device=replace(run.manifest.device, serial="virtual") if run.manifest.device else None)
        for run in runs
    ]
    return RunSet(manifests=manifests, samples=make_frame(SAMPLES, {name: columns[name] for name in SAMPLES.dtypes}))


def render_scripted(
    comparison: Comparison, plan: Plan, baseline: Sequence[Run], candidate: Sequence[Run], summary: CampaignSummary
) -> Mapping[str, str]:
    lines = [f"{metric.name} {metric.verdict.value} {metric.effect}" for metric in comparison.metrics]
    return {"report.md": "\n".join([plan.name, *lines, f"crashes: {len(summary.job_crashes)}", ""])}
