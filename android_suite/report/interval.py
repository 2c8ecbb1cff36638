"""Draws the small picture in a row of the verdict table: effect and interval over the margin, zero in the middle."""

from __future__ import annotations

from markupsafe import Markup

from android_suite.model.comparison import MetricComparison

WIDTH, HEIGHT = 112, 18
_HALF = WIDTH / 2 - 4


def draw_interval(metric: MetricComparison) -> Markup:
    """An inline SVG; empty if there is no interval. The scale of each row fits what it shows."""
    if metric.effect is None or metric.effect_ci is None:
        return Markup("")
    low, high = metric.effect_ci
    margin = metric.margin or 0.0
    reach = max(abs(low), abs(high), 1.6 * margin, 1e-12)

    def place(value: float) -> float:
        return round(WIDTH / 2 + _HALF * max(-1.0, min(1.0, value / reach)), 1)

    left, right, middle = place(low), place(high), HEIGHT / 2
    parts = [
        (
            f'<rect class="iv-margin" x="{place(-margin)}" y="1" width="{max(0.0, place(margin) - place(-margin)):.1f}" '
            f'height="{HEIGHT - 2}"/>'
        ),
        f'<line class="iv-zero" x1="{WIDTH / 2}" x2="{WIDTH / 2}" y1="0" y2="{HEIGHT}"/>',
        f'<line class="iv-bar" x1="{left}" x2="{max(right, left + 1):.1f}" y1="{middle}" y2="{middle}"/>',
        f'<circle class="iv-dot" cx="{place(metric.effect)}" cy="{middle}" r="3.4"/>',
    ]
    return Markup(
        f'<svg class="iv iv-{metric.verdict.value.lower()}" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">' + "".join(parts) + "</svg>"
    )
