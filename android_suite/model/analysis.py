"""The result of analyzing one trace. `analyze --json` writes it, reports read it; see docs/schema/analysis.json.

None always means unknown: not recorded, or nothing to measure. Every list is sorted with the largest first. A list may
be cut; the tables hold all rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from android_suite.model.checks import CheckResult
from android_suite.model.document import read_document

SCHEMA: Literal["android-suite/analysis"] = "android-suite/analysis"
REMEDY = "run `android-suite analyze` again"

Quality = Literal["exact", "lower_bound", "unknown"]
Lock = Literal["mmap_lock", "vma_lock"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSummary:
    """The trace. ``recorded`` names the groups of events that were enabled; ``process`` is the requested app."""

    format: str = ""
    events: int | None = None
    lost_events: int | None = None
    duration_ns: int | None = None
    kernel: str | None = None
    clock: str | None = None
    cpus: int | None = None
    blind_ns: int | None = None  # time in which events may be missing
    recorded: tuple[str, ...] | None = None
    process: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadSummary:
    """A thread: its process, role, comm (``thread``) and tid."""

    process: str | None = None
    role: str = "other"
    thread: str = "?"
    tid: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedThread(ThreadSummary):
    """A thread with its kernel priority: 0 to 139, lower runs first."""

    prio: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MadviseSummary(ThreadSummary):
    """The madvise calls of one thread, counted by the path that each took."""

    calls: int | None = None
    per_vma: int = 0
    mmap_lock: int = 0
    unknown: int = 0
    bytes: int | None = None
    lock_wait_ns: int | None = None
    reasons: Mapping[str, int] = field(default_factory=dict)  # why calls took mmap_lock


@dataclass(frozen=True, slots=True, kw_only=True)
class LockSummary(ThreadSummary):
    """Waits and holds of one thread for one kind of lock in one mode."""

    lock: Lock = "mmap_lock"
    mode: str = "read"
    waits: int | None = None
    wait_total_ns: int | None = None
    wait_max_ns: int | None = None
    wait_split_ns: Mapping[str, int] | None = (
        None  # mmap_lock: behind a holder; the rest: running, runnable, asleep, unknown
    )
    holds: int | None = None
    hold_total_ns: int | None = None
    hold_max_ns: int | None = None
    runnable_after_ns: int | None = None  # vma_lock: from the wakeup until it ran
    runnable_after_max_ns: int | None = None
    evidence: Mapping[str, int] | None = None  # vma_lock: number of sleeps by the evidence that they were such waits
    quality: Quality = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockerSummary:
    """Who waited for whom: a waiter, a holder, the holder's operation, and whether directly or in the queue.

    ``holder_lock`` differs from ``lock`` if the holder itself waited for the other lock.
    """

    lock: Lock = "mmap_lock"
    holder_lock: Lock = "mmap_lock"
    waiter: ThreadSummary
    holder: ThreadSummary
    operation: str = ""
    kind: str = "direct"
    waits: int | None = None
    total_ns: int | None = None
    longest_ns: int | None = None
    inverted_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlameLink(RankedThread):
    """One step of a chain: the thread that is waited for, through what, and how that is known.

    ``tid`` is None for an unknown thread. ``name``: which lock, or what its holder does. ``evidence``: exact, inferred, unknown.
    """

    kind: str
    name: str | None = None
    evidence: str = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlameSummary:
    """A UI or render thread that waits, and the chain of threads up to the one that waits for no other.

    The times ``running_ns`` to ``inverted_ns`` are of the last thread; ``cut``: the chain goes on, but is not followed.
    """

    waiter: RankedThread
    links: tuple[BlameLink, ...] = ()
    stretches: int
    total_ns: int
    longest_ns: int
    running_ns: int | None = None
    runnable_ns: int | None = None
    blocked_ns: int | None = None
    inverted_ns: int | None = None
    evidence: str = "unknown"  # of the weakest step
    cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseSummary:
    """Contended waits for mmap_lock: whether lock:contended_release names the inferred holder, another thread, or nobody."""

    agreed: int = 0
    differed: int = 0
    untold: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherWaitSummary(ThreadSummary):
    """Waits of one thread for a lock that is not mmap_lock or a VMA's; ``name`` says which of its kind, where it is known."""

    lock: str = ""
    name: str | None = None
    evidence: str = ""
    waits: int | None = None
    wait_total_ns: int | None = None
    wait_max_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StateTimes:
    """How long a thread was in each state during an interval, in ns."""

    running: int = 0
    runnable: int = 0
    blocked: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSegment:
    """One interval in one state: ``running``, ``runnable`` or ``blocked``."""

    start_ns: int
    duration_ns: int
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Intruder(ThreadSummary):
    """A thread that ran while the holder was runnable but did not run."""

    ran_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainSummary:
    """One inversion: a strong thread waited behind a weak one, directly or ``via`` a writer in the queue."""

    lock: Lock = "mmap_lock"
    start_ns: int | None = None
    duration_ns: int
    kind: str = "direct"
    waiter: RankedThread
    waiter_mode: str | None = None
    via: RankedThread | None = None
    holder: RankedThread
    holder_lock: Lock = "mmap_lock"
    holder_mode: str | None = None
    holder_operation: str = ""
    holder_state_ns: StateTimes = field(default_factory=StateTimes)
    holders: int | None = None  # number of threads that held the lock at once
    quality: Quality = "unknown"
    intruders: tuple[Intruder, ...] = ()
    holder_segments: tuple[StateSegment, ...] | None = None  # of the longest chains only


@dataclass(frozen=True, slots=True, kw_only=True)
class InversionSummary:
    """All inversions of the app's threads."""

    count: int | None = None
    total_ns: int | None = None
    longest_ns: int | None = None
    direct: int | None = None
    chained: int | None = None
    by_lock_ns: Mapping[Lock, int] | None = None
    state_ns: StateTimes | None = None
    quality: Quality = "unknown"
    chains: tuple[ChainSummary, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Percentiles of one quantity, in its unit."""

    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waker(ThreadSummary):
    """Who woke a thread of a frame (``woken``: ui or render), how often, and how long that thread had slept in the frame.

    It is the thread in whose context the waking was; an interrupt may have borrowed it. tid 0 is an idle CPU.
    """

    woken: str
    wakes: int
    slept_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LateFrame:
    """One frame that missed its deadline: when, whose, what its threads spent the time on, and who woke them."""

    start_ns: int
    duration_ns: int
    overrun_ms: float
    process: str | None = None
    layer: str | None = None
    frame_id: int | None = None
    jank_type: str | None = None
    quality: Quality = "unknown"
    inverted_ns: int | None = None
    from_inversion: bool | None = None
    waited_for: str | None = None  # whose lock the UI thread waited for longest
    ui_ns: Mapping[str, int] | None = None  # cause to time; causes that took none are left out
    render_ns: Mapping[str, int] | None = None
    woken_by: tuple[Waker, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSummary:
    """Frames of the app. ``overrun_ms`` and ``worst_ms``: end minus deadline. ``late_time_ns``: thread, cause, time.

    ``worst``: the frames that were latest.
    """

    count: int | None = None
    janky: int | None = None
    late: int | None = None
    overrun_ms: Percentiles = field(default_factory=Percentiles)
    janky_from_inversion: int | None = None
    source: str | None = None
    worst_ms: float | None = None
    late_time_ns: Mapping[str, Mapping[str, int]] | None = None
    worst: tuple[LateFrame, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadScheduling(ThreadSummary):
    """What the scheduler did with one thread. A delay: ready to run, and waiting for a CPU."""

    running_ns: int
    delays: int
    delay_ns: int
    delay_max_ns: int
    preempted_ns: int  # part of delay_ns
    uninterruptible_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepSummary(ThreadSummary):
    """Uninterruptible sleeps of one thread in one kernel function; ``caller`` is None where no event told it."""

    caller: str | None = None
    io_wait: bool | None = None
    sleeps: int
    total_ns: int
    longest_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulingSummary:
    """The scheduler's part: threads by their delays, and uninterruptible sleep by caller. ``reason``: why it is not exact."""

    threads: tuple[ThreadScheduling, ...] = ()
    uninterruptible: tuple[SleepSummary, ...] = ()
    quality: Quality = "unknown"
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSummary:
    """One launch: the requested state (``asked``: COLD, WARM or HOT) and the state it really had."""

    component: str | None = None
    asked: str | None = None
    got: str | None = None
    initial_display_ms: float | None = field(default=None, metadata={"alias": "timeToInitialDisplayMs"})
    full_display_ms: float | None = field(default=None, metadata={"alias": "timeToFullDisplayMs"})
    outcome: str | None = None  # None: unknown
    limit_ms: float | None = None  # time limit for the first frame
    source: str | None = None  # the evidence for it
    quality: Quality = "unknown"
    discarded: str | None = None  # why it is excluded from every number
    ui_ns: Mapping[str, int] | None = None  # time of the UI thread in each state
    gc_ns: int | None = None
    inverted_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GcSummary(ThreadSummary):
    """Collections of one process, by collector and cause."""

    collector: str = ""
    cause: str | None = None
    cycles: int | None = None
    duration_total_ns: int | None = None
    duration_median_ns: int | None = None
    running_ns: int | None = None
    runnable_ns: int | None = None
    lock_wait_ns: int | None = None
    madvise_calls: int | None = None
    madvise_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricValue:
    """One metric of the catalogue; ``value`` is None if it is unknown. ``reason``: why it is not exact, and what helps."""

    name: str
    unit: str = ""
    better: str = "none"
    value: int | float | None = None
    quality: Quality = "unknown"
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisSummary:
    """The ``android-suite/analysis`` object."""

    schema: Literal["android-suite/analysis"] = SCHEMA
    version: Literal[1] = 1
    source: SourceSummary = field(default_factory=SourceSummary)
    madvise: tuple[MadviseSummary, ...] = ()
    locks: tuple[LockSummary, ...] = ()
    blockers: tuple[BlockerSummary, ...] = ()
    blame: tuple[BlameSummary, ...] = ()
    contended_releases: ReleaseSummary | None = None
    other_waits: tuple[OtherWaitSummary, ...] = ()
    inversions: InversionSummary = field(default_factory=InversionSummary)
    frames: FrameSummary = field(default_factory=FrameSummary)
    launches: tuple[LaunchSummary, ...] = ()
    gc: tuple[GcSummary, ...] = ()
    scheduling: SchedulingSummary = field(default_factory=SchedulingSummary)
    checks: tuple[CheckResult, ...] = ()  # of a scenario that checks what must hold
    metrics: tuple[MetricValue, ...] = ()


def read_analysis(data: object, name: str = "analysis") -> AnalysisSummary:
    """The inverse of ``to_plain``; ``name`` is the file name for messages.

    Raises:
        SchemaError: the object is not an analysis of this version.
    """
    return read_document(AnalysisSummary, data, name=name, remedy=REMEDY)
