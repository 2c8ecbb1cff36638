"""Renders the report as a pull-request comment: verdict, madvise paths, what moved; the rest is folded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from android_suite.model.analysis import AnalysisSummary, BlockerSummary, LateFrame, LaunchSummary, SchedulingSummary
from android_suite.model.comparison import Comparison, MadvisePaths, MetricComparison
from android_suite.model.operation import describe_operation
from android_suite.model.verdict import GateOutcome, Verdict
from android_suite.report.analysis_texts import (
    collect_shortfalls,
    count_outcomes,
    describe_late_frame,
    is_sched_only,
    list_known,
    name_sleep,
)
from android_suite.report.blame_texts import BLAME_NOTE, describe_blame, describe_releases
from android_suite.report.chains import name_thread
from android_suite.report.digest import digest_comparison, explain_p, rank_metrics
from android_suite.report.model import ReportModel
from android_suite.report.phrases import (
    P_NOTE,
    explain_times,
    format_bytes,
    format_ms,
    format_number,
    format_p,
    format_value,
    show_foreign,
)
from android_suite.report.summary import (
    collect_crashes,
    collect_paths,
    describe_metric,
    name_kernel,
)

BLOCKERS = 8  # pairs of threads; the HTML report has more
LATE, DELAYED = 5, 10  # late frames, threads that waited for a CPU
LONGEST = 60_000  # characters; code hosts cut comments at 65,536
SIGNS = {Verdict.BETTER: "✅", Verdict.WORSE: "❌", Verdict.SAME: "➖", Verdict.UNDECIDED: "❔"}
_ACTIVE = re.compile(r"([\\`*_{}\[\]()#+!|<>~@&$-])")


def render_markdown(model: ReportModel) -> str:
    """At most ``LONGEST`` characters; foreign text cannot make markup, links or mentions."""
    lines = [f"## {escape(model.title)}", ""]
    if model.comparison is not None:
        lines += _comparison(model, model.comparison)
    else:
        for run in model.runs:
            caveat = explain_times(run.mode, virtual=run.virtual)
            lines += [f"### {escape(run.name)}", "", *([f"> {caveat}", ""] if caveat else [])]
            lines += [*_analysis(run.analysis), ""]
    if model.notes:
        lines += ["", *(f"> {escape(note)}" for note in model.notes)]
    text = "\n".join(lines).rstrip() + "\n"
    if len(text) > LONGEST:
        cut = text[:LONGEST].rsplit("\n", 1)[0]
        open_folds = cut.count("<details>") - cut.count("</details>")
        text = cut + "\n\n" + "</details>\n" * open_folds + "_Cut here; the HTML report has all of it._\n"
    return text


def escape(text: object) -> str:
    """Escapes foreign text, so that Markdown shows it as it is."""
    return (
        _ACTIVE.sub(r"\\\1", show_foreign(text)).replace("\\<", "&lt;").replace("\\>", "&gt;").replace("\\&", "&amp;")
    )


def _comparison(model: ReportModel, comparison: Comparison) -> Iterator[str]:
    digest = digest_comparison(comparison)
    moved = "🔀 Moved. " if comparison.moved else ""
    yield f"**{SIGNS[digest.verdict]} {moved}{escape(digest.sentence)}**"
    yield ""
    if digest.caveat:
        yield f"> {digest.caveat}"
        yield ""
    if digest.lines:
        yield from (f"- **{label}:** {escape(text)}" for label, text in digest.lines)
        yield ""
    yield f"baseline {escape(name_kernel(comparison.baseline, 'baseline'))} · "
    yield f"candidate {escape(name_kernel(comparison.candidate, 'candidate'))} · "
    yield escape(comparison.conditions.mode or "mode unknown")
    yield ""
    yield "HeapTaskDaemon's madvise calls:"
    yield ""
    yield "| kernel | per-VMA | mmap_lock | unknown | on the per-VMA path | fallbacks |"
    yield "| :-- | --: | --: | --: | --: | :-- |"
    for row in collect_paths(comparison):
        paths = row.paths
        numbers = " | ".join(format_number(n) for n in (paths.per_vma, paths.mmap_lock, paths.unknown))
        yield f"| {escape(row.kernel)} | {numbers} | {row.share} | {escape(row.reasons)} |"
    for side, crash in collect_crashes(model):
        yield ""
        yield f"**💥 {escape(crash.kind)} on the {escape(side or 'device')}:** {escape(crash.summary)}"
    if comparison.gates:
        yield ""
        yield "| gate | margin | outcome | why |"
        yield "| :-- | --: | :-- | :-- |"
        for gate in comparison.gates:
            mark = "✅" if gate.outcome is GateOutcome.PASSED else "❌"
            yield (
                f"| {escape(gate.scenario)}/{escape(gate.metric)} | {escape(gate.margin_text)} | "
                f"{mark} {gate.outcome} | {escape(gate.message)} |"
            )
    ranked = rank_metrics(comparison.metrics)
    loud = [m for m in ranked if (m.headline and m.verdict is not Verdict.SAME) or m.verdict is Verdict.WORSE]
    yield ""
    yield from _metrics(loud)
    if any(explain_p(metric, comparison.confidence) for metric in loud):
        yield ""
        yield P_NOTE
    quiet = [m for m in ranked if m not in loud]
    if quiet:
        yield ""
        yield f"<details><summary>{len(quiet)} more metrics</summary>"
        yield ""
        yield from _metrics(quiet)
        yield ""
        yield "</details>"


def _metrics(metrics: list[MetricComparison]) -> Iterator[str]:
    yield "| | metric | baseline | candidate | effect | 95 % interval | p adj. | boots |"
    yield "| :-- | :-- | --: | --: | --: | --: | --: | --: |"
    for metric in metrics:
        texts = describe_metric(metric)
        relative = f" ({texts.relative})" if texts.relative else ""
        more = f" (needs ~{metric.boots_to_decide})" if metric.boots_to_decide else ""
        cells = (
            f"{SIGNS[metric.verdict]} {metric.verdict}",
            f"{escape(metric.scenario)} / {escape(metric.name)}",
            texts.baseline,
            texts.candidate,
            texts.effect + relative,
            texts.interval,
            format_p(metric.p_adjusted).replace("<", "&lt;"),
            f"{metric.baseline.boots}+{metric.candidate.boots}{more}",
        )
        yield "| " + " | ".join(cells) + " |"


def _analysis(analysis: AnalysisSummary) -> Iterator[str]:
    for note in analysis.source.notes:
        yield f"> {escape(note)}"
        yield ""
    paths = MadvisePaths.add_up([analysis])
    if paths.calls:
        yield (
            f"HeapTaskDaemon: {format_number(paths.per_vma)} calls per-VMA, {format_number(paths.mmap_lock)} on mmap_lock, "
            f"{format_number(paths.unknown)} unknown, {format_bytes(paths.bytes)}."
        )
    inversions = analysis.inversions
    if inversions.count is not None:
        yield (
            f"Inversions: {format_number(inversions.count)}, {format_ms(inversions.total_ns)} in total, "
            f"longest {format_ms(inversions.longest_ns)}."
        )
    yield ""
    yield from _blockers(analysis.blockers)
    yield from _blame(analysis)
    yield from _outcomes(analysis.launches)
    yield from _late_frames(analysis.frames.worst)
    if is_sched_only(analysis):
        yield from _scheduling(analysis.scheduling)
    if known := list_known(analysis.metrics):
        yield "| metric | value | quality |"
        yield "| :-- | --: | :-- |"
        for metric in known:
            yield f"| {escape(metric.name)} | {format_value(metric.value, metric.unit)} | {escape(metric.quality)} |"
        yield ""
    yield from (f"- {escape(shortfall.sentence)}" for shortfall in collect_shortfalls(analysis.metrics))


def _outcomes(launches: Sequence[LaunchSummary]) -> Iterator[str]:
    if not launches:
        return
    yield "| outcome of launches | count |"
    yield "| :-- | --: |"
    yield from (f"| {words} | {format_number(count)} |" for words, count in count_outcomes(launches))
    yield ""


def _late_frames(frames: Sequence[LateFrame]) -> Iterator[str]:
    if not frames:
        return
    yield "| late frame at | process | past its deadline | took | spent on | woken |"
    yield "| --: | :-- | --: | --: | :-- | :-- |"
    for frame in frames[:LATE]:
        texts = describe_late_frame(frame)
        words = (escape(text) for text in (texts.spent, texts.woken))
        yield f"| {texts.when} | {escape(texts.process)} | {texts.late} | {texts.took} | {' | '.join(words)} |"
    yield ""


def _scheduling(scheduling: SchedulingSummary) -> Iterator[str]:
    if scheduling.threads:
        yield "| thread | process | ran | delays | delayed | longest | D sleep |"
        yield "| :-- | :-- | --: | --: | --: | --: | --: |"
        for row in scheduling.threads[:DELAYED]:
            times = (row.delay_ns, row.delay_max_ns, row.uninterruptible_ns)
            cells = [escape(name_thread(row)), escape(row.process or "?"), format_ms(row.running_ns)]
            yield f"| {' | '.join([*cells, format_number(row.delays), *map(format_ms, times)])} |"
        yield ""
    if scheduling.uninterruptible:
        yield "| uninterruptible sleep of | in | sleeps | total | longest |"
        yield "| :-- | :-- | --: | --: | --: |"
        for each in scheduling.uninterruptible[:DELAYED]:
            cells = [escape(name_thread(each)), escape(name_sleep(each)), format_number(each.sleeps)]
            yield f"| {' | '.join([*cells, format_ms(each.total_ns), format_ms(each.longest_ns)])} |"
        yield ""


def _blame(analysis: AnalysisSummary) -> Iterator[str]:
    if analysis.blame:
        yield "| to blame: waiter | waits for | total | longest | inverted | the last one | evidence |"
        yield "| :-- | :-- | --: | --: | --: | :-- | :-- |"
        for row in analysis.blame[:BLOCKERS]:
            texts = describe_blame(row)
            times = (format_ms(ns) for ns in (row.total_ns, row.longest_ns, row.inverted_ns))
            cells = [escape(texts.waiter), escape(texts.chain), *times, escape(texts.last), texts.evidence]
            yield f"| {' | '.join(cells)} |"
        yield from ("", BLAME_NOTE, "")
    if analysis.contended_releases:
        yield from (describe_releases(analysis.contended_releases), "")


def _blockers(rows: Sequence[BlockerSummary]) -> Iterator[str]:
    if not rows:
        return
    yield "| who waited | for whom | lock | held for | waits | total | longest | inverted |"
    yield "| :-- | :-- | :-- | :-- | --: | --: | --: | --: |"
    for row in rows[:BLOCKERS]:
        cells = [
            *(escape(text) for text in (name_thread(row.waiter), name_thread(row.holder), row.lock)),
            escape(describe_operation(row.operation)),
            format_number(row.waits),
            *(format_ms(ns) for ns in (row.total_ns, row.longest_ns, row.inverted_ns)),
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""
