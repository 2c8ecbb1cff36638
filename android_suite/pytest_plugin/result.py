"""The results that a scenario's test asserts on."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from android_suite.analyze import RunAnalysis
from android_suite.errors import EvidenceError, UsageError
from android_suite.model.document import to_plain


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PathCounts:
    """Madvise calls by path, summed over the complete iterations.

    ``vma_lock_busy`` of the calls under mmap_lock tried the VMA's own lock, which another thread held for writing. That
    is the app's doing, not the kernel's: any patched kernel takes mmap_lock then.
    """

    calls: int
    per_vma: int
    mmap_lock: int
    unknown: int
    vma_lock_busy: int
    reasons: Mapping[str, int]  # why calls took mmap_lock: name to number

    def __repr__(self) -> str:
        return (
            f"{self.calls} madvise calls ({self.per_vma} under the VMA's lock, {self.mmap_lock} under mmap_lock, "
            f"{self.vma_lock_busy} of these because the VMA's lock was busy, {self.unknown} unknown)"
        )


@dataclass(frozen=True, slots=True, repr=False)
class Recorded:
    """One analyzed recording. Only complete iterations count."""

    analysis: RunAnalysis

    def __repr__(self) -> str:
        records = [i.record for i in self.analysis.iterations]
        complete = sum(record.status == "complete" for record in records)
        scenarios = ", ".join(sorted({record.scenario for record in records}))
        return f"{scenarios} ({complete} of {len(records)} iterations complete, {self.analysis.run.path})"

    @property
    def summaries(self) -> list[dict[str, Any]]:
        """``android-suite/analysis`` objects of the complete iterations.

        Raises:
            EvidenceError: no iteration is complete.
        """
        found = [to_plain(i.summary) for i in self.analysis.iterations if i.record.status == "complete"]
        if not found:
            reasons = "; ".join(i.record.reason for i in self.analysis.iterations)
            raise EvidenceError(f"no iteration is complete ({reasons}); record again.")
        return found

    @property
    def launches(self) -> Sequence[dict[str, Any]]:
        """All launches that were not discarded."""
        return [launch for summary in self.summaries for launch in summary["launches"] if not launch["discarded"]]

    def madvise(self, *, role: str) -> PathCounts:
        """Calls of the app's threads with that role."""
        rows = [row for summary in self.summaries for row in summary["madvise"] if row["role"] == role]
        total = {name: sum(row[name] for row in rows) for name in ("calls", "per_vma", "mmap_lock", "unknown")}
        reasons: Counter[str] = Counter()
        for row in rows:
            reasons.update(row["reasons"])
        return PathCounts(**total, vma_lock_busy=reasons["vma_lock_busy"], reasons=dict(reasons))

    def evidence(self, name: str) -> list[str]:
        """Text of a file of evidence (such as ``app_result.json``), of each complete iteration that has it."""
        complete = [i.record for i in self.analysis.iterations if i.record.status == "complete"]
        files = [self.analysis.run.raw(record) / name for record in complete]
        return [file.read_text(encoding="utf-8", errors="replace") for file in files if file.is_file()]

    def metric(self, name: str) -> float:
        """Median of a metric over the iterations.

        Raises:
            UsageError: there is no such metric.
            EvidenceError: it is unknown in an iteration.
        """
        rows = [m for summary in self.summaries for m in summary["metrics"] if m["name"] == name]
        if not rows:
            known = ", ".join(sorted({m["name"] for summary in self.summaries for m in summary["metrics"]}))
            raise UsageError(f"there is no metric {name!r} here; known: {known}.")
        values = [row["value"] for row in rows]
        if any(value is None for value in values):
            raise EvidenceError(f"{name} is unknown in {values.count(None)} of {len(values)} iterations; record again.")
        return statistics.median(float(value) for value in values)
