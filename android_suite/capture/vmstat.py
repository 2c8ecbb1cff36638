"""``/proc/vmstat`` before and after an iteration."""

from __future__ import annotations

from typing import Self

from android_suite.capture.source import GuestSteps, Request, Site
from android_suite.device.device import Device
from android_suite.store.run import IterationWriter


class VmstatCapture:
    """``/proc/vmstat`` before and after: ``vmstat_before.txt``, ``vmstat_after.txt``."""

    name = "vmstat"

    def __init__(self, device: Device) -> None:
        self._device = device
        self._out: IterationWriter | None = None

    @classmethod
    def for_host(cls, request: Request, site: Site) -> Self:
        """See the protocol."""
        return cls(site.device)

    @classmethod
    def for_guest(cls, request: Request, machine: str) -> GuestSteps:
        """See the protocol."""
        return GuestSteps(
            start="cat /proc/vmstat > $out/vmstat_before.txt",
            stop="cat /proc/vmstat > $out/vmstat_after.txt",
            keep={name: name for name in ("vmstat_before.txt", "vmstat_after.txt")},
        )

    def prepare(self, out: IterationWriter) -> None:
        """No-op: every Linux has the file."""
        self._out = out

    def start(self) -> None:
        """Reads the counters before."""
        self._write("vmstat_before.txt")

    def stop(self) -> None:
        """Reads the counters after."""
        self._write("vmstat_after.txt")

    def _write(self, name: str) -> None:
        data = self._device.read_file("/proc/vmstat")
        if data and self._out:
            self._out.write(name, data)

    def pull(self) -> None:
        """No-op: the files are already written."""

    def restore(self) -> None:
        """No-op: nothing was changed."""
