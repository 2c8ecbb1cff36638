"""The devices of a lab for its page: asked seldom, because each question runs a command on the device."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from android_suite.lab.inventory import LabDevice as Entry
    from android_suite.model.lab import DeviceStatus
    from android_suite.model.lab_page import LabDevice

FREE_S: Final = 60.0
BUSY_S: Final = 600.0  # a question costs the measurement that runs there a process
_AT_ONCE = 16

Listing = Callable[[], tuple[list["Entry"], list[str]]]
Asking = Callable[["Entry"], "DeviceStatus"]


@dataclass(slots=True)
class LabDevices:
    """Lists the devices of a lab again and again.

    Args:
        listing: the devices of the inventory as their adb servers list them, and why a server does not answer.
        asking: asks one device.
        clock: monotonic clock in seconds.
    """

    listing: Listing
    asking: Asking
    clock: Callable[[], float] = time.monotonic
    _known: dict[tuple[str, str], tuple[float, DeviceStatus]] = field(default_factory=dict)

    def __call__(self) -> tuple[tuple[LabDevice, ...], str]:
        """The devices, and what is wrong with the servers."""
        devices, faults = self.listing()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = list(pool.map(self._read, devices))
        return tuple(map(show_device, found)), "; ".join(faults)

    def _read(self, device: Entry) -> DeviceStatus:
        key = (device.server.name, device.serial)
        known = self._known.get(key)
        here = device.attached is not None and device.attached.state == "device"
        if here and known is not None:
            at, status = known
            if self.clock() - at < (BUSY_S if status.standing == "busy" else FREE_S):
                return status
        status = self.asking(device)
        if here:
            self._known[key] = (self.clock(), status)
        else:
            self._known.pop(key, None)
        return status


def show_device(status: DeviceStatus) -> LabDevice:
    """A device as the page shows it."""
    from android_suite.model.lab_page import LabDevice

    told = [*status.labels]
    told += [] if status.battery_pct is None else [f"battery {status.battery_pct} %"]
    told += [] if status.battery_c is None else [f"{status.battery_c:.1f} °C"]
    why = status.detail if status.standing not in ("busy", "quarantined") else ""
    return LabDevice(
        serial=status.serial,
        state=f"{status.standing}: {why}" if why else status.standing,
        model=status.model or "",
        kernel=status.kernel or "",
        busy_with=status.detail if status.standing == "busy" else "",
        quarantine=(status.detail or "no reason was given") if status.standing == "quarantined" else "",
        details=", ".join(told),
    )
