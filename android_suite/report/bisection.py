"""A bisection as text for a terminal and as Markdown for a mail or an issue."""

from __future__ import annotations

from collections.abc import Iterator

from android_suite.model.bisection import Bisection, PointResult
from android_suite.report.markdown import escape
from android_suite.report.phrases import format_number, show_foreign

_WORDS = {"before": "as the start", "after": "has moved", "skipped": "cannot be tested", "untested": "not tested"}


def render_bisection(found: Bisection, *, markdown: bool = False) -> str:
    """The answer, the positions that were tested, and the conditions.

    Args:
        found: the result.
        markdown: with a table and escaped titles; else plain lines.
    """
    lines = [*_answer(found, markdown), ""]
    tested = [point for point in found.points if point.standing != "untested"]
    if markdown:
        lines += [
            f"| position | change | `{found.metric}` ({found.unit}) | boots | result |",
            "| --: | :-- | --: | --: | :-- |",
        ]
        lines += [f"| {' | '.join(_cells(point, markdown=True))} |" for point in tested]
    else:
        rows = [_cells(point, markdown=False) for point in tested]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines += [f"{row[0]:>{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  {row[4]}" for row in rows]
    lines += ["", *_conditions(found)]
    lines += [f"note: {note}" for note in found.notes]
    return "\n".join(lines) + "\n"


def _answer(found: Bisection, markdown: bool) -> Iterator[str]:
    end = found.points[-1]
    levels = f"{_level(found.points[0])} to {_level(end)} {found.unit}".rstrip()
    if found.outcome == "nothing moved":
        yield f"Nothing moved: {found.metric} stays within its margin of {found.margin} ({levels})."
    elif found.outcome == "undecided":
        yield f"Undecided: with {len(found.seeds)} seeds the ends cannot be told apart ({levels}): {end.reason}."
    else:
        count = len(found.suspects)
        yield (
            f"{found.metric} got {found.direction} ({levels}) with "
            + (
                "this change:"
                if found.outcome == "found"
                else f"one of these {count} changes; skipped ones hide which:"
            )
        )
        yield ""
        for position in found.suspects:
            title = found.points[position].title
            yield f"- {position}. {escape(title)}" if markdown else f"  {position}. {show_foreign(title)}"


def _cells(point: PointResult, *, markdown: bool) -> tuple[str, str, str, str, str]:
    result = _WORDS[point.standing] + (f": {point.reason}" if point.reason else "")
    show = escape if markdown else show_foreign
    title, result = show(point.title), show(result)
    return str(point.position), title, _level(point), str(point.boots), result


def _conditions(found: Bisection) -> Iterator[str]:
    yield (
        f"{found.scenario}, virtual time, {found.boots} boots, {found.builds} kernels built; margin {found.margin}; "
        f"start: {found.source}."
    )
    if found.monotone is not None:
        yield (
            "Every position that was tested has the level of the start or of the end."
            if found.monotone
            else "Not every position has the level of the start or of the end, see the notes."
        )
    if found.repeated:
        yield "Both ends were recorded again at the end and gave the same traces."


def _level(point: PointResult) -> str:
    return "-" if point.level is None else format_number(point.level)
