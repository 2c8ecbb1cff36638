"""The report as JSON: the comparison's own object, or the analyses'."""

from __future__ import annotations

import json
from typing import Any

from android_suite.report.model import ReportModel


def render_json(model: ReportModel) -> str:
    """``summary.json``: the comparison, or the one analysis, or a list of them; never NaN.

    Raises:
        ValueError: an analysis holds NaN or an infinity.
    """
    document: Any
    if model.comparison is not None:
        document = model.comparison.to_json()
    elif len(model.runs) == 1:
        document = dict(model.runs[0].analysis)
    else:
        rows = [{"name": run.name, "scenario": run.scenario, "analysis": dict(run.analysis)} for run in model.runs]
        document = {"schema": "android-suite/analyses", "version": 1, "runs": rows}
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
