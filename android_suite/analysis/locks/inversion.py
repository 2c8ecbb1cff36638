"""Finds priority inversion on mmap_lock and VMA locks: who waited behind a weaker thread, and what that thread did.

Where several weaker threads stand in front of a wait at once, the interval counts once, and the thread that releases
last is blamed: without the others the wait would have been as long. In a chain across both locks, the weakest link is
blamed. A writer that waits in front of a reader links a chain (``via``) and is never blamed, because it holds nothing.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from android_suite.analysis.ids import TidIndex, group_order
from android_suite.analysis.jit import Bools, frozen
from android_suite.analysis.locks import inversion_scan as scan
from android_suite.analysis.locks.standoffs import Standoffs
from android_suite.analysis.sched import Timeline
from android_suite.tables.derived import EXACT, INTRUDERS, INVERSIONS, LOWER_BOUND, RUNNABLE, RUNNING
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import Trace

I64 = NDArray[np.int64]


def measure_inversions(
    trace: Trace, timeline: Timeline, standoffs: Standoffs
) -> tuple[pd.DataFrame, pd.DataFrame, I64]:
    """Finds every inverted interval and blames it.

    Args:
        trace: for the operations, and sched_switch for the intruders.
        timeline: states and priorities over time.
        standoffs: waits, holds, and who stood in front of whom, on both locks.

    Returns:
        Frames of INVERSIONS (by wait and time) and INTRUDERS (by inversion, longest first), and the threads of which
        some wait could not be judged, because a priority was not known while somebody stood in front.
    """
    segments = standoffs.segments
    if not len(segments):
        return make_frame(INVERSIONS), make_frame(INTRUDERS), np.empty(0, np.int64)
    rows = scan.States(timeline.starts, timeline.start_ns, timeline.end_ns, timeline.state, timeline.cpu, timeline.prio)
    waiter, holder = standoffs.wait_tid[segments[:, 0]], standoffs.hold_tid[segments[:, 1]]
    numbers = timeline.index.number(waiter), timeline.index.number(holder)
    pieces, blind = scan.cut_by_priority(rows, scan.Segments(frozen(segments[:, 2]), frozen(segments[:, 3]), *numbers))
    unjudged = np.unique(waiter[blind > 0]).astype(np.int64)
    if not len(pieces):
        return make_frame(INVERSIONS), make_frame(INTRUDERS), unjudged
    order = np.lexsort((pieces[:, scan.START], segments[pieces[:, scan.SEGMENT], 0]))
    pieces = pieces[order]
    on = segments[pieces[:, scan.SEGMENT]]
    pieces, _ = scan.choose_blamed(
        frozen(pieces), frozen(on[:, 0]), frozen(on[:, 1]), frozen(standoffs.hold_end_ns), frozen(standoffs.hold_tid)
    )
    blind_waits = np.unique(segments[blind > 0, 0])
    return *_assemble(trace, standoffs, pieces, segments[pieces[:, scan.SEGMENT]], blind_waits), unjudged


def _assemble(
    trace: Trace, standoffs: Standoffs, pieces: I64, on: I64, blind_waits: I64
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Joins consecutive pieces of the same wait, hold and kind into inversions."""
    wait, hold, via = on[:, 0], on[:, 1], on[:, 4]
    chained = via >= 0
    new = np.ones(len(pieces), np.bool_)
    new[1:] = (
        (wait[1:] != wait[:-1]) | (hold[1:] != hold[:-1]) | (chained[1:] != chained[:-1])
        | (pieces[1:, scan.START] != pieces[:-1, scan.END])
    )  # fmt: skip
    number = np.cumsum(new) - 1
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(pieces)) - 1
    length = pieces[:, scan.END] - pieces[:, scan.START]
    state = pieces[:, scan.STATE]
    ran, ready = (np.bincount(number, weights=np.where(state == s, length, 0)) for s in (RUNNING, RUNNABLE))
    total = np.bincount(number, weights=length)
    w, h, start = wait[first], hold[first], pieces[first, scan.START]
    (lock, wait_row), (holder_lock, hold_row) = standoffs.locate_waits(w), standoffs.locate_holds(h)
    cpus, hidden = _hidden_cpus(trace, pieces)
    partial = np.bincount(number, weights=hidden) > 0
    partial |= (standoffs.wait_quality[w] != EXACT) | np.isin(w, blind_waits)
    via_tid = np.where(chained[first], standoffs.wait_tid[np.maximum(via[first], 0)], -1)
    frame = make_frame(
        INVERSIONS,
        {
            "start_ns": start, "end_ns": pieces[last, scan.END], "lock": lock, "kind": chained[first].astype(np.int8),
            "wait": wait_row, "holder_lock": holder_lock, "hold": hold_row, "mm": standoffs.wait_mm[w],
            "waiter_tid": standoffs.wait_tid[w], "waiter_prio": pieces[first, scan.WAITER_PRIO],
            "waiter_write": standoffs.wait_write[w], "via_tid": via_tid, "holder_tid": standoffs.hold_tid[h],
            "holder_prio": pieces[first, scan.HOLDER_PRIO], "holder_write": standoffs.writes_at(h, start),
            "operation": standoffs.name_operations(trace, h),
            "running_ns": ran.astype(np.int64), "runnable_ns": ready.astype(np.int64),
            "blocked_ns": (total - ran - ready).astype(np.int64),
            "holders": np.maximum.reduceat(pieces[:, scan.COUNT], first).astype(np.int32),
            "quality": np.where(partial, LOWER_BOUND, EXACT).astype(np.int8),
        },
    )  # fmt: skip
    return frame, _intruders(trace, cpus, frame, pieces, number)


def _hidden_cpus(trace: Trace, pieces: I64) -> tuple[TidIndex, Bools]:
    """The CPUs with switches, and per piece whether the holder was runnable while the trace hides who ran instead."""
    switches = trace["sched_switch"]
    cpus = TidIndex.of([switches["cpu"].to_numpy()])
    hidden = cpus.number(pieces[:, scan.CPU]) < 0
    # Perfetto's compact form does not name the thread that ran before the first switch of a CPU.
    untold = switches.loc[switches["prev_tid"] < 0, ["cpu", "ts_ns"]].drop_duplicates("cpu").set_index("cpu")["ts_ns"]
    hidden |= pieces[:, scan.START] < untold.reindex(pieces[:, scan.CPU], fill_value=-1).to_numpy()
    return cpus, hidden & (pieces[:, scan.STATE] == RUNNABLE)


def _intruders(trace: Trace, cpus: TidIndex, inversions: pd.DataFrame, pieces: I64, number: I64) -> pd.DataFrame:
    ready = np.flatnonzero(pieces[:, scan.STATE] == RUNNABLE)
    switches = trace["sched_switch"]
    order, starts = group_order(cpus.number(switches["cpu"].to_numpy()), len(cpus))
    of = number[ready]
    ts, prev, following = (frozen(switches[c].to_numpy()) for c in ("ts_ns", "prev_tid", "next_tid"))
    runs = scan.Runs(order, starts, ts, prev, following, trace.source.start_ns, trace.source.end_ns)
    waiter, holder = (frozen(inversions[c].to_numpy()[of]) for c in ("waiter_tid", "holder_tid"))
    begin, end = (frozen(pieces[ready, column]) for column in (scan.START, scan.END))
    cpu = frozen(cpus.number(pieces[ready, scan.CPU]).astype(np.int64))
    intervals = scan.Intervals(begin, end, cpu, waiter, holder)
    found = scan.find_intruders(runs, intervals)
    rows = pd.DataFrame({"inversion": of[found[:, 0]], "tid": found[:, 1], "ran_ns": found[:, 2]})
    rows = rows.groupby(["inversion", "tid"], as_index=False).sum()
    rows = rows.sort_values(["inversion", "ran_ns", "tid"], ascending=[True, False, True], kind="stable")
    return make_frame(INTRUDERS, {c: rows[c].to_numpy() for c in INTRUDERS.dtypes})
