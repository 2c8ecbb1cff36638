"""Renders the report as one HTML file without scripts, fonts or external pictures; charts are inline SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jinja2
from markupsafe import Markup

from android_suite.model.analysis import FrameSummary
from android_suite.model.analyzed import AnalyzedRun
from android_suite.model.checks import count_results, group_unsupported
from android_suite.model.comparison import Comparison, MadvisePaths, MetricComparison
from android_suite.model.operation import describe_operation
from android_suite.model.verdict import Verdict
from android_suite.report import charts, phrases
from android_suite.report.analysis_texts import (
    WAKER_NOTE,
    collect_shortfalls,
    count_outcomes,
    describe_late_frame,
    is_sched_only,
    list_known,
    name_sleep,
)
from android_suite.report.blame_texts import BLAME_NOTE, describe_blame, describe_releases, name_other_lock
from android_suite.report.chains import Chain, list_chains, name_thread
from android_suite.report.digest import digest_comparison, explain_p, find_common_reason, measured, rank_metrics
from android_suite.report.interval import draw_interval
from android_suite.report.model import ReportModel
from android_suite.report.pages import make_environment, read_template
from android_suite.report.summary import (
    MetricTexts,
    PathRow,
    collect_crashes,
    collect_paths,
    describe_metric,
    name_kernel,
)
from android_suite.report.timeline import draw_chain

CHAINS = 4  # per side; the first is not folded
STRIP = 30  # height in px of one kernel in the charts of the first screen
ECDF_SAMPLES = 20  # per side; with fewer, a cumulative distribution shows nothing that the ticks do not
SYMBOLS = {Verdict.BETTER: "✓", Verdict.WORSE: "✕", Verdict.SAME: "=", Verdict.UNDECIDED: "?"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricView:
    """A metric with its pictures."""

    metric: MetricComparison
    texts: MetricTexts
    interval: Markup
    doubt: str  # why p is large although the interval excludes zero
    strip: Markup | None
    boots: Markup | None
    ecdf: Markup | None
    differences: Markup | None

    @property
    def loud(self) -> bool:
        """Whether it is in the first table: a headline metric that is not SAME, or one that got worse."""
        return self.metric.verdict is Verdict.WORSE or (
            self.metric.headline and self.metric.verdict is not Verdict.SAME
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRow:
    """Frames of one scenario on one side, added up over its analyses."""

    scenario: str
    side: str
    runs: int
    count: int
    janky: int | None
    from_inversion: int | None


def render_html(model: ReportModel) -> str:
    """The whole page. All foreign text is escaped and its control characters are made visible."""
    comparison = model.comparison
    context: dict[str, Any] = {
        "model": model,
        "comparison": comparison,
        "crashes": collect_crashes(model),
        "frames": collect_frames(model.runs),
        "late_time": collect_late_time(model.runs),
        "runs": model.runs,
        "counters": collect_counters(model.runs),
        "names": {id(run): _name_run(run) for run in model.runs},
        "chains": _chains(model.runs),
        "waker_note": WAKER_NOTE,
        "style": Markup(read_template("report.css")),
    }
    if comparison is not None:
        digest = digest_comparison(comparison)
        ranked = rank_metrics(measured(comparison.metrics))
        views = [_view(metric, comparison.confidence) for metric in ranked]
        paths = collect_paths(comparison)
        context |= {
            "digest": digest,
            "p_note": phrases.P_NOTE if any(view.doubt for view in views) else "",
            "common_reason": find_common_reason(comparison),
            "highlights": [view for metric in digest.highlights for view in views if view.metric is metric],
            "views": views,
            "unmeasured": [f"{m.scenario} {m.name}" for m in comparison.metrics if m not in ranked],
            "loud": _by_scenario([view for view in views if view.loud]),
            "same": _by_scenario([view for view in views if view.metric.verdict is Verdict.SAME]),
            "others": _by_scenario(
                [view for view in views if not view.loud and view.metric.verdict is not Verdict.SAME]
            ),
            "drawn": _by_scenario([view for view in views if view.boots is not None]),
            "paths": paths,
            "paths_chart": _paths_chart(paths),
            "kernels": {"baseline": comparison.baseline, "candidate": comparison.candidate},
        }
    else:
        paths = _lone_paths(model.runs)
        context |= {"paths": paths, "paths_chart": _paths_chart(paths), "kernels": model.kernels}
    context["sections"] = list(_list_sections(context))
    return _environment().get_template("report.html.j2").render(context)


def _list_sections(context: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The index: id and title of every section that the page will have, in its order."""
    comparison: Comparison | None = context["comparison"]
    if context["crashes"]:
        yield "crashes", "Crashes"
    if comparison is not None:
        yield "verdicts", "Verdicts"
        if comparison.gates:
            yield "gates", "Gates"
    if context["paths"]:
        yield "paths", "Madvise paths"
    if context.get("drawn"):
        yield "distributions", "Distributions"
    if context["chains"]:
        yield "chains", "Worst inversions"
    if context["frames"]:
        yield "frames", "Frames"
    if comparison is None:
        yield from ((f"run-{number}", context["names"][id(run)]) for number, run in enumerate(context["runs"]))
    if context["counters"] or any(run.counters.lock_stat for run in context["runs"]):
        yield "kernel-counters", "Kernel counters"
    if comparison is not None:
        yield from (("overhead", "Tracing overhead"), ("evidence", "Evidence"))
    if context["kernels"]:
        yield "identity", "Kernels"
    if comparison is not None or context["model"].commands:
        yield "repeat", "To repeat it"


def collect_frames(runs: Sequence[AnalyzedRun]) -> list[FrameRow]:
    """Frames, late frames and frames late because of inversion, by scenario and side."""
    groups: dict[tuple[str, str], list[FrameSummary]] = {}
    for run in runs:
        if run.analysis.frames.count:
            groups.setdefault((run.scenario, run.side), []).append(run.analysis.frames)
    return [
        FrameRow(
            scenario=scenario,
            side=side,
            runs=len(frames),
            count=sum(f.count or 0 for f in frames),
            janky=_add([f.janky for f in frames]),
            from_inversion=_add([f.janky_from_inversion for f in frames]),
        )
        for (scenario, side), frames in sorted(groups.items())
    ]


def _add(counts: Sequence[int | None]) -> int | None:
    """The sum; None if one of the counts is unknown."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def collect_late_time(runs: Sequence[AnalyzedRun]) -> tuple[list[tuple[str, str]], dict[str, list[int]]]:
    """What the threads of late frames spent their time on, added up over analyses.

    Returns:
        The columns (side, thread), and per cause the time in ns in each column; causes without any time are left out.
    """
    totals: dict[tuple[str, str], dict[str, int]] = {}
    for run in runs:
        for thread, causes in (run.analysis.frames.late_time_ns or {}).items():
            column = totals.setdefault((run.side, thread), {})
            for cause, ns in causes.items():
                column[cause] = column.get(cause, 0) + ns
    found = dict.fromkeys(cause for column in totals.values() for cause in column)
    rows = {cause: [column.get(cause, 0) for column in totals.values()] for cause in found}
    return list(totals), {cause: spent for cause, spent in rows.items() if any(spent)}


def collect_counters(runs: Sequence[AnalyzedRun]) -> list[str]:
    """Names of the vmstat counters that any run has, in the order they were first seen; at most eight fit a page."""
    return list(dict.fromkeys(name for run in runs for name in run.counters.vmstat))[:8]


def _name_run(run: AnalyzedRun) -> str:
    seed = "" if run.seed is None else f", seed {run.seed}"
    return phrases.show_foreign(run.name, longest=80) + seed


def _view(metric: MetricComparison, confidence: float) -> MetricView:
    values = {v for side in (metric.baseline, metric.candidate) for boot in side.distribution for v in boot.values}
    drawn = bool(metric.baseline.samples and metric.candidate.samples) and len(values) > 1
    shown = drawn and (metric.headline or metric.verdict is Verdict.WORSE)
    enough = min(metric.baseline.samples, metric.candidate.samples) >= ECDF_SAMPLES
    return MetricView(
        metric=metric,
        texts=describe_metric(metric),
        interval=draw_interval(metric),
        doubt=explain_p(metric, confidence),
        strip=Markup(charts.chart_boots(metric, side_height=STRIP)) if drawn else None,
        boots=Markup(charts.chart_boots(metric)) if shown else None,
        ecdf=Markup(charts.chart_ecdf(metric)) if shown and enough else None,
        differences=Markup(charts.chart_differences(metric)) if shown else None,
    )


def _by_scenario(views: Sequence[MetricView]) -> dict[str, list[MetricView]]:
    """In the order given: the weightiest scenario first."""
    grouped: dict[str, list[MetricView]] = {}
    for view in views:
        grouped.setdefault(view.metric.scenario, []).append(view)
    return grouped


def _lone_paths(runs: Sequence[AnalyzedRun]) -> list[PathRow]:
    return [
        PathRow(kernel=phrases.show_foreign(run.name, longest=60), side="", paths=MadvisePaths.add_up([run.analysis]))
        for run in runs
        if any(row.role == "gc" for row in run.analysis.madvise)
    ]


def _paths_chart(rows: Sequence[PathRow]) -> Markup | None:
    return Markup(charts.chart_paths(rows)) if any(row.paths.calls for row in rows) else None


def _chains(runs: Sequence[AnalyzedRun]) -> list[tuple[str, list[Chain]]]:
    found = []
    for side in ("baseline", "candidate", ""):
        chosen = [(_name_run(run), run.analysis) for run in runs if run.side == side]
        if chosen:
            found.append((side, list_chains(chosen, most=CHAINS)))
    return found


def _explain_times(run: AnalyzedRun) -> str:
    return phrases.explain_times(run.mode, virtual=run.virtual)


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = make_environment()
    filters: dict[str, Callable[..., object]] = {
        "operation": describe_operation,
        "symbol": SYMBOLS.__getitem__,
        "kernel": name_kernel,
        "identity": id,
        "thread": name_thread,
        "picture": draw_chain,
        "times": _explain_times,
        "known": list_known,
        "shortfalls": collect_shortfalls,
        "outcomes": count_outcomes,
        "count_results": count_results,
        "group_unsupported": group_unsupported,
        "late_frame": describe_late_frame,
        "sched_only": is_sched_only,
        "sleep": name_sleep,
        "blame": describe_blame,
        "releases": describe_releases,
        "other_lock": name_other_lock,
    }
    environment.filters.update(filters)
    environment.globals["blame_note"] = BLAME_NOTE
    return environment
