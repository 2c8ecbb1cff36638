"""Summarizes who is to blame for waits, what lock:contended_release says of it, and waits for other locks."""

from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd

from android_suite.analysis.names import Threads, of_process
from android_suite.analysis.pipeline import Analysis
from android_suite.model.analysis import BlameLink, BlameSummary, OtherWaitSummary, RankedThread, ReleaseSummary
from android_suite.tables.blame import LINKS
from android_suite.tables.derived import (
    EVIDENCE,
    UNKNOWN,
    WHO_EVIDENCE,
)

_MOST_CHAINS = 100
_SUMS = ("running_ns", "runnable_ns", "blocked_ns", "inverted_ns")


def summarize_blame(analysis: Analysis) -> list[BlameSummary]:
    """One row per waiter and chain of locks and threads; longest total first."""
    blame, links = of_process(analysis, analysis["blame"], "waiter_tid"), analysis["blame_links"]
    if not len(blame):
        return []
    key = ["kind", "name", "holder_tid", "evidence"]
    step = links.groupby(key, sort=False).ngroup().to_numpy()
    path = np.full((len(analysis["blame"]), int(links["position"].max()) + 1), -1, np.int64)
    path[links["blame"].to_numpy(), links["position"].to_numpy()] = step
    steps = pd.DataFrame(path).loc[blame.index]
    chain = steps.assign(waiter=blame["waiter_tid"]).groupby([*steps.columns, "waiter"], sort=False).ngroup()
    length = blame["end_ns"] - blame["start_ns"]
    sums = blame[[*_SUMS]].assign(ns=length, longest=length, n=1, cut=blame["cut"]).groupby(chain)
    rows = sums.agg({**dict.fromkeys((*_SUMS, "ns", "n"), "sum"), "longest": "max", "cut": "any"})
    first = length.groupby(chain).idxmax()  # the longest stretch stands for the chain's priorities
    who, found = Threads.of(analysis), []
    known = "sched" in analysis.recorded
    for number in rows.sort_values("ns", ascending=False, kind="stable").index[:_MOST_CHAINS].tolist():
        row, one = rows.loc[number], blame.loc[first[number]]
        own = links[links["blame"] == first[number]].sort_values("position")
        found.append(
            BlameSummary(
                waiter=RankedThread(**who.describe(int(one["waiter_tid"])), prio=_prio(one["waiter_prio"])),
                links=tuple(_link(who, *each) for each in own[[*key, "holder_prio"]].itertuples(index=False)),
                stretches=int(row["n"]),
                total_ns=int(row["ns"]),
                longest_ns=int(row["longest"]),
                **{name: int(row[name]) if known else None for name in _SUMS},
                evidence=WHO_EVIDENCE[one["evidence"]],
                cut=bool(row["cut"]),
            )
        )
    return found


def _link(who: Threads, kind: int, name: str, holder: int, evidence: int, prio: int) -> BlameLink:
    thread = (
        who.describe(int(holder)) if holder >= 0 else {"process": None, "role": "other", "thread": "?", "tid": None}
    )
    return BlameLink(
        **thread, prio=_prio(prio), kind=LINKS[kind], name=name or None, evidence=WHO_EVIDENCE[evidence]
    )  # fmt: skip


def _prio(value: int) -> int | None:
    return int(value) if value >= 0 else None


def summarize_releases(analysis: Analysis) -> ReleaseSummary | None:
    """Whether lock:contended_release and the holders inferred from mmap_lock events agree; None without that event."""
    if analysis.releases is None:
        return None
    agreed, differed, untold = analysis.releases
    return ReleaseSummary(agreed=agreed, differed=differed, untold=untold)


def summarize_other_waits(analysis: Analysis) -> list[OtherWaitSummary]:
    """One row per thread, lock and evidence; longest total first."""
    table = of_process(analysis, analysis["other_waits"])
    table = table[table["quality"] != UNKNOWN].assign(ns=lambda t: t["end_ns"] - t["start_ns"])
    who, rows = Threads.of(analysis), []
    for key, group in table.groupby(["tid", "kind", "name", "evidence"]):
        tid, kind, name, evidence = cast(tuple[int, str, str, int], key)
        rows.append(
            OtherWaitSummary(
                **who.describe(int(tid)),
                lock=kind,
                name=name or None,
                evidence=EVIDENCE[evidence],
                waits=len(group),
                wait_total_ns=int(group["ns"].sum()),
                wait_max_ns=int(group["ns"].max()),
            )
        )
    return sorted(rows, key=lambda row: -(row.wait_total_ns or 0))
