"""Writes the files of a survey, and its part of a page.

::

    OUT/survey.json, survey.svg, survey.md    the numbers, the chart, table and chart as a page of its own
    OUT/journal.jsonl, jobs/, ...             as of `qualify`: what was recorded, so that another call goes on
"""

from __future__ import annotations

from pathlib import Path

from android_suite.errors import UsageError
from android_suite.model.document import to_plain
from android_suite.model.survey import Survey
from android_suite.report.survey import render_page_part, replace_part
from android_suite.report.survey_chart import draw_survey
from android_suite.store.run import write_atomic, write_json

CHART = "survey.svg"
NUMBERS = "survey.json"


def write_survey(survey: Survey, out: Path) -> None:
    """Writes the three files into the folder of a survey."""
    write_json(out / NUMBERS, to_plain(survey))
    write_atomic(out / CHART, draw_survey(survey).encode())
    write_atomic(out / "survey.md", f"# Kernels side by side\n\n{render_page_part(survey, CHART)}".encode())


def update_page(page: Path, survey: Survey) -> None:
    """Replaces the generated part of a page; chart and numbers go beside it, into ``images/`` and as ``survey.json``.

    Raises:
        UsageError: the page cannot be read, or its marks are damaged.
    """
    old = read_page(page)
    write_json(page.parent / NUMBERS, to_plain(survey))
    (page.parent / "images").mkdir(exist_ok=True)
    write_atomic(page.parent / "images" / CHART, draw_survey(survey).encode())
    write_atomic(page, replace_part(old, render_page_part(survey, f"images/{CHART}"), str(page)).encode())


def read_page(page: Path) -> str:
    """The text of a page, checked so that a survey does not end with a page that it cannot write.

    Raises:
        UsageError: it cannot be read, or its marks are damaged.
    """
    try:
        old = page.read_text(encoding="utf-8") if page.exists() else "# Kernels side by side\n"
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"cannot read the page {page}: {reason}; give a Markdown file.") from error
    if not page.parent.is_dir():
        raise UsageError(f"there is no folder {page.parent} for the page; make it first.")
    replace_part(old, "", str(page))
    return old
