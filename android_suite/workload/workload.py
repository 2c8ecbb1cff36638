"""The role of a workload, and what it is given."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from android_suite.device.device import Device
from android_suite.errors import SuiteError, UsageError
from android_suite.model.identity import CrashRecord
from android_suite.store.run import IterationWriter

Parameters = Mapping[str, str | int | float | bool]
Left = Mapping[str, bytes]  # name to content of the files that a guest script left in ``$out``
GUEST_SLACK_S: Final = 60  # virtual seconds: a frozen guest would otherwise stay until the host gives up

# What an app's locks, frames and launches are seen by; the groups of events are spelt out in capture/needs.py.
ALL_NEEDS: Final = ("SCHED", "MMAP_LOCK", "MADVISE", "CONTENTION", "BLOCKED_REASON", "PI", "PAGE_FAULT", "MARKERS")


class FollowedLog(Protocol):
    """The device's log, followed since before the work began."""

    def mark(self) -> int:
        """How many lines there are by now."""
        ...

    def wait_line(self, pattern: re.Pattern[str], *, timeout: float, what: str, since: int = 1) -> re.Match[str]:
        """The first line from ``since`` on in which ``pattern`` is found.

        Raises:
            NotReady: none came in ``timeout`` seconds; names ``what`` was waited for.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a workload works with during one iteration."""

    device: Device
    out: IterationWriter
    log: FollowedLog
    seed: int
    token: str  # marks this iteration's lines in the log
    parameters: Parameters  # complete: defaults filled in
    say: Callable[[str], None]
    learnt: set[str] = field(default_factory=set)  # what earlier iterations of this run found out about the app


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an iteration went. A crash of what is tested is data; a fault of the lab is an exception instead."""

    incomplete: str = ""  # why the evidence is not whole; empty: it is
    discarded: str = ""  # why no number may come from it; empty: numbers may
    crash: CrashRecord | None = None
    fault: SuiteError | None = None  # raised once the iteration is sealed: trying the next one would be no use


class Workload(Protocol):
    """A scenario, driven by a host (``prepare``, ``run_once``, ``cleanup``) or by the guest alone (``guest_*``).

    ``prepare`` comes before tracing starts, ``cleanup`` after it ended, also after a failure. A guest script finds the
    folder for its results in ``$out``; what it leaves there is what ``read_guest`` gets.
    """

    @property
    def name(self) -> str:
        """As the command line and the manifest name it."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """What has to be seen: names of event groups."""
        ...

    @property
    def defaults(self) -> Parameters:
        """Every parameter with its default; the type of the default is the parameter's."""
        ...

    def check(self, parameters: Parameters) -> None:
        """Looks at the values, before any device is touched.

        Raises:
            UsageError: one of them makes no sense.
        """
        ...

    def process(self, parameters: Parameters) -> str:
        """Name of the process under test; empty: none in particular."""
        ...

    def package(self, parameters: Parameters) -> str | None:
        """The Android package whose frames are asked for; None: no frames."""
        ...

    def prepare(self, context: Context) -> None:
        """Brings the device to where the iteration starts."""
        ...

    def run_once(self, context: Context) -> Outcome:
        """Does the work, traced."""
        ...

    def cleanup(self, context: Context) -> None:
        """Leaves the device without the workload."""
        ...

    @property
    def guest_defaults(self) -> Parameters:
        """Defaults that differ in a guest that runs alone, since virtual time costs many times its length."""
        ...

    def guest_prepare(self, parameters: Parameters) -> str:
        """Shell lines that come before the trace starts; may be empty."""
        ...

    def guest_script(self, parameters: Parameters, *, seed: int, token: str) -> str:
        """Shell lines that do the work, traced."""
        ...

    def read_guest(self, left: Left, parameters: Parameters, token: str) -> tuple[Mapping[str, str], Outcome]:
        """Evidence files (name to content) and the outcome, from what the script left."""
        ...


def decode_left(left: Left, name: str) -> str:
    """Text of a file that a guest script left; empty where it left none."""
    return left.get(name, b"").decode("utf-8", errors="surrogateescape")


def complete_parameters(workload: Workload, given: Mapping[str, Any]) -> Parameters:
    """The given parameters over the defaults, in the types of the defaults.

    Raises:
        UsageError: an unknown name, or a value that is not of the type.
    """
    done: dict[str, str | int | float | bool] = dict(workload.defaults)
    for name, value in given.items():
        if name not in done:
            known = ", ".join(sorted(done)) or "none"
            raise UsageError(f"{workload.name} has no parameter {name!r}; it knows {known}.")
        done[name] = _convert(workload.name, name, value, done[name])
    workload.check(done)
    return done


def _convert(scenario: str, name: str, value: Any, default: str | int | float | bool) -> str | int | float | bool:
    kind = type(default)
    if kind is str and isinstance(value, str):
        return value
    if kind is bool:
        if isinstance(value, bool):
            return value
        if str(value).lower() in ("true", "false"):
            return str(value).lower() == "true"
    elif kind in (int, float) and not isinstance(value, bool):
        try:
            number = kind(value)
        except (TypeError, ValueError, OverflowError):
            number = None
        if number is not None and (kind is float or str(number) == str(value).strip() or number == value):
            return number
    word = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}[kind]
    raise UsageError(f"parameter {name} of {scenario} must be {word}, not {value!r}.")
