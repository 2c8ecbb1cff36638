"""Why frames are late and what the UI thread waits for, by cause: what a patch leaves to others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pandas as pd

from android_suite.analysis.intervals import TimeSet
from android_suite.analysis.pipeline import Analysis
from android_suite.tables.derived import MMAP_LOCK, RUNNABLE, RUNNING, SPLIT_CAUSES, UNKNOWN

CAUSES = {
    "running": "running", "runnable": "waiting for the CPU", "mmap_lock": "in mmap_lock", "vma_lock": "in the lock of a VMA",
    "kernel_lock": "in another lock of the kernel", "monitor": "in a Java monitor", "binder": "in binder", "io": "in I/O",
    "sleeping": "asleep", "unknown": "in an unknown state",
}  # fmt: skip

WORK = {"running", "sleeping", "unknown"}  # no waits that something else could end sooner
IN_LATE = "ms of the UI thread a late frame"
IN_TIME_WITHOUT = "late frames in time without their time"
CPU_MEANWHILE = "ms of CPU meanwhile, a late frame"
MOST = 4  # threads and holders shown


@dataclass(slots=True, kw_only=True)
class Left:
    """Sums over runs of one kind.

    Attributes:
        runs: how many.
        frames: drawn.
        late: of them late.
        late_ns: by cause, nanoseconds of the UI thread in late frames.
        spared: by cause, late frames that would have been in time without that time of the UI thread.
        cpu_ns: by thread, nanoseconds that it ran while the UI thread waited for a CPU in a late frame.
        lock_ns: nanoseconds of the whole run that the UI thread waited for a lock, by what the holder did.
        longest_ms: the longest such wait.
    """

    runs: int = 0
    frames: int = 0
    late: int = 0
    late_ns: Counter[str] = field(default_factory=Counter)
    spared: Counter[str] = field(default_factory=Counter)
    cpu_ns: Counter[str] = field(default_factory=Counter)
    lock_ns: Counter[str] = field(default_factory=Counter)
    longest_ms: float = 0.0

    def add(self, other: Left) -> None:
        """Takes the other's runs in."""
        self.runs, self.frames, self.late = self.runs + other.runs, self.frames + other.frames, self.late + other.late
        for name in ("late_ns", "spared", "cpu_ns", "lock_ns"):
            getattr(self, name).update(getattr(other, name))
        self.longest_ms = max(self.longest_ms, other.longest_ms)


def add_run(left: Left, analysis: Analysis, window: tuple[int, int]) -> None:
    """Adds the frames and the waits that begin in the window (ns on the trace clock)."""
    threads = analysis.named("thread_roles")
    mine = threads[threads["process"] == analysis.process]
    ui = mine.loc[mine["role"] == "ui", "tid"]
    frames = analysis["frames"]
    frames = frames[
        (frames["start_ns"] >= window[0]) & (frames["start_ns"] < window[1]) & (frames["quality"] != UNKNOWN)
    ]
    late = frames[frames["late"]]
    left.runs += 1
    left.frames += len(frames)
    left.late += len(late)
    for cause in SPLIT_CAUSES:
        spent = late[f"ui_{cause}_ns"]
        left.late_ns[cause] += int(spent.sum())
        left.spared[cause] += int((spent >= late["overrun_ns"]).sum())
    _add_cpu(left, analysis, late, ui)
    waits = analysis["lock_blockers"]
    waits = waits[waits["waiter_tid"].isin(ui) & (waits["start_ns"] >= window[0]) & (waits["start_ns"] < window[1])]
    comms = dict(zip(threads["tid"], threads["comm"], strict=True))
    for row in waits.to_dict("records"):
        lock = "mmap_lock" if row["lock"] == MMAP_LOCK else "the lock of a VMA"
        waited_ns = int(row["end_ns"] - row["start_ns"])
        left.lock_ns[f"{lock}, behind {row['operation']} of {comms.get(row['holder_tid'], '?')}"] += waited_ns
        left.longest_ms = max(left.longest_ms, waited_ns / 1e6)


def _add_cpu(left: Left, analysis: Analysis, late: pd.DataFrame, ui: pd.Series) -> None:
    """Who ran while the UI thread was runnable. Right for one CPU; of several, every one counts."""
    states = analysis["thread_states"]
    states = states[states["end_ns"] > states["start_ns"]]
    own = states[states["tid"].isin(ui) & (states["state"] == RUNNABLE)]
    inside = TimeSet.of(late["start_ns"].to_numpy(), late["end_ns"].to_numpy())
    waiting = TimeSet.of(own["start_ns"].to_numpy(), own["end_ns"].to_numpy()) & inside
    ran = states[(states["state"] == RUNNING) & ~states["tid"].isin(ui)]
    times = waiting.time_in(ran["start_ns"].to_numpy(), ran["end_ns"].to_numpy())
    names = ran["tid"].map(dict(zip(analysis["thread_roles"]["tid"], analysis["thread_roles"]["comm"], strict=True)))
    by_name = pd.Series(times, index=ran.index).groupby(names).sum()
    for name, ns in by_name[by_name > 0].items():
        left.cpu_ns[_kind_of(str(name))] += int(ns)


def _kind_of(comm: str) -> str:
    """Binder threads are one kind: their names hold numbers."""
    return "Binder threads" if comm.startswith("Binder:") else comm


def describe(left: Left) -> dict[str, float | None]:
    """The numbers as a column of a table: quantity -> value."""
    late, runs = max(left.late, 1), max(left.runs, 1)
    found: dict[str, float | None] = {"frames": left.frames, "late frames": left.late}
    for cause in SPLIT_CAUSES:
        if left.late_ns[cause] > 0:
            found[f"{IN_LATE}: {CAUSES[cause]}"] = round(left.late_ns[cause] / late / 1e6, 3)
            if cause not in WORK:
                found[f"{IN_TIME_WITHOUT}: {CAUSES[cause]}"] = left.spared[cause]
    for thread, ns in left.cpu_ns.most_common(MOST):
        found[f"{CPU_MEANWHILE}: {thread}"] = round(ns / late / 1e6, 3)
    for what, ns in left.lock_ns.most_common(MOST):
        found[f"ms a run behind others: {what}"] = round(ns / runs / 1e6, 3)
    found["ms a run behind others"] = round(sum(left.lock_ns.values()) / runs / 1e6, 3)
    found["longest such wait, ms"] = round(left.longest_ms, 3)
    return found
