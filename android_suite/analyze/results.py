"""The results of an analysis: of one iteration, and of a run directory."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from android_suite.model.analysis import AnalysisSummary
from android_suite.model.analyzed import AnalyzedRun, Counters
from android_suite.model.run import IterationRecord
from android_suite.store.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class IterationAnalysis:
    """What was found in one iteration.

    Attributes:
        record: the iteration, from the manifest.
        summary: what the trace tells.
        counters: what the kernel counted beside it: lock classes by their total wait, and vmstat's growth.
    """

    record: IterationRecord
    summary: AnalysisSummary
    counters: Counters = field(default_factory=Counters)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAnalysis:
    """What was found in a run directory. ``samples`` is a frame of SAMPLES."""

    run: Run
    iterations: tuple[IterationAnalysis, ...]
    samples: pd.DataFrame

    def describe(self, side: str = "") -> tuple[AnalyzedRun, ...]:
        """Its iterations as a report shows them; ``side`` is ``baseline``, ``candidate`` or empty."""
        manifest = self.run.manifest
        name = manifest.label or self.run.path.name
        return tuple(
            AnalyzedRun(
                name=f"{name} {i.record.scenario} {i.record.index}",
                analysis=i.summary,
                side=side,
                scenario=i.record.scenario,
                boot=i.record.boot,
                seed=i.record.seed,
                mode=manifest.mode,
                virtual=manifest.device is not None and manifest.device.virtual,
                counters=i.counters,
            )
            for i in self.iterations
        )
