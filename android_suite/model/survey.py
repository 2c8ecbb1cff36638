"""What `kernels survey` found: one row per kernel; docs/survey.json is one, docs/schema/survey.json describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from android_suite.model.analysis import Quality
from android_suite.model.document import read_document

SCHEMA: Literal["android-suite/survey"] = "android-suite/survey"
Group = Literal["madvise", "mmap_lock", "vma_lock", "frames", "launches", "faults", "reader"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyColumn:
    """One number of a row: which metric of which scenario, and how the table calls it.

    Attributes:
        key: its name in ``values`` of a row.
        title: heading of the table's column.
        scenario: whose metric it is.
        metric: name in the catalogue, or ``madvise.PATH`` for HeapTaskDaemon's calls, ``vmstat.NAME`` for a counter.
        unit: as in the catalogue.
        group: what of the kernel it is about.
    """

    key: str
    title: str
    scenario: str
    metric: str
    unit: str
    group: Group


_COLUMNS: tuple[tuple[str, str, str, str, str, Group], ...] = (
    ("madviseMmapLock", "madvise on mmap_lock", "gc_stress", "madvise.mmap_lock", "count", "madvise"),
    ("madvisePerVma", "madvise per VMA", "gc_stress", "madvise.per_vma", "count", "madvise"),
    ("madviseUnknown", "madvise, path unknown", "gc_stress", "madvise.unknown", "count", "madvise"),
    ("mmapLockWait", "UI waits for mmap_lock", "gc_stress", "mmapLockWaitMs_ui", "ms", "mmap_lock"),
    ("inverted", "inverted", "gc_stress", "invertedMs", "ms", "mmap_lock"),
    ("invertedByMadvise", "of it by madvise", "gc_stress", "invertedMs_gcMadvise", "ms", "mmap_lock"),
    ("vmaLockWait", "UI waits for a VMA", "vma_stress", "vmaLockWaitMs_ui", "ms", "vma_lock"),
    ("vmaStressMmapLockWait", "UI waits for mmap_lock there", "vma_stress", "mmapLockWaitMs_ui", "ms", "vma_lock"),
    ("lateFrames", "late frames", "gc_stress", "jankyFramesPct", "%", "frames"),
    ("frameOverrun", "frame overrun p95", "gc_stress", "frameOverrunMs_p95", "ms", "frames"),
    ("coldLaunch", "cold launch", "app_launch", "timeToInitialDisplayMs_cold", "ms", "launches"),
    ("warmLaunch", "warm launch", "app_launch", "timeToInitialDisplayMs_warm", "ms", "launches"),
    ("faults", "page faults", "gc_stress", "vmstat.pgfault", "count", "faults"),
    ("faultsOnMmapLock", "of the app's on mmap_lock", "gc_stress", "mmapLockFaultCount", "count", "faults"),
    ("behindReaderMmapLock", "UI behind the reader, mmap_lock", "proc_reader", "behindReaderMs_mmapLock", "ms", "reader"),
    ("behindReaderVmaLock", "UI behind the reader, VMA lock", "proc_reader", "behindReaderMs_vmaLock", "ms", "reader"),
    ("readMaps", "reading maps", "proc_reader", "procReadCpuMs_maps", "ms", "reader"),
    ("readSmaps", "reading smaps", "proc_reader", "procReadCpuMs_smaps", "ms", "reader"),
)  # fmt: skip
# The order is that of the table and of the chart.
COLUMNS: tuple[SurveyColumn, ...] = tuple(
    SurveyColumn(key=key, title=title, scenario=scenario, metric=metric, unit=unit, group=group)
    for key, title, scenario, metric, unit, group in _COLUMNS
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyValue:
    """A number over the seeds.

    Attributes:
        value: their mean; None if it is not known.
        low, high: the least and the largest of them.
        quality: the weakest of them; ``unknown`` if one is not known.
        reason: why it is not exact, or not of all recordings.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    quality: Quality = "unknown"
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyRow:
    """One kernel.

    Attributes:
        name: as `kernels list` names it.
        release: ``uname -r``; None if it did not boot.
        boots: recordings that are complete.
        planned: recordings asked for.
        mmap_lock_events, contention_events, page_fault_events, vma_probe: whether the kernel has them; None if no
            recording tells.
        values: by the key of `COLUMNS`.
        notes: what went wrong or is missing, with its reason.
    """

    name: str
    release: str | None = None
    boots: int = 0
    planned: int = 0
    mmap_lock_events: bool | None = None
    contention_events: bool | None = None
    page_fault_events: bool | None = None
    vma_probe: bool | None = None
    values: Mapping[str, SurveyValue] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyStep:
    """Between two neighbours a number changes its level: the ranges of all kernels before and after do not overlap.

    Attributes:
        key: of the column.
        before, after: names of the two kernels.
        levels_before, levels_after: least and largest value on each side, in the column's unit.
    """

    key: str
    before: str
    after: str
    levels_before: tuple[float, float]
    levels_after: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """The kernels, oldest first, and under which conditions they were recorded.

    Attributes:
        scenarios: by name, the parameters that differ from the defaults.
        app: whose heap it is.
        steps: where a number changes its level, in the order of `COLUMNS`.
    """

    schema: Literal["android-suite/survey"] = SCHEMA
    version: Literal[1] = 1
    arch: str
    seeds: tuple[int, ...]
    scenarios: Mapping[str, Mapping[str, str | int | float | bool]]
    app: str | None
    rows: tuple[SurveyRow, ...]
    steps: tuple[SurveyStep, ...] = ()


def read_survey(data: object, name: str = "survey.json") -> Survey:
    """The inverse of ``to_plain``; ``name`` is the file name for messages.

    Raises:
        SchemaError: the object is not a survey of this version.
    """
    return read_document(Survey, data, name=name, remedy="run `android-suite kernels survey` again")
