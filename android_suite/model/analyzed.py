"""Analyses with their origin: of the iterations of a run, and of several files; with the kernel's counters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from android_suite.model.analysis import AnalysisSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class LockClass:
    """One class of /proc/lock_stat."""

    class_name: str
    contentions: int = 0
    wait_total_ns: int = 0
    wait_max_ns: int = 0
    hold_total_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Kernel counters read beside the trace: lock_stat classes with contention, and increases in vmstat."""

    schema: Literal["android-suite/counters"] = "android-suite/counters"
    version: Literal[1] = 1
    lock_stat: tuple[LockClass, ...] = ()
    vmstat: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzedRun:
    """One analysis and its origin.

    ``side`` is ``baseline``, ``candidate``, or empty for a single trace. ``mode`` and ``virtual`` describe a recording
    that the suite made.
    """

    name: str
    analysis: AnalysisSummary
    side: str = ""
    scenario: str = ""
    boot: str = ""
    seed: int | None = None
    mode: str = ""
    virtual: bool = False
    counters: Counters = field(default_factory=Counters)


@dataclass(frozen=True, slots=True, kw_only=True)
class IterationSummary:
    """One iteration of a run."""

    index: int
    scenario: str
    status: str
    analysis: AnalysisSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """The output of `analyze --json` for a run directory."""

    schema: Literal["android-suite/run-analysis"] = "android-suite/run-analysis"
    version: Literal[1] = 1
    run: str
    label: str
    iterations: tuple[IterationSummary, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedAnalysis:
    """One of several analyses."""

    name: str
    scenario: str
    analysis: AnalysisSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisList:
    """The output of `report --json` for several analyses."""

    schema: Literal["android-suite/analyses"] = "android-suite/analyses"
    version: Literal[1] = 1
    runs: tuple[NamedAnalysis, ...]
