"""What a soak writes: its manifest, one checkpoint a minute, and the summary made from them; see docs/soak.md.

Counters are cumulative from the moment their segment began. A *segment* is one boot with one installation of the
counters: a reboot, or counters that somebody removed, begins a new one. So a checkpoint that is read twice or missing
changes no total.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from android_suite.model.analysis import LockSummary, MadviseSummary
from android_suite.model.identity import DeviceIdentity, KernelIdentity

Edge = Literal["begin", "minute", "resume", "end"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingCounter:
    """Something that this device cannot count, why, and what would help."""

    name: str
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakManifest:
    """``soak.json``: what is counted, where, and until when.

    Attributes:
        id: names this soak, also on the device.
        until_unix_ns: when it ends, by the host's clock.
        tables: names of the counters that the device keeps.
        entries: threads that each of them can hold.
        finished: whether the counters were read for the last time and removed.
    """

    schema: Literal["android-suite/soak-manifest"] = "android-suite/soak-manifest"
    version: Literal[1] = 1
    id: str
    created_at: str
    label: str
    until_unix_ns: int
    interval_s: float
    kernel: KernelIdentity
    device: DeviceIdentity
    tables: tuple[str, ...]
    entries: int
    outlier_ms: float | None
    missing: tuple[MissingCounter, ...] = ()
    finished: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakThread:
    """Who had a thread id from this checkpoint on. ``start``: its start, in clock ticks since boot; it tells reuse."""

    tid: int
    tgid: int | None = None
    start: int | None = None
    comm: str = ""
    process: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakTable:
    """The counters of one table that changed since the checkpoint before.

    Attributes:
        rows: ``[tid, bucket, count, sum, longest]``. ``bucket`` b counts values above 2^(b-1) and up to 2^b ns, -1 is
            no bucket. ``sum`` is bytes for madvise and ns for locks. ``longest`` is in ns, -1 where it is not kept.
        dropped: events of threads for which the table had no room; they are in no row.
    """

    rows: tuple[tuple[int, int, int, int, int], ...] = ()
    dropped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One line of ``checkpoints.jsonl``.

    Attributes:
        n: number of the line, from 0.
        segment: number of the segment; ``install`` names the installation of the counters.
        at_unix_ns: the host's clock when the counters were read.
        uptime_ns: of the device, at the same time.
        tables: by name; a table without a change is left out.
        system: counters of the whole system from /proc/vmstat, and the kernel's and the suite's memory in KiB.
    """

    schema: Literal["android-suite/soak-checkpoint"] = "android-suite/soak-checkpoint"
    version: Literal[1] = 1
    n: int
    edge: Edge
    boot: str
    install: str
    segment: int
    at_unix_ns: int
    uptime_ns: int
    tables: Mapping[str, SoakTable] = field(default_factory=dict)
    threads: tuple[SoakThread, ...] = ()
    system: Mapping[str, int] = field(default_factory=dict)
    outlier: str = ""  # file of the trace that was taken, in ``outliers/``
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakLoss:
    """Time in which nothing was counted for sure, between two segments.

    ``calls_expected``: the madvise calls of that time at the highest rate of any minute. It is an estimate, no bound.
    """

    after_segment: int
    why: str
    at_most_s: float
    calls_expected: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakSegment:
    """One segment and its totals; ``per_hour`` are the rates that two soaks are compared by."""

    number: int
    boot: str
    began_unix_ns: int
    seconds: float
    checkpoints: int
    calls: int | None
    per_vma: int | None
    mmap_lock: int | None
    bytes: int | None
    per_hour: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakBucket:
    """How many waits of a role were above ``above_ns`` and up to twice that."""

    lock: str
    mode: str
    role: str
    above_ns: int
    waits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakPoint:
    """The counts of one interval. Waits are those that slept or spun, of all threads."""

    segment: int
    at_unix_ns: int
    seconds: float
    calls: int | None
    per_vma: int | None
    mmap_lock: int | None
    bytes: int | None
    waits: int | None
    wait_ns: int | None
    longest_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakSummary:
    """``soak report`` and ``soak --json``: the totals, over time, and what they leave out."""

    schema: Literal["android-suite/soak"] = "android-suite/soak"
    version: Literal[1] = 1
    label: str
    kernel: KernelIdentity
    device: DeviceIdentity
    finished: bool
    seconds: float
    madvise: tuple[MadviseSummary, ...]
    locks: tuple[LockSummary, ...]
    buckets: tuple[SoakBucket, ...]
    segments: tuple[SoakSegment, ...]
    losses: tuple[SoakLoss, ...]
    over_time: tuple[SoakPoint, ...]
    dropped: Mapping[str, int]
    missing: tuple[MissingCounter, ...]
    outliers: tuple[str, ...]
    system: Mapping[str, int]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakRate:
    """One rate of two soaks: medians over segments, and the difference with its interval, if segments suffice."""

    name: str
    baseline: float | None
    candidate: float | None
    difference: float | None
    interval: tuple[float, float] | None
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakComparison:
    """``soak compare``. The unit is the segment, that is the boot."""

    schema: Literal["android-suite/soak-comparison"] = "android-suite/soak-comparison"
    version: Literal[1] = 1
    baseline: str
    candidate: str
    confidence: float
    segments: tuple[int, int]
    rates: tuple[SoakRate, ...]
    notes: tuple[str, ...] = ()
