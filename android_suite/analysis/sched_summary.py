"""Summarizes scheduling: run time and delays by thread, uninterruptible sleep by thread and caller."""

from __future__ import annotations

from android_suite.analysis.doubts import doubt_blind, say_missing
from android_suite.analysis.names import Threads, of_process
from android_suite.analysis.pipeline import Analysis
from android_suite.model.analysis import SchedulingSummary, SleepSummary, ThreadScheduling
from android_suite.tables.derived import QUALITIES

_MOST = 50


def summarize_scheduling(analysis: Analysis) -> SchedulingSummary:
    """The threads of the app (of all processes if none was requested) with the longest delays, and their sleeps."""
    missing = say_missing(analysis, "sched")
    if missing:
        return SchedulingSummary(reason=". ".join(missing))
    doubts = (*doubt_blind(analysis), *say_missing(analysis, "waking"))
    return SchedulingSummary(
        threads=tuple(_threads(analysis)),
        uninterruptible=tuple(_sleeps(analysis)),
        quality=QUALITIES[1 if doubts else 0],
        reason=". ".join(doubts) or None,
    )


def _threads(analysis: Analysis) -> list[ThreadScheduling]:
    table = of_process(analysis, analysis["scheduling"])
    longest = table.sort_values(["delay_ns", "running_ns"], ascending=False, kind="stable").head(_MOST)
    who = Threads.of(analysis)
    names = ("running_ns", "delays", "delay_ns", "delay_max_ns", "preempted_ns", "uninterruptible_ns")
    return [
        ThreadScheduling(**who.describe(int(row["tid"])), **{name: int(row[name]) for name in names})
        for row in longest.to_dict("records")
    ]


def _sleeps(analysis: Analysis) -> list[SleepSummary]:
    table = of_process(analysis, analysis["uninterruptible_sleeps"])
    caller = table["caller"].str.replace(r"\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?$", "", regex=True)
    length = (table["end_ns"] - table["start_ns"]).rename("ns")
    groups = length.groupby([table["tid"], table["told"], table["io_wait"], caller], sort=False)
    sums = groups.agg(["size", "sum", "max"]).sort_values("sum", ascending=False, kind="stable").head(_MOST)
    who, rows = Threads.of(analysis), []
    for (tid, told, io, name), (count, total, longest) in zip(sums.index, sums.to_numpy().tolist(), strict=True):
        rows.append(
            SleepSummary(
                **who.describe(int(tid)),
                caller=name or None,
                io_wait=bool(io) if told else None,
                sleeps=count,
                total_ns=total,
                longest_ns=longest,
            )
        )
    return rows
