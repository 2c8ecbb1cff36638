"""A device that runs a given kernel for as long as a block lasts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from android_suite.device.device import Device
from android_suite.model.identity import CrashRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Booted:
    """A device that answers.

    Attributes:
        device: the verbs.
        release: the kernel that was asked for, where one was; the recorder refuses another.
        accel: ``tcg`` or ``kvm`` for a virtual device, else None.
        crash_probe: after a loss of the device: what crashed, or None if nothing of what is tested did.
    """

    device: Device
    release: str | None
    accel: str | None
    crash_probe: Callable[[], CrashRecord | None]
