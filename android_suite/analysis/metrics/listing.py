"""Lists every metric that applies to an analysis."""

from __future__ import annotations

from collections.abc import Iterator

from android_suite.analysis.metrics.app import list_gc, list_launches
from android_suite.analysis.metrics.blame import list_blame
from android_suite.analysis.metrics.frames import list_frames
from android_suite.analysis.metrics.locks import list_inversions, list_locks, list_reader
from android_suite.analysis.metrics.value import Value
from android_suite.analysis.pipeline import Analysis
from android_suite.model.analysis import MetricValue
from android_suite.model.metrics import find_metric
from android_suite.tables.derived import EXACT, LOWER_BOUND, QUALITIES, UNKNOWN


def list_metrics(analysis: Analysis) -> list[MetricValue]:
    """Every metric that applies to the analysis; one that is not exact has the reason."""
    own = [*_checks(analysis), *_page_faults(analysis)]
    found = [
        *list_locks(analysis),
        *list_inversions(analysis),
        *list_blame(analysis),
        *list_reader(analysis),
        *list_frames(analysis),
        *list_gc(analysis),
        *list_launches(analysis),
        *own,
    ]
    if own and not analysis.recorded:  # a scenario whose program measures by itself records no events and misses none
        found = own
    rows = []
    for each in found:
        metric = find_metric(each.name)
        why = dict.fromkeys(each.missing if each.value is None else each.doubts)
        quality = UNKNOWN if each.value is None else LOWER_BOUND if why else EXACT
        rows.append(
            MetricValue(
                name=each.name,
                unit=metric.unit,
                better=metric.better,
                value=each.value,
                quality=QUALITIES[quality],
                reason=". ".join(why) or None,
            )
        )
    return rows


def _checks(analysis: Analysis) -> Iterator[Value]:
    if analysis.checks:
        yield Value("failedChecksCount", sum(each.result == "failed" for each in analysis.checks))


def _page_faults(analysis: Analysis) -> Iterator[Value]:
    for cost in analysis.fault_costs:
        yield Value(f"pageFaultNs_{cost.kind}", cost.page_ns, (cost.doubt,) if cost.doubt else ())
