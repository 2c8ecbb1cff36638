"""The analyzer, comparer and renderer of a campaign. They use the results of `analyze` in each job's run directory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from android_suite import __version__
from android_suite.analyze import analyze_run, load_run
from android_suite.compare.analyzed import make_run_set
from android_suite.compare.comparability import summarize_evidence
from android_suite.compare.gates import summarize_gates
from android_suite.compare.runs import compare_runs
from android_suite.model.campaign import CampaignSummary
from android_suite.model.comparison import Comparison, GateResult, MadvisePaths
from android_suite.model.identity import LabelledKernel
from android_suite.model.plan import Plan, describe_app
from android_suite.model.run import Manifest
from android_suite.model.verdict import GateOutcome
from android_suite.report.files import render_files
from android_suite.report.model import ReportModel
from android_suite.store.run import Run, open_run


def analyze_job(path: Path) -> None:
    """The analyzer of a campaign: writes ``derived/`` of a sealed run directory."""
    analyze_run(open_run(path))


def compare_plan(
    plan: Plan, baseline: Sequence[Run], candidate: Sequence[Run], *, only: str | None = None
) -> Comparison:
    """The comparer of a campaign: applies the plan's gates and margins to the results of `analyze`.

    It leaves out boots whose kernel crashed before adb answered, because they have no identity to compare. ``only`` is
    the one metric that was asked for.
    """
    sides = [[run for run in side if run.manifest.kernel is not None] for side in (baseline, candidate)]
    if not all(sides):
        return _compare_nothing(plan, baseline, candidate)
    one, other = (make_run_set([load_run(run.path) for run in side]) for side in sides)
    return compare_runs(one, other, gates=plan.gates, margins=plan.margins, seed=plan.random_seed, only=only)


def _compare_nothing(plan: Plan, baseline: Sequence[Run], candidate: Sequence[Run]) -> Comparison:
    """The comparison if a kernel never booted: every gate failed."""
    kernels = []
    for side in (baseline, candidate):
        known = next((run.manifest.kernel for run in side if run.manifest.kernel is not None), None)
        kernels.append(LabelledKernel.of(side[0].manifest.label, known))
    dead = " and ".join(kernel.label for kernel in kernels if kernel.release is None)
    gates = [
        GateResult(
            scenario=gate.scenario or "*",
            metric=gate.metric,
            margin_text=str(gate.margin or "the catalogue's"),
            confidence=gate.confidence,
            undecided=gate.undecided,
            outcome=GateOutcome.FAILED,
            verdict=None,
            message=f"{dead} crashed in every boot; read its console in the report",
        )
        for gate in plan.gates
    ]
    return Comparison(
        baseline=kernels[0],
        candidate=kernels[1],
        metrics=(),
        paths={"baseline": MadvisePaths(), "candidate": MadvisePaths()},
        gate=summarize_gates(gates, (), crashed=True, asked=bool(gates)),
        evidence={
            "baseline": summarize_evidence([run.manifest for run in baseline]),
            "candidate": summarize_evidence([run.manifest for run in candidate]),
        },
        seed=plan.random_seed,
    )


def render_plan(
    comparison: Comparison, plan: Plan, baseline: Sequence[Run], candidate: Sequence[Run], summary: CampaignSummary
) -> dict[str, str]:
    """The renderer of a campaign: every report file. No file has a time or path: the same jobs give the same bytes."""
    sides = [[load_run(run.path) for run in side] for side in (baseline, candidate)]
    crashes = [f"{c.label} crashed during {c.during}: {c.summary}" for c in summary.job_crashes]
    command = "android-suite qualify plan.toml"
    manifests = [analysis.run.manifest for side in sides for analysis in side]
    return render_files(
        ReportModel(
            title=plan.name,
            comparison=comparison,
            runs=[
                run
                for name, side in zip(("baseline", "candidate"), sides, strict=True)
                for each in side
                for run in each.describe(name)
            ],
            commands=[command],
            notes=[
                *crashes,
                *plan.warnings,
                *([note] if (note := describe_app(plan)) else []),
                *(note for manifest in manifests for note in manifest.notes),
                *_describe_devices(manifests),
            ],
            suite_version=__version__,
        )
    )


def _describe_devices(manifests: Sequence[Manifest]) -> Iterator[str]:
    """A note where the campaign ran on several phones."""
    serials = sorted({m.device.serial for m in manifests if m.device is not None and not m.device.virtual})
    if len(serials) > 1:
        yield (
            f"Recorded on {len(serials)} devices ({', '.join(serials)}). Each block of kernels ran on one of them, so boots "
            "are compared within a device."
        )
