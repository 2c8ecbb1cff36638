"""Batches of worlds, whole, cut and with lost events, checked one after the other."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.simulator.check import check_partial, check_whole
from tests.simulator.layout import drop_events, list_events
from tests.simulator.world import END_NS, World, make_world

BATCH = 20


def make_batch(number: int) -> list[World]:
    """Twenty worlds; a whole trace either records every system call or not, so these agree on that."""
    return [make_world(2 * i + number % 2) for i in range(number * BATCH, (number + 1) * BATCH)]


def check_batch(number: int) -> Iterator[str]:
    """Checks a batch in three forms; yields every difference from the truth."""
    worlds, rng = make_batch(number), random.Random(number)
    for problem in check_whole(worlds):
        yield f"whole, {problem}"
    rows = list_events(worlds, apart=False)
    start = rng.randint(0, END_NS // 2)
    stop = start + rng.randint(END_NS // 20, END_NS // 2)
    cut = [r for r in rows if start <= r[0] <= stop]
    if cut:
        for problem in check_partial(worlds, cut, [], (cut[0][0], cut[-1][0]), apart=False):
            yield f"cut {start}..{stop}, {problem}"
    rows = list_events(worlds, apart=True)
    left, gaps = drop_events(rows, rng, rng.randint(1, 3 * BATCH), rng.choice((2_000, 30_000, 200_000)))
    for problem in check_partial(worlds, left, gaps, (left[0][0], left[-1][0]), apart=True):
        yield f"lossy, {problem}"
