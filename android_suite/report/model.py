"""What a report is made from. Everything here was computed elsewhere; the renderers only lay it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from android_suite.model.analysis import AnalyzedRun
from android_suite.model.comparison import Comparison
from android_suite.model.identity import CrashRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportModel:
    """A report: of a comparison, of lone analyses, or of both.

    ``kernels`` are identities (as in the comparison's JSON) where there is no comparison to take them from; ``crashes``
    are those beside the ones in the comparison's evidence. ``commands`` repeat the experiment, one a line.
    """

    title: str
    comparison: Comparison | None = None
    runs: Sequence[AnalyzedRun] = ()
    kernels: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    crashes: Sequence[CrashRecord] = ()
    notes: Sequence[str] = ()
    commands: Sequence[str] = ()
    created_at: str = ""
    suite_version: str = ""
