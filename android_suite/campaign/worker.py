"""Runs one job in a separate process: record, seal, move to its place, analyze.

The run store is the folder of the campaign, or a URL that every worker reaches (`store.remote`). In both a job done
twice counts once: the first that is published stays.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal, Protocol

from android_suite.campaign.journal import JOURNAL, CampaignFolder, attempt_name, finish_job, hold_worker_lock
from android_suite.campaign.schedule import Job
from android_suite.errors import EvidenceError, LabError, SuiteError, UsageError
from android_suite.store import layout
from android_suite.store.remote import is_url, open_store
from android_suite.store.run import clear_derived, open_run

_PR_SET_PDEATHSIG = 1
_MOST_WAIT_S = 1800.0


class Recorder(Protocol):
    """Runs a job on a device and writes a sealed run directory to ``path``, which must not exist.

    A crash of the tested kernel is recorded in the run. A failure of the test setup is a `LabError`; the job is tried
    again.
    """

    def __call__(self, job: Job, path: Path, say: Callable[[str], None]) -> None:
        """``say`` is called with progress messages."""


class Analyzer(Protocol):
    """Writes ``derived/`` of a sealed run directory."""

    def __call__(self, path: Path) -> None:
        """May be called again for the same run after ``derived/`` was removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A message from a job to the campaign. The last one is ``done`` or ``error``."""

    kind: Literal["say", "recorded", "duplicate", "analyzed", "done", "error"]
    text: str = ""
    error: str = ""  # name of the exception's class
    detail: str = ""  # traceback, unless it is a SuiteError


def run_job(
    out: Path,
    job: Job,
    recorder: Recorder,
    analyzer: Analyzer,
    report: Callable[[Report], None],
    token: str = "here",
) -> None:
    """Does the remaining work of one job in the folder of a campaign. ``token`` names this attempt.

    Raises:
        LabError: the test setup failed; the evidence so far is in ``partial``.
        SuiteError: see its type.
    """
    folder = CampaignFolder(out)
    final = folder.jobs / job.name
    is_mine = not folder.finished(job.name)
    if is_mine:
        partial = folder.partial / attempt_name(job.name, token)
        _record(job, partial, recorder, report)
        if not finish_job(partial, final):
            report(Report(kind="duplicate"))
            return  # who was first also analyzes it
        report(Report(kind="recorded"))
    with turn_to_analyze():
        if is_mine and (final / layout.DERIVED).exists():
            return  # this attempt was given up meanwhile: whoever took the job over analyzes it, and is perhaps done
        clear_derived(open_run(final))
        analyzer(final)
    report(Report(kind="analyzed"))


def run_remote_job(
    url: str, job: Job, recorder: Recorder, analyzer: Analyzer, report: Callable[[Report], None], token: str
) -> None:
    """Does one job in a folder of this host and publishes the analyzed run to a run store.

    A run that cannot be trusted is published without ``derived/``.

    Raises:
        SuiteError: as `run_job`.
    """
    store = open_store(url)
    if store.has(job.name):
        report(Report(kind="duplicate"))
        return
    with tempfile.TemporaryDirectory(prefix="android-suite-job-", ignore_cleanup_errors=True) as scratch:
        path = Path(scratch) / job.name
        try:
            _record(job, path, recorder, report)
        except SuiteError:
            store.keep_failure(attempt_name(job.name, token), path)
            raise
        doubt: SuiteError | None = None
        try:
            with turn_to_analyze():
                analyzer(path)
        except EvidenceError as error:
            clear_derived(open_run(path))
            doubt = error
        first = store.publish(job.name, token, path)
        report(Report(kind="recorded" if first else "duplicate"))
        if doubt is not None:
            raise doubt
        report(Report(kind="analyzed"))


@contextmanager
def turn_to_analyze(
    turns: int | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Waits until fewer analyses than ``turns`` run on this host: devices record meanwhile, memory and cores are few.

    A turn is the name of an abstract socket, so it ends with its process and leaves no file. After half an hour the
    block runs anyway: then something else is wrong, or the names are taken by somebody who does not analyze.

    Args:
        turns: default: the cores that this process may use.
        clock: monotonic, in seconds.
        sleep: waits.
    """
    begun = clock()
    count = turns or len(os.sched_getaffinity(0))
    while True:
        for number in range(count):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as turn:
                try:
                    turn.bind(f"\0android-suite-analysis-{os.getuid()}-{number}")
                except OSError:
                    continue
                yield
                return
        if clock() - begun > _MOST_WAIT_S:
            yield
            return
        sleep(0.2)


def _record(job: Job, path: Path, recorder: Recorder, report: Callable[[Report], None]) -> None:
    recorder(job, path, lambda text: report(Report(kind="say", text=text)))
    if not open_run(path).manifest.sealed:
        raise LabError(f"{job.name} ended without sealing its run; try again.")


def work(
    link: Connection, parent: int, store: str, token: str, job: Job, recorder: Recorder, analyzer: Analyzer
) -> None:
    """Entry point of the process, which ends when the process ``parent`` ends.

    Args:
        link: where it reports.
        parent: the Dask worker.
        store: folder of the campaign, or URL of a run store.
        token: name of this attempt.
        job: what to do.
        recorder: records it.
        analyzer: reads the recording.
    """
    # Ctrl-C reaches only the parent, which passes it on once, so that nothing interrupts the clean-up.
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    # A campaign in the background of a shell inherits an ignored SIGINT, and so would its jobs.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        if is_url(store):
            run_remote_job(store, job, recorder, analyzer, link.send, token)
        else:
            _check_folder(Path(store))
            with hold_worker_lock(Path(store)):
                run_job(Path(store), job, recorder, analyzer, link.send, token)
        link.send(Report(kind="done"))
    except KeyboardInterrupt:
        os._exit(130)
    except SuiteError as error:
        notes = "".join(f" {note}" for note in getattr(error, "__notes__", ()))
        link.send(Report(kind="error", error=type(error).__name__, text=f"{error}{notes}"))
    except Exception as error:  # the boundary of the process: reported to the parent in full, and fatal there
        link.send(Report(kind="error", error=type(error).__name__, text=str(error), detail=traceback.format_exc()))


def _check_folder(out: Path) -> None:
    if not (out / JOURNAL).is_file():
        raise UsageError(
            f"the worker on {socket.gethostname()} does not see the campaign's folder {out}; "
            "put it on a file system that all hosts share, or give qualify a run store with --store URL."
        )


def rebuild_error(report: Report, job: Job) -> SuiteError:
    """The error that a job reported, as an exception of the same class with the same message."""
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
