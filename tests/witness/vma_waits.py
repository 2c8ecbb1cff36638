"""Waits for a VMA found by thread states, against a kprobe on ``__vma_start_write`` that was set in the same run."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from android_suite.analysis.pipeline import analyze_trace
from android_suite.tables import events
from android_suite.tables.derived import VMA_EVIDENCE
from android_suite.tables.trace import Trace

_ENTER = events.VMA_START_WRITE_KINDS.index("enter")
_WAKING = events.WAKE_KINDS.index("sched_waking")
_BLOCKED = events.TASK_STATES.index("D")
# What tells the analysis that a sleep was for a VMA, or what else it was for; without them it has states alone.
_TOLD = ("vma_start_write", "blocked_reason", "contention")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Both sides of one trace, wait by wait.

    Attributes:
        states: the suite's waits by states alone: tid, start_ns, end_ns (the waking), runnable_ns.
        blocked: the probe's: tid, enter_ns, start_ns (switched out), woken_ns, ran_ns (on a CPU again), all inside
            the function; ``state`` is the row of ``states`` of that thread that begins there, -1 none.
    """

    states: pd.DataFrame
    blocked: pd.DataFrame

    @property
    def asleep(self) -> pd.DataFrame:
        """Waits of the probe that were asleep when they were woken.

        On several CPUs a reader may leave between the writer's decision to sleep and its switch-out: it was woken
        before it slept, and what it then waits for is a CPU.
        """
        return self.blocked[self.blocked["woken_ns"] > self.blocked["start_ns"]]

    @property
    def unlike(self) -> pd.DataFrame:
        """Those of the probe that were asleep and are not, to the nanosecond, among the suite's."""
        rows = self.asleep
        seen = rows["state"].to_numpy() >= 0
        told = self.states.iloc[np.maximum(rows["state"].to_numpy(), 0)] if len(self.states) else None
        if told is not None:
            seen &= told["end_ns"].to_numpy() == rows["woken_ns"].to_numpy()
            seen &= (told["end_ns"] + told["runnable_ns"]).to_numpy() == rows["ran_ns"].to_numpy()
        return rows[~seen]

    @property
    def beside(self) -> pd.DataFrame:
        """Waits by states that are none of the probe's."""
        return self.states.drop(self.states.index[self.blocked.loc[self.blocked["state"] >= 0, "state"]])

    def describe(self) -> str:
        """Counts and sums of both sides, in a line."""
        slept = self.states["end_ns"] - self.states["start_ns"]
        told = self.asleep["woken_ns"] - self.asleep["start_ns"]
        return (
            f"states: {len(slept)} waits, {slept.sum()} ns asleep; probe: {len(self.blocked)} waits, {len(told)} asleep for "
            f"{told.sum()} ns, {len(self.blocked) - len(told)} woken before they slept; "
            f"{len(self.unlike)} unlike, {len(self.beside)} beside"
        )


def compare_vma_waits(trace: Trace, process: str) -> Compared:
    """Finds the waits of a trace both ways."""
    hidden = {name: trace[name].iloc[:0] for name in _TOLD}
    waits = analyze_trace(replace(trace, tables={**trace.tables, **hidden}), process=process)["vma_waits"]
    states = waits[waits["evidence"] == VMA_EVIDENCE.index("inferred")].reset_index(drop=True)
    blocked = find_blocked(trace)
    row = pd.Series(np.arange(len(states)), index=pd.MultiIndex.from_frame(states[["tid", "start_ns"]]))
    found = row.reindex(pd.MultiIndex.from_frame(blocked[["tid", "start_ns"]])).fillna(-1).to_numpy(np.int64)
    return Compared(states=states, blocked=blocked.assign(state=found))


def find_blocked(trace: Trace) -> pd.DataFrame:
    """Every time a thread left the CPU in state D between the probe's entry and its return, until it ran again."""
    probes, switches = trace["vma_start_write"].sort_values("seq"), trace["sched_switch"].sort_values("seq")
    out = switches.loc[switches["prev_state"] == _BLOCKED, ["seq", "ts_ns", "prev_tid"]]
    out = out.rename(columns={"prev_tid": "tid", "ts_ns": "start_ns"})
    entries = probes.rename(columns={"ts_ns": "enter_ns"})[["seq", "tid", "kind", "enter_ns"]]
    inside = pd.merge_asof(out, entries, on="seq", by="tid")
    inside = inside[inside["kind"] == _ENTER]
    again = switches[["seq", "ts_ns", "next_tid"]].rename(columns={"next_tid": "tid", "ts_ns": "ran_ns"})
    found = pd.merge_asof(inside, again, on="seq", by="tid", direction="forward", allow_exact_matches=False)
    found = found[found["ran_ns"].notna()]  # not that of a thread that the trace's end found asleep
    found = found.astype({"enter_ns": "int64", "ran_ns": "int64"}).sort_values("ran_ns", kind="stable")
    wakes = trace["sched_wake"].sort_values("ts_ns", kind="stable")
    wakes = wakes.loc[wakes["kind"] == _WAKING, ["ts_ns", "target_tid"]]
    wakes = wakes.rename(columns={"ts_ns": "woken_ns", "target_tid": "tid"})
    found = pd.merge_asof(found, wakes, left_on="ran_ns", right_on="woken_ns", by="tid")
    return found[["tid", "enter_ns", "start_ns", "woken_ns", "ran_ns"]]
