"""The result files of `qualify` beside the comparison; see docs/schema/summary.json and docs/schema/provenance.json."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from android_suite.model.comparison import Comparison
from android_suite.model.run import Mode, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSummary:
    """The plan, as far as a reader of numbers needs it."""

    name: str
    mode: Mode
    seeds: tuple[int, ...]
    random_seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobIteration:
    """One iteration of a job; see ``model.run.IterationRecord``."""

    scenario: str
    traced: bool
    status: Status
    reason: str
    lost_events: int | None
    trace_digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSummary:
    """One job: a boot of one kernel, and what it recorded."""

    name: str
    label: str
    seed: int
    iterations: tuple[JobIteration, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCrash:
    """A crash in a job. ``during``: a scenario, or ``boot``."""

    job: str
    label: str
    during: str
    kind: str
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignSummary(Comparison):
    """``summary.json`` of a campaign: the comparison, with the jobs it was made from and their crashes."""

    plan: PlanSummary
    jobs: tuple[JobSummary, ...]
    job_crashes: tuple[JobCrash, ...] = field(metadata={"alias": "crashes"})

    @classmethod
    def of(
        cls, comparison: Comparison, *, plan: PlanSummary, jobs: tuple[JobSummary, ...], crashes: tuple[JobCrash, ...]
    ) -> CampaignSummary:
        """The comparison with the rest."""
        values = {each.name: getattr(comparison, each.name) for each in dataclasses.fields(comparison)}
        return cls(**values, plan=plan, jobs=jobs, job_crashes=crashes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The computer that ran the campaign."""

    machine: str
    kernel: str
    python: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailure:
    """A job that did not finish: it ``failed``, or was ``set_aside`` because an earlier call was stopped in it."""

    event: Literal["failed", "set_aside"]
    at: str  # host time, ISO 8601 with zone
    job: str
    error: str | None = None  # name of the exception; None if set aside
    text: str | None = None  # its message
    kept: str | None = None  # where its evidence is, relative to the folder of the campaign


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTime:
    """How long the recording of a job took; None if the journal does not say it."""

    name: str
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """``provenance.json``: when, where and how long. The only result file that depends on time and host."""

    schema: Literal["android-suite/provenance"] = "android-suite/provenance"
    version: Literal[1] = 1
    suite: str
    host: Host
    begun_at: str | None
    finished_at: str
    files: Mapping[str, str]  # SHA-256 of every file that the plan names
    starts: int
    failures: tuple[JobFailure, ...]
    jobs: tuple[JobTime, ...]
