"""The whole analysis: a decoded trace and the evidence beside it to every derived table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from android_suite.analysis import frames as frame_sources
from android_suite.analysis.alive import find_ends, place_processes
from android_suite.analysis.blame.binder import measure_binder_calls
from android_suite.analysis.blame.chains import measure_blame
from android_suite.analysis.blame.edges import collect_edges
from android_suite.analysis.blame.futexes import FutexWaits, has_futex_calls, measure_futex_waits
from android_suite.analysis.blame.hidden_waits import find_hidden_waits
from android_suite.analysis.blame.monitors import measure_monitor_waits
from android_suite.analysis.causes import Waits
from android_suite.analysis.clocks import find_monotonic_offset, shift_times
from android_suite.analysis.frames import measure_frames
from android_suite.analysis.gc import measure_gc_cycles
from android_suite.analysis.launch import measure_launches, measure_traced_launches
from android_suite.analysis.lives import Lives, split_lives
from android_suite.analysis.locks.blockers import measure_blockers
from android_suite.analysis.locks.inversion import measure_inversions
from android_suite.analysis.locks.mmap_lock import MmapLock, scan_mmap_lock, trust_mmap_lock
from android_suite.analysis.locks.other_locks import measure_other_waits
from android_suite.analysis.locks.releases import compare_releases, judge_mmap_pieces, split_mmap_waits
from android_suite.analysis.locks.standoffs import join_locks
from android_suite.analysis.locks.vma_lock import measure_vma_waits, without_vma_waits
from android_suite.analysis.locks.wait_split import split_waits
from android_suite.analysis.loss import Losses
from android_suite.analysis.madvise import measure_madvise
from android_suite.analysis.map_snapshots import MapSnapshot
from android_suite.analysis.sched import Timeline, measure_thread_states
from android_suite.analysis.scheduling import measure_scheduling, measure_uninterruptible_sleeps
from android_suite.analysis.sleeps import measure_sleeps
from android_suite.analysis.slices import measure_slices
from android_suite.analysis.threads import list_namespaced, measure_threads
from android_suite.analysis.wakeups import measure_wakeups, pick_wakes
from android_suite.errors import UsageError
from android_suite.jit.workers import Begun, Workers
from android_suite.model.checks import CheckResult
from android_suite.model.fault_costs import FaultCost
from android_suite.tables import events
from android_suite.tables.blame import BINDER_CALLS, BLAME, BLAME_LINKS, FUTEX_WAITS, MONITOR_WAITS
from android_suite.tables.derived import (
    COUNTERS,
    DERIVED_TABLES,
    FRAMES,
    GC_CYCLES,
    INTRUDERS,
    INVERSIONS,
    LAUNCHES,
    LOCK_BLOCKERS,
    LOCK_HOLDS,
    LOCK_WAITS,
    MADVISE,
    OTHER_WAITS,
    ROLES,
    SCHEDULING,
    SLICES,
    SYSCALL_CALLS,
    THREAD_ROLES,
    THREAD_STATES,
    UNINTERRUPTIBLE_SLEEPS,
    VMA_WAITS,
    WAKEUPS,
)
from android_suite.tables.evidence import FRAME_GAPS, PROC_READS
from android_suite.tables.schema import make_frame, name_codes
from android_suite.tables.trace import Trace, TraceSource

_WAKEUP_NEW = events.WAKE_KINDS.index("sched_wakeup_new")
_OF_LOCKS = ("mmap_lock", "syscall", "contention", "task", "sched_wake")
_DECLARED = {table.name: table for table in (*DERIVED_TABLES, FRAME_GAPS, PROC_READS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was captured beside the trace; every part may be missing.

    Attributes:
        framestats: frame of FRAMESTATS (CLOCK_MONOTONIC).
        frame_gaps: frame of FRAME_GAPS: where framestats may lack some.
        am_starts: frame of AM_STARTS, in order; None: not known, so launches are looked for in the trace.
        maps: map snapshots of processes.
        proc_reads: frame of PROC_READS: what a monitor read of the app.
        refresh_hz: of the device's display.
        checks: what a scenario checked, in its order.
        fault_costs: what page faults cost, as a scenario measured it.
        notes: what a reader of the numbers must know of this evidence.
    """

    framestats: pd.DataFrame | None = None
    frame_gaps: pd.DataFrame | None = None
    am_starts: pd.DataFrame | None = None
    maps: Sequence[MapSnapshot] = ()
    proc_reads: pd.DataFrame | None = None
    refresh_hz: float | None = None
    checks: Sequence[CheckResult] = ()
    fault_costs: Sequence[FaultCost] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """Every derived table of one trace: ``analysis[NAME]`` is a frame, ``for name in analysis`` gives the names.

    Attributes:
        source: the trace.
        process: the app asked for; None for all.
        blind_ns: time in which events of some CPU are missing.
        recorded: which of sched, waking, blocked_reason, mmap_lock, contention, contended_release, syscall, futex, binder
            the trace recorded at all; frames where SurfaceFlinger or hwui told of them.
        releases: contended waits for mmap_lock for which lock:contended_release names the inferred holder, another one, or
            for which one of both names nobody; None: the event was not recorded.
        unread: events that were recorded, but whose fields could not be read.
        unjudged: threads of which some wait for mmap_lock or a VMA may be inverted or not, because a priority was not
            known while somebody stood in front.
        hidden: main threads that may have waited for a monitor when the trace began, which it does not show.
        tables: by table name, every table of tables.derived but thread_states; frame_gaps and proc_reads.
        timeline: thread_states.
        notes: what a reader of the numbers must know.
        checks: what a scenario checked.
        fault_costs: what page faults cost.
    """

    source: TraceSource
    process: str | None
    blind_ns: int
    recorded: frozenset[str]
    releases: tuple[int, int, int] | None
    tables: Mapping[str, pd.DataFrame]
    timeline: Timeline
    notes: tuple[str, ...]
    unread: int = 0
    unjudged: frozenset[int] = frozenset()
    hidden: frozenset[int] = frozenset()
    checks: tuple[CheckResult, ...] = ()
    fault_costs: tuple[FaultCost, ...] = ()

    def __getitem__(self, table: str) -> pd.DataFrame:
        return self.timeline.to_frame() if table == THREAD_STATES.name else self.tables[table]

    def __iter__(self) -> Iterator[str]:
        return iter((*self.tables, THREAD_STATES.name))

    def __len__(self) -> int:
        return len(self.tables) + 1

    def __contains__(self, table: object) -> bool:
        return table == THREAD_STATES.name or table in self.tables

    def named(self, table: str) -> pd.DataFrame:
        """A table with names in place of codes, as pandas categoricals: ``named("thread_roles")`` has ``role == "ui"``.

        Raises:
            UsageError: there is no such table.
        """
        if table not in self:
            raise UsageError(f"there is no table {table!r}; there is {', '.join(sorted(self))}.")
        return name_codes(_DECLARED[table], self[table])


def analyze_trace(trace: Trace, *, process: str | None = None, evidence: Evidence | None = None) -> Analysis:
    """Analyzes one trace.

    Most of the memory is the trace. What is done with is let go on the way, as far as the caller does not keep it:
    ``analyze_trace(read_raw_capture(folder))`` needs a third less than with a variable between the two.

    Args:
        trace: as any reader gives it.
        process: name of the app; None for whatever is in the trace.
        evidence: what was captured beside it.
    """
    evidence = evidence or Evidence()
    trace, lives = split_lives(trace)
    evidence, maps = _join_evidence(trace, lives, evidence)
    # An event whose fields could not be read is as good as lost, except for markers, which are read as they are.
    losses, seen = Losses.of(pd.concat([trace["lost"], trace.unread])), Losses.of(trace["lost"])
    recorded, ends = _recorded(trace), find_ends(trace, lives)
    if evidence.framestats is not None or len(trace[events.FRAME_TIMELINE.name]):
        recorded |= {"frames"}
    trace = _drop(_drop(trace, "syscall", "cpu", "arg4", "arg5"), "mmap_lock", "cpu")  # unused
    # What is started runs beside the rest where there is a second core; everything else is the longest chain, in its order.
    with Workers() as workers:
        scanned = workers.start(partial(scan_mmap_lock, _only(trace, *_OF_LOCKS), losses))
        timeline = measure_thread_states(
            trace["sched_switch"], trace["sched_wake"], trace["pi_setprio"], losses, trace.source.end_ns
        )
        trace = _drop(trace, "sched_switch", "seq", "prev_prio", "prev_state", "next_prio")  # the timeline has them
        sleeps = measure_sleeps(timeline, trace["sched_wake"])
        drawing = pick_wakes(trace, evidence.framestats)
        wakes = trace["sched_wake"] if has_futex_calls(trace["syscall"]) else None
        trace = _only(trace, *trace.tables)
        slices, counters = measure_slices(trace, seen, ends)
        locks = trust_mmap_lock(scanned.result(), trace["contention"], timeline, losses, ends)
        trace = replace(
            trace, tables={**trace.tables, "syscall": trace["syscall"][["tid", "call", "nr"]]}
        )  # see locks.calls
        others = workers.start(partial(measure_other_waits, trace, timeline, sleeps, locks, losses))
        told_apart = workers.start(partial(split_waits, timeline, locks.waits, locks.segments))
        threads = measure_threads(trace, process, locks.lockers)
        madvise = measure_madvise(trace, locks, threads, maps)
        wakeups = workers.start(partial(measure_wakeups, timeline, drawing, threads))
        scheduling = workers.start(partial(measure_scheduling, timeline))
        asleep = workers.start(partial(measure_uninterruptible_sleeps, sleeps, trace["blocked_reason"]))
        other = others.result()
        vma_waits = measure_vma_waits(trace, timeline, sleeps, locks, threads, madvise, other, losses)
        other = without_vma_waits(other, vma_waits)
        standoffs = join_locks(locks, vma_waits)
        inverted = workers.start(partial(measure_inversions, trace, timeline, standoffs))
        blockers = workers.start(partial(measure_blockers, trace, standoffs))
        waits = Waits.of(trace, timeline, locks, vma_waits, other, slices)
        futexes = FutexWaits.none() if wakes is None else measure_futex_waits(locks.calls, wakes, timeline, threads)
        monitors, owners = measure_monitor_waits(slices, waits.monitor, threads, lives.place, losses)
        mains = threads.loc[threads["role"] == ROLES.index("ui"), "tid"].to_numpy()
        hidden = find_hidden_waits(trace["marker"], timeline, mains)
        binder = measure_binder_calls(trace["binder"], timeline, losses, trace.source.start_ns, trace.source.end_ns)
        released = split_mmap_waits(trace, locks)

        def blamed() -> tuple[pd.DataFrame, pd.DataFrame]:
            told = judge_mmap_pieces(trace, locks, released)
            edges = collect_edges(trace, timeline, standoffs, told, other, futexes, monitors, owners, drawing, binder)
            return measure_blame(trace, timeline, edges, threads, standoffs, other, monitors)

        blaming = workers.start(blamed)
        cycles = workers.start(partial(measure_gc_cycles, slices, threads, waits, madvise))
        launched = workers.start(lambda: _launches(trace, process, evidence, slices, threads, waits, inverted, cycles))
        found, joined = _find_frames(trace, threads, waits, evidence)
        frames = measure_frames(found, threads, waits, inverted.result()[0], joined=joined)
        launches = launched.result()
    inversions, intruders, unjudged = inverted.result()
    blame, links = blaming.result()
    return Analysis(
        source=trace.source,
        process=process,
        # A file that ends before the recording did hides what came after, however long that was.
        blind_ns=max(int((losses.any_cpu.to_ns - losses.any_cpu.from_ns).sum()), int(trace.source.cut)),
        recorded=recorded,
        releases=compare_releases(locks, released) if "contended_release" in recorded else None,
        timeline=timeline,
        unread=int(trace.unread["events"].sum()),
        unjudged=frozenset(unjudged.tolist()),
        hidden=hidden,
        tables={
            THREAD_ROLES.name: threads, SCHEDULING.name: scheduling.result(),
            UNINTERRUPTIBLE_SLEEPS.name: asleep.result(), WAKEUPS.name: wakeups.result(),
            LOCK_WAITS.name: told_apart.result(), LOCK_HOLDS.name: locks.holds, VMA_WAITS.name: vma_waits,
            OTHER_WAITS.name: other, SYSCALL_CALLS.name: locks.calls, MADVISE.name: madvise,
            LOCK_BLOCKERS.name: blockers.result(), FUTEX_WAITS.name: futexes.frame, MONITOR_WAITS.name: monitors,
            BINDER_CALLS.name: binder, BLAME.name: blame, BLAME_LINKS.name: links,
            INVERSIONS.name: inversions, INTRUDERS.name: intruders,
            SLICES.name: slices, COUNTERS.name: counters, FRAMES.name: frames, LAUNCHES.name: launches,
            GC_CYCLES.name: cycles.result(), FRAME_GAPS.name: _gaps(frames, evidence),
            PROC_READS.name: make_frame(PROC_READS) if evidence.proc_reads is None else evidence.proc_reads,
        },
        checks=tuple(evidence.checks),
        fault_costs=tuple(evidence.fault_costs),
        notes=(*trace.source.notes, *evidence.notes, *_notes(trace, threads, locks, process, lives.reused)),
    )  # fmt: skip


def _join_evidence(
    trace: Trace, lives: Lives, evidence: Evidence
) -> tuple[Evidence, Mapping[int, Sequence[pd.DataFrame]]]:
    """The evidence with the processes of its time in place of the kernel's ids, and the map snapshots by process."""
    changed: dict[str, pd.DataFrame] = {}
    notes = []
    offset = find_monotonic_offset(trace.source)
    joined = offset is not None
    for name, since in (("framestats", "intended_vsync_ns"), ("frame_gaps", "from_ns")):
        frame: pd.DataFrame | None = getattr(evidence, name)
        if frame is not None and len(frame):
            frame = shift_times(frame, offset or 0)
            pid = frame["pid"].to_numpy()
            placed = place_processes(trace, lives, pid, frame[since].to_numpy() if joined else None)
            changed[name] = frame.assign(pid=placed)
            if name == "framestats" and (lost := np.unique(pid[(placed < 0) & (pid >= 0)]).tolist()):
                notes.append(
                    f"frames of the process ids {_some(lost)} are of no process of the trace for certain: the ids were "
                    "used again by others, so these frames are in no number of a process"
                )
    maps: dict[int, list[pd.DataFrame]] = {}
    for one in evidence.maps:
        when = None if one.taken_ns is None else np.array([one.taken_ns], np.int64)
        [tgid] = place_processes(trace, lives, np.array([one.tgid], np.int32), when).tolist()
        if tgid < 0:
            notes.append(
                f"the mappings of process {one.tgid} are of no process of the trace for certain: the id was used again by "
                "another, so they tell no reason of a madvise call"
            )
        else:
            maps.setdefault(tgid, []).append(one.vmas)
    return replace(evidence, **changed, notes=(*evidence.notes, *notes)), maps  # type: ignore[arg-type]


def _gaps(frames: pd.DataFrame, evidence: Evidence) -> pd.DataFrame:
    """Where the source of the frames may lack some: only framestats overruns, and only if the frames are its."""
    used = evidence.frame_gaps is not None and (not len(frames) or (frames["source"] == "framestats").any())
    return evidence.frame_gaps if used and evidence.frame_gaps is not None else make_frame(FRAME_GAPS)


def _drop(trace: Trace, table: str, *columns: str) -> Trace:
    """The trace without some columns of a table."""
    return replace(trace, tables={**trace.tables, table: trace[table].drop(columns=list(columns))})


def _only(trace: Trace, *tables: str) -> Trace:
    """The trace with these tables alone; of the wake-ups those that show that a thread is new."""
    kept = {name: trace[name] for name in tables}
    wakes = kept["sched_wake"]
    return replace(trace, tables={**kept, "sched_wake": wakes[wakes["kind"] == _WAKEUP_NEW]})


def _launches(
    trace: Trace,
    process: str | None,
    evidence: Evidence,
    slices: pd.DataFrame,
    threads: pd.DataFrame,
    waits: Waits,
    inverted: Begun[tuple[pd.DataFrame, pd.DataFrame, NDArray[np.int64]]],
    cycles: Begun[pd.DataFrame],
) -> pd.DataFrame:
    told = (slices, threads, waits, inverted.result()[0], cycles.result())
    if evidence.am_starts is None:
        return measure_traced_launches(trace, process, *told)
    return measure_launches(evidence.am_starts, *told)


def _find_frames(trace: Trace, threads: pd.DataFrame, waits: Waits, evidence: Evidence) -> tuple[pd.DataFrame, bool]:
    """Frames of the best source there is: SurfaceFlinger's own words, then hwui's, then the app's slices.

    Returns:
        The frames, and whether their clock is the trace's.
    """
    found, joined = frame_sources.read_timeline_frames(trace), True
    if not len(found) and evidence.framestats is not None and len(evidence.framestats):
        found = frame_sources.read_framestats_frames(evidence.framestats)
        joined = find_monotonic_offset(trace.source) is not None
    if not len(found):
        found = frame_sources.measure_choreographer_frames(trace, waits.slices, threads, waits, evidence.refresh_hz)
        joined = True
    return found, joined


_KINDS = {
    "sched": ("sched_switch", "sched:sched_switch"),
    "waking": ("sched_wake", "sched:sched_waking"),
    "blocked_reason": ("blocked_reason", "sched:sched_blocked_reason"),
    "mmap_lock": ("mmap_lock", "mmap_lock:mmap_lock_start_locking"),
    "contention": ("contention", "lock:contention_begin"),
    "contended_release": ("contended_release", "lock:contended_release"),
    "binder": ("binder", "binder:binder_transaction"),
    "syscall": ("syscall", "raw_syscalls:sys_enter"),
}


def _recorded(trace: Trace) -> frozenset[str]:
    enabled = trace.source.enabled_events or frozenset()
    found = {kind for kind, (table, event) in _KINDS.items() if len(trace[table]) or event in enabled}
    if "syscalls:sys_enter_futex" in enabled or has_futex_calls(trace["syscall"]):
        found.add("futex")
    return frozenset(found)


def _notes(
    trace: Trace, threads: pd.DataFrame, locks: MmapLock, process: str | None, reused: Sequence[int]
) -> list[str]:
    notes = []
    if process and not (threads["process"] == process).any():
        notes.append(f"no thread of process {process} is in the trace")
    if trace.source.lost_events:
        notes.append(f"{trace.source.lost_events} events were lost: numbers they touch are lower bounds or unknown")
    if len(locks.waits) and not len(trace["sched_switch"]):
        notes.append("sched_switch was not recorded: priorities are unknown, so inversions cannot be found")
    if reused:
        notes.append(
            f"thread ids used again by another thread: {len(reused)} ({_some(reused)}); the threads are reported separately"
        )
    if apart := list_namespaced(trace):
        notes.append(
            f"markers of {len(apart)} threads name another process than the kernel ({_some(apart)}), as in a pid namespace: "
            "they were joined by thread"
        )
    if bool(np.any(threads["inferred"])):
        notes.append("the process of some threads was inferred from markers or from the mm they share")
    return notes


def _some(tids: Sequence[int]) -> str:
    return ", ".join(str(tid) for tid in tids[:4]) + (", ..." if len(tids) > 4 else "")
