"""The report as one HTML file: no script, no font, no picture from elsewhere; charts are inline SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from android_suite.model.analysis import AnalyzedRun, FrameSummary
from android_suite.model.comparison import MadvisePaths, MetricComparison
from android_suite.model.verdict import Verdict
from android_suite.report import charts, phrases
from android_suite.report.chains import Chain, list_chains, name_thread
from android_suite.report.interval import draw_interval
from android_suite.report.model import ReportModel
from android_suite.report.summary import (
    MetricTexts,
    PathRow,
    collect_crashes,
    collect_paths,
    conclude,
    describe_metric,
    find_common_reason,
    name_kernel,
    rank_metrics,
)
from android_suite.report.timeline import draw_chain

CHAINS = 4  # of each side
ECDF_SAMPLES = 20  # a side: below, a cumulative distribution shows nothing that the ticks do not
SYMBOLS = {Verdict.BETTER: "✓", Verdict.WORSE: "✕", Verdict.SAME: "=", Verdict.UNDECIDED: "?"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricView:
    """A metric with its pictures."""

    metric: MetricComparison
    texts: MetricTexts
    interval: Markup
    boots: Markup | None
    ecdf: Markup | None
    differences: Markup | None

    @property
    def main(self) -> bool:
        """Stands in the first table: a headline, or something got worse."""
        return self.metric.headline or self.metric.verdict is Verdict.WORSE


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
    """The whole page. All foreign text is escaped and its control characters are named."""
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
        "style": Markup(_read("report.css")),
    }
    if comparison is not None:
        verdict, sentence = conclude(comparison)
        known = [m for m in comparison.metrics if m.baseline.samples or m.candidate.samples]
        views = [_view(metric) for metric in rank_metrics(known)]
        paths = collect_paths(comparison)
        context |= {
            "verdict": verdict,
            "sentence": sentence,
            "common_reason": find_common_reason(comparison),
            "views": views,
            "unmeasured": [f"{m.scenario} {m.name}" for m in comparison.metrics if m not in known],
            "scenarios": _by_scenario(views),
            "paths": paths,
            "paths_chart": _paths_chart(paths),
            "kernels": {"baseline": comparison.baseline, "candidate": comparison.candidate},
        }
    else:
        paths = _lone_paths(model.runs)
        context |= {"paths": paths, "paths_chart": _paths_chart(paths), "kernels": model.kernels, "views": []}
    return _environment().get_template("report.html.j2").render(context)


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
    """Their sum; unknown where one of them is."""
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


def _view(metric: MetricComparison) -> MetricView:
    values = {v for side in (metric.baseline, metric.candidate) for boot in side.distribution for v in boot.values}
    drawn = bool(metric.baseline.samples and metric.candidate.samples) and len(values) > 1
    loud = drawn and (metric.headline or metric.verdict is Verdict.WORSE)
    enough = min(metric.baseline.samples, metric.candidate.samples) >= ECDF_SAMPLES
    return MetricView(
        metric=metric,
        texts=describe_metric(metric),
        interval=draw_interval(metric),
        boots=Markup(charts.chart_boots(metric)) if loud else None,
        ecdf=Markup(charts.chart_ecdf(metric)) if loud and enough else None,
        differences=Markup(charts.chart_differences(metric)) if loud else None,
    )


def _by_scenario(views: Sequence[MetricView]) -> dict[str, list[MetricView]]:
    grouped: dict[str, list[MetricView]] = {}
    for view in views:
        if view.boots is not None:
            grouped.setdefault(view.metric.scenario, []).append(view)
    return dict(sorted(grouped.items()))


def _lone_paths(runs: Sequence[AnalyzedRun]) -> list[PathRow]:
    return [
        PathRow(kernel=phrases.show_foreign(run.name, longest=60), side="", paths=MadvisePaths.add_up([run.analysis]))
        for run in runs
        if any(row.role == "gc" for row in run.analysis.madvise)
    ]


def _paths_chart(rows: Sequence[PathRow]) -> Markup | None:
    bars = [
        {"kernel": row.side or row.kernel, "path": path, "calls": calls, "rank": rank}
        for row in rows
        for rank, (path, calls) in enumerate(
            (("per-VMA", row.paths.per_vma), ("mmap_lock", row.paths.mmap_lock), ("unknown", row.paths.unknown))
        )
    ]
    return Markup(charts.chart_paths(bars)) if any(bar["calls"] for bar in bars) else None


def _chains(runs: Sequence[AnalyzedRun]) -> list[tuple[str, list[Chain]]]:
    found = []
    for side in ("baseline", "candidate", ""):
        chosen = [(_name_run(run), run.analysis) for run in runs if run.side == side]
        if chosen:
            found.append((side, list_chains(chosen, most=CHAINS)))
    return found


def _read(name: str) -> str:
    return (resources.files("android_suite.report") / "templates" / name).read_text(encoding="utf-8")


def _finalize(value: object) -> object:
    """The last look at what a template prints: None has a word, and no control character gets through unnamed."""
    if value is None:
        return phrases.UNKNOWN
    if isinstance(value, str) and not isinstance(value, Markup) and not value.isprintable():
        return phrases.show_foreign_lines(value)
    return value


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_read),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    filters: dict[str, Callable[..., object]] = {
        "number": phrases.format_number,
        "value": phrases.format_value,
        "interval": phrases.format_interval,
        "percent": phrases.format_percent,
        "p": phrases.format_p,
        "ms": phrases.format_ms,
        "bytes": phrases.format_bytes,
        "foreign": phrases.show_foreign,
        "lines": phrases.show_foreign_lines,
        "symbol": SYMBOLS.__getitem__,
        "kernel": name_kernel,
        "identity": id,
        "thread": name_thread,
        "picture": draw_chain,
    }
    environment.filters.update(filters)
    return environment
