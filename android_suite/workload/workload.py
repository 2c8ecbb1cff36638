"""The interface of a workload and its context."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

from android_suite.device.device import Device
from android_suite.errors import SuiteError, UsageError
from android_suite.model.identity import CrashRecord
from android_suite.store.run import IterationWriter

Parameters = Mapping[str, str | int | float | bool]
Left = Mapping[str, bytes]  # name to content of the files that a guest script left in ``$out``
GUEST_SLACK_S: Final = 60  # virtual seconds added to a guest's time limit, so that a frozen guest ends by itself

# The groups of events that show an app's locks, frames and launches; capture/needs.py defines them.
ALL_NEEDS: Final = ("SCHED", "MMAP_LOCK", "MADVISE", "CONTENTION", "BLOCKED_REASON", "PI", "PAGE_FAULT", "MARKERS")


USER: Final = "user"  # the parameter that chooses a user or a work profile; -1 is the current one
BACKGROUND: Final = "background_package"  # the parameter that names an app behind the measured one
LOCKS: Final = "locks"  # the parameter that chooses which locks are recorded, one of LOCK_CHOICES
LOCK_CHOICES: Final = ("mm", "all")
PROBE_VMA_LOCK: Final = "probe_vma_lock"  # the parameter that adds a kprobe on __vma_start_write


def find_user(parameters: Parameters) -> int:
    """The user whose app is measured; -1 for the current one."""
    return int(parameters[USER])


def check_user(parameters: Parameters) -> None:
    """Checks the number of a user.

    Raises:
        UsageError: it is no such number.
    """
    if not -1 <= find_user(parameters) <= 10_000:
        raise UsageError(
            f"user is {parameters[USER]}; choose a number of `adb shell pm list users`, or -1 for the current one."
        )


def list_needs(parameters: Parameters) -> tuple[str, ...]:
    """Names of the event groups for an app, with further ones if the parameters ask for them."""
    probed = ("VMA_LOCK",) if parameters[PROBE_VMA_LOCK] else ()
    return (*ALL_NEEDS, *probed, *(("RELEASES", "BINDER", "FUTEX") if parameters[LOCKS] == "all" else ()))


class FollowedLog(Protocol):
    """The device's log, followed from before the work began."""

    def mark(self) -> int:
        """The number of lines so far."""
        ...

    def wait_line(self, pattern: re.Pattern[str], *, timeout: float, what: str, since: int = 1) -> re.Match[str]:
        """The first line from ``since`` on that matches ``pattern``.

        Raises:
            NotReady: no line came within ``timeout`` seconds; the message names ``what``.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The context of a workload during one iteration."""

    device: Device
    out: IterationWriter
    log: FollowedLog
    seed: int
    token: str  # marks this iteration's lines in the log
    parameters: Parameters  # complete, with defaults filled in
    say: Callable[[str], None]
    cache: Path = Path()  # the suite's cache folder, for programs that are built for the device
    learnt: set[str] = field(default_factory=set)  # facts about the app from earlier iterations of this run


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of an iteration. A crash under test is a result; a failure of the test setup is an exception."""

    incomplete: str = ""  # why the evidence is incomplete; empty if it is complete
    discarded: str = ""  # why no number may come from it; empty if numbers may
    crash: CrashRecord | None = None
    fault: SuiteError | None = None  # raised after the iteration is sealed, if the next one could not succeed either


class Workload(Protocol):
    """A scenario, driven by the host (``prepare``, ``run_once``, ``cleanup``) or by a guest script (``guest_*``).

    ``prepare`` runs before tracing starts, ``cleanup`` after it ends, also after a failure. A guest script writes its
    results to the folder ``$out``; ``read_guest`` gets these files.
    """

    @property
    def name(self) -> str:
        """Its name on the command line and in the manifest."""
        ...

    @property
    def defaults(self) -> Parameters:
        """Every parameter with its default, which also gives the type."""
        ...

    def check(self, parameters: Parameters) -> None:
        """Checks the values before any device is touched.

        Raises:
            UsageError: a value is invalid.
        """
        ...

    def needs(self, parameters: Parameters) -> tuple[str, ...]:
        """Names of the event groups that it needs."""
        ...

    def process(self, parameters: Parameters) -> str:
        """Name of the process under test; empty for none in particular."""
        ...

    def package(self, parameters: Parameters) -> str | None:
        """The Android package whose frames are recorded; None for no frames."""
        ...

    def prepare(self, context: Context) -> None:
        """Prepares the device for the iteration."""
        ...

    def run_once(self, context: Context) -> Outcome:
        """Does the work while tracing is on."""
        ...

    def cleanup(self, context: Context) -> None:
        """Removes the workload from the device."""
        ...

    @property
    def guest_defaults(self) -> Parameters:
        """Defaults that differ in a deterministic guest, because virtual time runs many times slower."""
        ...

    def guest_prepare(self, parameters: Parameters) -> str:
        """Shell lines to run before the trace starts; may be empty."""
        ...

    def guest_script(self, parameters: Parameters, *, seed: int, token: str) -> str:
        """Shell lines that do the work while tracing is on."""
        ...

    def read_guest(self, left: Left, parameters: Parameters, token: str) -> tuple[Mapping[str, str], Outcome]:
        """Evidence files (name to content) and the outcome, from the files of the script."""
        ...


@runtime_checkable
class BringsFiles(Protocol):
    """A workload with files of its own, which a deterministic guest contains before it starts."""

    def guest_files(self, machine: str, cache: Path) -> Mapping[str, bytes]:
        """Files by path in a guest of that machine (from ``uname -m``), executable; ``cache`` keeps what is built."""
        ...


def decode_left(left: Left, name: str) -> str:
    """Text of a file from a guest script; empty if the file is missing."""
    return left.get(name, b"").decode("utf-8", errors="surrogateescape")


def complete_parameters(workload: Workload, given: Mapping[str, Any]) -> Parameters:
    """The given parameters merged over the defaults, converted to the types of the defaults.

    Raises:
        UsageError: a name is unknown, or a value has the wrong type.
    """
    done: dict[str, str | int | float | bool] = dict(workload.defaults)
    for name, value in given.items():
        if name not in done:
            known = ", ".join(sorted(done)) or "none"
            raise UsageError(f"{workload.name} has no parameter {name!r}; it knows {known}.")
        done[name] = _convert(workload.name, name, value, done[name])
    if done.get(LOCKS, "mm") not in LOCK_CHOICES:
        raise UsageError(f"{LOCKS} is {done[LOCKS]!r}; choose {' or '.join(LOCK_CHOICES)}.")
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
