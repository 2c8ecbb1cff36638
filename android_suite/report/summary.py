"""Rows and sentences that several renderers share. Counts what was decided; measures nothing."""

from __future__ import annotations

from dataclasses import dataclass

from android_suite.model.comparison import Comparison, MadvisePaths, MetricComparison
from android_suite.model.identity import CrashRecord, LabelledKernel
from android_suite.report.model import ReportModel
from android_suite.report.phrases import (
    find_decimals,
    format_interval,
    format_number,
    format_percent,
    format_value,
    show_foreign,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRow:
    """One kernel's row of the table of madvise paths."""

    kernel: str
    side: str
    paths: MadvisePaths

    @property
    def share(self) -> str:
        """Share of the calls on the per-VMA path; unknown if there is no call, or the path of any call is unknown."""
        known = self.paths.per_vma + self.paths.mmap_lock
        return format_percent(self.paths.per_vma / known) if known and not self.paths.unknown else "unknown"

    @property
    def reasons(self) -> str:
        """Fallback reasons, most frequent first."""
        ranked = sorted(self.paths.reasons.items(), key=lambda item: (-item[1], item[0]))
        return ", ".join(f"{reason} {format_number(count)}" for reason, count in ranked) or "none"


def name_kernel(kernel: LabelledKernel, side: str = "") -> str:
    """Release, with the label if that says more."""
    release, label = kernel.release or "unknown kernel", kernel.label
    name = release if not label or label in release or label == side else f"{label} ({release})"
    return show_foreign(name, longest=80)


def collect_paths(comparison: Comparison) -> list[PathRow]:
    """HeapTaskDaemon's madvise calls by path, one row per kernel."""
    return [
        PathRow(kernel=_name_patched(kernel, side, comparison.paths[side]), side=side, paths=comparison.paths[side])
        for side, kernel in (("baseline", comparison.baseline), ("candidate", comparison.candidate))
        if side in comparison.paths
    ]


def _name_patched(kernel: LabelledKernel, side: str, paths: MadvisePaths) -> str:
    """The kernel, with what its calls say of the seed patch: the version does not tell of a backport."""
    name = name_kernel(kernel, side)
    return f"{name}, seed patch: {paths.seed_patch}" if paths.seed_patch else name


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricTexts:
    """The numbers of one metric for a row, all with the same decimals."""

    baseline: str
    candidate: str
    effect: str
    relative: str
    interval: str


def describe_metric(metric: MetricComparison) -> MetricTexts:
    """Formats the numbers of a row; ``relative`` is empty if the baseline is zero or below."""
    base, cand, effect = metric.baseline.level, metric.candidate.level, metric.effect
    places = find_decimals(base, cand, effect)
    relative = metric.effect_relative
    return MetricTexts(
        baseline=format_value(base, metric.unit, decimals=places),
        candidate=format_value(cand, metric.unit, decimals=places),
        effect=format_value(effect, metric.unit, signed=True, decimals=places),
        relative="" if relative is None else format_percent(relative, signed=True),
        interval=format_interval(metric.effect_ci, metric.unit, decimals=places),
    )


def collect_crashes(model: ReportModel) -> list[tuple[str, CrashRecord]]:
    """Every crash with its side, which is empty if there is no comparison."""
    found: list[tuple[str, CrashRecord]] = []
    if model.comparison:
        for side in ("baseline", "candidate"):
            found += [(side, crash) for crash in model.comparison.crashes(side)]
    found += [("", crash) for crash in model.crashes]
    return found
