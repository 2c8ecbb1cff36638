"""`qualify`: runs the experiment of a plan. The same finished jobs always give the same result files.

::

    OUT/plan.toml          a copy of the plan
    OUT/comparison.json    the output of `compare`    } with several candidates, each in a folder
    OUT/report.html ...    the output of `report`     } `vs-LABEL`
    OUT/summary.json       the comparison with plan, jobs, trace digests and crashes
    OUT/provenance.json    when, where and how long: the only result file that depends on time and host
    OUT/journal.jsonl, OUT/jobs/...    see `journal`
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol

from android_suite import __version__
from android_suite.campaign.attempt import Progress, default_workers
from android_suite.campaign.cluster import CORE, Cluster
from android_suite.campaign.journal import JOURNAL, CampaignFolder, check_same_plan, open_campaign, read_journal
from android_suite.campaign.plan_file import PlanFile, add_overlay
from android_suite.campaign.pool import PoolDevice
from android_suite.campaign.runner import Runner
from android_suite.campaign.schedule import (
    IMAGE,
    Cost,
    Job,
    describe_plan,
    estimate_cost,
    plan_against_itself,
    plan_jobs,
)
from android_suite.campaign.worker import Analyzer, Recorder
from android_suite.errors import SuiteError, UsageError
from android_suite.model.campaign import (
    CampaignSummary,
    Host,
    JobCrash,
    JobFailure,
    JobIteration,
    JobSummary,
    JobTime,
    PlanSummary,
    Provenance,
)
from android_suite.model.comparison import Comparison
from android_suite.model.document import to_plain
from android_suite.model.plan import KernelEntry, Plan
from android_suite.store.run import Run, now_iso, open_run, write_atomic, write_json

_DESCRIBED = re.compile(r"(.*) \(sha256 ([0-9a-f]{64})\)")  # a kernel in a described plan


class Comparer(Protocol):
    """Compares the runs of two kernels under the gates and margins of a plan."""

    def __call__(self, plan: Plan, baseline: Sequence[Run], candidate: Sequence[Run]) -> Comparison:
        """Runs are in block order."""


class Renderer(Protocol):
    """Renders a comparison; file names to contents."""

    def __call__(
        self,
        comparison: Comparison,
        plan: Plan,
        baseline: Sequence[Run],
        candidate: Sequence[Run],
        summary: CampaignSummary,
    ) -> Mapping[str, str]:
        """``summary`` is the content of ``summary.json``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collaborators:
    """The collaborators that do the work. Recorder and analyzer run in separate processes, so they must pickle."""

    recorder: Recorder
    analyzer: Analyzer
    comparer: Comparer
    renderer: Renderer


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a campaign has shown so far: ``boots`` of ``scenario`` per kernel, against the candidate ``label``."""

    label: str
    scenario: str
    boots: int
    comparison: Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of a campaign."""

    out: Path
    comparisons: Mapping[str, Comparison]  # by label of the candidate
    crashes: tuple[JobCrash, ...]

    @property
    def exit_code(self) -> int:
        """1 if a gate failed, something got WORSE or a tested kernel crashed, else 0."""
        return 1 if self.crashes or any(item.exit_code for item in self.comparisons.values()) else 0


def schedule(file: PlanFile, *, aa: bool = False) -> tuple[PlanFile, tuple[Job, ...]]:
    """The plan to run (with ``aa``, the baseline against itself) and its jobs."""
    if aa:
        file = replace(file, plan=plan_against_itself(file.plan))
    return file, plan_jobs(file.plan, file.digests)


def choose_workers(plan: Plan, asked: int | None, cluster: Cluster | None = None) -> int:
    """The number of parallel jobs: on a cluster of several hosts by default one for each core of its workers.

    Raises:
        UsageError: several were asked for, but all kernels run on one device.
    """
    if asked is not None and asked > 1 and plan.baseline.kind != "virtual":
        raise UsageError(
            f"a phone runs one job at a time; --workers {asked} is for virtual devices, --devices for phones of a lab."
        )
    if asked is None and cluster is not None and plan.baseline.kind == "virtual":
        return max(1, cluster.slots(CORE))
    return asked or default_workers(plan.mode)


def estimate(
    file: PlanFile, jobs: Sequence[Job], durations_s: Mapping[str, Sequence[float]], *, workers: int | None = None
) -> Cost:
    """The cost of the jobs, checked against the plan's budget.

    Raises:
        ConfigError: the budget is too small.
    """
    cost = estimate_cost(jobs, durations_s, workers=workers or default_workers(file.plan.mode))
    if file.plan.budget_s is not None and cost.wall_s > file.plan.budget_s:
        known = "measured" if cost.measured == len(jobs) else "estimated"
        expected = f"at least {cost.wall_s / 60:.0f} min, {known} for {len(jobs)} jobs (or fewer boots)"
        found = f"{file.plan.budget_s / 60:.3g} min"
        raise file.source.fault(("plan", "budget"), expected, found)
    return cost


def qualify(
    file: PlanFile,
    out: Path,
    collaborators: Collaborators,
    *,
    aa: bool = False,
    fresh: bool = False,
    workers: int | None = None,
    durations_s: dict[str, list[float]] | None = None,
    retry_after_s: tuple[float, ...] | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    preview: Callable[[Preview], None] | None = None,
    cluster: Cluster | None = None,
    store: str | None = None,
    devices: Sequence[PoolDevice] = (),
) -> Outcome:
    """Runs a plan, or continues where an earlier call stopped, and writes the results.

    Args:
        file: the plan.
        out: folder of the campaign.
        collaborators: recorder, analyzer, comparer, renderer.
        aa: run the baseline against itself.
        fresh: start again; an earlier campaign in ``out`` is renamed.
        workers: number of parallel jobs; by default one per core in deterministic mode, else 1.
        durations_s: measured durations by kind of job, for the estimate; updated.
        retry_after_s: pause before each further attempt after a failure of the test setup.
        progress: called after every event.
        preview: called with what is known so far, each time that a further seed of the first scenario has run on every
            kernel, the last one excepted. If the evidence so far cannot be compared, only the end tells.
        cluster: where jobs run; None: a local Dask cluster.
        store: URL of a run store, for workers that do not see ``out``.
        devices: the attached devices, if the plan needs such: each block runs on one of them.

    Raises:
        UsageError: the folder is in use or has another plan.
        ConfigError: the plan costs more than its budget.
        LabError: the test setup failed at every attempt; another call continues.
        EvidenceError: the recorded evidence cannot be trusted.
        NotComparable: the runs differ in more than the kernel.
        KeyboardInterrupt: interrupted; another call continues.
    """
    file, jobs = schedule(file, aa=aa)
    durations_s = {} if durations_s is None else durations_s
    workers = choose_workers(file.plan, workers, cluster)
    with open_campaign(out, describe_plan(file.plan, file.digests), fresh=fresh) as folder:
        left = [job for job in jobs if not folder.finished(job.name)]
        estimate(file, left, durations_s, workers=len(devices) or workers)
        write_atomic(out / "plan.toml", file.source.text.encode())
        runner = Runner(
            folder=folder,
            recorder=collaborators.recorder,
            analyzer=collaborators.analyzer,
            workers=workers,
            durations_s=durations_s,
            budget_s=file.plan.budget_s,
            progress=progress,
            cluster=cluster,
            devices=devices,
            store=store,
        )
        if retry_after_s is not None:
            runner.policy = replace(runner.policy, pauses_s=retry_after_s)
        if preview is not None:
            runner.finished = _Previewer(plan=file.plan, folder=folder, jobs=jobs, of=collaborators, tell=preview)
        runner.run(jobs)
        outcome = _evaluate(file.plan, folder, jobs, collaborators)
        _write_provenance(folder, file, jobs)
        folder.append("finished", exit_code=outcome.exit_code)
    return outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class _Previewer:
    """Compares the boots of the first scenario each time that a block of them is complete."""

    plan: Plan
    folder: CampaignFolder
    jobs: Sequence[Job]
    of: Collaborators
    tell: Callable[[Preview], None]

    def __call__(self, job: Job) -> None:
        scenario = self.plan.scenarios[0].name
        first = [each for each in self.jobs if any(part.name == scenario for part in each.scenarios)]
        left = {each.block for each in first if not self.folder.finished(each.name)}
        done = [each for each in first if each.block not in left]
        if job not in done or not left:
            return
        try:
            runs = {each.name: open_run(self.folder.jobs / each.name) for each in done}
            for candidate in self.plan.candidates:
                sides = [_runs_of(kernel, done, runs) for kernel in (self.plan.baseline, candidate)]
                comparison = self.of.comparer(self.plan, *sides)
                blocks = len({each.block for each in done})
                self.tell(Preview(label=candidate.label, scenario=scenario, boots=blocks, comparison=comparison))
        except SuiteError:
            return  # the end of the campaign raises it, with all the evidence


def _evaluate(plan: Plan, folder: CampaignFolder, jobs: Sequence[Job], collaborators: Collaborators) -> Outcome:
    runs = {job.name: open_run(folder.jobs / job.name) for job in jobs}
    crashes = tuple(crash for job in jobs for crash in _crashes(job, runs[job.name]))
    comparisons = {}
    for candidate in plan.candidates:
        baseline, other = (_runs_of(kernel, jobs, runs) for kernel in (plan.baseline, candidate))
        comparison = collaborators.comparer(plan, baseline, other)
        comparisons[candidate.label] = comparison
        labels = (plan.baseline.label, candidate.label)
        mine = [job for job in jobs if job.label in labels]
        summary = CampaignSummary.of(
            comparison,
            plan=PlanSummary(name=plan.name, mode=plan.mode, seeds=plan.seeds, random_seed=plan.random_seed),
            jobs=tuple(_describe_job(job, runs[job.name]) for job in mine),
            crashes=tuple(crash for crash in crashes if crash.label in labels),
        )
        target = folder.path if len(plan.candidates) == 1 else folder.path / f"vs-{candidate.label}"
        write_json(target / "comparison.json", comparison.to_json())
        write_json(target / "summary.json", summary.to_json())
        rendered = collaborators.renderer(comparison, plan, baseline, other, summary)
        for name, text in rendered.items():
            write_atomic(target / name, text.encode())
    return Outcome(out=folder.path, comparisons=comparisons, crashes=crashes)


def _runs_of(kernel: KernelEntry, jobs: Sequence[Job], runs: Mapping[str, Run]) -> list[Run]:
    return [runs[job.name] for job in jobs if job.label == kernel.label]


def _crashes(job: Job, run: Run) -> list[JobCrash]:
    found = [("boot", run.manifest.crash)] + [(item.scenario, item.crash) for item in run.manifest.iterations]
    return [
        JobCrash(job=job.name, label=job.label, during=during, kind=crash.kind, summary=crash.summary)
        for during, crash in found
        if crash is not None
    ]


def _describe_job(job: Job, run: Run) -> JobSummary:
    return JobSummary(
        name=job.name,
        label=job.label,
        seed=job.seed,
        iterations=tuple(
            JobIteration(
                scenario=item.scenario,
                traced=item.traced,
                status=item.status,
                reason=item.reason,
                lost_events=item.lost_events,
                trace_digest=item.trace_digest,
            )
            for item in run.manifest.iterations
        ),
    )


def _write_provenance(folder: CampaignFolder, file: PlanFile, jobs: Sequence[Job]) -> None:
    events = folder.events()
    seconds = {event["job"]: event["seconds"] for event in events if event["event"] == "recorded"}
    failures = [event for event in events if event["event"] in ("failed", "set_aside")]
    keys = [each.name for each in fields(JobFailure)]
    provenance = Provenance(
        suite=__version__,
        host=Host(machine=platform.machine(), kernel=platform.release(), python=platform.python_version()),
        begun_at=next((event["at"] for event in events if event["event"] == "plan"), None),
        finished_at=now_iso(),
        files=file.digests,
        starts=sum(event["event"] == "start" for event in events),
        failures=tuple(JobFailure(**{key: event[key] for key in keys if key in event}) for event in failures),
        jobs=tuple(JobTime(name=job.name, seconds=seconds.get(job.name)) for job in jobs),
    )
    write_json(folder.path / "provenance.json", to_plain(provenance))


def schedule_rest(file: PlanFile, out: Path, *, aa: bool = False) -> tuple[PlanFile, tuple[Job, ...], frozenset[str]]:
    """What ``--dry-run`` shows: the plan, its jobs, and the names of those that an earlier call has finished in ``out``.

    Nothing is fetched and the folder is only read: what a plan does not say by itself, the digests of kernels that are
    known by name and of the virtual device, is taken from the journal of the campaign.

    Raises:
        UsageError: the folder holds a campaign of another plan.
    """
    begun: dict[str, Any] | None = next((e["plan"] for e in read_journal(out / JOURNAL) if e["event"] == "plan"), None)
    if begun is not None:
        named = [_DESCRIBED.fullmatch(kernel["kernel"]) for kernel in begun["kernels"]]
        known = {match[1]: match[2] for match in named if match}
        image = {IMAGE: begun["image"]} if begun["image"] else {}
        file = replace(file, digests={**known, **image, **file.digests})
        built = begun["overlay"][: max(0, len(begun["overlay"]) - len(file.plan.overlay))]
        for overlay in filter(None, map(_DESCRIBED.fullmatch, reversed(built))):
            file = add_overlay(file, overlay[1], overlay[2])
    file, jobs = schedule(file, aa=aa)
    if begun is None:
        return file, jobs, frozenset()
    check_same_plan(out, begun, describe_plan(file.plan, file.digests))
    return file, jobs, frozenset(job.name for job in jobs if CampaignFolder(out).finished(job.name))


def render_schedule(jobs: Sequence[Job], cost: Cost, finished: Collection[str] = ()) -> str:
    """The text of ``--dry-run``: one line per job, then the cost.

    Args:
        jobs: all of the plan.
        cost: of those that are not finished.
        finished: names of those that are.
    """
    lines = []
    for job in jobs:
        what = ", ".join(
            f"{item.name} x{item.iterations}{'' if item.traced else ' untraced'}" for item in job.scenarios
        )
        takes = "finished" if job.name in finished else f"{cost.job_s[job.name]:6.0f} s"
        lines.append(f"block {job.block:<3} seed {job.seed:<6} {job.label:<20} {what:<40} {takes}")
    left = len(jobs) - len(finished)
    known = {left: "measured", 0: "assumed"}.get(cost.measured, f"{cost.measured} of them measured")
    done = f", {len(finished)} of them finished; the other {left}" if finished else ""
    return "\n".join([*lines, f"{len(jobs)} jobs{done}, about {cost.wall_s / 60:.1f} min ({known})."]) + "\n"


def render_device(plan: Plan) -> str:
    """What ``--dry-run`` says of the devices: their state and who records; empty for guests that run alone."""
    if plan.mode == "deterministic":
        return ""
    return f"device: {plan.ready.describe()}\ncapture: {plan.capture}\n"


def read_durations(path: Path) -> dict[str, list[float]]:
    """Measured durations by kind of job; empty if the file is missing or invalid."""
    try:
        data = json.loads(path.read_bytes())
        return {str(kind): [float(value) for value in values] for kind, values in data.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def write_durations(path: Path, durations_s: Mapping[str, Sequence[float]]) -> None:
    """Keeps the last 20 of each kind."""
    write_json(path, {kind: list(values)[-20:] for kind, values in durations_s.items()})
