"""Inversions that changed their lock: a patch can move a wait instead of ending it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from android_suite.model.comparison import MetricComparison, Moved
from android_suite.model.metrics import find_metric
from android_suite.model.verdict import Verdict

# Metrics of the one lock and of the other, of which one may take over what the other loses.
LOCK_PAIRS = (
    ("invertedMs_mmapLock", "invertedMs_vmaLock"),
    ("mmapLockWaitMs_ui", "vmaLockWaitMs_ui"),
)
_LOCKS = {"mmap": "mmap_lock", "vma": "the VMA's own lock"}


def find_moved(metrics: Sequence[MetricComparison]) -> Iterator[Moved]:
    """Where the time behind one lock fell and that behind the other rose, in each scenario.

    Both changes have to be seen: BETTER, WORSE, or undecided with an interval that excludes zero. A change inside its
    margin is none. Where the baseline does not tell the rising one (its kernel has no such lock, or its events were not
    recorded), a candidate that shows more than the margin counts, and the sentence says so.
    """
    by_key = {(metric.scenario, metric.name): metric for metric in metrics}
    for scenario in sorted({metric.scenario for metric in metrics}):
        for names in LOCK_PAIRS:
            for fell, rose in (names, names[::-1]):
                moved = _find(by_key, scenario, fell, rose)
                if moved is not None:
                    yield moved


def _find(metrics: Mapping[tuple[str, str], MetricComparison], scenario: str, fell: str, rose: str) -> Moved | None:
    less, more = metrics.get((scenario, fell)), metrics.get((scenario, rose))
    if less is None or more is None or not _changed(less, Verdict.BETTER, "better"):
        return None
    if _changed(more, Verdict.WORSE, "worse"):
        was = _number(more.baseline.level, more.unit)
    elif _appeared(more):
        was = "unknown"
    else:
        return None
    return Moved(
        scenario=scenario,
        fell=fell,
        rose=rose,
        sentence=(
            f"moved from {_lock(fell)} to {_lock(rose)}: {fell} {_number(less.baseline.level, less.unit)} to "
            f"{_number(less.candidate.level, less.unit)}, {rose} {was} to {_number(more.candidate.level, more.unit)}"
        ),
    )


def _changed(metric: MetricComparison, verdict: Verdict, leans: str) -> bool:
    return metric.verdict is verdict or (metric.verdict is Verdict.UNDECIDED and metric.leans == leans)


def _appeared(metric: MetricComparison) -> bool:
    """The candidate shows more than is nothing, and nothing is known of the baseline."""
    level, nothing = metric.candidate.level, find_metric(metric.name).margin.width(0.0)
    return metric.baseline.level is None and level is not None and level > nothing


def _lock(metric: str) -> str:
    return _LOCKS["vma" if "vma" in metric else "mmap"]


def _number(level: float | None, unit: str) -> str:
    return "unknown" if level is None else f"{level:.4g} {unit}"
