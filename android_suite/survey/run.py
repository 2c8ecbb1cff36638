"""Records the kernels of a survey one after the other, through the jobs of a campaign; another call goes on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from android_suite.analyze import load_run
from android_suite.campaign import evaluate
from android_suite.campaign.attempt import Progress, default_workers
from android_suite.campaign.journal import CampaignFolder, open_campaign
from android_suite.campaign.lab import LabRecorder, identify_guest, try_boot
from android_suite.campaign.plan_file import PlanFile
from android_suite.campaign.runner import Runner
from android_suite.campaign.schedule import Job, plan_jobs
from android_suite.config import Config
from android_suite.errors import EvidenceError, MachineError, NotReady, Unsupported
from android_suite.model.plan import KernelEntry, describe_app
from android_suite.model.survey import Survey, SurveyRow
from android_suite.survey.rows import find_steps, make_row
from android_suite.virtual.kernels import fetch_kernel

# A kernel that fails so has a row that says why; any other failure is of the test setup and stops the survey.
_OF_THE_KERNEL = (NotReady, Unsupported, EvidenceError)


@dataclass
class Surveyor:
    """One survey; call ``run`` once.

    Args:
        file: the plan; its kernels do not count.
        folder: opened and locked.
        execute: records and analyzes those of the jobs that are not finished, as `Runner.run` does.
        fetch: SHA-256 of a kernel's image.
        try_boot: boots a kernel briefly; why it does not boot, or None.
        say: told of each kernel.
    """

    file: PlanFile
    folder: CampaignFolder
    execute: Callable[[Sequence[Job]], None]
    fetch: Callable[[str], str]
    try_boot: Callable[[str], str | None] = lambda _: None
    say: Callable[[str], None] = lambda _: None

    def run(self, kernels: Sequence[str], *, tell: Callable[[Survey], None] = lambda _: None) -> Survey:
        """Records every kernel and makes its row; ``tell`` gets the survey so far after each.

        Raises:
            LabError: the test setup failed at every attempt; another call continues.
            UsageError: there is no such kernel.
        """
        rows = []
        for number, kernel in enumerate(kernels, start=1):
            self.say(f"kernel {kernel} ({number} of {len(kernels)})")
            rows.append(self._survey(kernel))
            tell(self._describe(rows))
        return self._describe(rows)

    def _describe(self, rows: Sequence[SurveyRow]) -> Survey:
        plan = self.file.plan
        return Survey(
            arch=plan.arch,
            seeds=plan.seeds,
            scenarios={each.name: dict(each.parameters) for each in plan.scenarios},
            app=describe_app(replace(plan, kernels=(_entry("any"),))),
            rows=tuple(rows),
            steps=find_steps(rows),
        )

    def _survey(self, kernel: str) -> SurveyRow:
        try:
            digest = self.fetch(kernel)
        except MachineError as error:
            return SurveyRow(name=kernel, notes=(str(error),))
        jobs = self._plan(kernel, digest)
        # In virtual time a kernel that hangs is noticed after half an hour, in real time after two minutes.
        if not any(self.folder.finished(job.name) for job in jobs) and (why := self.try_boot(kernel)) is not None:
            return SurveyRow(name=kernel, planned=len(jobs), notes=(why,))
        notes: list[str] = []
        try:
            self.execute(jobs)
        except _OF_THE_KERNEL:
            # One scenario may fail where the others do not.
            notes += [note for job in jobs if (note := self._try(job))]
        return self._read(kernel, jobs, notes)

    def _try(self, job: Job) -> str | None:
        try:
            self.execute([job])
        except _OF_THE_KERNEL as error:
            return f"{job.scenarios[0].name}, seed {job.seed}: {error}"
        return None

    def _plan(self, kernel: str, digest: str | None) -> tuple[Job, ...]:
        plan = replace(self.file.plan, kernels=(_entry(kernel),))
        return plan_jobs(plan, {**self.file.digests, **({kernel: digest} if digest else {})})

    def _read(self, kernel: str, jobs: Sequence[Job], notes: Sequence[str]) -> SurveyRow:
        analyzed = []
        said = list(notes)
        for job in jobs:
            if self.folder.finished(job.name):
                try:
                    analyzed.append(load_run(self.folder.jobs / job.name))
                except EvidenceError as error:
                    said.append(f"{job.scenarios[0].name}, seed {job.seed}: {error}")
        return make_row(kernel, analyzed, planned=[job.scenarios[0].name for job in jobs], notes=said)


def _entry(kernel: str) -> KernelEntry:
    label = re.sub(r"[^A-Za-z0-9_.+-]", "-", kernel.rpartition("/")[2])[:40]
    return KernelEntry(label=label, kernel=kernel, role="baseline")


@contextmanager
def open_survey(
    file: PlanFile,
    out: Path,
    config: Config,
    *,
    workers: int | None = None,
    fresh: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Surveyor]:
    """A survey, ready to run. A later one in the same folder uses every recording that is as it would make it.

    Args:
        file: the plan from `choose_plan`.
        out: its folder.
        config: the settings.
        workers: parallel recordings; None: one per core.
        fresh: start again; an earlier survey in ``out`` is renamed.
        progress: called after every event.
        say: told of each kernel.

    Raises:
        UsageError: the folder is in use or holds something else.
        MachineError: the virtual device or the runtime cannot be built.
    """
    file = identify_guest(file, config, say=say)
    # Not the plan: a job's name tells its content, so kernels, seeds and scenarios can be added to a survey.
    with open_campaign(out, {"survey": file.plan.arch}, fresh=fresh) as folder:

        def execute(jobs: Sequence[Job]) -> None:
            Runner(
                folder=folder,
                recorder=LabRecorder(config=config),
                analyzer=evaluate.analyze_job,
                workers=workers or default_workers(file.plan.mode),
                durations_s={},
                progress=progress,
            ).run(jobs)

        def fetch(kernel: str) -> str:
            return fetch_kernel(kernel, file.plan.arch, config=config).sha256

        def try_kernel(kernel: str) -> str | None:
            try:
                crash = try_boot(kernel, file.plan.arch, config)
            except NotReady as error:
                return str(error)
            return f"it crashed while it booted: {crash.summary}" if crash else None

        yield Surveyor(file=file, folder=folder, execute=execute, fetch=fetch, try_boot=try_kernel, say=say)
