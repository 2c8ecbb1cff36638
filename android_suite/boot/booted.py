"""A device that runs a given kernel for the duration of a `with` block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from android_suite.device.device import Device
from android_suite.errors import NotReady
from android_suite.model.identity import CrashRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Booted:
    """A device that answers adb.

    Attributes:
        device: the device.
        release: release of the requested kernel, if one was requested; the recorder refuses any other.
        accel: ``tcg`` or ``kvm`` for a virtual device, else None.
        configuration: ``lab``, ``gki`` or ``debug``, of a kernel that the suite built.
        crash_probe: call it after a loss of the device. It returns the crash, or None if the kernel did not crash.
    """

    device: Device
    release: str | None
    accel: str | None
    crash_probe: Callable[[], CrashRecord | None]
    configuration: str | None = None


class KernelCrashed(NotReady):
    """The tested kernel crashed while it booted. This is a result, which the recorder seals.

    Attributes:
        crash: the record of the crash.
    """

    def __init__(self, crash: CrashRecord) -> None:
        self.crash = crash
        super().__init__(f"the tested kernel crashed while it booted ({crash.summary}); see its console in the run.")
