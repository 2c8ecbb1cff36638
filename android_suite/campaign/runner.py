"""Runs the jobs of a campaign in parallel, retries after failures of the test setup, and stops cleanly."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from android_suite import __version__
from android_suite.campaign.journal import CampaignFolder
from android_suite.campaign.schedule import Job, estimate_cost
from android_suite.campaign.worker import Analyzer, Recorder, Report, rebuild_error, work
from android_suite.errors import EvidenceError, LabError, NotReady, SuiteError

_RETRY_AFTER_S = (3.0, 15.0)
_GOODBYE_S = 30.0  # for an interrupted job to shut its device down


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The progress after an event. ``remaining_s`` is an estimate from measured durations."""

    done: int
    total: int
    running: tuple[str, ...]
    elapsed_s: float
    remaining_s: float
    message: str


@dataclass(slots=True)
class _Running:
    job: Job
    process: BaseProcess
    link: Connection
    since: float
    recording: bool
    last: Report | None = None


@dataclass(slots=True)
class Runner:
    """One pass over the jobs of a campaign; call ``run`` once.

    Args:
        folder: folder of the campaign, locked.
        recorder: collaborator that drives a device.
        analyzer: collaborator that reads the recording.
        workers: number of parallel jobs.
        durations_s: measured durations by `Job.kind`, updated as jobs end.
        budget_s: no job starts after this time.
        progress: called after every event.
        finished: called after every job that ended well.
        retry_after_s: pause before the second and each further attempt after a failure of the test setup.
        clock: monotonic clock in seconds.
    """

    folder: CampaignFolder
    recorder: Recorder
    analyzer: Analyzer
    workers: int
    durations_s: dict[str, list[float]]
    budget_s: float | None = None
    progress: Callable[[Progress], None] = lambda _: None
    finished: Callable[[Job], None] = lambda _: None
    retry_after_s: tuple[float, ...] = _RETRY_AFTER_S
    clock: Callable[[], float] = time.monotonic
    _running: dict[str, _Running] = field(default_factory=dict)
    _attempts: dict[str, int] = field(default_factory=dict)
    _waiting: deque[Job] = field(default_factory=deque)
    _not_before: dict[str, float] = field(default_factory=dict)
    _done: int = 0
    _total: int = 0
    _begun: float = 0.0

    def run(self, jobs: Sequence[Job]) -> None:
        """Runs the unfinished jobs.

        Raises:
            LabError: a job failed at every attempt, or the budget is used up. Finished jobs are kept.
            SuiteError: a job failed in a way that a retry cannot fix.
            KeyboardInterrupt: interrupted; running jobs were told to shut down and their folders will be set aside.
        """
        self._begun = self.clock()
        analyzed = {
            event["job"]
            for event in self.folder.events()
            if event["event"] == "analyzed" and event["suite"] == __version__
        }
        self._waiting.extend(job for job in jobs if not (self.folder.finished(job.name) and job.name in analyzed))
        self._total, self._done = len(jobs), len(jobs) - len(self._waiting)
        if self._done:
            self._tell(f"{self._done} of {self._total} jobs are already finished")
        doubt: SuiteError | None = None
        # CI ends a job with SIGTERM; it must shut down as after Ctrl-C.
        main = threading.current_thread() is threading.main_thread()
        before = signal.signal(signal.SIGTERM, signal.default_int_handler) if main else None
        try:
            while self._running or (self._waiting and not self._spent()):
                self._start_next()
                for entry, error in self._collect():
                    if isinstance(error, EvidenceError):
                        doubt = doubt or error  # the other jobs are not affected
                    elif error is not None:
                        self._retry_or_raise(entry.job, error)
        except SuiteError:
            self._finish_running()
            raise
        except BaseException:
            self._interrupt()
            raise
        finally:
            if main:
                signal.signal(signal.SIGTERM, before)
        if doubt is not None:
            raise doubt
        if self._waiting:
            raise LabError(
                f"the budget of {(self.budget_s or 0) / 60:g} min is used up with {self._done} of {self._total} jobs done; "
                "run qualify again to continue; nothing is lost."
            )

    def _spent(self) -> bool:
        return self.budget_s is not None and self.clock() - self._begun > self.budget_s

    def _start_next(self) -> None:
        for _ in range(len(self._waiting)):
            if len(self._running) >= self.workers or self._spent():
                return
            job = self._waiting.popleft()
            if self._not_before.get(job.name, 0.0) > self.clock():
                self._waiting.append(job)
                continue
            self._start(job)
            self._note_progress()
            self._tell(f"started {job.name}")

    def _start(self, job: Job) -> None:
        context = multiprocessing.get_context("spawn")
        link, far = context.Pipe(duplex=False)
        recording = not self.folder.finished(job.name)
        attempt = self._attempts[job.name] = self._attempts.get(job.name, 0) + 1
        self.folder.append("start", job=job.name, attempt=attempt, record=recording)
        arguments = (far, os.getpid(), self.folder.path, job, self.recorder, self.analyzer)
        process = context.Process(target=work, args=arguments, name=job.name)
        # Blocked until the job is ready to clean up, see `work`. The tracker starts first, because its start unblocks.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        far.close()
        self._running[job.name] = _Running(job, process, link, self.clock(), recording)

    def _retry_or_raise(self, job: Job, error: SuiteError) -> None:
        """Retries a job. No other place retries anything."""
        attempt = self._attempts[job.name]
        if not isinstance(error, LabError):
            raise error
        # A device that does not boot takes its full timeout each time.
        if attempt > (1 if isinstance(error, NotReady) else len(self.retry_after_s)):
            error.add_note(f"after {attempt} attempts; their evidence is in {self.folder.failed}")
            raise error
        self._not_before[job.name] = self.clock() + self.retry_after_s[attempt - 1]
        self._waiting.append(job)

    def _finish_running(self) -> None:
        """Lets the running jobs finish, because their recordings are valid."""
        try:
            while self._running:
                self._collect()
        except BaseException:
            self._interrupt()
            raise

    def _collect(self) -> list[tuple[_Running, SuiteError | None]]:
        """Waits briefly for messages; returns the jobs that ended, with their errors."""
        ended = []
        ready = wait([entry.link for entry in self._running.values()], timeout=0.5) if self._running else []
        if not self._running:
            time.sleep(0.05)
        for entry in list(self._running.values()):
            if entry.link not in ready:
                continue
            try:
                self._hear(entry, entry.link.recv())
            except EOFError:
                ended.append((entry, self._end(entry)))
        return ended

    def _hear(self, entry: _Running, report: Report) -> None:
        name = entry.job.name
        if report.kind == "say":
            self._tell(f"{name}: {report.text}")
            return
        if report.kind == "recorded":
            seconds = round(self.clock() - entry.since, 3)
            self.folder.append("recorded", job=name, seconds=seconds)
        elif report.kind == "analyzed":
            self.folder.append("analyzed", job=name, suite=__version__)
        entry.last = report

    def _end(self, entry: _Running) -> SuiteError | None:
        entry.process.join()
        entry.link.close()
        del self._running[entry.job.name]
        name = entry.job.name
        if entry.last is not None and entry.last.kind == "done":
            self._done += 1
            if entry.recording:
                self.durations_s.setdefault(entry.job.kind, []).append(round(self.clock() - entry.since, 1))
            self._tell(f"finished {name}")
            self._note_progress()
            self.finished(entry.job)
            return None
        if entry.last is not None and entry.last.kind == "error":
            error = rebuild_error(entry.last, entry.job)
        else:
            error = LabError(
                f"the process of job {name} ended with status {entry.process.exitcode}; see {self.folder.path}."
            )
        aside = self.folder.set_aside(name)
        kept = str(aside.relative_to(self.folder.path)) if aside else None
        self.folder.append("failed", job=name, error=type(error).__name__, text=str(error), kept=kept)
        self._note_progress()
        self._tell(f"failed {name}: {error}")
        return error

    def _interrupt(self) -> None:
        for entry in self._running.values():
            if entry.process.pid is not None and entry.process.is_alive():
                os.kill(entry.process.pid, signal.SIGINT)
        deadline = time.monotonic() + _GOODBYE_S
        for entry in self._running.values():
            entry.process.join(max(0.0, deadline - time.monotonic()))
            if entry.process.is_alive():
                entry.process.kill()
                entry.process.join()
        self.folder.append("interrupted", running=sorted(self._running))

    def _note_progress(self) -> None:
        """For who follows the journal: `lab status`, the page."""
        self.folder.append(
            "progress",
            done=self._done,
            total=self._total,
            running=sorted(self._running),
            remaining_s=round(self._remaining_s(), 1),
        )

    def _remaining_s(self) -> float:
        left = [*(entry.job for entry in self._running.values()), *self._waiting]
        cost = estimate_cost(left, self.durations_s, workers=self.workers)
        spent = max((self.clock() - entry.since for entry in self._running.values()), default=0.0)
        return max(0.0, cost.wall_s - spent)

    def _tell(self, message: str) -> None:
        now = self.clock()
        self.progress(
            Progress(
                done=self._done,
                total=self._total,
                running=tuple(sorted(self._running)),
                elapsed_s=now - self._begun,
                remaining_s=self._remaining_s(),
                message=message,
            )
        )


def default_workers(mode: str) -> int:
    """One job per core in deterministic mode, where jobs do not affect each other; one job in real time."""
    return len(os.sched_getaffinity(0)) if mode == "deterministic" else 1


def default_out(plan: Path) -> Path:
    """The default folder of a plan's campaign: ``reports/NAME``."""
    return Path("reports") / plan.stem
