"""Draws a series: a row for each build from top to bottom, its boots as dots, its level, and where it changed."""

from __future__ import annotations

from android_suite.model.history import HistoryPoint, HistorySeries
from android_suite.report.phrases import show_foreign
from android_suite.report.plot import INK, Plot

COLORS = {"better": "#14693d", "worse": "#a4201a", "changed": "#5b2a86"}
BOOT, MODES = "#005f9e", "#5b2a86"
_TALL, _LOW = 18.0, 7.0  # px of a row, with few and with many builds
_FEW = 40


def chart_series(series: HistorySeries) -> str:
    """The picture as inline SVG. Boots that are not exact are open triangles at what is known of them."""
    values = [
        value
        for point in series.points
        for boot in point.boots
        for value in (boot.level, boot.bound)
        if value is not None
    ]
    if series.modes:  # what their median hides
        values += [value for point in series.points for boot in point.boots for value in boot.values]
    low, high = min(values, default=0.0), max(values, default=0.0)
    plot = Plot(low - (high - low) * 0.04, high + (high - low) * 0.04)
    step = _TALL if len(series.points) <= _FEW else _LOW
    named = 1 if step == _TALL else 2
    bottom = 8 + step * len(series.points)
    plot.grid(2, bottom)
    for change in series.modes:
        _mark(plot, change.after, change.inside, step, MODES, dashed=True)
    for level in series.changes:
        _mark(plot, level.after, level.inside, step, COLORS[level.direction], dashed=False)
    for row, point in enumerate(series.points):
        middle = 6 + (row + 0.5) * step
        if row % named == 0:
            plot.name(point.name, middle)
        _boots(plot, point, middle, step, samples=bool(series.modes))
    unit = "" if series.unit in ("", "count") else f" ({series.unit})"
    label = f"{series.scenario} {series.metric} over {len(series.points)} builds"
    return plot.finish(bottom, show_foreign(series.metric, longest=50) + unit, label)


def _boots(plot: Plot, point: HistoryPoint, middle: float, step: float, *, samples: bool) -> None:
    for boot in point.boots:
        for value in boot.values if samples else ():
            plot.line(value, middle - step * 0.3, value, middle + step * 0.3, MODES, 1, 0.3)
        if boot.level is not None:
            plot.dot(boot.level, middle, BOOT, size=min(2.6, step / 3), opacity=0.55)
        elif boot.bound is not None:
            plot.dot(boot.bound, middle, INK, size=min(3.5, step / 2), shape="bound")
    if point.level is not None:
        plot.line(point.level, middle - step * 0.36, point.level, middle + step * 0.36, INK, 2)


def _mark(plot: Plot, after: int, inside: bool, step: float, color: str, *, dashed: bool) -> None:
    y = 6 + step * (after + (0.5 if inside else 0.0))
    if dashed:
        y += 1.5  # beside a change of level at the same place
    plot.line(plot.low, y, plot.high, y, color, 1.6, dashed=dashed)
