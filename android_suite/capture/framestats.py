"""Frames from gfxinfo, polled often enough that its ring of 120 frames does not overrun: ``framestats.txt``."""

from __future__ import annotations

import shlex
import threading
from typing import Final, Self

from android_suite.capture.source import GuestSteps, Request, Site
from android_suite.device.android import read_framestats, reset_framestats
from android_suite.device.device import Device
from android_suite.errors import AdbTimeout, SuiteError
from android_suite.store.run import IterationWriter

RING_FRAMES = 120
_SHARE_OF_RING = 0.7  # the rest is reserve for a late poll
_GUEST_PERIOD_S: Final = 1.8  # the ring holds 2 s at 60 Hz; in virtual time a poll is never late


def choose_period_s(refresh_rate_hz: float | None) -> float:
    """Seconds between two polls; an unknown refresh rate counts as 120 Hz, to be safe."""
    return RING_FRAMES * _SHARE_OF_RING / (refresh_rate_hz or 120.0)


class FramestatsCapture:
    """Polls in a separate thread and appends every reply to the file; readers drop repeated frames."""

    name = "framestats"

    def __init__(self, device: Device, package: str, *, refresh_rate_hz: float | None) -> None:
        self._device, self._package = device, package
        self._period_s = choose_period_s(refresh_rate_hz)
        self._out: IterationWriter | None = None
        self._replies: list[bytes] = []
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    @classmethod
    def for_host(cls, request: Request, site: Site) -> Self | None:
        """See the protocol."""
        if request.package is None:
            return None
        return cls(site.device, request.package, refresh_rate_hz=site.refresh_rate_hz)

    @classmethod
    def for_guest(cls, request: Request, machine: str) -> GuestSteps | None:
        """See the protocol."""
        if request.package is None:
            return None
        dump = f"dumpsys gfxinfo {shlex.quote(request.package)}"
        return GuestSteps(
            start=(
                f"{dump} reset > /dev/null 2>&1\n"
                f"(while sleep {_GUEST_PERIOD_S}; do {dump} framestats; done) > $out/framestats.txt 2>/dev/null &\n"
                "frames=$!"
            ),
            stop=f"kill $frames\n{dump} framestats >> $out/framestats.txt 2>/dev/null",
            keep={"framestats.txt": "framestats.txt"},
        )

    def prepare(self, out: IterationWriter) -> None:
        """Clears the frames of earlier iterations."""
        self._out = out
        reset_framestats(self._device, self._package)

    def start(self) -> None:
        """Starts to poll."""
        self._thread = threading.Thread(target=self._poll, name="framestats", daemon=True)
        self._thread.start()

    def _poll(self) -> None:
        while not self._end.wait(self._period_s):
            try:
                self._replies.append(read_framestats(self._device, self._package))
            except AdbTimeout:
                continue  # the device was busy: the next poll shows whether the ring overran meanwhile
            except SuiteError:
                return  # the scenario's thread meets the same fault and reports it

    def stop(self) -> None:
        """Polls once more for the latest frames, then writes all."""
        self._end.set()
        if self._thread:
            self._thread.join(60)
        self._replies.append(read_framestats(self._device, self._package))
        if self._out:
            self._out.write("framestats.txt", b"\n".join(self._replies))

    def pull(self) -> None:
        """No-op: the file is already complete."""

    def restore(self) -> None:
        """Ends the thread and keeps the replies so far, in case a failure prevented :meth:`stop`."""
        self._end.set()
        if self._replies and self._out and not (self._out.folder / "framestats.txt").exists():
            self._out.write("framestats.txt", b"\n".join(self._replies))
