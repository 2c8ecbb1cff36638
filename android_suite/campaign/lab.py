"""The real collaborators of a campaign: devices, `analyze`, `compare`, `report`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from android_suite.analyze import RunAnalysis, analyze_run, load_run
from android_suite.boot.attached import attach
from android_suite.boot.booted import Booted
from android_suite.boot.virtual import GuestCrashed, boot_virtual
from android_suite.campaign.evaluate import make_report, make_run_set, render_files
from android_suite.campaign.plan_file import PlanFile
from android_suite.campaign.qualify import Collaborators
from android_suite.campaign.schedule import Job
from android_suite.compare import compare_runs
from android_suite.compare.comparability import summarize_evidence
from android_suite.errors import UsageError
from android_suite.model.comparison import Comparison, GateResult, MadvisePaths
from android_suite.model.plan import ATTACHED, Plan
from android_suite.model.toml_source import parse_toml
from android_suite.model.verdict import GateOutcome
from android_suite.record import RecordOptions, plan_scenarios, record
from android_suite.store.run import Run, create_run, open_run
from android_suite.virtual.kernels import fetch_kernel

# Iterations of a boot take consecutive seeds; those of two boots shall not overlap.
_SEEDS_A_BOOT = 1000


def check_parameters(file: PlanFile) -> None:
    """Checks the parameters of every scenario of a plan; no device is touched.

    Raises:
        ConfigError: a scenario does not know a parameter, or its value makes no sense.
    """
    for index, scenario in enumerate(file.plan.scenarios):
        try:
            plan_scenarios((scenario.name,), scenario.parameters)
        except UsageError as error:
            source = parse_toml(file.text, file.path)
            named = next((name for name in scenario.parameters if name in str(error)), None)
            path = ("scenario", index, "parameters") + ((named,) if named else ())
            found = repr(scenario.parameters[named]) if named else repr(dict(scenario.parameters))
            raise source.fault(path, f"what the scenario takes ({str(error).rstrip('.')})", found) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class LabRecorder:
    """Boots a job's kernel, or attaches to the device, and records its scenarios.

    Args:
        serial: of the attached device, where a plan names one.
        cpus: of a virtual device in real time.
    """

    serial: str | None = None
    cpus: int = 2

    def __call__(self, job: Job, path: Path, say: Callable[[str], None]) -> None:
        """See `Recorder`."""
        if job.mode == "deterministic":
            self._record_deterministic(job, path, say)
        else:
            self._record_realtime(job, path, say)

    def _record_realtime(self, job: Job, path: Path, say: Callable[[str], None]) -> None:
        run = create_run(path, label=job.label, mode=job.mode)
        try:
            say("booting")
            with self._boot(job) as booted:
                for scenario in job.scenarios:
                    options = RecordOptions(
                        iterations=scenario.iterations,
                        seed=job.seed * _SEEDS_A_BOOT,
                        parameters=scenario.parameters,
                        trace=scenario.traced,
                        expect_release=booted.release,
                        accel=booted.accel,
                    )
                    done = record(
                        (scenario.name,), booted.device, run, options, crash_probe=booted.crash_probe, say=say
                    )
                    if done[-1].crash:
                        break
        except GuestCrashed as error:
            run.set_crash(error.crash)
        run.seal()

    def _boot(self, job: Job) -> AbstractContextManager[Booted]:
        if job.kernel == ATTACHED:
            return attach(self.serial)
        overlays = tuple(Path(overlay) for overlay in job.overlay)
        return boot_virtual(job.kernel, arch=job.arch, cpus=self.cpus, overlays=overlays)

    def _record_deterministic(self, job: Job, path: Path, say: Callable[[str], None]) -> None:
        from android_suite.record_deterministic import record_deterministic

        run = create_run(path, label=job.label, mode=job.mode)
        (scenario,) = job.scenarios
        try:
            record_deterministic(
                (scenario.name,),
                run,
                kernel=job.kernel,
                arch=job.arch,
                cpus=1,
                overlays=tuple(Path(overlay) for overlay in job.overlay),
                seed=job.seed,
                parameters=scenario.parameters,
                trace=scenario.traced,
                say=say,
            )
        except GuestCrashed as error:
            run.set_crash(error.crash)
        run.seal()


def analyze_job(path: Path) -> None:
    """See `Analyzer`."""
    analyze_run(open_run(path))


def compare_kernels(plan: Plan, baseline: Sequence[Run], candidate: Sequence[Run]) -> Comparison:
    """See `Comparer`. Boots in which the kernel crashed before anything answered cannot be compared and are left out."""
    sides = [[run for run in side if run.manifest.kernel is not None] for side in (baseline, candidate)]
    if not all(sides):
        return _compare_nothing(plan, baseline, candidate)
    one, other = (make_run_set(_load(side)) for side in sides)
    return compare_runs(one, other, gates=plan.gates, margins=plan.margins, seed=plan.random_seed)


def _compare_nothing(plan: Plan, baseline: Sequence[Run], candidate: Sequence[Run]) -> Comparison:
    """What there is to say where a kernel came up in no boot: every gate failed."""
    identities: list[dict[str, Any]] = []
    for side in (baseline, candidate):
        kernel = next((run.manifest.kernel for run in side if run.manifest.kernel is not None), None)
        identities.append({"label": side[0].manifest.label, **(asdict(kernel) if kernel else {})})
    dead = " and ".join(str(identity["label"]) for identity in identities if len(identity) == 1)
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
        baseline=identities[0],
        candidate=identities[1],
        metrics=(),
        paths={"baseline": MadvisePaths(), "candidate": MadvisePaths()},
        gates=tuple(gates),
        evidence={
            "baseline": summarize_evidence([run.manifest for run in baseline]),
            "candidate": summarize_evidence([run.manifest for run in candidate]),
        },
        seed=plan.random_seed,
    )


def render_reports(
    comparison: Comparison, plan: Plan, baseline: Sequence[Run], candidate: Sequence[Run], summary: dict[str, Any]
) -> Mapping[str, str]:
    """See `Renderer`."""
    crashed = [
        f"{crash['label']}: {crash['kind']} during {crash['during']}: {crash['summary']}"
        for crash in summary["crashes"]
    ]
    model = make_report(
        plan.name,
        comparison,
        _load(baseline),
        _load(candidate),
        commands=("android-suite qualify plan.toml",),
        notes=(*plan.warnings, *crashed),
    )
    return render_files(model)


def _load(runs: Sequence[Run]) -> list[RunAnalysis]:
    return [load_run(run.path) for run in runs]


def make_collaborators(*, serial: str | None = None) -> Collaborators:
    """The real ones. ``serial`` names the attached device, where a plan has one."""
    return Collaborators(
        recorder=LabRecorder(serial=serial),
        analyzer=analyze_job,
        comparer=compare_kernels,
        renderer=render_reports,
    )


def prepare_lab(file: PlanFile) -> PlanFile:
    """Fetches every kernel before the first job; from then on a kernel is known by the content of its image.

    Raises:
        ConfigError: a scenario does not take a parameter.
        UsageError: an unknown kernel.
        MachineError: a kernel cannot be fetched.
    """
    check_parameters(file)
    digests = dict(file.digests)
    for kernel in file.plan.kernels:
        if kernel.kernel != ATTACHED:
            digests[kernel.kernel] = fetch_kernel(kernel.kernel, file.plan.arch).sha256
    return replace(file, digests=digests)
