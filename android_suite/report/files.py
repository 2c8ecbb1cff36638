"""The files of a report, as `compare -o` and `qualify` write them."""

from __future__ import annotations

from android_suite.report.html import render_html
from android_suite.report.junit import render_junit
from android_suite.report.markdown import render_markdown
from android_suite.report.model import ReportModel


def render_files(model: ReportModel) -> dict[str, str]:
    """The report in every format that is a file, by file name."""
    return {
        "report.html": render_html(model),
        "report.md": render_markdown(model),
        "junit.xml": render_junit(model),
    }
