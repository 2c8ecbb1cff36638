"""The interface of a source of evidence, driven by the host or by a script in a deterministic guest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Protocol

from android_suite.capture.trace_files import TracefsFacts
from android_suite.capture.trace_plan import TraceOptions
from android_suite.device.device import Device
from android_suite.store.run import IterationWriter

Capture = Literal["tracefs", "perfetto", "both"]
"""Who records the kernel's events: the suite from tracefs, the device's Perfetto, or each of them."""

GUEST_FOLDER: Final = "/etc/android-suite/run"  # folder of a deterministic run's files in the guest


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What an iteration requests from its sources.

    Attributes:
        process: name of the process under test; empty for none in particular.
        package: the Android package whose frames are recorded; None for no frames.
        needs: names of the event groups.
        cache: cache folder for compiled programs for the device.
        traced: with ftrace, or without (to measure the cost of tracing).
        lock_stat: read ``/proc/lock_stat`` if the kernel has it.
        take_tracing: take over a trace that another tool records.
        capture: who records the kernel's events.
        tracing: buffer, clock, period.
    """

    process: str
    package: str | None
    needs: tuple[str, ...]
    cache: Path
    traced: bool = True
    lock_stat: bool = True
    take_tracing: bool = False
    capture: Capture = "tracefs"
    tracing: TraceOptions = field(default_factory=TraceOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The device that a host drives.

    Attributes:
        device: the device.
        tracefs: its tracing facts; None without tracing.
        refresh_rate_hz: refresh rate of its display; None if unknown.
    """

    device: Device
    tracefs: TracefsFacts | None
    refresh_rate_hz: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestSteps:
    """The steps of a source in a deterministic guest. Shell lines write their output to the folder ``$out``.

    Attributes:
        start: shell lines before the scenario.
        stop: shell lines after it.
        pull: shell lines after every source has stopped.
        files: files to add to the guest, by path.
        keep: file in ``$out`` -> its name in the run; empty files are left out.
        collect: fetches further evidence once adb answers; gets the device, the files of ``$out`` and the iteration.
    """

    start: str = ""
    stop: str = ""
    pull: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    keep: Mapping[str, str] = field(default_factory=dict)
    collect: Callable[[Device, Mapping[str, bytes], IterationWriter], None] | None = None


class Source(Protocol):
    """One source of evidence during one host-driven iteration.

    The order of calls is ``prepare`` (check the device, save its state), ``start``, ``stop``, ``pull`` (fetch evidence
    afterwards). ``restore`` is always called last, even after a failure.
    """

    @property
    def name(self) -> str:
        """Its name in the run's notes."""
        ...

    def prepare(self, out: IterationWriter) -> None:
        """Checks that the device supports this source.

        Raises:
            Unsupported: it does not.
        """
        ...

    def start(self) -> None:
        """Starts collecting evidence."""
        ...

    def stop(self) -> None:
        """Stops collecting evidence."""
        ...

    def pull(self) -> None:
        """Fetches the evidence left on the device."""
        ...

    def restore(self) -> None:
        """Restores the device; may be called after any step and more than once."""
        ...


class SourceKind(Protocol):
    """The class of a source, as the registry lists it. It supports both ways of recording."""

    def for_host(self, request: Request, site: Site) -> Source | None:
        """The source for one iteration; None if the iteration or the device does not use it."""
        ...

    def for_guest(self, request: Request, machine: str) -> GuestSteps | None:
        """The steps in a guest of that machine (from ``uname -m``); None for none."""
        ...
