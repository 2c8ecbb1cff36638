"""The manifest of a run directory: what was recorded, on which device, and whether each iteration is complete.

Its JSON schema is docs/schema/run.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from android_suite.model.identity import CrashRecord, DeviceIdentity, KernelIdentity

Mode = Literal["realtime", "deterministic"]
Status = Literal["complete", "incomplete", "discarded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IterationRecord:
    """One run of one scenario. ``directory`` is relative to the run directory."""

    index: int
    scenario: str
    seed: int | None
    boot: str  # /proc/sys/kernel/random/boot_id, or the name of the seed if the boot is deterministic
    status: Status
    reason: str  # why it is not complete, else empty
    directory: str
    started_at: str  # host time, ISO 8601 with zone
    traced: bool
    lost_events: int | None  # None: unknown
    trace_digest: str | None  # SHA-256 over the raw per-CPU traces in CPU order; None if nothing was traced
    process: str = ""  # the app's process name; empty: all processes
    parameters: Mapping[str, Any] = field(default_factory=dict)
    trace_setup: Mapping[str, Any] = field(default_factory=dict)
    crash: CrashRecord | None = None
    repeated: bool = False  # discarded because the device was not ready; the next iteration takes its place


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """``manifest.json``."""

    schema: Literal["android-suite/run"] = "android-suite/run"
    version: Literal[1] = 1
    suite: str  # version of android-suite that recorded it
    label: str
    mode: Mode
    created_at: str
    sealed: bool
    kernel: KernelIdentity | None  # None until a device answered
    device: DeviceIdentity | None
    overlays: tuple[str, ...] = ()  # SHA-256 of each overlay added to the image of a virtual device, in order
    iterations: tuple[IterationRecord, ...] = ()
    crash: CrashRecord | None = None  # outside any iteration, for example during boot
    notes: tuple[str, ...] = ()
