"""The files of a campaign. After a kill at any moment, finished jobs are neither lost nor repeated.

::

    OUT/journal.jsonl          the history, append-only: the plan, every start, end, retry and failure
    OUT/jobs/NAME/             a finished job: a sealed run directory, renamed here in one step
    OUT/partial/NAME@TOKEN/    an attempt at a job that is running
    OUT/failed/NAME.1/         a job that did not finish, kept as evidence
    OUT/.lock, OUT/.workers    held while a qualify, and while one of its jobs, is running

The folder of a job decides its state: every job in ``jobs`` was sealed. The journal holds the plan and the history.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from android_suite import __version__
from android_suite.campaign.schedule import compare_plans
from android_suite.errors import LabError, SchemaError, UsageError
from android_suite.model.document import parse_json
from android_suite.store.run import now_iso, remove_parts

JOURNAL = "journal.jsonl"
_MINE = (JOURNAL, "jobs", "partial", "failed", ".lock", ".workers")
_LAST_WORKER_S = 45.0  # an interrupted job has 30 s to shut its device down


class CampaignFolder:
    """The folder of one campaign, opened and locked by one process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.jobs, self.partial, self.failed = path / "jobs", path / "partial", path / "failed"

    def append(self, event: str, **fields: Any) -> None:
        """Adds one line to the journal in one write; it is on disk when this returns."""
        line = json.dumps({"event": event, "at": now_iso(), **fields}, ensure_ascii=False, allow_nan=False)
        file = os.open(self.path / JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, line.encode() + b"\n")
            os.fsync(file)
        except OSError as error:
            raise LabError(
                f"cannot write {self.path / JOURNAL}: {error.strerror}; free space and run qualify again."
            ) from error
        finally:
            os.close(file)

    def events(self) -> list[dict[str, Any]]:
        """The journal so far."""
        return read_journal(self.path / JOURNAL)

    def finished(self, name: str) -> bool:
        """True if the job is done and sealed."""
        return (self.jobs / name).is_dir()

    def set_aside(self, attempt: str) -> str | None:
        """Moves the folder of an attempt from ``partial`` to ``failed``; its place in the campaign, None if there is none."""
        try:
            return self._keep(self.partial / attempt, job_of(attempt))
        except FileNotFoundError:
            return None

    def set_aside_all(self) -> None:
        """Sets every attempt aside that is left, and says so in the journal.

        An attempt of a worker that was given up may live on: it finds its folder gone, and ends.
        """
        for left in sorted(self.partial.iterdir()):
            if kept := self.set_aside(left.name):
                self.append("set_aside", job=job_of(left.name), kept=kept)

    def note_kept(self) -> None:
        """Says in the journal what was set aside by a qualify that was killed before it could say so."""
        if not self.failed.is_dir():
            return
        noted = {event.get("kept") for event in self.events()}
        for left in sorted(self.failed.iterdir()):
            if (kept := str(left.relative_to(self.path))) not in noted:
                self.append("set_aside", job=left.name.rpartition(".")[0], kept=kept)

    def withdraw(self, name: str) -> str:
        """Moves a finished job to ``failed``: it is kept, and counts no more."""
        return self._keep(self.jobs / name, name)

    def _keep(self, source: Path, name: str) -> str:
        number = 1
        while (target := self.failed / f"{name}.{number}").exists():
            number += 1
        self.failed.mkdir(exist_ok=True)
        source.rename(target)
        return str(target.relative_to(self.path))


def attempt_name(job: str, token: str) -> str:
    """Folder name of one attempt at a job: two attempts may run at once, when a worker was given up that still lives."""
    return f"{job}@{token}"


def job_of(attempt: str) -> str:
    """The job of an attempt."""
    return attempt.rpartition("@")[0] or attempt


def read_journal(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal. Leaves out an incomplete last line, which a kill cut off.

    Raises:
        SchemaError: another line is not a JSON object.
    """
    if not path.is_file():
        return []
    *lines, _cut = path.read_bytes().split(b"\n")
    events = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        event = parse_json(line, f"{path}:{number}", remedy="run qualify with --fresh")
        if not isinstance(event, dict):
            raise SchemaError(f"{path}:{number}: expected a JSON object; run qualify with --fresh.")
        events.append(event)
    return events


def finish_job(partial: Path, final: Path) -> bool:
    """Moves a sealed run to its place atomically; it is on disk when this returns.

    Returns:
        False if another attempt was first: its run stays, this one is left where it is.

    Raises:
        LabError: the folders are gone, or the disk is full.
    """
    try:
        final.parent.mkdir(exist_ok=True)
        partial.rename(final)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            return False
        raise LabError(f"cannot move {partial.name} to {final.parent}: {error.strerror}; run qualify again.") from error
    for folder in (final.parent, partial.parent):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(handle)
        os.close(handle)
    return True


@contextmanager
def open_campaign(
    path: Path, description: Mapping[str, Any], *, fresh: bool = False, restart: str = "start again with --fresh"
) -> Iterator[CampaignFolder]:
    """Opens or creates the folder of a campaign and locks it.

    Args:
        path: the folder.
        description: the plan from `describe_plan`.
        fresh: rename an earlier campaign to ``PATH.old-N`` and start again.
        restart: what the user may do with a folder that has another plan, besides choosing another one.

    Raises:
        UsageError: another qualify is running there, or the folder has other files, or another plan (the message
            shows the difference).
        LabError: the folder cannot be created.
    """
    if fresh and path.exists():
        _check_ours(path)
        with _lock(path):
            number = 1
            while (old := path.with_name(f"{path.name}.old-{number}")).exists():
                number += 1
            path.rename(old)
    try:
        path.mkdir(parents=True, exist_ok=True)
        _check_ours(path)
        for name in ("jobs", "partial"):
            (path / name).mkdir(exist_ok=True)
    except OSError as error:
        raise LabError(f"cannot make {path}: {error.strerror}; choose another folder with -o.") from error
    with _lock(path):
        folder = CampaignFolder(path)
        remove_parts(path)
        _mend(path / JOURNAL)
        plans = [event["plan"] for event in folder.events() if event["event"] == "plan"]
        if plans:
            check_same_plan(path, plans[0], description, restart)
        else:
            folder.append("plan", plan=dict(description), suite=__version__)
        folder.note_kept()
        folder.set_aside_all()
        yield folder
        folder.set_aside_all()


def check_same_plan(
    path: Path, begun: Mapping[str, Any], now: Mapping[str, Any], restart: str = "start again with --fresh"
) -> None:
    """Raises UsageError where the campaign in ``path`` was begun with another plan than ``now`` describes."""
    if differences := compare_plans(dict(begun), dict(now)):
        shown = "; ".join(differences[:3]) + (f"; and {len(differences) - 3} more" if len(differences) > 3 else "")
        raise UsageError(
            f"{path} has a campaign with another plan: {shown}. Choose another folder with -o, or {restart}."
        )


def _check_ours(path: Path) -> None:
    if not path.is_dir():
        raise UsageError(f"{path} is not a folder; choose another with -o.")
    if any(path.iterdir()) and not any((path / name).exists() for name in _MINE):
        raise UsageError(f"{path} has files that are not of a campaign; choose an empty folder with -o.")


def _mend(journal: Path) -> None:
    """Ends a line that a kill cut off, so that the next one is separate."""
    if journal.is_file():
        with journal.open("r+b") as file:
            text = file.read()
            if text and not text.endswith(b"\n"):
                file.truncate(text.rfind(b"\n") + 1)
                os.fsync(file.fileno())


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with (path / ".lock").open("a+") as lock, (path / ".workers").open("a") as workers:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip() or "another process"
            raise UsageError(f"{path} is in use by {owner}; wait for it or choose another folder with -o.") from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()}")
        lock.flush()
        # A job can briefly outlive a killed qualify; do not touch its folder before it has ended.
        deadline = time.monotonic() + _LAST_WORKER_S
        while True:
            try:
                fcntl.flock(workers, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise UsageError(f"a job of an earlier qualify still runs in {path}; wait for it to end.") from None
                time.sleep(0.1)
        fcntl.flock(workers, fcntl.LOCK_UN)
        yield


@contextmanager
def hold_worker_lock(path: Path) -> Iterator[None]:
    """Held by every job of a campaign, so that a later qualify can wait for the last of them."""
    with (path / ".workers").open("a") as workers:
        fcntl.flock(workers, fcntl.LOCK_SH)
        yield
