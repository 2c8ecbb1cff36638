"""What a Dask worker does for a job: starts its process, passes on what it reports, interrupts it when it is unwanted.

Each job has a process because Dask cannot interrupt a task: a job may be interrupted anywhere, must not outlive its
worker, and should not share an interpreter lock with the analyses of other jobs.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import time
import uuid
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any, Final

from android_suite.campaign.schedule import Job
from android_suite.campaign.worker import Analyzer, Recorder, Report, work
from android_suite.errors import LabError

if TYPE_CHECKING:
    from distributed import Worker

GOODBYE_S: Final = 30.0  # for an interrupted job to shut its device down
_POLL_S = 0.5
_STATUS_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCall:
    """One attempt at a job. ``token`` names the attempt, ``topic`` is where its news goes, ``store`` see `worker`."""

    token: str
    topic: str
    job: Job
    recorder: Recorder
    analyzer: Analyzer
    store: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnd:
    """How an attempt ended. ``report`` is the last word of its process; None if it died without one."""

    worker: str
    token: str
    recorded_s: float | None
    analyzed: bool
    duplicate: bool
    report: Report | None
    status: int | None


def supervise(call: JobCall) -> JobEnd:
    """The Dask task of a job.

    It tells what happens as events of ``call.topic``: dicts with ``token``, ``kind`` (started, say, recorded, analyzed,
    ended), ``worker``, ``text`` (of started: the token of this execution) and ``seconds`` since its start.
    """
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()
    name = f"{worker.address} on {socket.gethostname()}"
    token = f"{call.token}-{uuid.uuid4().hex[:6]}"  # Dask runs the task again if its worker dies
    begun = time.monotonic()

    def tell(kind: str, text: str = "") -> None:
        seconds = round(time.monotonic() - begun, 3)
        fields: dict[str, Any] = {"token": call.token, "kind": kind, "worker": name, "text": text, "seconds": seconds}
        worker.log_event(call.topic, fields)

    tell("started", token)
    process, link = _start(call, token)
    heard: list[Report] = []
    recorded_s: float | None = None
    interrupted: float | None = None
    try:
        while True:
            if wait([link], timeout=_POLL_S):
                try:
                    report: Report = link.recv()
                except EOFError:
                    break
                if report.kind == "recorded":
                    recorded_s = round(time.monotonic() - begun, 3)
                if report.kind in ("say", "recorded", "analyzed"):
                    tell(report.kind, report.text)
                if report.kind != "say":
                    heard.append(report)
            if interrupted is None and _unwanted(worker, key):
                interrupted = time.monotonic()
                _interrupt(process)
            if interrupted is not None and time.monotonic() - interrupted > GOODBYE_S:
                process.kill()
    finally:
        if process.is_alive():
            process.join(GOODBYE_S)
            process.kill()
        process.join()
        link.close()
        tell("ended")
    last = heard[-1] if heard and heard[-1].kind in ("done", "error") else None
    kinds = {report.kind for report in heard}
    return JobEnd(
        worker=name,
        token=token,
        recorded_s=recorded_s,
        analyzed="analyzed" in kinds,
        duplicate="duplicate" in kinds,
        report=last,
        status=_read_status(process),
    )


def _start(call: JobCall, token: str) -> tuple[BaseProcess, Connection]:
    if multiprocessing.current_process().daemon:
        raise LabError(
            "this Dask worker may not start the processes of jobs, because a nanny watches over it; start it by "
            "`android-suite lab worker`, or as `dask worker --no-nanny`"
        )
    context = multiprocessing.get_context("spawn")
    link, far = context.Pipe(duplex=False)
    arguments = (far, os.getpid(), call.store, token, call.job, call.recorder, call.analyzer)
    process = context.Process(target=work, args=arguments, name=call.job.name)
    # Blocked until the job is ready to clean up, see `work`. The tracker starts first, because its start unblocks.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    far.close()
    return process, link


def _read_status(process: BaseProcess) -> int | None:
    """How a process that has ended did so.

    A thread that starts another process looks at all there are: it may have taken note of this end, and not have
    written it down yet.
    """
    deadline = time.monotonic() + _STATUS_S
    while (status := process.exitcode) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return status


def _unwanted(worker: Worker, key: str) -> bool:
    """Whether the campaign cancelled the task or went away, or the worker is to end."""
    task = worker.state.tasks.get(key)
    return task is None or task.state == "cancelled" or worker.status.name not in ("running", "paused")


def _interrupt(process: BaseProcess) -> None:
    if process.pid is not None and process.is_alive():
        os.kill(process.pid, signal.SIGINT)
