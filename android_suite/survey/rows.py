"""Makes a kernel's row from its recordings. Measures nothing: the numbers are those of the analyses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from android_suite.analyze import IterationAnalysis, RunAnalysis
from android_suite.model.analysis import Quality
from android_suite.model.survey import COLUMNS, SurveyColumn, SurveyRow, SurveyStep, SurveyValue
from android_suite.stats.steps import find_step

_WORST: tuple[Quality, ...] = ("exact", "lower_bound", "unknown")
_FLOORS = {"ms": 0.05, "%": 1.0, "count": 10.0}  # a smaller difference is no change of level
_EVENTS = {
    "mmap_lock_events": "mmap_lock:mmap_lock_start_locking",
    "contention_events": "lock:contention_begin",
    "page_fault_events": "exceptions:page_fault_user",
    "vma_probe": "kprobes:vma_start_write",
}


def make_row(
    kernel: str, runs: Sequence[RunAnalysis], *, planned: Sequence[str], notes: Iterable[str] = ()
) -> SurveyRow:
    """One row.

    Args:
        kernel: name of the kernel.
        runs: its recordings, analyzed.
        planned: the scenario of each recording that there should be.
        notes: what went wrong meanwhile.
    """
    complete = [i for run in runs for i in run.iterations if i.record.status == "complete"]
    said = [*notes, *_complain(runs)]
    known = next((run.run.manifest.kernel for run in runs if run.run.manifest.kernel is not None), None)
    return SurveyRow(
        name=kernel,
        release=known.release if known else None,
        boots=len(complete),
        planned=len(planned),
        values={
            column.key: _value(column, complete, planned.count(column.scenario))
            for column in COLUMNS
            if _asked(column, runs)
        },
        notes=tuple(dict.fromkeys(said)),
        **{name: _has(event, complete) for name, event in _EVENTS.items()},
    )


def find_steps(rows: Sequence[SurveyRow]) -> tuple[SurveyStep, ...]:
    """Where each number changes its level over the kernels, which are oldest first.

    A lower bound says nothing of the level: the number may be as high as those that it seems to be below.
    """
    found = []
    for column in COLUMNS:
        values = [row.values.get(column.key) for row in rows]
        ranges = [
            None if v is None or v.quality != "exact" or v.low is None or v.high is None else (v.low, v.high)
            for v in values
        ]
        if (step := find_step(ranges, floor=_FLOORS[column.unit])) is not None:
            # The neighbour before is the last one that is known.
            last = max(i for i in range(step.at) if ranges[i] is not None)
            found.append(
                SurveyStep(
                    key=column.key,
                    before=rows[last].name,
                    after=rows[step.at].name,
                    levels_before=step.before,
                    levels_after=step.after,
                )
            )
    return tuple(found)


def _asked(column: SurveyColumn, runs: Sequence[RunAnalysis]) -> bool:
    return any(i.record.scenario == column.scenario for run in runs for i in run.iterations)


def _complain(runs: Sequence[RunAnalysis]) -> Iterator[str]:
    for run in runs:
        if (crash := run.run.manifest.crash) is not None:
            yield f"crashed: {crash.summary}"
        for item in run.iterations:
            record = item.record
            if record.crash is not None:
                yield f"{record.scenario}, seed {record.seed}: crashed: {record.crash.summary}"
            elif record.status != "complete":
                yield f"{record.scenario}, seed {record.seed}: {record.status}: {record.reason}"


def _has(event: str, complete: Sequence[IterationAnalysis]) -> bool | None:
    """Whether a kernel has an event; None if no recording asked for it."""
    for item in complete:
        setup = item.record.trace_setup
        if event in setup.get("events", ()):
            return True
        if event in setup.get("missing", ()):
            return False
    return None


def _value(column: SurveyColumn, complete: Sequence[IterationAnalysis], planned: int) -> SurveyValue:
    found = [_read(column, item) for item in complete if item.record.scenario == column.scenario]
    if not found:
        return SurveyValue(value=None, reason=f"no complete recording of {column.scenario}")
    values = [value for value, _, _ in found if value is not None]
    quality = max((quality for _, quality, _ in found), key=_WORST.index)
    reasons = [reason for _, _, reason in found if reason]
    if len(found) < planned:
        reasons.insert(0, f"only {len(found)} of {planned} recordings of {column.scenario} are complete")
    reason = ". ".join(dict.fromkeys(reasons)) or None
    if len(values) < len(found):
        return SurveyValue(value=None, reason=reason)
    mean = round(sum(values) / len(values), 6)
    return SurveyValue(value=mean, low=min(values), high=max(values), quality=quality, reason=reason)


def _read(column: SurveyColumn, item: IterationAnalysis) -> tuple[float | None, Quality, str | None]:
    kind, _, name = column.metric.partition(".")
    if kind == "vmstat":
        counted = item.counters.vmstat.get(name)
        return (counted, "exact", None) if counted is not None else (None, "unknown", "vmstat was not recorded")
    if kind == "madvise":
        return _count_madvise(name, item)
    for metric in item.summary.metrics:
        if metric.name == column.metric:
            return metric.value, metric.quality, metric.reason
    return None, "unknown", f"{column.scenario} gave no {column.metric}"


def _count_madvise(path: str, item: IterationAnalysis) -> tuple[float | None, Quality, str | None]:
    """HeapTaskDaemon's calls by path, in the app that was asked for."""
    own = [each for each in item.summary.madvise if each.role == "gc" and each.process == item.record.process]
    if not own:
        return None, "unknown", "no madvise call of HeapTaskDaemon is in the trace"
    unknown = sum(each.unknown for each in own)
    why = f"the path of {unknown} calls is not known" if unknown and path != "unknown" else None
    if item.summary.source.blind_ns:
        why = "events are missing in a part of the trace"
    return sum(getattr(each, path) for each in own), "lower_bound" if why else "exact", why
