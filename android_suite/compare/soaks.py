"""Two soaks -> the rates of both, with intervals. The unit is the segment, that is the boot.

A soak on one device without a restart is one observation, however many hours it has: what differs between boots (where
memory lies, which apps run) is the same in all of its minutes. So there is no interval below two segments a side.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from android_suite.errors import NotComparable
from android_suite.model.soak import SoakComparison, SoakRate, SoakSummary
from android_suite.stats.decision import make_generator
from android_suite.stats.resampling import measure_effect_interval

_SHORTEST_S: Final = 60.0
_NAMES: Final = {
    "madviseCalls": "madvise calls an hour",
    "madviseMmapLockPct": "% of madvise calls that took mmap_lock",
    "madviseMib": "MiB advised an hour",
    "lockWaits": "waits that slept or spun, an hour",
    "lockWaitMs": "ms waited, an hour",
}


def compare_soaks(
    baseline: SoakSummary, candidate: SoakSummary, *, confidence: float = 0.95, seed: int = 1
) -> SoakComparison:
    """Compares the rates of two soaks.

    Raises:
        NotComparable: they are of different devices.
    """
    one, other = baseline.device, candidate.device
    if (one.model, one.cpus, one.virtual) != (other.model, other.cpus, other.virtual):
        raise NotComparable(
            f"the soaks are of different devices ({one.model}, {one.cpus} CPUs, and {other.model}, {other.cpus} CPUs); "
            "compare soaks of one device."
        )
    sides = [[each for each in side.segments if each.seconds >= _SHORTEST_S] for side in (baseline, candidate)]
    rates = []
    for name, said in _NAMES.items():
        values = [
            [np.array([rate]) for each in side if (rate := each.per_hour.get(name)) is not None] for side in sides
        ]
        if not all(values):
            rates.append(_rate(name, None, None, None, None, f"{said}: not counted by both"))
            continue
        levels = [float(np.mean([boot[0] for boot in side])) for side in values]
        interval = None
        if min(map(len, values)) >= 2:
            low, high = measure_effect_interval(
                values[0], values[1], paired=False, confidence=confidence, rng=make_generator(seed, name)
            )
            interval = (low, high)
        rates.append(_rate(name, levels[0], levels[1], levels[1] - levels[0], interval, said))
    counts = (len(sides[0]), len(sides[1]))
    notes = []
    if min(counts) < 2:
        notes.append(
            f"{counts[0]} and {counts[1]} segments of a minute or more: below two a side nothing is known about the "
            "spread between boots, so there is no interval. Restart the device now and then during a soak."
        )
    if one.serial != other.serial:
        notes.append("the devices have different serials; they are one model, but may differ")
    return SoakComparison(
        baseline=baseline.label,
        candidate=candidate.label,
        confidence=confidence,
        segments=counts,
        rates=tuple(rates),
        notes=tuple(notes),
    )


def _rate(
    name: str,
    baseline: float | None,
    candidate: float | None,
    difference: float | None,
    interval: tuple[float, float] | None,
    said: str,
) -> SoakRate:
    return SoakRate(
        name=name, baseline=baseline, candidate=candidate, difference=difference, interval=interval, said=said
    )
