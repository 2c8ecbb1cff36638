"""Runs the jobs of a campaign on a Dask cluster, retries after failures of the test setup, and stops cleanly.

The runner keeps as many jobs submitted as there are slots, so that no slot is idle while work waits and a job never
queues behind another on one worker. docs/faults.md has the policy: what is tried again, how often, and who is blamed.
"""

from __future__ import annotations

import queue
import random
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from android_suite import __version__
from android_suite.campaign.attempt import Attempt, Progress, fetch_job
from android_suite.campaign.cluster import CORE, SHARE, Cluster, device_resource, open_local_cluster
from android_suite.campaign.ending import end_as_interrupted
from android_suite.campaign.faults import Policy, blame
from android_suite.campaign.journal import CampaignFolder, attempt_name
from android_suite.campaign.pool import Pool, PoolDevice
from android_suite.campaign.schedule import Job, estimate_cost
from android_suite.campaign.supervisor import GOODBYE_S, JobCall, JobEnd, supervise
from android_suite.campaign.worker import Analyzer, Recorder, rebuild_error
from android_suite.errors import EvidenceError, LabError, SuiteError


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
        cluster: where jobs run; None: a local cluster of ``workers`` slots.
        devices: the attached devices that the jobs run on, instead of ``recorder``; none: each job needs a core.
        store: URL of a run store, for workers that do not see the folder.
        policy: how often what is tried again.
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
    cluster: Cluster | None = None
    devices: Sequence[PoolDevice] = ()
    store: str | None = None
    policy: Policy = field(default_factory=Policy)
    clock: Callable[[], float] = time.monotonic
    _at: Cluster = field(init=False)
    _pool: Pool | None = None
    _topic: str = field(init=False)
    _messages: queue.SimpleQueue[Any] = field(default_factory=queue.SimpleQueue)
    _running: dict[str, Attempt] = field(default_factory=dict)  # by token
    _attempts: dict[str, int] = field(default_factory=dict)
    _waiting: list[Job] = field(default_factory=list)
    _not_before: dict[str, float] = field(default_factory=dict)
    _jobs: Sequence[Job] = ()
    _cut_off: bool = False  # the scheduler went away
    _last_slot: float = 0.0  # when there was a worker for a job
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
        self._begun = self._last_slot = self.clock()
        if self.devices:
            limit = self.policy.failures_to_quarantine
            self._pool = Pool(self.devices, self.folder, failures_to_quarantine=limit, tell=self._tell)
            self._pool.begin(jobs)
        analyzed = {
            event["job"]
            for event in self.folder.events()
            if event["event"] == "analyzed" and event["suite"] == __version__
        }
        # A run that was fetched from a store and could not be trusted is analyzed again here, when it is compared.
        self._waiting.extend(
            job for job in jobs if not (self.folder.finished(job.name) and (self.store or job.name in analyzed))
        )
        self._jobs = jobs
        self._total, self._done = len(jobs), len(jobs) - len(self._waiting)
        if self._done:
            self._tell(f"{self._done} of {self._total} jobs are already finished")
        if not self._waiting:
            return
        serials = self._pool.serials if self._pool else ()
        slots = len(serials) or self.workers
        here = nullcontext(self.cluster) if self.cluster else open_local_cluster(slots, serials)
        with end_as_interrupted(), here as at:
            self._at = at
            self._topic = f"android-suite-{uuid.uuid4().hex}"
            self.folder.append("cluster", scheduler=at.address, slots=slots)
            self._run()

    def _run(self) -> None:
        doubt: SuiteError | None = None
        try:
            while self._running or (self._waiting and not self._spent()):
                self._start_next()
                for entry, error in self._collect():
                    if isinstance(error, EvidenceError):
                        doubt = doubt or error  # the other jobs are not affected
                    elif error is not None:
                        self._retry_or_raise(entry, error)
                self._watch()
        except SuiteError:
            self._finish_running()
            raise
        except BaseException:
            self._interrupt()
            raise
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
        if self._waiting and (self._cut_off or (not self._running and self._at.lost)):
            self._tell(f"waiting up to {self.policy.no_scheduler_s:.0f} s for the scheduler {self._at.address}")
            self._at.reconnect(timeout=self.policy.no_scheduler_s)
            self._at.listen(self._topic, self._messages)
            self._cut_off = False
        if self._pool is not None:
            again = self._pool.move(self._jobs, {entry.job.block for entry in self._running.values()})
            self._waiting += again
            self._done -= len(again)
        waiting, self._waiting = self._waiting, []
        for number, job in enumerate(waiting):
            if not self._has_slot() or self._spent():
                self._waiting += waiting[number:]
                return
            if self._not_before.get(job.name, 0.0) > self.clock() or not self._start(job):
                self._waiting.append(job)

    def _has_slot(self) -> bool:
        return len(self._running) < self.workers if self._pool is None else self._pool.free

    def _start(self, job: Job) -> bool:
        """Submits a job; False if its device is not free."""
        recording = not self.folder.finished(job.name)
        device = None
        if self._pool is not None:
            device = self._pool.choose(job) if recording else self._pool.any_for(job)
            if device is None:
                return False
        attempt = self._attempts[job.name] = self._attempts.get(job.name, 0) + 1
        token = uuid.uuid4().hex[:12]
        call = JobCall(
            token=token,
            topic=self._topic,
            job=job,
            recorder=self.recorder if device is None else device.recorder,
            analyzer=self.analyzer,
            store=self.store or str(self.folder.path.absolute()),
        )
        needs = {CORE: 1.0} if device is None else {device_resource(device.serial): SHARE}
        if self._pool is not None and device is not None and recording:
            self._pool.hold(device, job, token)
        if not self._running:  # the first, or meanwhile the client may have come to a scheduler that was started again
            self._at.listen(self._topic, self._messages)
        future = self._at.submit(supervise, call, key=f"{job.name}@{token}", needs=needs)
        self._running[token] = Attempt(job, token, future, self.clock(), recording, attempt, device)
        future.add_done_callback(lambda _: self._messages.put({"token": token, "kind": "over"}))
        return True

    def _retry_or_raise(self, entry: Attempt, error: SuiteError) -> None:
        """Retries a job. No other place retries anything."""
        job, attempt = entry.job, self._attempts[entry.job.name]
        pause = self.policy.pause_s(error, attempt, random.random())
        if pause is None and isinstance(error, LabError):
            error.add_note(f"after {attempt} attempts; their evidence is in {self.folder.failed}")
        if self._pool is not None and entry.device is not None:
            if self._pool.gives_up(job, entry.device, error, last=pause is None):
                self._attempts[job.name] = 0
                pause = 0.0
        elif pause is None:
            raise error
        self._not_before[job.name] = self.clock() + (pause or 0.0)
        self._waiting.append(job)

    def _finish_running(self) -> None:
        """Lets the running jobs finish, because their recordings are valid."""
        try:
            for entry in [entry for entry in self._running.values() if entry.worker is None]:
                self._drop(entry)  # not begun
            while self._running:
                self._collect()
                self._watch()
        except BaseException:
            self._interrupt()
            raise

    def _collect(self) -> list[tuple[Attempt, SuiteError | None]]:
        """Waits briefly for messages; returns the jobs that ended, with their errors."""
        ended: list[tuple[Attempt, SuiteError | None]] = []
        timeout = 0.5 if self._running else 0.05
        while True:
            try:
                message = self._messages.get(timeout=timeout)
            except queue.Empty:
                return ended
            timeout = 0.001  # and all the others that are there
            entry = self._running.get(message["token"])
            if entry is None:
                continue
            if message["kind"] == "over":
                ended.append((entry, self._end(entry)))
            else:
                self._hear(entry, message)

    def _hear(self, entry: Attempt, news: dict[str, Any]) -> None:
        name = entry.job.name
        match news["kind"]:
            case "started":
                self._note_start(entry, news["worker"], news["text"])
            case "say":
                self._tell(f"{name}: {news['text']}")
            case "recorded":
                self._note_recorded(entry, news["seconds"])
            case "analyzed" if not self.store:
                self._note_analyzed(entry)

    def _note_start(self, entry: Attempt, worker: str, execution: str) -> None:
        if entry.worker is not None:  # Dask starts the job elsewhere when its worker has died
            self._note_lost(entry, "its connection to the scheduler ended")
            entry.attempt = self._attempts[entry.job.name] = self._attempts[entry.job.name] + 1
        entry.worker, entry.execution, entry.since = worker, execution, self.clock()
        self.folder.append(
            "start", job=entry.job.name, attempt=entry.attempt, record=entry.recording, worker=worker,
            device=entry.device.serial if entry.device else None,
        )  # fmt: skip
        self._note_progress()
        self._tell(f"started {entry.job.name}")

    def _note_lost(self, entry: Attempt, why: str) -> None:
        self.folder.append("lost", job=entry.job.name, worker=entry.worker, text=why)
        self._set_aside(entry)
        self._tell(f"{entry.job.name}: lost its worker {entry.worker}: {why}")

    def _note_recorded(self, entry: Attempt, seconds: float) -> None:
        if not entry.recorded:
            entry.recorded = True
            self.folder.append("recorded", job=entry.job.name, seconds=seconds)
        self._give_back(entry, recorded=True)

    def _note_analyzed(self, entry: Attempt) -> None:
        if not entry.analyzed:
            entry.analyzed = True
            self.folder.append("analyzed", job=entry.job.name, suite=__version__)

    def _end(self, entry: Attempt) -> SuiteError | None:
        del self._running[entry.token]
        name = entry.job.name
        try:
            end: JobEnd = entry.future.result(timeout=120)  # it is there, but the host may be busy
            error = self._settle(entry, end)
        except CancelledError:
            self._cut_off = self._at.address is not None
            error = LabError(f"the scheduler went away while {name} ran; start it and its workers again.")
        except SuiteError as raised:
            error = raised
        except Exception as raised:  # Dask's: its worker died at every attempt, or could not load the job
            error = LabError(f"job {name} ended on its worker without a result ({type(raised).__name__}: {raised}).")
        self._give_back(entry, recorded=self.folder.finished(name))
        if error is None:
            self._done += 1
            if entry.recording:
                self.durations_s.setdefault(entry.job.kind, []).append(round(self.clock() - entry.since, 1))
            if self._pool is not None and entry.device is not None:
                self._pool.succeed(entry.device)
            self._note_progress()
            self._tell(f"finished {name}")
            self.finished(entry.job)
            return None
        kept = self._set_aside(entry)
        fields = {"error": type(error).__name__, "fault": blame(error), "text": str(error), "kept": kept}
        self.folder.append("failed", job=name, **fields)
        self._note_progress()
        self._tell(f"failed {name}: {error}")
        return error

    def _set_aside(self, entry: Attempt) -> str | None:
        return self.folder.set_aside(attempt_name(entry.job.name, entry.execution))

    def _settle(self, entry: Attempt, end: JobEnd) -> SuiteError | None:
        """Writes to the journal what its events did not, and fetches the run from the store."""
        name = entry.job.name
        if entry.worker is None:
            self._note_start(entry, end.worker, end.token)
        if self.store and (end.recorded_s is not None or end.duplicate):
            fetch_job(self.folder, self.store, name, entry.token)
        if end.recorded_s is not None:
            self._note_recorded(entry, end.recorded_s)
        if end.duplicate:
            self.folder.append("duplicate", job=name, kept=self._set_aside(entry))
        if end.report is not None and end.report.kind == "error":
            return rebuild_error(end.report, entry.job)
        if end.report is None:
            return LabError(f"the process of job {name} ended with status {end.status}; see {self.folder.path}.")
        if end.analyzed or end.duplicate:
            self._note_analyzed(entry)
        return None

    def _watch(self) -> None:
        """Takes out workers that fell silent, and ends the campaign where there are none for too long."""
        if self._at.address is None:
            return
        for address in self._at.look():
            self._tell(f"worker {address} fell silent; its jobs start elsewhere")
        if any(entry.worker for entry in self._running.values()) or not self._running:
            self._last_slot = self.clock()
        elif self.clock() - self._last_slot > self.policy.no_worker_s:
            for entry in list(self._running.values()):
                self._drop(entry)
            needs = ", ".join(map(device_resource, self._pool.serials)) if self._pool else CORE
            raise LabError(
                f"no worker with {needs} took a job for {self.policy.no_worker_s:.0f} s; start one with "
                f"`android-suite lab worker {self._at.address}`, then run qualify again."
            )

    def _drop(self, entry: Attempt) -> None:
        entry.future.cancel()
        del self._running[entry.token]
        self._give_back(entry, recorded=False)

    def _give_back(self, entry: Attempt, *, recorded: bool) -> None:
        """Its device is free for the next recording, while this one is analyzed."""
        if self._pool is not None:
            self._pool.give_back(entry.job, entry.token, recorded=recorded)

    def _interrupt(self) -> None:
        running = sorted(entry.job.name for entry in self._running.values())
        begun = {token for token, entry in self._running.items() if entry.worker is not None}
        for entry in self._running.values():
            entry.future.cancel()
        deadline = time.monotonic() + GOODBYE_S + 5.0
        while begun and (left := deadline - time.monotonic()) > 0:
            try:
                message = self._messages.get(timeout=left)
            except queue.Empty:
                break
            if message["kind"] == "ended":
                begun.discard(message["token"])
        self.folder.append("interrupted", running=running)

    def _note_progress(self) -> None:
        """For who follows the journal: `lab status`, the page."""
        self.folder.append(
            "progress",
            done=self._done,
            total=self._total,
            running=sorted(entry.job.name for entry in self._running.values() if entry.worker),
            remaining_s=round(self._remaining_s(), 1),
        )

    def _remaining_s(self) -> float:
        left = [*(entry.job for entry in self._running.values()), *self._waiting]
        cost = estimate_cost(left, self.durations_s, workers=len(self._pool) if self._pool else self.workers)
        spent = max((self.clock() - entry.since for entry in self._running.values()), default=0.0)
        return max(0.0, cost.wall_s - spent)

    def _tell(self, message: str) -> None:
        self.progress(
            Progress(
                done=self._done,
                total=self._total,
                running=tuple(sorted(entry.job.name for entry in self._running.values())),
                elapsed_s=self.clock() - self._begun,
                remaining_s=self._remaining_s(),
                message=message,
            )
        )
