"""What the runner of a campaign knows of a job that runs, and tells of all of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from android_suite.campaign.journal import CampaignFolder, attempt_name, finish_job
from android_suite.campaign.schedule import Job
from android_suite.store.remote import open_store

if TYPE_CHECKING:
    from distributed import Future

    from android_suite.campaign.pool import PoolDevice


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
class Attempt:
    """A job that was submitted and has not ended."""

    job: Job
    token: str
    future: Future
    since: float
    recording: bool
    attempt: int
    device: PoolDevice | None = None
    worker: str | None = None  # None: no worker has begun it yet
    execution: str = ""  # its token on that worker
    recorded: bool = False  # in the journal
    analyzed: bool = False


def default_workers(mode: str) -> int:
    """One job per core in deterministic mode, where jobs do not affect each other; one job in real time."""
    return len(os.sched_getaffinity(0)) if mode == "deterministic" else 1


def default_out(plan: Path) -> Path:
    """The default folder of a plan's campaign: ``reports/NAME``."""
    return Path("reports") / plan.stem


def fetch_job(folder: CampaignFolder, store: str, name: str, token: str) -> None:
    """Brings the run of a job from a run store to the folder of the campaign, if it is not there.

    Args:
        folder: of the campaign.
        store: URL of the run store.
        name: of the job.
        token: of the attempt that asks.

    Raises:
        SuiteError: as `RemoteStore.fetch`.
    """
    if folder.finished(name):
        return
    target = folder.partial / attempt_name(name, f"{token}-fetched")
    open_store(store).fetch(name, target)
    finish_job(target, folder.jobs / name)
