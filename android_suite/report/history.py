"""Renders a history as one HTML file without scripts, as `html` does for a report."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from android_suite.model.history import History, HistorySeries
from android_suite.report import history_words as words
from android_suite.report.history_chart import chart_series
from android_suite.report.pages import make_environment, read_template

MANY = 200  # rows of a table; the rest is in the JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRow:
    """One change as the first table shows it."""

    anchor: str
    metric: str
    scenario: str
    place: str
    what: str
    chip: str  # better, worse, changed, modes
    chance: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesView:
    """A series with its picture and words."""

    anchor: str
    series: HistorySeries
    chart: Markup | None
    rows: list[ChangeRow]
    doubts: list[str]


def render_history_html(history: History, *, home: str = "") -> str:
    """The whole page; all foreign text is escaped.

    Args:
        history: what to show.
        home: a link back, for pages that are served.
    """
    views = [_view(f"s{number}", series) for number, series in enumerate(history.series)]
    page = make_environment().get_template("history.html.j2")
    return page.render(
        history=history,
        home=home,
        views=views,
        changes=[row for view in views for row in view.rows],
        summary=words.summarize_history(history),
        false_alarms=words.explain_false_alarms(history),
        order=words.ORDERS[history.order],
        conditions=words.list_conditions(history),
        kernels=len(
            {(p.kernel.release, p.kernel.version, p.kernel.build_id) for s in history.series for p in s.points}
        ),
        kernel_of=words.name_kernel_of,
        many=MANY,
        style=Markup(read_template("report.css") + read_template("history.css")),
    )


def _view(anchor: str, series: HistorySeries) -> SeriesView:
    rows = [
        _row(anchor, series, words.describe_place(series, c), words.describe_change(series, c), c.direction, c.chance)
        for c in series.changes
    ]
    rows += [
        _row(anchor, series, words.describe_place(series, m), words.describe_modes(series, m), "modes", m.chance)
        for m in series.modes
    ]
    return SeriesView(
        anchor=anchor,
        series=series,
        chart=Markup(chart_series(series)) if any(p.exact or p.lower_bound for p in series.points) else None,
        rows=rows,
        doubts=list(words.list_doubts(series)),
    )


def _row(anchor: str, series: HistorySeries, place: str, what: str, chip: str, chance: float) -> ChangeRow:
    return ChangeRow(
        anchor=anchor,
        metric=series.metric,
        scenario=series.scenario,
        place=place,
        what=what,
        chip=chip,
        chance=words.describe_chance(chance, series),
    )
