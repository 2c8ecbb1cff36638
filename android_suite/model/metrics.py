"""The metric catalogue: every number that compares two kernels, with its unit and its equivalence margin."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from android_suite.model.fault_costs import KINDS
from android_suite.model.launch import STATES

Better = Literal["lower", "higher", "none"]
PerBoot = Literal["median", "mean"]

_MARGIN = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(\S+)\s*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """The largest difference that does not matter: ``value`` in ``unit``, or in percent of the baseline.

    ``floor`` is the least value of a relative margin, in the metric's unit: 5 % of almost nothing is almost nothing,
    and a microsecond is not a regression.
    """

    value: float
    unit: str
    floor: float = 0.0

    def width(self, baseline: float) -> float:
        """Half-width of the equivalence zone, in the metric's unit, around a baseline level in the same unit."""
        if self.unit == "%":
            return max(abs(baseline) * self.value / 100.0, self.floor)
        return max(self.value, self.floor)

    def __str__(self) -> str:
        if self.unit == "%" and self.floor:
            return f"{self.value:g} % (at least {self.floor:g})"
        return f"{self.value:g} {self.unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric. ``name`` includes the unit; ``scenarios`` is empty if every scenario has the metric.

    ``per_boot`` says how the samples of one boot become one number. It is the mean for a share of rare failures: the
    median of nine successful launches and one failed launch would be "none failed".
    """

    name: str
    unit: str
    better: Better
    doc: str
    margin: Margin
    scenarios: tuple[str, ...] = ()
    headline: bool = False
    per_boot: PerBoot = "median"


def _percent(value: float, floor: float = 0.0) -> Margin:
    return Margin(value=value, unit="%", floor=floor)


def _launch(name: str, doc: str) -> tuple[Metric, ...]:
    return tuple(
        Metric(
            name=f"{name}_{state}",
            unit="ms",
            better="lower",
            doc=f"{doc}, {state} launches; a failed one counts as slower than every other",
            margin=_percent(3.0, 1.0),
            scenarios=("app_launch",),
            headline=name == "timeToInitialDisplayMs" and state == "cold",
        )
        for state in STATES
    )


def _lock(role: str, doc: str, *, headline: bool = False) -> Metric:
    return Metric(
        name=f"mmapLockWaitMs_{role}",
        unit="ms",
        better="lower",
        doc=doc,
        margin=_percent(5.0, 0.5),
        headline=headline,
    )


def _overrun(quantile: int) -> Metric:
    return Metric(
        name=f"frameOverrunMs_p{quantile}",
        unit="ms",
        better="lower",
        doc=f"{quantile}th percentile of a frame's end minus its deadline; positive is late",
        margin=Margin(value=0.5, unit="ms"),
        headline=quantile == 95,
    )


def _reader() -> tuple[Metric, ...]:
    """Of the scenario in which a weak monitor reads files of the app's ``/proc/PID``."""
    metrics = [
        Metric(
            name=f"behindReaderMs_{part}",
            unit="ms",
            better="lower",
            doc=f"time the main thread waited for {lock} behind the monitor, directly or through the thread in between",
            margin=_percent(5.0, 0.5),
            scenarios=("proc_reader",),
            headline=True,
        )
        for part, lock in (("mmapLock", "mmap_lock"), ("vmaLock", "the lock of a VMA"))
    ]
    for name, what in (("procReadMs", "a reading took"), ("procReadCpuMs", "the monitor itself ran in a reading")):
        metrics += [
            Metric(
                name=f"{name}_{file}",
                unit="ms",
                better="lower",
                doc=f"time {what} of /proc/PID/{file}; median over readings",
                margin=_percent(5.0, 0.05),
                scenarios=("proc_reader",),
            )
            for file in ("maps", "smaps", "smaps_rollup")
        ]
    return tuple(metrics)


CATALOGUE: tuple[Metric, ...] = (
    *_launch("timeToInitialDisplayMs", "from the start request to the first frame on the display"),
    *_launch("timeToFullDisplayMs", "from the start request to reportFullyDrawn"),
    Metric(
        name="launchFailedPct",
        unit="%",
        better="lower",
        doc="share of launches that timed out, crashed or ended in another app",
        margin=Margin(value=5.0, unit="pp"),
        scenarios=("app_launch",),
        headline=True,
        per_boot="mean",
    ),
    Metric(
        name="failedChecksCount",
        unit="count",
        better="lower",
        doc="checks of the kernel that failed; any on the candidate fails the comparison",
        margin=Margin(value=0.5, unit="count"),
        scenarios=("madvise_safety",),
        headline=True,
        per_boot="mean",
    ),
    *(
        Metric(
            name=f"pageFaultNs_{kind}",
            unit="ns",
            better="lower",
            doc=f"time per page: {what}",
            margin=_percent(2.0, 10.0),
            scenarios=("page_faults",),
            headline=kind == "new",
        )
        for kind, what in KINDS.items()
    ),
    Metric(
        name="frameCount",
        unit="count",
        better="higher",
        doc="frames drawn; percentiles over few frames mean little",
        margin=_percent(2.0, 2.0),
    ),
    Metric(
        name="jankyFramesPct",
        unit="%",
        better="lower",
        doc="share of frames that missed their deadline",
        margin=Margin(value=0.5, unit="pp"),
        headline=True,
    ),
    *(_overrun(q) for q in (50, 90, 95, 99)),
    Metric(
        name="jankyFromInversionCount",
        unit="count",
        better="lower",
        doc="late frames whose overrun would be gone without the inverted time",
        margin=Margin(value=1.0, unit="count"),
    ),
    _lock("ui", "time the main thread waited for mmap_lock, in total", headline=True),
    Metric(
        name="mmapLockWaitMaxMs_ui",
        unit="ms",
        better="lower",
        doc="longest single wait of the main thread for mmap_lock",
        margin=_percent(5.0, 0.5),
    ),
    Metric(
        name="mmapLockBehindMs_ui",
        unit="ms",
        better="lower",
        doc="part of mmapLockWaitMs_ui in which another thread held mmap_lock; in the rest it spun or waited for a CPU",
        margin=_percent(5.0, 0.5),
    ),
    _lock("render", "time RenderThread waited for mmap_lock, in total"),
    _lock("gc", "time HeapTaskDaemon waited for mmap_lock, in total"),
    Metric(
        name="vmaLockWaitMs_ui",
        unit="ms",
        better="lower",
        doc="time the main thread slept, holding mmap_lock for write, until a VMA's readers were gone",
        margin=_percent(5.0, 0.5),
        headline=True,
    ),
    Metric(
        name="invertedMs",
        unit="ms",
        better="lower",
        doc="time in which a thread waited behind a weaker thread, for mmap_lock or for the lock of a VMA",
        margin=_percent(5.0, 0.5),
        headline=True,
    ),
    Metric(
        name="invertedCount",
        unit="count",
        better="lower",
        doc="inverted waits",
        margin=_percent(5.0, 2.0),
    ),
    Metric(
        name="invertedLongestMs",
        unit="ms",
        better="lower",
        doc="longest inverted wait",
        margin=_percent(5.0, 0.5),
    ),
    Metric(
        name="invertedMs_gcMadvise",
        unit="ms",
        better="lower",
        doc="inverted time that HeapTaskDaemon's madvise caused",
        margin=_percent(5.0, 0.5),
        headline=True,
    ),
    Metric(
        name="invertedMs_mmapLock",
        unit="ms",
        better="lower",
        doc="inverted time of waits for mmap_lock",
        margin=_percent(5.0, 0.5),
    ),
    Metric(
        name="invertedMs_vmaLock",
        unit="ms",
        better="lower",
        doc="inverted time of waits for the lock of a VMA",
        margin=_percent(5.0, 0.5),
    ),
    Metric(
        name="binderWaitMs_ui",
        unit="ms",
        better="lower",
        doc="time the main thread slept in binder calls that wait for an answer; only where binder's events were recorded",
        margin=_percent(5.0, 0.5),
    ),
    Metric(
        name="monitorWaitMs_ui",
        unit="ms",
        better="lower",
        doc="time the main thread slept for Java monitors and ART's own locks; only where binder's events were recorded",
        margin=_percent(5.0, 0.5),
    ),
    Metric(
        name="blamedInvertedMs",
        unit="ms",
        better="lower",
        doc=(
            "time in which the main thread or RenderThread waited, through locks, monitors, futexes and binder calls, for a "
            "weaker thread at the end of the chain, by exact evidence alone; only where binder's events were recorded"
        ),
        margin=_percent(5.0, 0.5),
    ),
    Metric(
        name="mmapLockFaultCount",
        unit="count",
        better="lower",
        doc="times the app took mmap_lock for read outside of every recorded call on memory: nearly all are page faults",
        margin=_percent(5.0, 20.0),
    ),
    *_reader(),
    Metric(
        name="gcCount",
        unit="count",
        better="none",
        doc="garbage collections; the amount of work, not its quality",
        margin=_percent(5.0, 2.0),
    ),
    Metric(
        name="gcDurationMs_p50",
        unit="ms",
        better="lower",
        doc="median duration of a garbage collection",
        margin=_percent(5.0, 0.5),
    ),
    Metric(
        name="gcMmapLockWaitMs",
        unit="ms",
        better="lower",
        doc="time garbage collections waited for mmap_lock, in total",
        margin=_percent(5.0, 0.5),
    ),
    Metric(
        name="madviseMmapLockPct_gc",
        unit="%",
        better="lower",
        doc="share of HeapTaskDaemon's madvise calls that took mmap_lock",
        margin=Margin(value=0.5, unit="pp"),
        headline=True,
    ),
)

_BY_NAME = {metric.name: metric for metric in CATALOGUE}


def find_metric(name: str, *, unit: str = "", better: Better = "none") -> Metric:
    """The catalogue's metric of that name, or a new entry with the unit and direction of the samples.

    A metric outside the catalogue (from a user's scenario) gets a margin of 5 % and is not a headline.
    """
    known = _BY_NAME.get(name)
    return known or Metric(name=name, unit=unit, better=better, doc="", margin=_percent(5.0))


def parse_margin(text: str, unit: str) -> Margin | None:
    """Reads ``"5 %"`` or ``"0.5 ms"`` for a metric measured in ``unit``.

    A percentage is of the baseline; for a metric that is itself a percentage, ``pp`` means percentage points. Returns
    None if the text has no number, no unit, or a unit that does not convert to the metric's.
    """
    found = _MARGIN.match(text)
    if not found:
        return None
    value, given = float(found[1]), found[2]
    if not math.isfinite(value) or value <= 0:
        return None
    if given == "%":
        return Margin(value=value, unit="%")
    scale = _SCALES.get((given, unit))
    return None if scale is None else Margin(value=value * scale, unit="pp" if unit == "%" else unit)


_TIMES = {"ns": 1.0, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9}
_SCALES: dict[tuple[str, str], float] = {
    **{(a, b): _TIMES[a] / _TIMES[b] for a in _TIMES for b in _TIMES},
    ("count", "count"): 1.0,
    ("pp", "%"): 1.0,
    ("bytes", "bytes"): 1.0,
    ("KiB", "bytes"): 1024.0,
    ("MiB", "bytes"): 1048576.0,
}
