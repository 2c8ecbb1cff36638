"""Draws the charts of a metric and of the madvise paths."""

from __future__ import annotations

from collections.abc import Sequence

from android_suite.model.comparison import BootValues, MetricComparison
from android_suite.report.phrases import format_number, show_foreign
from android_suite.report.plot import FAINT, INK, Plot
from android_suite.report.summary import PathRow

BASELINE, CANDIDATE, MARGIN = "#8a5a00", "#005f9e", "#dfe5ea"
PATH_COLORS = (("per-VMA", "#1a7f4b"), ("mmap_lock", "#c2571a"), ("unknown", "#9aa5b1"))
_SIDES = (("baseline", BASELINE, "circle"), ("candidate", CANDIDATE, "diamond"))


def chart_boots(metric: MetricComparison, *, side_height: float = 72) -> str:
    """Every sample as a tick and every boot's median as a dot, the kernels one above the other, ``side_height`` px each."""
    sides = [metric.baseline.distribution, metric.candidate.distribution]
    plot = _plot([value for boots in sides for boot in boots for value in (*boot.values, boot.median)])
    rows = max(len(boots) for boots in sides) or 1
    step = max(3.0, min(9.0, side_height / rows))
    bottom = 8 + 2 * rows * step + 10
    plot.grid(2, bottom)
    for number, (boots, (name, color, shape)) in enumerate(zip(sides, _SIDES, strict=True)):
        top = 6 + number * (rows * step + 8)
        plot.name(name, top + rows * step / 2)
        for row, boot in enumerate(boots):
            middle = top + (row + 0.5) * step
            for value in boot.values:
                plot.line(value, middle - step / 2, value, middle + step / 2, color, 1.2, 0.45)
            plot.dot(boot.median, middle, color, size=min(3.2, step / 2), shape=shape)
    return plot.finish(
        bottom, _axis(metric), f"{metric.scenario} {metric.name}: samples and boot medians of both kernels"
    )


def chart_differences(metric: MetricComparison) -> str:
    """Differences of pairs of boots, and under them the effect with its interval; the margin is shaded."""
    rows: list[tuple[str, float]] = []
    if metric.paired:
        pairs = zip(metric.baseline.distribution, metric.candidate.distribution, strict=False)
        rows = [(_pair_name(b, i), c.median - b.median) for i, (b, c) in enumerate(pairs)]
    shown = [value for _, value in rows] + [0.0, -(metric.margin or 0.0), metric.margin or 0.0]
    shown += [*(metric.effect_ci or ()), *([metric.effect] if metric.effect is not None else [])]
    plot = _plot(shown)
    step = max(6.0, min(14.0, 180 / max(len(rows), 1)))
    below = 8 + len(rows) * step
    bottom = below + 24
    if metric.margin is not None:
        plot.bar(-metric.margin, metric.margin, 2, bottom - 2, MARGIN)
    plot.line(0, 2, 0, bottom, INK)
    for row, (name, value) in enumerate(rows):
        middle = 8 + (row + 0.5) * step
        if step >= 10 or row % 2 == 0:
            plot.name(name, middle)
        plot.line(0, middle, value, middle, FAINT)
        plot.dot(value, middle, CANDIDATE)
    if metric.effect is not None:
        plot.name("effect", below + 12)
        if metric.effect_ci is not None:
            plot.line(metric.effect_ci[0], below + 12, metric.effect_ci[1], below + 12, INK, 3)
        plot.dot(metric.effect, below + 12, INK, size=4, shape="square")
    title = "candidate minus baseline" + (" (pp)" if metric.unit == "%" else _unit(metric))
    what = "paired differences and effect" if rows else "effect and its interval"
    return plot.finish(bottom, title, f"{metric.scenario} {metric.name}: {what}")


def chart_ecdf(metric: MetricComparison) -> str:
    """Cumulative distribution of all samples of both kernels; the baseline's is dashed."""
    sides = [
        sorted(value for boot in boots for value in boot.values)
        for boots in (metric.baseline.distribution, metric.candidate.distribution)
    ]
    plot = _plot([value for side in sides for value in side])
    top, height = 8.0, 120.0
    bottom = top + height
    plot.grid(top, bottom)
    for share in (0.0, 0.5, 1.0):
        plot.name(f"{share:.0%}", bottom - share * height)
    for values, (name, color, _) in zip(sides, _SIDES, strict=True):
        points = [(value, bottom - (i + 1) / len(values) * height) for i, value in enumerate(values)]
        plot.steps([(values[0], bottom), *points] if values else [], color, dashed=name == "baseline")
    return plot.finish(bottom, _axis(metric), f"{metric.scenario} {metric.name}: cumulative distribution of samples")


def chart_paths(rows: Sequence[PathRow]) -> str:
    """Shares of the madvise paths, one bar per kernel."""
    plot = Plot(0.0, 1.0)
    bottom = 8 + 26.0 * len(rows)
    plot.grid(2, bottom)
    for number, row in enumerate(rows):
        top, at = 10 + 26.0 * number, 0.0
        plot.name(row.side or row.kernel, top + 8)
        counts = (row.paths.per_vma, row.paths.mmap_lock, row.paths.unknown)
        for count, (_, color) in zip(counts, PATH_COLORS, strict=True):
            if count:
                plot.bar(at, at + count / row.paths.calls, top, 16, color)
                at += count / row.paths.calls
    told = ", ".join(f"{row.side or row.kernel} {format_number(row.paths.calls)} calls" for row in rows)
    label = f"HeapTaskDaemon's madvise calls by path: {told}"
    return plot.finish(bottom, "share of calls", label, percent=True, legend=PATH_COLORS)


def _plot(values: Sequence[float]) -> Plot:
    low, high = min(values, default=0.0), max(values, default=0.0)
    return Plot(low - (high - low) * 0.04, high + (high - low) * 0.04)


def _axis(metric: MetricComparison) -> str:
    return show_foreign(metric.name, longest=50) + _unit(metric)


def _unit(metric: MetricComparison) -> str:
    return "" if metric.unit in ("", "count") else f" ({metric.unit})"


def _pair_name(boot: BootValues, index: int) -> str:
    return f"seed {boot.seed}" if boot.seed is not None else f"pair {index + 1}"
