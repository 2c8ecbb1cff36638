"""Charts as inline SVG: Altair specifications rendered by vl-convert. No script reaches the reader."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

import altair as alt
import vl_convert

from android_suite.model.comparison import BootValues, MetricComparison
from android_suite.report.phrases import show_foreign

WIDTH = 245  # of the plot area: with its axis it fits a phone as it is, and three stand side by side on a screen
BASELINE, CANDIDATE, MARGIN, INK, FAINT = "#8a5a00", "#005f9e", "#e7ecef", "#1c2430", "#9aa5b1"
SIDES = ("baseline", "candidate")
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"
_CONFIG: dict[str, Any] = {
    "font": FONT,
    "background": None,
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK,
        "titleColor": "#4a5563",
        "titleFontWeight": "normal",
        "labelFontSize": 11,
        "titleFontSize": 11,
        "domainColor": FAINT,
        "tickColor": FAINT,
        "gridColor": "#eef1f4",
        "labelLimit": 130,
        "labelOverlap": True,
    },
    "legend": {"labelFontSize": 11, "titleFontSize": 11, "orient": "bottom", "title": None, "labelLimit": 200},
}
_TICKS = alt.Axis(tickCount=5)
_SIDE_COLOR = alt.Color("side:N", scale=alt.Scale(domain=list(SIDES), range=[BASELINE, CANDIDATE]), legend=None)


def render_svg(chart: Any, label: str) -> str:
    """The chart as an SVG element with an accessible name, its ids made unique within the page."""
    svg: str = vl_convert.vegalite_to_svg(chart.to_dict(validate=False), config=_CONFIG)
    prefix = f"c{crc32(svg.encode()):08x}-"  # the same report is the same bytes
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}\1)", svg)
    svg = re.sub(r'\b(xlink:)?href="#([^"]+)"', rf'href="#{prefix}\2"', svg)
    name = show_foreign(label).replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{name}" ', 1)


def chart_boots(metric: MetricComparison) -> str:
    """Every sample as a tick and every boot's median as a dot, the kernels one above the other."""
    samples, medians = [], []
    for side, boots in zip(SIDES, (metric.baseline.distribution, metric.candidate.distribution), strict=True):
        for row, boot in enumerate(boots):
            samples += [{"side": side, "row": row, "value": value} for value in boot.values]
            medians.append({"side": side, "row": row, "value": boot.median})
    rows = max(len(metric.baseline.distribution), len(metric.candidate.distribution), 1)
    step = max(3, min(9, 72 // rows))
    x = alt.X("value:Q", title=_axis(metric), scale=alt.Scale(zero=False), axis=_TICKS)
    y = alt.Y("side:N", title=None, sort=list(SIDES), scale=alt.Scale(paddingInner=0.25))
    offset = alt.YOffset("row:O", scale=alt.Scale(domain=list(range(rows))))
    ticks = (
        alt.Chart(alt.Data(values=samples))
        .mark_tick(opacity=0.45, thickness=1.2, size=step + 1)
        .encode(x=x, y=y, yOffset=offset, color=_SIDE_COLOR)
    )
    dots = (
        alt.Chart(alt.Data(values=medians))
        .mark_point(filled=True, size=min(45, step * 6), opacity=1)
        .encode(
            x=x, y=y, yOffset=offset, color=_SIDE_COLOR,
            shape=alt.Shape("side:N", scale=alt.Scale(domain=list(SIDES), range=["circle", "diamond"]), legend=None),
        )
    )  # fmt: skip
    chart = (ticks + dots).properties(width=WIDTH, height={"step": step, "for": "offset"})
    return render_svg(chart, f"{metric.scenario} {metric.name}: samples and boot medians of both kernels")


def chart_differences(metric: MetricComparison) -> str:
    """Differences of pairs of boots, and under them the effect with its interval; the margin is shaded."""
    rows: list[dict[str, Any]] = []
    if metric.paired:
        pairs = zip(metric.baseline.distribution, metric.candidate.distribution, strict=False)
        rows = [{"pair": _pair_name(b, i), "value": c.median - b.median} for i, (b, c) in enumerate(pairs)]
    order = [*(row["pair"] for row in rows), "effect"]
    layers: list[Any] = []
    title = "candidate minus baseline" + (" (pp)" if metric.unit == "%" else _unit(metric))
    x, low_x = (alt.X(f"{field}:Q", title=title, axis=_TICKS) for field in ("value", "low"))
    y = alt.Y("pair:N", title=None, sort=order, axis=alt.Axis(labelOverlap=True))
    if metric.margin is not None:
        band = {"low": -metric.margin, "high": metric.margin}
        layers.append(alt.Chart(alt.Data(values=[band])).mark_rect(color=MARGIN).encode(x=low_x, x2="high:Q"))
    layers.append(alt.Chart(alt.Data(values=[{"value": 0}])).mark_rule(color=INK, strokeWidth=1).encode(x=x))
    if rows:
        data = alt.Data(values=[{**row, "zero": 0} for row in rows])
        layers.append(alt.Chart(data).mark_rule(color=FAINT).encode(x=x, x2="zero:Q", y=y))
        layers.append(alt.Chart(data).mark_point(filled=True, size=36, color=CANDIDATE, opacity=1).encode(x=x, y=y))
    if metric.effect is not None:
        effect = {"pair": "effect", "value": metric.effect}
        if metric.effect_ci:
            low, high = metric.effect_ci
            bar = alt.Chart(alt.Data(values=[{**effect, "low": low, "high": high}]))
            layers.append(bar.mark_rule(strokeWidth=3, color=INK).encode(x=low_x, x2="high:Q", y=y))
        point = alt.Chart(alt.Data(values=[effect]))
        layers.append(point.mark_point(filled=True, shape="square", size=70, color=INK, opacity=1).encode(x=x, y=y))
    step = max(6, min(14, 180 // max(len(rows), 1)))
    chart = alt.layer(*layers).properties(width=WIDTH, height={"step": step if rows else 30})
    what = "paired differences and effect" if rows else "effect and its interval"
    return render_svg(chart, f"{metric.scenario} {metric.name}: {what}")


def chart_ecdf(metric: MetricComparison) -> str:
    """Cumulative distribution of all samples of both kernels."""
    rows: list[dict[str, Any]] = []
    for side, boots in zip(SIDES, (metric.baseline.distribution, metric.candidate.distribution), strict=True):
        values = sorted(value for boot in boots for value in boot.values)
        rows += [{"side": side, "value": value, "share": (i + 1) / len(values)} for i, value in enumerate(values)]
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(interpolate="step-after", strokeWidth=1.8)
        .encode(
            x=alt.X("value:Q", title=_axis(metric), scale=alt.Scale(zero=False), axis=_TICKS),
            y=alt.Y("share:Q", title="share of samples", axis=alt.Axis(format="%", tickCount=5)),
            color=_SIDE_COLOR,
            strokeDash=alt.StrokeDash(
                "side:N", scale=alt.Scale(domain=list(SIDES), range=[[4, 3], [1, 0]]), legend=None
            ),
        )
        .properties(width=WIDTH, height=120)
    )
    return render_svg(chart, f"{metric.scenario} {metric.name}: cumulative distribution of samples")


def chart_paths(rows: Sequence[Mapping[str, Any]]) -> str:
    """Shares of the madvise paths, one bar a kernel. Rows: ``kernel``, ``path``, ``calls``."""
    order = ["per-VMA", "mmap_lock", "unknown"]
    chart = (
        alt.Chart(alt.Data(values=list(rows)))
        .mark_bar(size=16)
        .encode(
            x=alt.X("calls:Q", stack="normalize", title="share of calls", axis=alt.Axis(format="%", tickCount=5)),
            y=alt.Y("kernel:N", title=None, sort=[row["kernel"] for row in rows]),
            color=alt.Color(
                "path:N", scale=alt.Scale(domain=order, range=["#1a7f4b", "#c2571a", "#9aa5b1"]), sort=order
            ),
            order=alt.Order("rank:Q"),
        )
        .properties(width=WIDTH, height={"step": 26})
    )
    return render_svg(chart, "HeapTaskDaemon's madvise calls by path")


def _axis(metric: MetricComparison) -> str:
    return show_foreign(metric.name, longest=50) + _unit(metric)


def _unit(metric: MetricComparison) -> str:
    return "" if metric.unit in ("", "count") else f" ({metric.unit})"


def _pair_name(boot: BootValues, index: int) -> str:
    return f"seed {boot.seed}" if boot.seed is not None else f"pair {index + 1}"
