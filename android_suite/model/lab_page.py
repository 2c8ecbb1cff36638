"""What the page of a lab shows. The JSON schema of ``/api/state`` is docs/schema/lab-state.json."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from android_suite.model.document import to_plain

CampaignStatus = Literal["running", "finished", "interrupted", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabDevice:
    """A device of the lab: what adb or the inventory says of it, and who has it."""

    serial: str
    state: str
    model: str = ""
    kernel: str = ""
    busy_with: str = ""  # who leased it, or the campaign whose job runs on it
    quarantine: str = ""  # why it gets no jobs
    details: str = ""  # labels, battery, temperature


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An attempt that failed, or a crash in a finished job, with its evidence relative to the campaign's folder."""

    job: str
    at: str
    kind: str  # name of the exception, or the kind of a crash
    fault: str  # whose it was: kernel, device, lab, suite; empty if the journal does not say
    text: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """One campaign of the store.

    Attributes:
        key: a short name for addresses, the same as long as the folder has its name.
        folder: relative to the store.
        status: ``stopped``: neither finished nor interrupted, and no process of this host works on it.
        done: jobs that are recorded and analyzed.
        total: jobs of the plan; None if it is not known yet.
        running: names of the jobs that run.
        remaining_s: estimate at ``last_at``; None if unknown.
        reports: files to open, relative to the campaign's folder.
        trouble: why the journal could not be read whole; else empty.
    """

    key: str
    folder: str
    plan: str
    mode: str
    status: CampaignStatus
    begun_at: str
    last_at: str
    done: int
    total: int | None
    running: tuple[str, ...]
    remaining_s: float | None
    exit_code: int | None
    failures: tuple[Failure, ...]
    retries: int
    reports: tuple[str, ...]
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabState:
    """Everything at one moment. ``devices_trouble``: why there is no list of devices."""

    schema: Literal["android-suite/lab-state"] = "android-suite/lab-state"
    version: Literal[1] = 1
    devices: tuple[LabDevice, ...]
    devices_trouble: str
    campaigns: tuple[Campaign, ...]

    def to_json(self) -> dict[str, Any]:
        """The object of the JSON schema."""
        plain: dict[str, Any] = to_plain(self)
        return plain
