"""How a comparison was made: what its two sides have in common, and how far the recording of each can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from android_suite.model.identity import CrashRecord, DeviceIdentity
from android_suite.model.run import Mode

Value = bool | int | float | str
Setting = Value | tuple[Value, ...] | Mapping[str, Value] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioConditions:
    """How both sides ran one scenario. Its keys are the scenario's parameters, and the settings of the tracer."""

    process: str = ""  # the app's process name; empty: all processes
    parameters: Mapping[str, Setting] = field(default_factory=dict)
    trace_setup: Mapping[str, Setting] = field(default_factory=dict)  # empty if the first iteration was not traced


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What both sides have in common. Everything is None if a kernel never booted: then nothing was compared.

    ``cmdline_differs``: the command lines of the two kernels differ, which is allowed.
    """

    suite: str | None = None  # version of android-suite that recorded the baseline
    mode: Mode | None = None
    device: DeviceIdentity | None = None
    scenarios: Mapping[str, ScenarioConditions] | None = None
    seeds: tuple[int, ...] | None = None
    cmdline_differs: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IterationCounts:
    """Iterations of one side by their status."""

    complete: int = 0
    incomplete: int = 0
    discarded: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceDigest:
    """One complete iteration and the SHA-256 of its raw trace, None if it was not traced."""

    scenario: str
    seed: int | None
    boot: str
    traced: bool
    lost_events: int | None  # None: unknown
    trace_digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SideEvidence:
    """What was recorded of one side. ``reasons``: why iterations are not complete."""

    runs: int = 0
    boots: int = 0
    iterations: IterationCounts = field(default_factory=IterationCounts)
    reasons: tuple[str, ...] = ()
    lost_events: int | None = None  # in complete traced iterations; None: unknown of at least one
    crashes: tuple[CrashRecord, ...] = ()
    notes: tuple[str, ...] = ()
    digests: tuple[TraceDigest, ...] = ()
