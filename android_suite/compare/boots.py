"""The samples table to boots: which rows count, whose boot they belong to, which boots are partners."""

from __future__ import annotations

from collections.abc import Mapping

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
    """The rows that hold a number: not ``unknown``, not NaN."""
    trusted = (samples["quality"] != "unknown").to_numpy(bool) & np.isfinite(samples["value"].to_numpy(np.float64))
    rows: pd.DataFrame = samples.loc[trusted]
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


def group_boots(rows: pd.DataFrame) -> dict[str, Array]:
    """Values of each boot, in the order they were recorded."""
    ordered = rows.sort_values(["boot", "iteration", "sample"], kind="stable")
    return {str(boot): group["value"].to_numpy(np.float64) for boot, group in ordered.groupby("boot", sort=True)}


def group_seeds(rows: pd.DataFrame) -> dict[str, tuple[int, ...]]:
    """The seeds that each boot ran with, ascending; -1 for none."""
    return {
        str(boot): tuple(sorted({int(seed) for seed in group["seed"]}))
        for boot, group in rows.groupby("boot", sort=True)
    }


def pair_boots(
    baseline: Mapping[str, tuple[int, ...]], candidate: Mapping[str, tuple[int, ...]]
) -> tuple[tuple[list[str], list[str]], bool]:
    """The boots of both sides to compare, each in the same order, and whether equal places are partners.

    Boots are partners where each has seeds that no other of its side has, and at least half of them find the same seeds
    on the other side; those that find none are then left out. Otherwise all boots count, unpaired.
    """
    keyed = [{seeds: boot for boot, seeds in side.items() if seeds and seeds[0] >= 0} for side in (baseline, candidate)]
    unique = len(keyed[0]) == len(baseline) and len(keyed[1]) == len(candidate)
    common = sorted(keyed[0].keys() & keyed[1].keys())
    if unique and len(common) >= 2 and 2 * len(common) >= max(len(baseline), len(candidate)):
        return ([keyed[0][key] for key in common], [keyed[1][key] for key in common]), True
    return (sorted(baseline), sorted(candidate)), False
