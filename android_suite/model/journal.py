"""One line of ``journal.jsonl`` of a campaign: what the page, ``lab status`` and other readers follow while it runs.

The file is append-only. Every line has ``event`` and ``at`` and, of the other fields, those of its event; a reader
ignores events and fields that it does not know. See docs/lab.md and docs/schema/journal-event.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

JournalEventKind = Literal[
    "plan",
    "cluster",
    "start",
    "recorded",
    "analyzed",
    "failed",
    "lost",
    "duplicate",
    "set_aside",
    "quarantined",
    "progress",
    "interrupted",
    "finished",
]
Fault = Literal["kernel", "device", "lab", "suite"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEvent:
    """A line of the journal; the fields that an event does not have are absent from its line.

    Attributes:
        event: what happened.
        at: host time of the coordinator, ISO 8601 with zone, to the second.
        plan: ``plan``: the plan with its files by content.
        suite: ``plan``, ``analyzed``: version of the suite.
        scheduler: ``cluster``: address of the Dask scheduler; None: a local cluster.
        slots: ``cluster``: how many jobs can run at once.
        job: name of the job; its folder is ``jobs/JOB`` once it is recorded.
        attempt: ``start``: 1 for the first.
        record: ``start``: false if the recording exists and only its analysis is left.
        worker: ``start``, ``lost``: address of the Dask worker, with the host's name.
        device: ``start``, ``quarantined``: serial of the attached device; None for a virtual one.
        seconds: ``recorded``: seconds from the start of the job to its sealed recording.
        error: ``failed``: name of the exception.
        fault: ``failed``: whose fault it was.
        text: ``failed``, ``lost``, ``quarantined``, ``set_aside`` of a finished job: what happened, one sentence.
        kept: ``failed``, ``set_aside``, ``duplicate``: the evidence, relative to the folder of the campaign.
        done: ``progress``: jobs that are recorded and analyzed.
        total: ``progress``: jobs of the plan.
        running: ``progress``, ``interrupted``: names of the jobs that run.
        remaining_s: ``progress``: estimate of the seconds left, from measured durations.
        exit_code: ``finished``: exit code of ``qualify``.
    """

    event: JournalEventKind
    at: str
    plan: Mapping[str, Any] | None = None
    suite: str | None = None
    scheduler: str | None = None
    slots: int | None = None
    job: str | None = None
    attempt: int | None = None
    record: bool | None = None
    worker: str | None = None
    device: str | None = None
    seconds: float | None = None
    error: str | None = None
    fault: Fault | None = None
    text: str | None = None
    kept: str | None = None
    done: int | None = None
    total: int | None = None
    running: tuple[str, ...] | None = None
    remaining_s: float | None = None
    exit_code: int | None = None
