"""Seeds: which boots are partners (planned with the same ones, whatever became of their samples), and what they change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from android_suite.model.run import Manifest

Seeds = Mapping[str, frozenset[int]]  # boot -> the seeds it ran with, or was to run with


def plan_seeds(samples: pd.DataFrame, manifests: Sequence[Manifest]) -> dict[str, Seeds]:
    """Per scenario, the seeds of every boot: of all its iterations, also those that gave no sample to trust.

    Args:
        samples: as in ``tables/samples.py``.
        manifests: of the same runs.
    """
    seeds: dict[str, dict[str, set[int]]] = {}
    for scenario, boot, seed in samples[["scenario", "boot", "seed"]].drop_duplicates().itertuples(index=False):
        seeds.setdefault(str(scenario), {}).setdefault(str(boot), set()).update({int(seed)} if seed >= 0 else ())
    planned: dict[tuple[str, str], set[int]] = {}
    for manifest in manifests:
        for item in manifest.iterations:
            if item.seed is not None:
                planned.setdefault((item.scenario, item.boot), set()).add(item.seed)
    for scenario, boots in seeds.items():
        for boot, own in boots.items():
            if own <= (every := planned.get((scenario, boot), set())):
                own |= every
    return {scenario: {boot: frozenset(own) for boot, own in boots.items()} for scenario, boots in seeds.items()}


def find_varied(manifests: Sequence[Manifest]) -> set[str]:
    """The scenarios whose traces differ between seeds, given that all runs are of one kernel in virtual time.

    There a seed that changes nothing gives the same trace, while the numbers that are taken from two different traces
    may well be the same, as that of a check that fails for none.
    """
    digests: dict[tuple[str, int], dict[int, str]] = {}
    for manifest in manifests:
        place: Counter[tuple[str, str]] = Counter()
        for item in manifest.iterations:
            key = (item.scenario, item.boot)
            if item.seed is not None and item.trace_digest is not None:
                digests.setdefault((item.scenario, place[key]), {}).setdefault(item.seed, item.trace_digest)
            place[key] += 1
    return {scenario for (scenario, _), of in digests.items() if len(set(of.values())) > 1}


def pair_boots(baseline: Seeds, candidate: Seeds) -> list[tuple[str, str]]:
    """The partners, ascending by seed; empty where boots are not to be compared in pairs.

    Two boots are partners if they share a seed and neither shares one with any other boot of either side. There are
    pairs where at least half of the boots of the larger side have a partner.
    """
    owners: list[dict[int, list[str]]] = [{}, {}]
    for side, owner in zip((baseline, candidate), owners, strict=True):
        for boot, seeds in side.items():
            for seed in seeds:
                owner.setdefault(seed, []).append(boot)
    if any(len(boots) > 1 for owner in owners for boots in owner.values()):
        return []
    partners: dict[str, set[str]] = {}
    others: dict[str, set[str]] = {}
    first: dict[str, int] = {}
    for seed in sorted(owners[0].keys() & owners[1].keys()):
        one, other = owners[0][seed][0], owners[1][seed][0]
        partners.setdefault(one, set()).add(other)
        others.setdefault(other, set()).add(one)
        first.setdefault(one, seed)
    if any(len(found) > 1 for found in (*partners.values(), *others.values())):
        return []
    pairs = [(one, next(iter(partners[one]))) for one in sorted(partners, key=first.__getitem__)]
    enough = len(pairs) >= 2 and 2 * len(pairs) >= max(len(baseline), len(candidate))
    return pairs if enough else []
