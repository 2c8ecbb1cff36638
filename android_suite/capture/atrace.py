"""Enables the slices that Android's framework and apps write into the trace, if the device supports it.

On a phone, a property selects the tags whose slices (frames, launches, collections) are written; each process reads it
when it starts. A device without that property writes its slices always or never.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from android_suite.capture.source import GuestSteps, Request, Site
from android_suite.device.device import Device
from android_suite.store.run import IterationWriter

TAGS: Final = "debug.atrace.tags.enableflags"
_APP_COUNT: Final = "debug.atrace.app_number"
_APP: Final = "debug.atrace.app_0"
# bits of the platform's trace header: graphics, input, view, window manager, activity manager, dalvik
WANTED_TAGS: Final = sum(1 << bit for bit in (1, 2, 3, 5, 6, 14))


class AtraceCapture:
    """A :class:`~android_suite.capture.source.Source` without files: the slices are in the trace."""

    name = "atrace"

    def __init__(self, device: Device, package: str | None) -> None:
        self._device, self._package = device, package
        self._found: dict[str, str] = {}

    @classmethod
    def for_host(cls, request: Request, site: Site) -> Self | None:
        """See the protocol."""
        return cls(site.device, request.package) if request.traced else None

    @classmethod
    def for_guest(cls, request: Request, machine: str) -> GuestSteps | None:
        """See the protocol."""
        return None  # the virtual device writes its slices always

    def prepare(self, out: IterationWriter) -> None:
        """Saves the properties and sets them before the app under test starts."""
        properties = self._device.read_properties()
        if TAGS not in properties:
            return
        self._found = {name: properties.get(name, "") for name in (TAGS, _APP_COUNT, _APP)}
        wanted = {TAGS: hex(WANTED_TAGS | _parse_flags(properties[TAGS]))}
        if self._package:
            wanted |= {_APP_COUNT: "1", _APP: self._package}
        if refused := self._set(wanted):
            out.remark(
                *(f"the device refused the property {name} ({why}): slices may be missing" for name, why in refused)
            )

    def _set(self, properties: Mapping[str, str]) -> list[tuple[str, str]]:
        """Sets the properties; returns those that the device refused, with its messages."""
        done = [(name, self._device.transport.run(["setprop", name, value])) for name, value in properties.items()]
        return [(name, completed.complaint) for name, completed in done if completed.status]

    def start(self) -> None:
        """Done before."""

    def stop(self) -> None:
        """No-op: `restore` resets the properties."""

    def pull(self) -> None:
        """No-op: the slices are in the trace."""

    def restore(self) -> None:
        """Restores the properties."""
        found, self._found = self._found, {}
        self._set(found)


def _parse_flags(text: str) -> int:
    """The number in a property, decimal or hexadecimal; 0 for other text."""
    try:
        return int(text, 0)
    except ValueError:
        return 0
