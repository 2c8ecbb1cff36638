"""Draws marks over one horizontal axis, as inline SVG. All charts of the report use it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from android_suite.report.phrases import format_number, show_foreign

WIDTH, LEFT, RIGHT = 326, 74, 12  # px: it fits a phone as it is, and three stand side by side on a screen
INK, FAINT, GRID = "#1c2430", "#9aa5b1", "#eef1f4"
LINE = 14  # px, of a line of text
_CHARACTERS = 12  # of a name fit into the left edge


class Plot:
    """A picture that grows downwards; x is in the data's unit, y in px.

    Args:
        low: where the axis begins.
        high: where it ends; made larger if it is not above ``low``.
    """

    def __init__(self, low: float, high: float) -> None:
        if not high > low:
            low, high = low - (abs(low) * 0.05 or 1.0), high + (abs(high) * 0.05 or 1.0)
        self.low, self.high = low, high
        self.ticks = choose_ticks(low, high)
        self._parts: list[str] = []

    def x(self, value: float) -> float:
        """Place of a value in px; values outside the axis are drawn at its ends."""
        share = (value - self.low) / (self.high - self.low)
        return round(LEFT + (WIDTH - LEFT - RIGHT) * max(0.0, min(1.0, share)), 1)

    def line(
        self,
        x1: float,
        y1: float,
        x2: float,
        y2: float,
        color: str,
        width: float = 1,
        opacity: float = 1,
        *,
        dashed: bool = False,
    ) -> None:
        """A straight line; x in the data's unit."""
        shade = "" if opacity == 1 else f' stroke-opacity="{opacity}"'
        if dashed:
            shade += ' stroke-dasharray="4 3"'
        self._parts.append(
            f'<path d="M{self.x(x1)} {y1:.1f}L{self.x(x2)} {y2:.1f}" stroke="{color}" stroke-width="{width}"{shade}/>'
        )

    def bar(self, x1: float, x2: float, y: float, height: float, color: str) -> None:
        """A filled stretch from ``x1`` to ``x2``."""
        left = self.x(x1)
        width = max(self.x(x2) - left, 0.5)
        self._parts.append(f'<rect x="{left}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{color}"/>')

    def dot(
        self, x: float, y: float, color: str, *, size: float = 3, shape: str = "circle", opacity: float = 1
    ) -> None:
        """A point: ``circle``, ``diamond``, ``square``, or ``bound``, an open triangle: the value is this or more."""
        at = self.x(x)
        if shape == "circle":
            shade = "" if opacity == 1 else f' fill-opacity="{opacity}"'
            self._parts.append(f'<circle cx="{at}" cy="{y:.1f}" r="{size}" fill="{color}"{shade}/>')
        elif shape == "bound":
            corners = f"M{at} {y - size:.1f}L{at + 1.6 * size:.1f} {y:.1f}L{at} {y + size:.1f}Z"
            self._parts.append(f'<path d="{corners}" fill="none" stroke="{color}" stroke-width="1.2"/>')
        else:
            turn = f' transform="rotate(45 {at} {y:.1f})"' if shape == "diamond" else ""
            box = f'x="{at - size:.1f}" y="{y - size:.1f}" width="{2 * size}" height="{2 * size}"'
            self._parts.append(f'<rect {box} fill="{color}"{turn}/>')

    def steps(self, points: Sequence[tuple[float, float]], color: str, *, dashed: bool = False) -> None:
        """A line that goes right, then up: x in the data's unit, y in px."""
        if not points:
            return
        path = f"M{self.x(points[0][0])} {points[0][1]:.1f}"
        for x, y in points[1:]:
            path += f"H{self.x(x)}V{y:.1f}"
        dash = ' stroke-dasharray="4 3"' if dashed else ""
        self._parts.append(f'<path d="{path}" fill="none" stroke="{color}" stroke-width="1.8"{dash}/>')

    def name(self, text: str, y: float) -> None:
        """The name of a row, at the left edge."""
        shown = show_foreign(text)
        if len(shown) > _CHARACTERS:
            shown = shown[: _CHARACTERS - 1] + "\N{HORIZONTAL ELLIPSIS}"
        self._parts.append(f'<text x="{LEFT - 7}" y="{y + 3.8:.1f}" text-anchor="end">{escape(shown)}</text>')

    def grid(self, top: float, bottom: float) -> None:
        """Faint lines at the ticks; to be drawn first."""
        for tick in self.ticks:
            self.line(tick, top, tick, bottom, GRID)

    def finish(
        self, bottom: float, title: str, label: str, *, percent: bool = False, legend: Sequence[tuple[str, str]] = ()
    ) -> str:
        """Draws the axis below everything and returns the whole as one SVG element.

        Args:
            bottom: y of the axis.
            title: title of the axis.
            label: accessible name of the picture.
            percent: whether the axis shows shares.
            legend: names and their colors.
        """
        self.line(self.low, bottom, self.high, bottom, FAINT)
        free = -math.inf
        for tick in self.ticks:
            text = f"{tick:.0%}" if percent else format_number(tick, decimals=_decimals(self.ticks))
            at, half = self.x(tick), 3.1 * len(text)
            self.line(tick, bottom, tick, bottom + 4, FAINT)
            if at - half > free:
                self._parts.append(f'<text x="{at}" y="{bottom + 16:.1f}" text-anchor="middle">{text}</text>')
                free = at + half + 4
        middle = (LEFT + WIDTH - RIGHT) / 2
        shown = escape(show_foreign(title, longest=50))
        self._parts.append(
            f'<text class="title" x="{middle}" y="{bottom + 31:.1f}" text-anchor="middle">{shown}</text>'
        )
        height = self._legend(legend, bottom + 48) - 12 if legend else bottom + 36
        named = escape(show_foreign(label))
        return (
            f'<svg class="plot" role="img" aria-label="{named}" width="{WIDTH}" height="{height:.0f}" '
            f'viewBox="0 0 {WIDTH} {height:.0f}">{"".join(self._parts)}</svg>'
        )

    def _legend(self, entries: Sequence[tuple[str, str]], y: float) -> float:
        """Draws the legend in as many lines as it needs; returns the y below it."""
        at = float(LEFT)
        for name, color in entries:
            width = 16 + 6.4 * len(name)
            if at > LEFT and at + width > WIDTH - RIGHT:
                at, y = float(LEFT), y + LINE
            self._parts.append(f'<rect x="{at:.1f}" y="{y - 8:.1f}" width="9" height="9" fill="{color}"/>')
            self._parts.append(f'<text x="{at + 13:.1f}" y="{y:.1f}">{escape(name)}</text>')
            at += width + 8
        return y + LINE


def choose_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most ``most`` round numbers from ``low`` to ``high``."""
    raw = high / most - low / most  # the difference of what somebody stored may be beyond the largest number
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10, 20) if factor * power >= raw * 0.999)
    return list(_count_up(math.ceil(low / step - 1e-9) * step, high + step * 1e-9, step))


def _count_up(first: float, last: float, step: float) -> Iterator[float]:
    number = 0
    while (value := first + number * step) <= last and number < 20:
        yield 0.0 if abs(value) < step * 1e-6 else value
        number += 1


def _decimals(ticks: Sequence[float]) -> int:
    step = ticks[1] - ticks[0] if len(ticks) > 1 else abs(ticks[0]) if ticks and ticks[0] else 1.0
    for places in range(9):
        if abs(round(step, places) - step) < step * 1e-6:
            return places
    return 9
