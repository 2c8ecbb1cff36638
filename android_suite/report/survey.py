"""A survey as text for a terminal and as the generated part of a Markdown page. Pure: the numbers are the survey's."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from android_suite.errors import UsageError
from android_suite.model.survey import COLUMNS, Group, Survey, SurveyColumn, SurveyRow, SurveyStep, SurveyValue
from android_suite.report.markdown import escape
from android_suite.report.phrases import UNKNOWN, find_decimals, format_number, format_value, join_words, show_foreign

BEGIN = "<!-- survey: written by `android-suite kernels survey --page`; do not edit up to the end mark -->"
END = "<!-- survey: end -->"
_TABLES: tuple[tuple[str, tuple[Group, ...]], ...] = (
    ("Freeing and locks", ("madvise", "mmap_lock", "vma_lock")),
    ("Frames, launches and faults", ("frames", "launches", "faults")),
    ("A reader of maps and smaps", ("reader",)),
)
_ABILITIES = (
    ("mmap_lock_events", "mmap_lock events"),
    ("contention_events", "contention events"),
    ("page_fault_events", "page fault events"),
    ("vma_probe", "probe of `__vma_start_write`"),
)
_BOUND = "\N{GREATER-THAN OR EQUAL TO}"
_WIDTH = 118


def render_survey(survey: Survey) -> str:
    """Plain text: the tables, what changed between which kernels, and what is not known."""
    lines: list[str] = []
    for title, groups in _TABLES:
        columns = _columns(survey, groups)
        if not columns:
            continue
        head = ["kernel", *(f"{column.title}{_unit(column)}" for column in columns)]
        rows = [[row.name, *cells] for row, cells in zip(survey.rows, _cells(survey, columns), strict=True)]
        lines += [title, *_align(head, rows), ""]
    lines += [f"- {show_foreign(line)}" for line in describe_steps(survey)]
    lines += [f"note: {', '.join(names)}: {show_foreign(note)}" for note, names in _gather_notes(survey)]
    return "\n".join(lines) + "\n"


def render_page_part(survey: Survey, chart: str) -> str:
    """The generated part of a Markdown page, from `BEGIN` to `END`.

    Args:
        survey: the kernels.
        chart: path of the chart, relative to the page.
    """
    lines = [BEGIN, "", *_wrap(_conditions(survey)), "", f"![The kernels side by side]({chart})", ""]
    if steps := describe_steps(survey):
        lines += ["**Where a number changes its level** (all kernels before it lie on one side of all after it):", ""]
        for step in steps:
            lines += textwrap.wrap(f"- {step}", _WIDTH, subsequent_indent="  ")
        lines.append("")
    for title, groups in _TABLES:
        if columns := _columns(survey, groups):
            head = ["kernel", *(f"{column.title}{_unit(column)}" for column in columns)]
            lines += [f"### {title}", "", f"| {' | '.join(head)} |", f"| --- |{' --: |' * len(columns)}"]
            for row, cells in zip(survey.rows, _cells(survey, columns), strict=True):
                lines.append(f"| {' | '.join([escape(row.name), *cells])} |")
            lines.append("")
    lines += ["### What each kernel can show", ""]
    lines += [f"| kernel | recordings | {' | '.join(name for _, name in _ABILITIES)} |"]
    lines += [f"| --- | --: |{' --- |' * len(_ABILITIES)}"]
    for row in survey.rows:
        has = [{True: "yes", False: "no", None: UNKNOWN}[getattr(row, field)] for field, _ in _ABILITIES]
        lines.append(f"| {escape(row.name)} | {row.boots} of {row.planned} | {' | '.join(has)} |")
    if notes := _gather_notes(survey):
        lines += ["", f"{_BOUND} marks a lower bound. Why a number is one, or is not known:", ""]
        for note, names in notes:
            lines += textwrap.wrap(f"- {escape(', '.join(names))}: {escape(note)}", _WIDTH, subsequent_indent="  ")
    return "\n".join([*lines, "", END]) + "\n"


def replace_part(page: str, part: str, name: str) -> str:
    """The page with its generated part replaced; added at the end if the page has none.

    Raises:
        UsageError: the page has one of the two marks without the other.
    """
    begin, end = page.find(BEGIN), page.find(END)
    if begin < 0 and end < 0:
        return f"{page.rstrip()}\n\n{part}".lstrip()
    if begin < 0 or end < begin:
        raise UsageError(f"{name} has only one of the marks of its generated part; remove it, or restore the other.")
    return page[:begin] + part.rstrip("\n") + page[end + len(END) :]


def describe_steps(survey: Survey) -> list[str]:
    """A sentence for each change of level."""
    columns = {column.key: column for column in COLUMNS}
    return [_describe_step(columns[step.key], step) for step in survey.steps if step.key in columns]


def _describe_step(column: SurveyColumn, step: SurveyStep) -> str:
    before, after = (_range(levels, column.unit) for levels in (step.levels_before, step.levels_after))
    return f"{column.title} ({column.scenario}): {before} up to {step.before}, {after} from {step.after} on."


def _range(levels: tuple[float, float], unit: str) -> str:
    low, high = (format_number(level) for level in levels)
    return format_value(levels[1], unit) if low == high else f"{low} to {format_value(levels[1], unit)}"


def _conditions(survey: Survey) -> str:
    seeds = join_words(str(seed) for seed in survey.seeds)
    told = "; ".join(
        f"`{name}` with {', '.join(f'{key}={value}' for key, value in given.items())}" if given else f"`{name}`"
        for name, given in survey.scenarios.items()
    )
    mean = "mean over the seeds" if len(survey.seeds) > 1 else "one recording each, so small differences may be chance"
    app = f" {survey.app[0].upper()}{survey.app[1:]}." if survey.app else ""
    return (
        f"{len(survey.rows)} kernels for {survey.arch}, in virtual time (one instruction is one nanosecond, so these are not "
        f"a phone's times), one CPU, seed{'s' if len(survey.seeds) > 1 else ''} {seeds} ({mean}). Scenarios: {told}.{app}"
    )


def _columns(survey: Survey, groups: Sequence[Group]) -> list[SurveyColumn]:
    """The columns of these groups that any kernel has; one that is 0 everywhere and says nothing is left out."""
    own = [column for column in COLUMNS if column.group in groups and column.scenario in survey.scenarios]
    return [
        column
        for column in own
        if column.key != "madviseUnknown" or any((v := row.values.get(column.key)) and v.value for row in survey.rows)
    ]


def _cells(survey: Survey, columns: Sequence[SurveyColumn]) -> list[list[str]]:
    """Every row's cells, with the same decimals in a column."""
    places = {}
    for column in columns:
        values = [found.value for row in survey.rows if (found := row.values.get(column.key))]
        places[column.key] = min(3, find_decimals(*values))
    return [[_cell(row.values.get(column.key), places[column.key]) for column in columns] for row in survey.rows]


def _cell(found: SurveyValue | None, decimals: int) -> str:
    if found is None or found.value is None:
        return UNKNOWN
    return f"{_BOUND if found.quality == 'lower_bound' else ''}{format_number(found.value, decimals=decimals)}"


def _unit(column: SurveyColumn) -> str:
    return "" if column.unit == "count" else f" ({column.unit})"


def _gather_notes(survey: Survey) -> list[tuple[str, list[str]]]:
    """Each note with the kernels that it is about."""
    found: dict[str, list[str]] = {}
    for row in survey.rows:
        for note in _notes(survey, row):
            found.setdefault(note, []).append(row.name)
    return list(found.items())


def _notes(survey: Survey, row: SurveyRow) -> Iterator[str]:
    """What is wrong with a row, then the reasons of its numbers, each with the numbers that it touches."""
    yield from row.notes
    touched: dict[str, list[str]] = {}
    for column in COLUMNS:
        found: SurveyValue | None = row.values.get(column.key)
        if column.scenario in survey.scenarios and found is not None and found.reason:
            touched.setdefault(found.reason, []).append(column.title)
    for reason, titles in touched.items():
        yield f"{join_words(titles)}: {reason}"


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH)


def _align(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns of equal width; long headings are broken into lines."""
    heads = [textwrap.wrap(text, 14) or [""] for text in head]
    high = max(map(len, heads))
    heads = [[*[""] * (high - len(lines)), *lines] for lines in heads]
    widths = [max(len(line) for line in [*heads[i], *(row[i] for row in rows)]) for i in range(len(head))]
    grid = [[lines[level] for lines in heads] for level in range(high)] + [list(row) for row in rows]
    return [
        "  ".join(
            cell.ljust(width) if not i else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in grid
    ]
