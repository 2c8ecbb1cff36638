"""Summarizes the tables of an analysis as an ``android-suite/analysis`` object. Counts are Python integers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from android_suite.analysis.blame_summary import summarize_blame, summarize_other_waits, summarize_releases
from android_suite.analysis.doubts import doubt_inversions, doubt_vma_waits, say_unexplained
from android_suite.analysis.late_frames import list_late_frames
from android_suite.analysis.metrics.frames import frames_of_app, least_overrun, most_hidden, sees_frames
from android_suite.analysis.metrics.listing import list_metrics
from android_suite.analysis.names import Threads, of_process
from android_suite.analysis.pipeline import Analysis
from android_suite.analysis.sched_summary import summarize_scheduling
from android_suite.model.analysis import (
    AnalysisSummary,
    BlockerSummary,
    ChainSummary,
    FrameSummary,
    GcSummary,
    Intruder,
    InversionSummary,
    LaunchSummary,
    LockSummary,
    MadviseSummary,
    Percentiles,
    RankedThread,
    SourceSummary,
    StateSegment,
    StateTimes,
    ThreadSummary,
)
from android_suite.model.document import to_plain
from android_suite.tables.derived import (
    INVERSION_KINDS,
    LOCKS,
    PATHS,
    QUALITIES,
    REASONS,
    SPLIT_CAUSES,
    STATES,
    UNKNOWN,
    VMA_EVIDENCE,
    WAIT_PARTS,
)

_MOST_CHAINS = 50
_MOST_PAIRS = 100
_DRAWN_CHAINS = 12  # chains with the holder's states piece by piece, for a picture
_PERCENTILES = (50, 90, 95, 99)


def summarize(analysis: Analysis) -> AnalysisSummary:
    """The summary of an analysis, for readers, reports and comparisons."""
    source = analysis.source
    return AnalysisSummary(
        source=SourceSummary(
            format=source.format,
            events=source.events,
            lost_events=source.lost_events,
            duration_ns=source.duration_ns,
            kernel=source.kernel,
            clock=source.clock,
            cpus=source.cpus,
            blind_ns=analysis.blind_ns,
            recorded=tuple(sorted(analysis.recorded)),
            process=analysis.process,
            notes=tuple(analysis.notes),
        ),
        madvise=tuple(_madvise(analysis)),
        locks=(*_mmap_locks(analysis), *_vma_locks(analysis)),
        blockers=tuple(_blockers(analysis)),
        blame=tuple(summarize_blame(analysis)),
        contended_releases=summarize_releases(analysis),
        other_waits=tuple(summarize_other_waits(analysis)),
        inversions=_inversions(analysis),
        frames=_frames(analysis),
        launches=tuple(_launches(analysis)),
        gc=tuple(_gc(analysis)),
        scheduling=summarize_scheduling(analysis),
        checks=analysis.checks,
        metrics=tuple(list_metrics(analysis)),
    )


def summarize_analysis(analysis: Analysis) -> dict[str, Any]:
    """The summary as JSON values, as `analyze --json` prints it."""
    plain: dict[str, Any] = to_plain(summarize(analysis))
    return plain


def _groups(table: pd.DataFrame, by: str | list[str]) -> Iterator[tuple[Any, pd.DataFrame]]:
    yield from table.groupby(by)


def _madvise(analysis: Analysis) -> list[MadviseSummary]:
    who, rows = Threads.of(analysis), []
    table = of_process(analysis, analysis["madvise"])
    if analysis.process is not None:
        table = pd.concat([table, _remote_calls(analysis)], ignore_index=True)
    for tid, calls in _groups(table, "tid"):
        path = np.bincount(calls["path"], minlength=len(PATHS))
        reason = np.bincount(calls["reason"], minlength=len(REASONS))
        rows.append(
            MadviseSummary(
                **who.describe(int(tid)),
                calls=len(calls),
                **{name: int(path[i]) for i, name in enumerate(PATHS)},
                bytes=int(calls["bytes"].sum()),
                lock_wait_ns=int(calls["lock_wait_ns"].sum()),
                reasons={name: int(reason[i]) for i, name in enumerate(REASONS) if name and reason[i]},
            )
        )
    return sorted(rows, key=lambda row: -(row.calls or 0))


def _remote_calls(analysis: Analysis) -> pd.DataFrame:
    """process_madvise calls of other processes that took the lock of the app's address space."""
    calls = analysis["syscall_calls"]
    own = of_process(analysis, calls)
    mms = own.loc[own["lock_mm"] != 0, "lock_mm"].unique()
    table = analysis["madvise"]
    table = table[table["remote_call"] & ~table.index.isin(of_process(analysis, table).index)]
    return table[calls["lock_mm"].reindex(table["call"]).isin(mms).to_numpy()]


def _mmap_locks(analysis: Analysis) -> list[LockSummary]:
    """One row per thread and mode. A downgraded hold counts in both modes, each for its own time."""
    waits = of_process(analysis, analysis["lock_waits"])
    holds = of_process(analysis, analysis["lock_holds"])
    trusted = waits[waits["quality"] != UNKNOWN]
    length = (trusted["end_ns"] - trusted["start_ns"]).rename("ns")
    wait = length.groupby([trusted["tid"], trusted["write"]]).agg(["size", "sum", "max"])
    hold = _hold_times(holds[holds["quality"] != UNKNOWN])
    split = {key: _wait_split(own) for key, own in _groups(trusted, ["tid", "write"])}
    doubt = waits["quality"].groupby([waits["tid"], waits["write"]]).max()
    unsure = holds["how"].eq(2).groupby([holds["tid"], holds["write"]]).any()
    who, rows = Threads.of(analysis), []
    for key in sorted({*wait.index, *hold.index}):
        tid, write = int(key[0]), bool(key[1])
        count, total, longest = (int(v) for v in wait.loc[key]) if key in wait.index else (0, 0, 0)
        holds_of, held, held_longest = (int(v) for v in hold.loc[key]) if key in hold.index else (0, 0, 0)
        exact = not analysis.blind_ns and not int(doubt.get(key, 0)) and not bool(unsure.get(key, False))
        rows.append(
            LockSummary(
                **who.describe(tid),
                mode="write" if write else "read",
                waits=count,
                wait_total_ns=total,
                wait_max_ns=longest,
                wait_split_ns=split.get(key) or _wait_split(trusted[:0]),
                holds=holds_of,
                hold_total_ns=held,
                hold_max_ns=held_longest,
                quality=QUALITIES[0 if exact else 1],
            )
        )
    return sorted(rows, key=lambda row: -(row.wait_total_ns or 0))


def _wait_split(waits: pd.DataFrame) -> dict[str, int]:
    """What waits for mmap_lock consist of, in ns; time without a known state is ``unknown``."""
    told = {part: int(waits[f"{part}_ns"].sum()) for part in WAIT_PARTS}
    return {**told, "unknown": int((waits["end_ns"] - waits["start_ns"]).sum()) - sum(told.values())}


def _vma_locks(analysis: Analysis) -> list[LockSummary]:
    """One row per thread that waited for a VMA's readers. Its holds are in mmap_lock's row; those of VMAs do not show.

    ``evidence`` has a count ``unknown``: sleeps inside a write hold that may have been such waits. They are in no total.
    """
    waits = of_process(analysis, analysis["vma_waits"])
    waits = waits.assign(ns=waits["end_ns"] - waits["start_ns"])
    exact = not doubt_vma_waits(analysis)
    who, rows = Threads.of(analysis), []
    for tid, own in _groups(waits, "tid"):
        known = own[own["quality"] != UNKNOWN]
        rows.append(
            LockSummary(
                lock="vma_lock",
                **who.describe(int(tid)),
                mode="write",
                waits=len(known),
                wait_total_ns=int(known["ns"].sum()),
                wait_max_ns=int(known["ns"].max()) if len(known) else 0,
                runnable_after_ns=int(known["runnable_ns"].sum()),
                runnable_after_max_ns=int(known["runnable_ns"].max()) if len(known) else 0,
                evidence={name: int((own["evidence"] == i).sum()) for i, name in enumerate(VMA_EVIDENCE)},
                quality=QUALITIES[0 if exact and len(known) == len(own) else 1],
            )
        )
    return sorted(rows, key=lambda row: -(row.wait_total_ns or 0))


def _blockers(analysis: Analysis) -> list[BlockerSummary]:
    """Who waited for whom: one row per waiter, holder, their locks, what the holder did, and kind; longest total first.

    Where several threads held at once, the time counts in the row of each.
    """
    names = ["lock", "waiter_tid", "holder_lock", "holder_tid", "operation", "kind"]
    table = of_process(analysis, analysis["lock_blockers"], "waiter_tid")
    table = table.assign(kind=(table["via"] >= 0).astype(np.int8), ns=table["end_ns"] - table["start_ns"])
    each = table.groupby([*names, "wait"], sort=False)["ns"].sum()  # a wait may have several stretches
    total = each.groupby(names).agg(["size", "sum", "max"]).sort_values("sum", ascending=False, kind="stable")
    turned = of_process(analysis, analysis["inversions"], "waiter_tid")
    inverted = (turned["end_ns"] - turned["start_ns"]).groupby([turned[name] for name in names]).sum()
    known, who = {"sched", "mmap_lock"} <= analysis.recorded, Threads.of(analysis)
    rows = []
    for key, (count, ns, longest) in zip(total.index, total.to_numpy().tolist(), strict=True):
        lock, waiter, holder_lock, holder, operation, kind = key
        rows.append(
            BlockerSummary(
                lock=LOCKS[lock],
                holder_lock=LOCKS[holder_lock],
                waiter=ThreadSummary(**who.describe(int(waiter))),
                holder=ThreadSummary(**who.describe(int(holder))),
                operation=operation,
                kind=INVERSION_KINDS[kind],
                waits=count,
                total_ns=ns,
                longest_ns=longest,
                inverted_ns=int(inverted.get(key, 0)) if known else None,
            )
        )
        if len(rows) == _MOST_PAIRS:
            break
    return rows


def _hold_times(holds: pd.DataFrame) -> pd.DataFrame:
    cut = holds["downgrade_ns"] >= 0
    until = holds["end_ns"].where(~cut, holds["downgrade_ns"])
    first = pd.DataFrame({"tid": holds["tid"], "write": holds["write"], "ns": until - holds["start_ns"]})
    rest = holds[cut]
    second = pd.DataFrame({"tid": rest["tid"], "write": False, "ns": rest["end_ns"] - rest["downgrade_ns"]})
    return pd.concat([first, second]).groupby(["tid", "write"])["ns"].agg(["size", "sum", "max"])


def _inversions(analysis: Analysis) -> InversionSummary:
    if not {"sched", "mmap_lock"} <= analysis.recorded:
        return InversionSummary()
    table = of_process(analysis, analysis["inversions"], "waiter_tid")
    length = table["end_ns"] - table["start_ns"]
    longest = length.sort_values(ascending=False, kind="stable").index[:_MOST_CHAINS]
    return InversionSummary(
        count=len(table),
        total_ns=int(length.sum()),
        longest_ns=int(length.max()) if len(table) else 0,
        **{kind: int((table["kind"] == i).sum()) for i, kind in enumerate(INVERSION_KINDS)},
        by_lock_ns={name: int(length[table["lock"] == i].sum()) for i, name in enumerate(LOCKS)},
        state_ns=StateTimes(**{s: int(table[f"{s}_ns"].sum()) for s in ("running", "runnable", "blocked")}),
        quality=QUALITIES[1 if doubt_inversions(analysis) else 0],
        chains=tuple(_chain(analysis, int(i), drawn=n < _DRAWN_CHAINS) for n, i in enumerate(longest)),
    )


def _chain(analysis: Analysis, row: int, *, drawn: bool) -> ChainSummary:
    one: Any = analysis["inversions"].loc[row]
    who = Threads.of(analysis)

    def thread(tid: int, prio: int | None = None) -> RankedThread:
        return RankedThread(**who.describe(tid), prio=prio)

    intruders = analysis["intruders"]
    ran = intruders[intruders["inversion"] == row]
    start, end = int(one["start_ns"]), int(one["end_ns"])
    return ChainSummary(
        lock=LOCKS[one["lock"]],
        start_ns=start,
        duration_ns=end - start,
        kind=INVERSION_KINDS[one["kind"]],
        waiter=thread(int(one["waiter_tid"]), int(one["waiter_prio"])),
        waiter_mode="write" if one["waiter_write"] else "read",
        via=thread(int(one["via_tid"])) if one["via_tid"] >= 0 else None,
        holder=thread(int(one["holder_tid"]), int(one["holder_prio"])),
        holder_lock=LOCKS[one["holder_lock"]],
        holder_mode="write" if one["holder_write"] else "read",
        holder_operation=str(one["operation"]),
        holder_state_ns=StateTimes(**{s: int(one[f"{s}_ns"]) for s in ("running", "runnable", "blocked")}),
        holders=int(one["holders"]),
        quality=QUALITIES[one["quality"]],
        intruders=tuple(
            Intruder(**who.describe(tid), ran_ns=ns)
            for tid, ns in zip(ran["tid"].tolist(), ran["ran_ns"].tolist(), strict=True)
        ),
        holder_segments=tuple(_holder_segments(analysis, int(one["holder_tid"]), start, end)) if drawn else None,
    )


def _holder_segments(analysis: Analysis, tid: int, start: int, end: int) -> list[StateSegment]:
    line = analysis.timeline
    k = int(line.index.number(np.array([tid], np.int32))[0])
    own = slice(int(line.starts[k]), int(line.starts[k + 1]))
    begin, stop, state = line.start_ns[own], line.end_ns[own], line.state[own]
    first, last = np.searchsorted(stop, start, side="right"), np.searchsorted(begin, end)
    return [
        StateSegment(
            start_ns=max(int(begin[i]), start),
            duration_ns=min(int(stop[i]), end) - max(int(begin[i]), start),
            state=STATES[state[i]] if state[i] < 2 else "blocked",
        )
        for i in range(first, min(last, first + 400))
    ]


def _frames(analysis: Analysis) -> FrameSummary:
    table = frames_of_app(analysis)
    known = table[table["quality"] != UNKNOWN]
    if not len(table):
        return FrameSummary(count=0 if sees_frames(analysis) else None)
    overrun = known["overrun_ns"].to_numpy() / 1e6
    late = known[known["late"]]
    percentiles = {f"p{p}": least_overrun(table, p, most_hidden(analysis, table)) for p in _PERCENTILES}
    return FrameSummary(
        count=len(table),
        janky=int(known["janky"].sum()) if len(known) else None,
        late=len(late) if len(known) else None,
        overrun_ms=Percentiles(**percentiles),
        janky_from_inversion=None if say_unexplained(analysis, table) else int(known["from_inversion"].sum()),
        source=str(table["source"].iloc[0]),
        worst_ms=float(overrun.max()) if len(known) else None,
        late_time_ns={side: {c: int(late[f"{side}_{c}_ns"].sum()) for c in SPLIT_CAUSES} for side in ("ui", "render")},
        worst=tuple(list_late_frames(analysis)),
    )


def _launches(analysis: Analysis) -> list[LaunchSummary]:
    return [
        LaunchSummary(
            component=row["component"] or None,
            asked=row["asked"] or None,
            got=row["got"] or None,
            initial_display_ms=_number(row["initial_display_ms"]),
            full_display_ms=_number(row["full_display_ms"]),
            outcome=row["outcome"],
            limit_ms=_number(row["limit_ms"]),
            source=row["source"],
            quality=QUALITIES[row["quality"]],
            discarded=row["discarded"] or None,
            ui_ns={c: int(row[f"ui_{c}_ns"]) for c in SPLIT_CAUSES} if row["start_ns"] >= 0 else None,
            gc_ns=int(row["gc_ns"]) if row["start_ns"] >= 0 else None,
            inverted_ns=int(row["inverted_ns"]) if row["start_ns"] >= 0 else None,
        )
        for row in analysis["launches"].to_dict("records")
    ]


def _gc(analysis: Analysis) -> list[GcSummary]:
    """One row per process, collector and cause."""
    who, rows = Threads.of(analysis), []
    table = of_process(analysis, analysis["gc_cycles"])
    table = table.assign(ns=table["end_ns"] - table["start_ns"])
    for (tid, collector, cause), group in _groups(table, ["tid", "collector", "cause"]):
        whole = group[group["quality"] == 0]
        sums = ("running_ns", "runnable_ns", "lock_wait_ns", "madvise_calls", "madvise_bytes")
        rows.append(
            GcSummary(
                **who.describe(int(tid)),
                collector=collector,
                cause=cause or None,
                cycles=len(group),
                duration_total_ns=int(group["ns"].sum()),
                duration_median_ns=int(whole["ns"].median()) if len(whole) else None,
                **{name: int(group[name].sum()) for name in sums},
            )
        )
    return rows


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
