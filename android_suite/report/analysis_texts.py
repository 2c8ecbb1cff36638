"""Puts one analysis into words for every renderer: late frames, reasons of what is not exact, sleeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from android_suite.model.analysis import AnalysisSummary, LateFrame, LaunchSummary, MetricValue, SleepSummary, Waker
from android_suite.report.chains import name_thread
from android_suite.report.phrases import format_ms, format_value, join_words, show_foreign

_OUTCOMES = {
    "ok": "complete", "timeout": "timed out", "crash": "crashed", "elsewhere": "ended in another app",
    "wrong_state": "in a state other than the requested one", None: "not known",
}  # fmt: skip

SPENT = 3  # causes of one thread that are named
WAKER_NOTE = (
    "Woken by: the thread that ran at the wake-up, and how long the frame's thread had slept until then; "
    "an interrupt counts as the thread that it interrupted."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LateFrameTexts:
    """One late frame: when it began on the trace clock, whose it is, how late, what its time went to, who woke it."""

    when: str
    process: str
    late: str
    took: str
    spent: str
    woken: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """Metrics that are not exact for the same reason."""

    quality: str
    names: tuple[str, ...]
    reason: str

    @property
    def sentence(self) -> str:
        """Which metrics are not exact, and why."""
        be = "is" if len(self.names) == 1 else "are"
        what = "unknown" if self.quality == "unknown" else "at least as large as shown"
        return show_foreign(f"{join_words(self.names)} {be} {what}: {self.reason}.", longest=800)


def describe_late_frame(frame: LateFrame) -> LateFrameTexts:
    """Puts a late frame into words; what is not known is left out."""
    parts = [f"{side}: {_spent(split)}" for side, split in (("ui", frame.ui_ns), ("render", frame.render_ns)) if split]
    if frame.waited_for:
        parts.append(f"behind {frame.waited_for}")
    return LateFrameTexts(
        when=format_value(frame.start_ns / 1e6, "ms", decimals=3),
        process=show_foreign(frame.process or frame.layer or "unknown", longest=60),
        late=format_value(frame.overrun_ms, "ms", signed=True),
        took=format_ms(frame.duration_ns),
        spent=show_foreign("; ".join(parts) or frame.jank_type or "not recorded in this trace", longest=200),
        woken="; ".join(_name_waker(waker) for waker in frame.woken_by or ()) or "not recorded in this trace",
    )


def _spent(split: Mapping[str, int]) -> str:
    ranked = sorted(split.items(), key=lambda item: -item[1])
    return ", ".join(f"{cause.replace('_', ' ')} {format_ms(ns)}" for cause, ns in ranked[:SPENT])


def _name_waker(waker: Waker) -> str:
    who = "an interrupt on an idle CPU" if waker.tid == 0 else name_thread(waker)
    slept = f" after {format_ms(waker.slept_ns)}" if waker.slept_ns else ""
    return f"{waker.woken} by {who}{slept}"


def collect_shortfalls(metrics: Sequence[MetricValue]) -> list[Shortfall]:
    """Metrics that are unknown or lower bounds, grouped by reason, so that each reason is shown once."""
    groups: dict[tuple[str, str], list[str]] = {}
    for metric in metrics:
        if metric.reason:
            groups.setdefault((metric.quality, metric.reason), []).append(metric.name)
    return [Shortfall(quality=q, reason=reason, names=tuple(names)) for (q, reason), names in groups.items()]


def list_known(metrics: Sequence[MetricValue]) -> list[MetricValue]:
    """Metrics to show in a table: those with a value, and unknown ones without a reason."""
    return [metric for metric in metrics if metric.value is not None or not metric.reason]


def count_outcomes(launches: Sequence[LaunchSummary]) -> list[tuple[str, int]]:
    """How launches ended and how many did so; complete ones first, then what happened; empty without launches."""
    counts = Counter(launch.outcome for launch in launches)
    return [(words, counts[outcome]) for outcome, words in _OUTCOMES.items() if counts[outcome]]


def name_sleep(row: SleepSummary) -> str:
    """Where a thread slept: the kernel function, and whether it was for I/O."""
    if row.caller is None:
        return "not recorded" if row.io_wait is None else "an unknown function"
    return show_foreign(f"{row.caller}{' (I/O)' if row.io_wait else ''}", longest=60)


def tells_sleeps(analysis: AnalysisSummary) -> bool:
    """Whether events show where threads slept uninterruptibly."""
    return analysis.source.recorded is not None and "blocked_reason" in analysis.source.recorded


def is_sched_only(analysis: AnalysisSummary) -> bool:
    """Whether the trace has sched events but none of mmap_lock, so that it mainly shows scheduling."""
    recorded = analysis.source.recorded or ()
    return "sched" in recorded and "mmap_lock" not in recorded
