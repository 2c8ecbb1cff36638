"""The input of every renderer. All of it was computed elsewhere; renderers only lay it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from android_suite.model.analyzed import AnalyzedRun
from android_suite.model.comparison import Comparison
from android_suite.model.identity import CrashRecord, LabelledKernel


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportModel:
    """A report: of a comparison, of lone analyses, or of both.

    ``kernels`` are those of the runs by label, if there is no comparison to take them from; ``crashes`` are those that
    are not in the comparison's evidence. ``commands`` are the command lines that repeat the experiment.
    """

    title: str
    comparison: Comparison | None = None
    runs: Sequence[AnalyzedRun] = ()
    kernels: Mapping[str, LabelledKernel] = field(default_factory=dict)
    crashes: Sequence[CrashRecord] = ()
    notes: Sequence[str] = ()
    commands: Sequence[str] = ()
    created_at: str = ""
    suite_version: str = ""
