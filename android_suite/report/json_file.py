"""Renders the report as JSON: the comparison's own object, or the analyses'."""

from __future__ import annotations

import json

from android_suite.model.analyzed import AnalysisList, NamedAnalysis
from android_suite.model.document import to_plain
from android_suite.report.model import ReportModel


def render_json(model: ReportModel) -> str:
    """``summary.json``: the comparison, or the one analysis, or a list of them."""
    document: object
    if model.comparison is not None:
        document = model.comparison
    elif len(model.runs) == 1:
        document = model.runs[0].analysis
    else:
        document = AnalysisList(
            runs=tuple(NamedAnalysis(name=run.name, scenario=run.scenario, analysis=run.analysis) for run in model.runs)
        )
    return json.dumps(to_plain(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
