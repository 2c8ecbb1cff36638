"""The role of a source of evidence: driven by a host, and in a guest that runs alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from android_suite.capture.trace_files import TracefsFacts
from android_suite.capture.trace_plan import TraceOptions
from android_suite.device.device import Device
from android_suite.store.run import IterationWriter

GUEST_FOLDER: Final = "/etc/android-suite/run"  # where the files of a deterministic run lie in the guest


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What an iteration asks of its sources.

    Attributes:
        process: name of the process under test; empty: none in particular.
        package: the Android package whose frames are asked for; None: no frames.
        needs: names of the event groups.
        cache: folder where programs for the device are kept once they are compiled.
        traced: with ftrace, or without (to measure what tracing costs).
        lock_stat: read ``/proc/lock_stat`` where the kernel has it.
        take_tracing: take over a trace that somebody else records.
        tracing: buffer, clock, period.
    """

    process: str
    package: str | None
    needs: tuple[str, ...]
    cache: Path
    traced: bool = True
    lock_stat: bool = True
    take_tracing: bool = False
    tracing: TraceOptions = field(default_factory=TraceOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The device that a host drives.

    Attributes:
        device: the verbs.
        tracefs: what its tracing can do; None where nothing is traced.
        refresh_rate_hz: of its display; None: unknown.
    """

    device: Device
    tracefs: TracefsFacts | None
    refresh_rate_hz: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestSteps:
    """What a source does in a guest that runs alone. Shell lines find the folder for their output in ``$out``.

    Attributes:
        start: shell lines before the scenario.
        stop: shell lines after it.
        pull: shell lines once every source has stopped.
        files: put into the guest, by path.
        keep: file in ``$out`` -> its name in the run; one that is empty is left out.
        collect: fetches what else there is, when adb answers: device, the files of ``$out``, where to.
    """

    start: str = ""
    stop: str = ""
    pull: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    keep: Mapping[str, str] = field(default_factory=dict)
    collect: Callable[[Device, Mapping[str, bytes], IterationWriter], None] | None = None


class Source(Protocol):
    """One source of evidence during one iteration that a host drives.

    Called in this order: ``prepare`` (look, refuse, remember what was found), ``start``, ``stop``, ``pull`` (evidence
    that is fetched afterwards), and in every case, also after a failure of any of them, ``restore``.
    """

    @property
    def name(self) -> str:
        """As the run's notes name it."""
        ...

    def prepare(self, out: IterationWriter) -> None:
        """Looks whether the device can do it.

        Raises:
            Unsupported: it cannot.
        """
        ...

    def start(self) -> None:
        """From here on evidence is collected."""
        ...

    def stop(self) -> None:
        """From here on none is."""
        ...

    def pull(self) -> None:
        """Fetches what was left on the device."""
        ...

    def restore(self) -> None:
        """Puts the device back as it was found; may be called after any step, and more than once."""
        ...


class SourceKind(Protocol):
    """What the registry lists: the class of a source, which knows both ways of recording it."""

    def for_host(self, request: Request, site: Site) -> Source | None:
        """The source for one iteration; None where the iteration or the device has no use for it."""
        ...

    def for_guest(self, request: Request, machine: str) -> GuestSteps | None:
        """What a guest of that machine (as ``uname -m`` says it) does by itself; None: nothing."""
        ...
