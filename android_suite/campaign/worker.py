"""One job in a process of its own: record, seal, move to its place, analyze.

A process each, because a job may be interrupted anywhere, must not outlive a killed `qualify`, and because the analyses
of several jobs shall not share one interpreter lock.
"""

from __future__ import annotations

import ctypes
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal, Protocol

from android_suite.campaign.journal import CampaignFolder, finish_job, hold_worker_lock
from android_suite.campaign.schedule import Job
from android_suite.errors import LabError, SuiteError
from android_suite.store.run import clear_derived, open_run

_PR_SET_PDEATHSIG = 1


class Recorder(Protocol):
    """Runs a job on a device and leaves a sealed run directory at ``path``, which does not exist before.

    A crash of the tested kernel is in the run; a failing lab is a `LabError`, and then the job is tried again.
    """

    def __call__(self, job: Job, path: Path, say: Callable[[str], None]) -> None:
        """``say`` takes a few words on what is going on."""


class Analyzer(Protocol):
    """Makes ``derived/`` of a sealed run directory."""

    def __call__(self, path: Path) -> None:
        """May be called again on the same run, after ``derived/`` was removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a job tells the campaign. The last one is ``done`` or ``error``."""

    kind: Literal["say", "recorded", "analyzed", "done", "error"]
    text: str = ""
    error: str = ""  # name of the exception's class
    detail: str = ""  # traceback of what is no SuiteError


def run_job(out: Path, job: Job, recorder: Recorder, analyzer: Analyzer, report: Callable[[Report], None]) -> None:
    """Does what is left to do of one job.

    Raises:
        LabError: the lab failed; what it left is in ``partial``.
        SuiteError: see its type.
    """
    folder = CampaignFolder(out)
    final = folder.jobs / job.name
    if not folder.finished(job.name):
        partial = folder.partial / job.name
        recorder(job, partial, lambda text: report(Report(kind="say", text=text)))
        if not open_run(partial).manifest.sealed:
            raise LabError(f"{job.name} ended without sealing its run; try again.")
        finish_job(partial, final)
        report(Report(kind="recorded"))
    clear_derived(open_run(final))
    analyzer(final)
    report(Report(kind="analyzed"))


def work(link: Connection, parent: int, out: Path, job: Job, recorder: Recorder, analyzer: Analyzer) -> None:
    """Entry of the process; ``parent`` is the process that must be alive."""
    # A Ctrl-C of the terminal reaches the parent only, which passes it on once: cleaning up must not be interrupted.
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        with hold_worker_lock(out):
            run_job(out, job, recorder, analyzer, link.send)
        link.send(Report(kind="done"))
    except KeyboardInterrupt:
        os._exit(130)
    except SuiteError as error:
        notes = "".join(f" {note}" for note in getattr(error, "__notes__", ()))
        link.send(Report(kind="error", error=type(error).__name__, text=f"{error}{notes}"))
    except Exception as error:  # the boundary of the process: told to the parent in full, and fatal there
        link.send(Report(kind="error", error=type(error).__name__, text=str(error), detail=traceback.format_exc()))


def rebuild_error(report: Report, job: Job) -> SuiteError:
    """The error that a job reported, as an exception of the same class and with the same sentence."""
    for kind in _tree(SuiteError):
        if kind.__name__ == report.error:
            error = kind.__new__(kind)
            error.args = (report.text,)
            error.add_note(f"job {job.name}")
            return error
    unexpected = SuiteError(f"job {job.name} failed inside the suite ({report.error}: {report.text}); report this.")
    unexpected.add_note(report.detail)
    return unexpected


def _tree(root: type[SuiteError]) -> Iterator[type[SuiteError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)
