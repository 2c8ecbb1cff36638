"""Records the kernel of a position under the plan's seeds, and judges one metric between two positions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from android_suite.campaign.journal import CampaignFolder
from android_suite.campaign.schedule import Job, plan_jobs
from android_suite.errors import EvidenceError, NotReady
from android_suite.model.comparison import MetricComparison
from android_suite.model.plan import KernelEntry, Plan
from android_suite.store.run import Run, open_run

# Compares the runs of two kernels by the metric that was asked for; None if neither has it.
Judge = Callable[[Plan, Sequence[Run], Sequence[Run]], MetricComparison | None]


class UntestableError(Exception):
    """A position cannot be tested; the text is the reason."""


@dataclass
class Bench:
    """Where positions are recorded.

    Args:
        plan: its one scenario, seeds, margins and architecture; its kernels do not count.
        digests: SHA-256 of the files in the plan and of the virtual device.
        folder: opened and locked.
        execute: records and analyzes those of the jobs that are not finished, as `Runner.run` does.
        judge: compares two kernels by the metric.
    """

    plan: Plan
    digests: Mapping[str, str]
    folder: CampaignFolder
    execute: Callable[[Sequence[Job]], None]
    judge: Judge
    boots: dict[str, int] = field(default_factory=dict)

    def record(self, label: str, kernel: str, digest: str | None, seeds: Sequence[int]) -> tuple[Run, ...]:
        """One run per seed; those of an earlier call or session are used again.

        Args:
            label: of the position; the same label is the same kernel.
            kernel: a name or a path.
            digest: SHA-256 of the image; None: its name says which it is.
            seeds: a beginning of the seeds that may be used.

        Raises:
            UntestableError: the kernel does not boot, or its trace cannot be trusted.
            LabError: the test setup failed at every attempt.
        """
        jobs = self._plan(label, kernel, digest, seeds)
        try:
            self.execute(jobs)
        except NotReady as error:
            raise UntestableError(f"it did not boot: {error}") from error
        except EvidenceError as error:
            raise UntestableError(f"its trace cannot be trusted: {error}") from error
        finally:
            self.boots[label] = max(self.boots.get(label, 0), sum(self.folder.finished(job.name) for job in jobs))
        runs = tuple(open_run(self.folder.jobs / job.name) for job in jobs)
        for run in runs:
            crashes = [run.manifest.crash, *(item.crash for item in run.manifest.iterations)]
            if crash := next((crash for crash in crashes if crash is not None), None):
                raise UntestableError(f"it crashed: {crash.summary}")
        return runs

    def has_booted(self, label: str, kernel: str, digest: str | None) -> bool:
        """Whether an earlier call or session recorded anything of it."""
        return any(self.folder.finished(job.name) for job in self._plan(label, kernel, digest, self.plan.seeds))

    def _plan(self, label: str, kernel: str, digest: str | None, seeds: Sequence[int]) -> tuple[Job, ...]:
        entry = KernelEntry(label=label, kernel=kernel, role="baseline")
        plan = replace(self.plan, kernels=(entry,), seeds=tuple(seeds), boots=len(seeds))
        return plan_jobs(plan, {**self.digests, **({kernel: digest} if digest else {})})

    def compare(self, baseline: Sequence[Run], candidate: Sequence[Run]) -> MetricComparison:
        """The metric between two positions.

        Raises:
            UntestableError: neither has the metric, or the runs hold no number that can be trusted.
        """
        try:
            metric = self.judge(self.plan, baseline, candidate)
        except EvidenceError as error:
            raise UntestableError(f"its numbers cannot be trusted: {error}") from error
        if metric is None:
            raise UntestableError("its runs do not have the metric")
        return metric
