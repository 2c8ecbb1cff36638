"""What ``lab status`` prints with ``--json``; see docs/schema/lab-status.json."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Standing = Literal["free", "busy", "quarantined", "absent", "offline", "unauthorized", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStatus:
    """One device of a lab. ``detail``: who is busy with it, why it is in quarantine, what adb says; None: unknown."""

    serial: str
    server: str
    standing: Standing
    detail: str = ""
    labels: tuple[str, ...] = ()
    model: str | None = None
    kernel: str | None = None
    battery_pct: int | None = None
    battery_c: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabStatus:
    """All devices of a lab, in the order of its file; an adb server that does not answer is in ``faults``."""

    schema: Literal["android-suite/lab-status"] = "android-suite/lab-status"
    version: Literal[1] = 1
    devices: tuple[DeviceStatus, ...]
    faults: tuple[str, ...] = ()
