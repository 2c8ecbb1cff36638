"""Batches of worlds, whole, cut and with lost events, each through tables and through a file, checked one after the other."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tests.simulator.asked import Asked
from tests.simulator.check import check_whole
from tests.simulator.check_partial import check_partial
from tests.simulator.files import read_through_file
from tests.simulator.layout import Gap, Row, drop_events, drop_heads, list_events, make_trace
from tests.simulator.memory import Patch
from tests.simulator.recording import Recording, draw_recording, keep_recorded
from tests.simulator.world import END_NS, World, make_world

BATCH = 50


def make_batch(number: int, size: int = BATCH) -> list[World]:
    """Worlds of one kernel."""
    rng = random.Random(f"kernel {number}")
    patch = Patch(dontneed=rng.random() < 0.6, free=rng.random() < 0.5)
    return [make_world(i, patch) for i in range(number * size, (number + 1) * size)]


def check_batch(number: int, counts: Counter[str], size: int = BATCH) -> Iterator[str]:
    """Checks a batch in three forms, each twice; yields every difference from the truth.

    Args:
        number: of the batch.
        counts: what is compared, added up; ``FORM whole`` and the like count worlds.
        size: worlds in it.
    """
    worlds, rng, recording = make_batch(number, size), random.Random(number), draw_recording(number)
    rows = keep_recorded(list_events(worlds, apart=False), recording)
    yield from _check(worlds, "whole", rows, [], recording, counts)
    start = rng.randint(0, END_NS // 2)
    stop = start + rng.randint(END_NS // 20, END_NS // 2)
    if cut := [r for r in rows if start <= r[0] <= stop]:
        yield from _check(worlds, "cut", cut, [], recording, counts)
    if recording.loss in ("heads", "late"):
        yield from _check(worlds, "lossy", *drop_heads(rows, rng), recording, counts)
        return
    rows = keep_recorded(list_events(worlds, apart=True), recording)
    tries, span = rng.randint(1, 3 * size), rng.choice((2_000, 30_000, 200_000))
    left, gaps = drop_events(rows, rng, tries, span, ends_told=recording.tells_ends)
    yield from _check(worlds, "lossy", left, gaps, recording, counts, apart=True)


def _check(
    worlds: Sequence[World], what: str, rows: Sequence[Row], gaps: Sequence[Gap], recording: Recording,
    counts: Counter[str], *, apart: bool = False,
) -> Iterator[str]:  # fmt: skip
    tables = replace(recording, format="tables")
    for form, trace in (
        (tables, make_trace(worlds, rows, gaps, all_calls=recording.all_calls)),
        (recording, read_through_file(worlds, rows, gaps, recording, lossy=what == "lossy")),
    ):
        asked = Asked.of(form, rows, counts)
        counts[f"{form.format} {what}"] += len(worlds)
        problems = (
            check_whole(worlds, trace, asked) if what == "whole" else check_partial(worlds, trace, asked, apart=apart)
        )
        for problem in problems:
            yield f"{what}, {form.format}: {problem} [{recording}]"
