"""What tracing costs: the same boots with the trace on and off."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from android_suite.compare.boots import group_boots, select_trusted
from android_suite.model.comparison import TracingOverhead
from android_suite.stats.resampling import measure_effect_interval, measure_level


def measure_tracing_overhead(samples: pd.DataFrame, confidence: float, seed: int) -> Iterator[TracingOverhead]:
    """Traced against untraced iterations of the same boots, for every metric that both have.

    Args:
        samples: as in ``tables/samples.py``; both kernels together.
        confidence: of the intervals.
        seed: of the resampling.
    """
    if samples["traced"].all():
        return
    known = select_trusted(samples[~samples["censored"].to_numpy(bool)])
    known = known.assign(boot=known["label"] + "/" + known["boot"])  # deterministic boots of both kernels share names
    for key, rows in known.groupby(["scenario", "metric"], sort=True):
        scenario, name = str(key[0]), str(key[1])
        on, off = (group_boots(rows[rows["traced"] == flag]) for flag in (True, False))
        both = [boot for boot in on if boot in off]
        if not both:
            continue
        traced, untraced = [on[boot] for boot in both], [off[boot] for boot in both]
        interval = None
        if len(both) > 1:
            rng = np.random.default_rng(seed)
            interval = measure_effect_interval(untraced, traced, paired=True, confidence=confidence, rng=rng)
        yield TracingOverhead(
            scenario=scenario,
            metric=name,
            unit=str(rows["unit"].iloc[0]),
            traced=measure_level(traced),
            untraced=measure_level(untraced),
            effect_ci=interval,
        )
