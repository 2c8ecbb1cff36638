"""The model to html, junit, markdown, json and terminal. Computes no number."""

from android_suite.report.html import render_html
from android_suite.report.json_file import render_json
from android_suite.report.junit import render_junit
from android_suite.report.markdown import render_markdown
from android_suite.report.model import AnalyzedRun, ReportModel
from android_suite.report.terminal import render_terminal

__all__ = [
    "AnalyzedRun",
    "ReportModel",
    "render_html",
    "render_json",
    "render_junit",
    "render_markdown",
    "render_terminal",
]
