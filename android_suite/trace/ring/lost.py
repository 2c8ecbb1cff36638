"""Builds the table of lost events from the marks in the pages and the kernel's counters."""

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
    """The kernel's own counters at the end of a capture, from ``per_cpu/cpuN/stats``."""

    overrun: int = 0
    commit_overrun: int = 0
    dropped_events: int = 0


def parse_cpu_stats(text: str) -> CpuStats:
    """Parses a stats file; a missing counter is 0."""
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
    """Joins the gaps that pages mark with the counters of ``stats`` (counters by CPU).

    Overwritten events are in both. Events that the counters have beyond the marks were lost at an unknown place and become
    a gap over the whole trace of that CPU. After the last page of a stream, if it was cut, a gap reaches to the trace's end.
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
        # A mark without a count explains overwritten events, whose number only the counter has. Events that were never
        # written (commit overruns, dropped events) leave no mark, so their place is unknown.
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
