"""The suite's analysis of a recording against its witnesses, number by number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from android_suite.analysis.pipeline import Analysis, analyze_trace
from android_suite.tables.derived import PATHS
from android_suite.tables.trace import Trace
from android_suite.trace.ring.capture_folder import read_raw_capture
from tests.witness.recording import Witnessed

_READ, _WRITE = 2, 4  # flags of lock:contention_begin: an rwsem for reading, for writing


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One number told by both sides.

    Attributes:
        what: whose and of what.
        suite: the suite's word.
        witness: the witness's.
        explained: why they may differ, and by how much; empty where they are equal or nothing explains it.
    """

    what: str
    suite: object
    witness: object
    explained: str = ""

    @property
    def agrees(self) -> bool:
        """Equal to the last digit."""
        return self.suite == self.witness


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A decoded and analyzed recording."""

    raw: Path
    trace: Trace
    analysis: Analysis


def analyze_witnessed(witnessed: Witnessed) -> Looked:
    """Reads and analyzes the recording."""
    raw = witnessed.run.raw(witnessed.run.manifest.iterations[0])
    trace = read_raw_capture(raw)
    return Looked(raw=raw, trace=trace, analysis=analyze_trace(trace, process="calls"))


def compare_calls(witnessed: Witnessed, looked: Looked) -> list[Finding]:
    """Every madvise call of the program, by thread and advice: how many, and which path.

    The kernel's count of calls comes from a kprobe on the system call's entry; its count of fallbacks from kprobes on
    ``down_read`` and ``down_write_killable``, taken only where the caller lies in mm/madvise.c and once a call.
    """
    counts, tids = witnessed.counts, set(witnessed.tids.values())
    names = {tid: name for name, tid in witnessed.tids.items()}
    madvise = looked.analysis["madvise"]
    own = madvise[madvise["tid"].isin(tids)]
    suite = own.groupby(["tid", "advice", "path"]).size()
    found = [Finding(what="events lost in the capture", suite=looked.trace.source.lost_events, witness=0)]
    found.append(Finding(what="probes missed, rows dropped", suite=0, witness=counts.missed))
    keys = sorted({(t, a) for t, a in counts.calls if t in tids} | {(int(t), int(a)) for t, a, _ in suite.index})
    for tid, advice in keys:
        of = {path: int(suite.get((tid, advice, i), 0)) for i, path in enumerate(PATHS)}
        calls, took = counts.calls.get((tid, advice), 0), counts.took.get((tid, advice), 0)
        title = f"{names[tid]} advice {advice}"
        found.append(Finding(what=f"{title}: calls", suite=sum(of.values()), witness=calls))
        found.append(Finding(what=f"{title}: on mmap_lock", suite=of["mmap_lock"], witness=took))
        found.append(Finding(what=f"{title}: not", suite=of["per_vma"] + of["unknown"], witness=calls - took))
    return found + _compare_account(witnessed, own)


def _compare_account(witnessed: Witnessed, own: pd.DataFrame) -> list[Finding]:
    """The third word: what the program says it did, and the look-ups of VMA locks that the kernel counted."""
    counts, found = witnessed.counts, []
    refused = 0
    for thread in witnessed.account["threads"]:
        calls = own[own["tid"] == thread["tid"]]
        # Each thread's end gives its stack back with one MADV_DONTNEED of the C library's, which is none of the program's.
        told = {int(advice): n for advice, n in thread["calls"].items()}
        told[4] = told.get(4, 0) + 1
        by_advice = {int(a): int(n) for a, n in calls.groupby("advice").size().items()}
        found.append(Finding(what=f"{thread['name']}: own account of its calls", suite=by_advice, witness=told))
        if thread["name"] == "refused":
            refused = sum(thread["calls"].values())
            unknown = int((calls["path"] == PATHS.index("unknown")).sum())
            found.append(Finding(what="refused: calls that end before any lock", suite=unknown, witness=refused))
        if thread["name"] == "HeapTaskDaemon":
            fell = int((calls["path"] == PATHS.index("mmap_lock")).sum())
            planted = thread["spans"] + thread["armed"]
            lookups = counts.vma_found.get(thread["tid"], 0) + counts.vma_missed.get(thread["tid"], 0)
            # The stack's range spans its mapping and is one fallback more; a kernel without the patch looks nothing up.
            expected = len(calls) if lookups == 0 else planted + 1 + counts.vma_missed.get(thread["tid"], 0)
            found.append(Finding(what="HeapTaskDaemon: fallbacks planted", suite=fell, witness=expected))
    tids = set(witnessed.tids.values())
    per_vma = int((own["path"] == PATHS.index("per_vma")).sum())
    walked = sum(n for (tid, name), n in counts.walked.items() if tid in tids and name != "madvise_lock")
    looked = sum(n for tid, n in (*counts.vma_found.items(), *counts.vma_missed.items()) if tid in tids)
    found.append(
        Finding(what="per-VMA calls: VMA locks looked up less those given up", suite=per_vma, witness=looked - walked)
    )
    return found


def compare_locks(witnessed: Witnessed, looked: Looked) -> list[Finding]:
    """Waits, holds and contention of the program's mmap_lock, by thread and mode: numbers and sums in ns."""
    counts, tids = witnessed.counts, {*witnessed.tids.values(), witnessed.account["pid"]}
    names = {tid: name for name, tid in witnessed.tids.items()} | {witnessed.account["pid"]: "main"}
    waits = looked.analysis["lock_waits"]
    waits = waits[waits["tid"].isin(tids)]
    holds = looked.analysis["lock_holds"]
    holds = holds[holds["tid"].isin(tids)]
    # The kernel announces a downgrade as a second acquisition, so its sum begins there, in read mode.
    down = holds["downgrade_ns"] >= 0
    released = holds.assign(
        start_ns=holds["start_ns"].where(~down, holds["downgrade_ns"]), write=holds["write"] & ~down
    )
    slept = pair_contention(looked.trace["contention"])
    slept = slept[slept["tid"].isin(tids)]
    late = find_late_stamps(looked.trace)
    found = []
    for what, frame, told, keys in (
        ("wait", waits, counts.waits, ["tid", "mm", "write"]),
        ("hold", released, counts.holds, ["tid", "mm", "write"]),
        ("slept", slept, counts.slept, ["tid", "lock_addr"]),
    ):
        ours = _sums(frame, keys, late)
        theirs: dict[tuple[Any, ...], tuple[int, int]] = {key: n for key, n in told.items() if key[0] in tids}
        for key in sorted(ours.keys() | theirs.keys()):
            mode = {True: " write", False: " read"}[key[2]] if len(key) > 2 else ""
            found.append(_weigh(f"{names[key[0]]} {what}{mode}: number, ns", ours.get(key), theirs.get(key)))
    mms = set(waits["mm"].tolist())
    for tid in sorted(tids):
        contended = int(waits[waits["tid"] == tid]["contended"].eq(1).sum())
        near = sum(
            n for (t, lock), (n, _) in counts.slept.items() if t == tid and any(0 <= lock - mm < 4096 for mm in mms)
        )
        found.append(Finding(what=f"{names[tid]}: contended waits for mmap_lock", suite=contended, witness=near))
    return found


def compare_switches(witnessed: Witnessed, looked: Looked) -> list[Finding]:
    """How often each thread of the program was switched to."""
    ours = looked.trace["sched_switch"].groupby("next_tid").size()
    return [
        Finding(what=f"{name}: switched to", suite=int(ours.get(tid, 0)), witness=witnessed.counts.switches.get(tid, 0))
        for name, tid in witnessed.tids.items()
    ]


def pair_contention(con: pd.DataFrame) -> pd.DataFrame:
    """Contention events to one row a contended taking of an rwsem: tid, lock_addr, start_ns, end_ns."""
    con = con[(con["kind"] == 1) | con["flags"].isin([_READ, _WRITE])].sort_values(["tid", "lock_addr", "seq"])
    keys = ["tid", "lock_addr"]
    begins = con[con["kind"] == 0].index
    last = con.assign(end_ns=con.groupby(keys)["ts_ns"].shift(-1), after=con.groupby(keys)["kind"].shift(-1))
    rows = last.loc[begins]
    rows = rows[rows["after"] == 1]
    return rows.assign(start_ns=rows["ts_ns"], end_ns=rows["end_ns"].astype("int64"))[[*keys, "start_ns", "end_ns"]]


def find_late_stamps(trace: Trace) -> pd.DataFrame:
    """Events whose time in the ring buffer is older than the event: tid, ts_ns, slack_ns.

    An event that is interrupted between reading the clock and reserving its room gets no time of its own: the kernel
    writes a difference of 0 to the interrupting event before it, and tells a trigger the clock read anew
    (kernel/trace/ring_buffer.c, __rb_reserve_next, "SLOW PATH"). It happened before the next event of that CPU.
    """
    tables = [
        trace[name].assign(tid=trace[name]["prev_tid"]) if name == "sched_switch" else trace[name]
        for name in ("sched_switch", "sched_wake", "mmap_lock", "contention", "syscall", "task", "marker")
    ]
    every = pd.concat([t[["seq", "cpu", "ts_ns", "tid"]] for t in tables if len(t)]).sort_values(["cpu", "seq"])
    by_cpu = every.groupby("cpu")["ts_ns"]
    every["slack_ns"] = by_cpu.shift(-1, fill_value=trace.source.end_ns) - every["ts_ns"]
    return every[by_cpu.diff() == 0][["tid", "ts_ns", "slack_ns"]].drop_duplicates(["tid", "ts_ns"], keep="last")


def disagreements(found: Iterable[Finding]) -> list[str]:
    """What does not agree and is not explained, a line each."""
    return [
        f"{f.what}: the suite says {f.suite}, the witness {f.witness}"
        for f in found
        if not f.agrees and not f.explained
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sum:
    """Intervals of one key: number, sum, and how far late stamps at their starts and ends let the true sum lie off."""

    number: int
    ns: int
    late_starts: int
    late_ends: int
    less_ns: int
    more_ns: int


def _sums(frame: pd.DataFrame, keys: list[str], late: pd.DataFrame) -> dict[tuple[Any, ...], _Sum]:
    slack = late.set_index(["tid", "ts_ns"])["slack_ns"]
    edges = {
        edge: slack.reindex(pd.MultiIndex.from_frame(frame[["tid", f"{edge}_ns"]])).to_numpy()
        for edge in ("start", "end")
    }
    rows = frame[keys].assign(ns=frame["end_ns"] - frame["start_ns"], **edges)
    found: dict[tuple[Any, ...], _Sum] = {}
    for key, group in rows.groupby(keys):
        found[tuple(k.item() if hasattr(k, "item") else k for k in key)] = _Sum(
            number=len(group),
            ns=int(group["ns"].sum()),
            late_starts=int(group["start"].notna().sum()),
            late_ends=int(group["end"].notna().sum()),
            less_ns=int(group["start"].sum()),
            more_ns=int(group["end"].sum()),
        )
    return found


def _weigh(what: str, ours: _Sum | None, theirs: tuple[int, int] | None) -> Finding:
    if ours is None or theirs is None:
        return Finding(what=what, suite=ours and (ours.number, ours.ns), witness=theirs)
    off = theirs[1] - ours.ns
    explained = ""
    if off and ours.number == theirs[0] and -ours.less_ns <= off <= ours.more_ns:
        explained = (
            f"{off:+d} ns: {ours.late_starts} starts and {ours.late_ends} ends carry the time of the event before them, "
            f"room for -{ours.less_ns} to +{ours.more_ns} ns"
        )
    return Finding(what=what, suite=(ours.number, ours.ns), witness=theirs, explained=explained)
