"""``/proc/lock_stat`` of one iteration."""

from __future__ import annotations

from typing import Self

from android_suite.capture.source import GuestSteps, Request, Site
from android_suite.device.device import Device
from android_suite.device.files import Write
from android_suite.errors import Unsupported
from android_suite.store.run import IterationWriter

LOCK_STAT = "/proc/lock_stat"
LOCK_STAT_SWITCH = "/proc/sys/kernel/lock_stat"


class LockStatCapture:
    """``/proc/lock_stat`` for one iteration: cleared and enabled before it, read after it, into ``lock_stat.txt``."""

    name = "lock_stat"

    def __init__(self, device: Device) -> None:
        self._device = device
        self._out: IterationWriter | None = None
        self._switch: str | None = None

    @classmethod
    def for_host(cls, request: Request, site: Site) -> Self | None:
        """See the protocol."""
        wanted = request.lock_stat and LOCK_STAT in site.device.exists([LOCK_STAT])
        return cls(site.device) if wanted else None

    @classmethod
    def for_guest(cls, request: Request, machine: str) -> GuestSteps | None:
        """See the protocol."""
        if not request.lock_stat:
            return None
        return GuestSteps(
            start=f"if [ -e {LOCK_STAT} ]; then echo 1 > {LOCK_STAT_SWITCH}; echo 0 > {LOCK_STAT}; fi",
            stop=f"if [ -e {LOCK_STAT} ]; then cat {LOCK_STAT} > $out/lock_stat.txt; fi",
            keep={"lock_stat.txt": "lock_stat.txt"},
        )

    def prepare(self, out: IterationWriter) -> None:
        """Checks that the file exists.

        Raises:
            Unsupported: the kernel has no CONFIG_LOCK_STAT.
        """
        self._out = out
        files = self._device.read_files([LOCK_STAT, LOCK_STAT_SWITCH])
        if files[LOCK_STAT] is None:
            raise Unsupported("this kernel has no /proc/lock_stat; use one with CONFIG_LOCK_STAT.")
        self._switch = (files[LOCK_STAT_SWITCH] or b"").decode(errors="replace").strip() or None

    def start(self) -> None:
        """Clears the counts and enables counting."""
        on = [Write(path=LOCK_STAT_SWITCH, value="1")] if self._switch is not None else []
        self._device.write_files([*on, Write(path=LOCK_STAT, value="0")])

    def stop(self) -> None:
        """Reads the counts."""
        data = self._device.read_file(LOCK_STAT)
        if data and self._out:
            self._out.write("lock_stat.txt", data)

    def pull(self) -> None:
        """No-op: the file is already written."""

    def restore(self) -> None:
        """Restores the switch."""
        if self._switch is not None:
            self._device.write_files([Write(path=LOCK_STAT_SWITCH, value=self._switch, optional=True)])
            self._switch = None
