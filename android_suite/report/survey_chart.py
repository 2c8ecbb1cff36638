"""Draws a survey: one panel per question, the kernels below each other, as wide as a phone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from android_suite.model.survey import Survey, SurveyRow
from android_suite.report.charts import PATH_COLORS
from android_suite.report.phrases import UNKNOWN
from android_suite.report.plot import INK, LEFT, WIDTH, Plot

ROW = 20.0  # px
_MARGIN = 18  # px at the right, for the end of the last number below an axis
_HEIGHT = re.compile(r'<svg [^>]*height="(\d+)"')
_STYLE = (
    "text{font:11px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:#1c2430}"
    ".head{font-weight:600;font-size:12.5px}.unknown{fill:#667381;font-style:italic}"
)
_ORANGE, _BLUE, _GREEN = PATH_COLORS[1][1], "#005f9e", PATH_COLORS[0][1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One question. ``parts``: keys of columns with name and colour, drawn end to end, or as shares of their sum.

    With ``inside`` the second part is a part of the first, and is drawn over it.
    """

    title: str
    axis: str
    parts: tuple[tuple[str, str, str], ...]
    shares: bool = False
    inside: bool = False


PANELS: tuple[Panel, ...] = (
    Panel(
        title="HeapTaskDaemon's madvise calls",
        axis="share of calls",
        shares=True,
        parts=(
            ("madvisePerVma", *PATH_COLORS[0]),
            ("madviseMmapLock", *PATH_COLORS[1]),
            ("madviseUnknown", *PATH_COLORS[2]),
        ),
    ),
    Panel(
        title="The UI thread waits for mmap_lock",
        axis="ms in gc_stress",
        inside=True,
        parts=(("mmapLockWait", "all waits", "#e3a97f"), ("invertedByMadvise", "inverted by madvise", "#8f3508")),
    ),
    Panel(
        title="The UI thread writes to a VMA being freed",
        axis="ms waited in vma_stress",
        parts=(("vmaStressMmapLockWait", "for mmap_lock", _ORANGE), ("vmaLockWait", "for the VMA", _BLUE)),
    ),
    Panel(
        title="The UI thread waits behind a weak reader",
        axis="ms in proc_reader (reads maps and smaps)",
        parts=(("behindReaderMmapLock", "mmap_lock", _ORANGE), ("behindReaderVmaLock", "lock of a VMA", _BLUE)),
    ),
    Panel(
        title="The app takes mmap_lock in page faults",
        axis="times in gc_stress",
        parts=(("faultsOnMmapLock", "page faults on mmap_lock", _ORANGE),),
    ),
    Panel(title="Late frames", axis="% of frames in gc_stress", parts=(("lateFrames", "late", "#6a4c93"),)),
    Panel(title="Cold launch", axis="ms to the first frame", parts=(("coldLaunch", "cold launch", _GREEN),)),
)


def draw_survey(survey: Survey) -> str:
    """The whole chart as an SVG file; panels whose scenario did not run are left out."""
    parts: list[str] = []
    y = 4.0
    for panel in PANELS:
        if not any(key in row.values for row in survey.rows for key, _, _ in panel.parts):
            continue
        parts.append(f'<text class="head" x="6" y="{y + 14:.0f}">{escape(panel.title)}</text>')
        drawn = _draw(panel, survey.rows)
        found = _HEIGHT.match(drawn)
        assert found is not None
        parts.append(drawn.replace("<svg ", f'<svg y="{y + 20:.0f}" overflow="visible" ', 1))
        y += 20 + int(found[1]) + 10
    told = f"Linux kernels {', '.join(row.name for row in survey.rows)} compared: " + "; ".join(p.title for p in PANELS)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(told)}" width="{WIDTH + _MARGIN}" '
        f'height="{y:.0f}" viewBox="0 0 {WIDTH + _MARGIN} {y:.0f}"><style>{_STYLE}</style>'
        f'<rect width="{WIDTH + _MARGIN}" height="{y:.0f}" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


def _draw(panel: Panel, rows: Sequence[SurveyRow]) -> str:
    most = 1.0 if panel.shares else max((_reach(panel, row) or 0.0 for row in rows), default=0.0)
    plot = Plot(0.0, most * 1.02 if most else 1.0)
    bottom = 6 + ROW * len(rows)
    plot.grid(2, bottom)
    unknown = []
    for number, row in enumerate(rows):
        top = 6 + ROW * number
        plot.name(row.name, top + ROW / 2 - 2)
        reach = _reach(panel, row)
        if reach is None:
            unknown.append(f'<text class="unknown" x="{LEFT + 4}" y="{top + ROW / 2 + 2:.1f}">{UNKNOWN}</text>')
            continue
        at = 0.0
        for index, (key, _, color) in enumerate(panel.parts):
            value = row.values[key].value or 0.0
            share = value / reach if panel.shares and reach else value
            if share and panel.inside:
                plot.bar(0.0, share, top + 5 * index, ROW - 6 - 10 * index, color)
            elif share:
                plot.bar(at, at + share, top, ROW - 6, color)
                at += share
        if not panel.shares and not reach:
            plot.line(0.0, top, 0.0, top + ROW - 6, INK, 2)
    legend = [(name, color) for _, name, color in panel.parts] if len(panel.parts) > 1 else []
    text = plot.finish(bottom, panel.axis, panel.title, percent=panel.shares, legend=legend)
    return text.replace("</svg>", f"{''.join(unknown)}</svg>")


def _reach(panel: Panel, row: SurveyRow) -> float | None:
    """How far the bars of a row go; None if one of them is not known."""
    values = [row.values[key].value if key in row.values else None for key, _, _ in panel.parts]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    return known[0] if panel.inside else sum(known)
