"""Moments that a campaign may meet and that no real cluster gives on request: each is made here."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from android_suite.campaign import journal, supervisor
from android_suite.campaign.cluster import Cluster
from android_suite.campaign.journal import open_campaign
from android_suite.campaign.plan_file import PlanFile
from android_suite.campaign.qualify import Collaborators, schedule
from android_suite.campaign.runner import Runner
from android_suite.campaign.schedule import Job
from android_suite.campaign.supervisor import JobCall, JobEnd
from android_suite.campaign.worker import Report, run_job, work
from android_suite.errors import LabError

MakePlan = Callable[..., PlanFile]


@dataclass
class ScriptedCluster:
    """Does each job at once, in this process; the first one fails, and while none runs the scheduler is started again.

    ``how``: whether Dask's client is still without it when the next job is to start.
    """

    how: str
    address: str = "tcp://scripted:1"
    lost: bool = False
    did: list[str] = field(default_factory=list)
    heard_by: str = ""  # the scheduler that has the topic
    scheduler: str = "first"

    def listen(self, topic: str, messages: queue.SimpleQueue[Any]) -> None:
        assert not self.lost
        self.heard_by = self.scheduler
        self.did.append("listen")

    def reconnect(self, *, timeout: float) -> None:
        self.lost = False
        self.did.append("reconnect")

    def submit(
        self, task: Callable[..., Any], call: JobCall, *, key: str, needs: Mapping[str, float]
    ) -> Future[JobEnd]:
        assert not self.lost
        assert self.heard_by == self.scheduler, "no event of this job would be heard"
        self.did.append("job")
        done: Future[JobEnd] = Future()
        if self.scheduler == "first":
            self.scheduler, self.lost = "second", self.how == "lost"
            done.set_exception(LabError("the cable fell out; plug it in."))
            return done
        run_job(Path(call.store), call.job, call.recorder, call.analyzer, lambda _: None, call.token)
        report = Report(kind="done")
        done.set_result(
            JobEnd(
                worker="w", token=call.token, recorded_s=1.0, analyzed=True, duplicate=False, report=report, status=0
            )
        )
        return done

    def look(self) -> list[str]:
        return []


@pytest.mark.parametrize("how", ["lost", "back already"])
def test_a_scheduler_that_is_started_again_while_no_job_runs(
    tmp_path: Path, lab: Collaborators, make_plan: MakePlan, how: str
) -> None:
    cluster = ScriptedCluster(how)
    _, jobs = schedule(make_plan(("[1, 2, 3]", "[1]")))
    with open_campaign(tmp_path / "out", {}) as folder:
        runner = Runner(
            folder=folder, recorder=lab.recorder, analyzer=lab.analyzer, workers=1, durations_s={}, cluster=cluster,  # type: ignore[arg-type]
        )  # fmt: skip
        runner.policy = type(runner.policy)(pauses_s=(0.0, 0.0))
        runner.run(jobs)
        assert sorted(folder.finished(job.name) for job in jobs) == [True, True]
    assert ("reconnect" in cluster.did) == (how == "lost")


def test_a_client_that_gave_its_scheduler_up_knows_no_worker() -> None:
    client = SimpleNamespace(status="closed", scheduler_info=lambda *, n_workers: {})
    cluster = Cluster(client, "tcp://h:1", clock=lambda: 100.0)  # type: ignore[arg-type]
    assert cluster.lost
    assert cluster.look() == []
    assert cluster.slots("core") == 0


def test_a_scheduler_that_goes_away_while_a_silent_worker_is_taken_out() -> None:
    now = [100.0]
    worker = {"last_seen": 1.0, "resources": {}}

    def run_on_scheduler(_: object) -> None:
        raise OSError("the connection was closed")

    client = SimpleNamespace(
        status="running",
        scheduler_info=lambda *, n_workers: {"workers": {"w": worker}},
        run_on_scheduler=run_on_scheduler,
    )
    cluster = Cluster(client, "tcp://h:1", clock=lambda: now[0])  # type: ignore[arg-type]
    assert cluster.look() == []
    now[0] += 61.0
    assert cluster.look() == ["w"]


def test_an_attempt_that_was_given_up_leaves_what_another_analyzed(
    tmp_path: Path, lab: Collaborators, make_plan: MakePlan, faults: Path
) -> None:
    """Its worker's host stood still between the recording and the analysis."""
    job = schedule(make_plan())[1][0]
    said: list[str] = []
    found: list[Path] = []
    with open_campaign(tmp_path / "out", {}) as folder:

        def stand_still(report: Report) -> None:
            said.append(report.kind)
            if report.kind == "recorded":
                run_job(folder.path, job, lab.recorder, lab.analyzer, lambda _: None, "other")
                found.extend((folder.jobs / job.name / "derived").rglob("*.json"))
                found[0].chmod(0o400)  # a file that is written again has another mode

        run_job(folder.path, job, lab.recorder, lab.analyzer, stand_still, "first")
    assert [kind for kind in said if kind != "say"] == ["recorded"]
    assert (faults / "analyzed").read_text().splitlines() == [job.name]
    assert found[0].stat().st_mode & 0o777 == 0o400


def test_an_end_that_another_thread_has_just_taken_note_of() -> None:
    process = multiprocessing.get_context("spawn").Process(target=os._exit, args=(9,))
    process.start()
    os.waitid(os.P_PID, process.pid or 0, os.WEXITED | os.WNOWAIT)
    _, status = os.waitpid(process.pid or 0, 0)  # as the other thread does, before it writes to the object
    process.join()
    assert process.exitcode is None
    popen = process._popen  # type: ignore[attr-defined]
    late = threading.Timer(0.1, lambda: setattr(popen, "returncode", os.waitstatus_to_exitcode(status)))
    late.start()
    assert supervisor._read_status(process) == 9
    late.join()


def test_the_next_qualify_waits_longer_than_an_interrupted_job_may_take() -> None:
    assert supervisor.GOODBYE_S + 5 < journal._LAST_WORKER_S


@dataclass(frozen=True)
class Patient:
    """A recorder that waits to be interrupted, and then puts its device back."""

    folder: Path

    def __call__(self, job: Job, path: Path, say: Callable[[str], None]) -> None:
        (self.folder / "begun").touch()
        try:
            time.sleep(100)
        finally:
            (self.folder / "put-back").touch()


@pytest.fixture
def ignored() -> Iterator[None]:
    """Ctrl-C is ignored, as it is in what a shell runs in its background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ignored")
def test_a_job_of_a_campaign_in_the_background_of_a_shell_can_be_interrupted(
    tmp_path: Path, lab: Collaborators, make_plan: MakePlan
) -> None:
    _, jobs = schedule(make_plan())
    context = multiprocessing.get_context("spawn")
    link, far = context.Pipe(duplex=False)
    with open_campaign(tmp_path / "out", {}) as folder:
        arguments = (far, os.getpid(), str(folder.path), "t", jobs[0], Patient(tmp_path), lab.analyzer)
        process = context.Process(target=work, args=arguments)
        process.start()
        far.close()
        try:
            deadline = time.monotonic() + 300
            while not (tmp_path / "begun").exists():
                assert time.monotonic() < deadline
                assert process.is_alive()
                time.sleep(0.05)
            assert process.pid is not None
            os.kill(process.pid, signal.SIGINT)
            process.join(60)
            assert process.exitcode == 130
        finally:
            process.kill()
            process.join()
            link.close()
    assert (tmp_path / "put-back").exists()
