"""Analyses of the iterations of a run to samples, the values that kernels are compared by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from android_suite.analyze.results import IterationAnalysis
from android_suite.model.analysis import LaunchSummary
from android_suite.model.launch import FAILED
from android_suite.store.run import Run
from android_suite.tables.samples import SAMPLES
from android_suite.tables.schema import make_frame


def make_samples(run: Run, iterations: Sequence[IterationAnalysis]) -> pd.DataFrame:
    """The values that comparisons are made from: one row per metric and iteration, for launches one per launch.

    An iteration that is not complete enters none.
    """
    rows: list[dict[str, object]] = []
    for each in iterations:
        record = each.record
        if record.status != "complete":
            continue
        head = {
            "label": run.manifest.label,
            "kernel": run.manifest.kernel.release if run.manifest.kernel else "",
            "boot": record.boot,
            "seed": -1 if record.seed is None else record.seed,
            "scenario": record.scenario,
            "iteration": record.index,
            "traced": record.traced,
        }
        for metric in each.summary.metrics:
            launches = list(_launch_values(metric.name, each.summary.launches))
            rows += [
                head
                | {
                    "sample": number,
                    "metric": metric.name,
                    "unit": metric.unit,
                    "better": metric.better,
                    "value": float("nan") if value is None else float(value),
                    "quality": quality,
                    "reason": "" if quality == "exact" else metric.reason or "",
                    "censored": censored,
                }
                for number, (value, quality, censored) in enumerate(launches or [(metric.value, metric.quality, False)])
            ]
    return make_frame(SAMPLES, {c.name: [row[c.name] for row in rows] for c in SAMPLES.columns})


def _launch_values(metric: str, launches: Sequence[LaunchSummary]) -> Iterator[tuple[float | None, str, bool]]:
    """The single launches behind a launch metric: value, quality, whether censored; nothing for any other metric.

    A launch that failed took longer than it was given; it counts for the state that was asked for.
    """
    name, _, state = metric.partition("_")
    if name not in ("timeToInitialDisplayMs", "timeToFullDisplayMs"):
        return
    for launch in launches:
        value = launch.initial_display_ms if name == "timeToInitialDisplayMs" else launch.full_display_ms
        if launch.outcome in FAILED:
            if state == (launch.asked or launch.got):
                yield launch.limit_ms, "exact", True
        elif not launch.discarded and value is not None and launch.got == state:
            yield value, launch.quality, False
