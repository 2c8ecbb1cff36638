"""Lost events: the marks in the pages, the kernel's counters beside them, and the table made of both."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from android_suite.tables.events import LOST
from android_suite.tables.schema import make_frame
from android_suite.trace.ring.batches import Gap, ScanSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuStats:
    """``per_cpu/cpuN/stats`` at the end of a capture: what the kernel counted itself."""

    overrun: int = 0
    commit_overrun: int = 0
    dropped_events: int = 0


def parse_cpu_stats(text: str) -> CpuStats:
    """Parses a stats file; a counter that is not there counts 0."""
    found = {m[1]: int(m[2]) for m in re.finditer(r"^([a-z ]+):\s*(\d{1,18})\s*$", text[:65536], re.MULTILINE)}
    return CpuStats(
        overrun=found.get("overrun", 0),
        commit_overrun=found.get("commit overrun", 0),
        dropped_events=found.get("dropped events", 0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LostEvents:
    """The LOST table and the total; ``total`` is a lower bound if ``unknown`` is true."""

    table: pd.DataFrame
    total: int
    unknown: bool


def summarize_lost(summary: ScanSummary, stream_cpus: Sequence[int], stats: Mapping[int, CpuStats]) -> LostEvents:
    """Joins the gaps that pages mark with the counters of ``stats`` (CPU to counters).

    Overwritten events stand in both; what the counters have above the marks was lost at an unknown place, and
    becomes a gap over the whole trace of that CPU. So does the rest of a stream whose last page was cut.
    """
    start, end = summary.first_ns or 0, summary.last_ns or 0
    gaps = list(summary.gaps)
    gaps.extend(Gap(stream=s, from_ns=summary.stream_end_ns.get(s), to_ns=None, events=-1) for s in summary.cut_bytes)
    rows = [
        (
            stream_cpus[g.stream],
            start if g.from_ns is None else g.from_ns,
            end if g.to_ns is None else g.to_ns,
            g.events,
        )
        for g in gaps
    ]
    for cpu, stat in sorted(stats.items()):
        marked = sum(g.events for g in gaps if stream_cpus[g.stream] == cpu and g.events > 0)
        overwritten = max(0, stat.overrun - marked)
        # A mark without a count explains overwritten events, whose number only the counter knows. Events that were never
        # written (commit overruns, dropped ones) leave no mark: they are missing anywhere.
        uncounted = [i for i, g in enumerate(summary.gaps) if stream_cpus[g.stream] == cpu and g.events == -1]
        unplaced = stat.commit_overrun + stat.dropped_events
        if overwritten and len(uncounted) == 1:
            rows[uncounted[0]] = (*rows[uncounted[0]][:3], overwritten)
        else:
            unplaced += overwritten
        if unplaced:
            rows.append((cpu, start, end, unplaced))
    rows.sort()
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    table = make_frame(
        LOST,
        {c.name: np.array(values, c.dtype) for c, values in zip(LOST.columns, columns, strict=True)},
    )
    known = [events for *_, events in rows]
    return LostEvents(table=table, total=sum(max(1, n) for n in known), unknown=any(n < 0 for n in known))
