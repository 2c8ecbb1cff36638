"""The samples table to boots: which rows count, and whose boot they belong to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from android_suite.stats.decision import MIN_BOOTS
from android_suite.stats.resampling import Array

BOUNDED_SHARE = 0.2  # of the samples of one side: up to here lower bounds are left out


def select_traced(samples: pd.DataFrame) -> pd.DataFrame:
    """The rows of traced iterations; all rows of a scenario that was never traced."""
    traced = samples["traced"].to_numpy(bool)
    scenarios = samples["scenario"].to_numpy()
    rows: pd.DataFrame = samples.loc[traced | ~np.isin(scenarios, scenarios[traced])]
    return rows


def select_trusted(samples: pd.DataFrame) -> pd.DataFrame:
    """The rows that tell something: not ``unknown``, and a number or the fact that the launch failed."""
    trusted = (samples["quality"] != "unknown").to_numpy(bool)
    told = np.isfinite(samples["value"].to_numpy(np.float64)) | samples["censored"].to_numpy(bool)
    rows: pd.DataFrame = samples.loc[trusted & told]
    return rows


def select_exact(rows: pd.DataFrame) -> pd.DataFrame:
    """Leaves lower bounds out where they are few; returns all rows where that would leave too little.

    A cut wait makes one sample a lower bound by accident, which must not spoil a whole experiment; many of them are a
    tendency (the busier the kernel, the more is lost), and leaving them out would flatter it.
    """
    bounded = (rows["quality"] == "lower_bound").to_numpy(bool)
    exact: pd.DataFrame = rows.loc[~bounded]
    if bounded.mean() > BOUNDED_SHARE or exact["boot"].nunique() < MIN_BOOTS:
        return rows
    return exact


def rank_failed(sides: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """Gives every failed launch one time above all others of both sides, so that medians are taken with it on top.

    The time is the longest limit that a failed launch was given, and at least twice the slowest that did not fail. It
    serves to rank: no quantile that falls among the failed launches is shown.
    """
    if not any(side["censored"].any() for side in sides):
        return list(sides)
    both = pd.concat(list(sides))
    known = both.loc[np.isfinite(both["value"].to_numpy(np.float64))]
    if not len(known):
        return [side.iloc[:0] for side in sides]  # all failed, without a limit: there is no time to rank
    failed = known["censored"].to_numpy(bool)
    top = np.nanmax([known.loc[failed, "value"].max(), 2.0 * known.loc[~failed, "value"].max()])
    return [side.assign(value=np.where(side["censored"], top, side["value"])) for side in sides]


def group_boots(rows: pd.DataFrame) -> dict[str, Array]:
    """Values of each boot, in the order they were recorded."""
    ordered = rows.sort_values(["boot", "iteration", "sample"], kind="stable")
    return {str(boot): group["value"].to_numpy(np.float64) for boot, group in ordered.groupby("boot", sort=True)}


def pick_observations(baseline: Sequence[Array], candidate: Sequence[Array], unit: str, *, virtual: bool) -> list[int]:
    """Which seeded boots are observations of their own, where equal numbers from different seeds are one.

    In virtual time a number that two seeds share means that the seeds change nothing it depends on. Counts and shares
    have few values, so there only one number in all boots says so; the same holds for times in real time, while counts
    and shares may well agree there. A number at the end of its scale (0, or 100 %) can be a result of every single
    seed, which each had its chance to differ: such boots count in full.

    Args:
        baseline: samples of each boot.
        candidate: those of its partner.
        unit: of the metric.
        virtual: the boots ran in virtual time.

    Returns:
        Their indices, ascending.
    """
    few_values = unit in ("count", "%")
    every = list(range(len(baseline)))
    pairs = [(one.tobytes(), other.tobytes()) for one, other in zip(baseline, candidate, strict=True)]
    ends = (0.0, 100.0) if unit == "%" else (0.0,)
    at_end = [bool(np.isin([*baseline[i], *candidate[i]], ends).all()) for i in every]
    if all(at_end) or (few_values and not virtual):
        return every
    if virtual and not few_values:
        return [i for i in every if at_end[i] or pairs.index(pairs[i]) == i]
    return every if len(set(pairs)) > 1 else every[:1]
