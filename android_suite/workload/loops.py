"""Shell loops that run on the device beside an app: the same text whether a host drives or a guest runs alone.

A turn prints a line ``did ...`` for each thing that it did; what it says else is a complaint. A loop ends by itself after
its last turn, so that it restores what it changed even if the host is gone.
"""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

from android_suite.device.android import check_package, render_user
from android_suite.device.device import WORK_FOLDER, Device
from android_suite.errors import UsageError
from android_suite.workload.workload import Parameters, find_user

FOREGROUND_LEVELS: Final = ("RUNNING_MODERATE", "RUNNING_LOW", "RUNNING_CRITICAL")
BACKGROUND_LEVELS: Final = ("HIDDEN", "BACKGROUND", "MODERATE", "COMPLETE")
MONITOR_FILES: Final = ("smaps", "smaps_rollup", "maps")
MOST_PROCESSES: Final = 8  # as many services our app has
_TRIM_PROPERTIES: Final = ("debug.am.run_mallopt_trim_level", "debug.am.run_gc_trim_level")
_END_TIMEOUT_S = 60.0
_DID: Final = "did "


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """A loop in shell.

    Attributes:
        turn: lines of one turn.
        turns: the most turns.
        period_ms: pause before each turn.
        process: the loop begins when this process runs.
        before: lines before the first turn.
        after: lines after the last turn, also after a failed one.
    """

    turn: str
    turns: int
    period_ms: int
    process: str
    before: str = ""
    after: str = ""


class Beside(Protocol):
    """What goes on beside an app, and its parameters."""

    @property
    def program(self) -> str:
        """A program of ``native/`` that its loop runs as ``$program``; empty for none."""
        ...

    @property
    def defaults(self) -> Parameters:
        """Its parameters with their defaults."""
        ...

    @property
    def next_step(self) -> str:
        """What a user can do if no turn did anything; the end of a sentence."""
        ...

    def check(self, parameters: Parameters) -> None:
        """Checks its parameters.

        Raises:
            UsageError: a value is invalid.
        """
        ...

    def make(self, parameters: Parameters) -> Loop:
        """The loop; ``parameters`` also has ``package``, ``user`` and ``duration_ms`` of the app."""
        ...


def render_loop(loop: Loop, stop: str) -> str:
    """The loop as a script, which ends early once the file ``stop`` exists."""
    wait = f"n=0; until pidof {shlex.quote(loop.process)} > /dev/null; do sleep 0.1; n=$((n+1)); [ $n -lt 600 ] || break; done"
    return "\n".join(
        [
            "trap '' HUP PIPE",
            wait,
            loop.before or ":",
            "n=0",
            f"while [ $n -lt {loop.turns} ]; do",
            f"sleep {loop.period_ms / 1000:.3f}",
            f"[ -e {shlex.quote(stop)} ] && break",
            "n=$((n+1))",
            loop.turn,
            "done",
            loop.after or ":",
            f"rm -f {shlex.quote(stop)}",
            "",
        ]
    )


@dataclass(slots=True)
class Said:
    """What a loop printed, once it has ended."""

    text: str = ""


@contextmanager
def run_loop(device: Device, loop: Loop, token: str) -> Iterator[Said]:
    """Runs a loop on a device for the duration of a `with` block.

    Raises:
        AdbTimeout: the loop did not end in a minute.
        DeviceLost: the device went away.
    """
    stop = f"{WORK_FOLDER}/beside-{token}.stop"
    device.run(["mkdir", "-p", WORK_FOLDER])
    said = Said()
    parts: list[bytes] = []
    with device.transport.stream(f"({render_loop(loop, stop)}) 2>&1") as stream:
        try:
            yield said
        finally:
            device.run(["touch", stop])
            deadline = time.monotonic() + _END_TIMEOUT_S + loop.period_ms / 1000
            while part := stream.read(timeout=deadline - time.monotonic()):
                parts.append(part)
            said.text = b"".join(parts).decode(errors="replace").replace("\r\n", "\n")
    device.run(["rm", "-f", stop])


def count_done(text: str) -> int:
    """How many things a loop did, from what it printed."""
    return sum(line.startswith(_DID) for line in text.splitlines())


def find_complaint(text: str) -> str:
    """The last line of a loop that is not about something done; empty if there is none."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(_DID)]
    return lines[-1][:300] if lines else ""


@dataclass(frozen=True, slots=True)
class Monitor:
    """Reads a file of ``/proc/PID`` of the app again and again, as memory profilers do. Needs root on a phone."""

    next_step: str = "reading another process's memory map needs root: run `android-suite doctor`."
    program: str = ""

    @property
    def defaults(self) -> Parameters:
        """See the protocol."""
        return {"monitor_file": "smaps", "monitor_period_ms": 200}

    def check(self, parameters: Parameters) -> None:
        """See the protocol."""
        if parameters["monitor_file"] not in MONITOR_FILES:
            raise UsageError(
                f"monitor_file is {parameters['monitor_file']!r}; choose one of {', '.join(MONITOR_FILES)}."
            )
        _check_range(parameters, "monitor_period_ms", 1, 60_000)

    def make(self, parameters: Parameters) -> Loop:
        """See the protocol."""
        process, period_ms = check_package(str(parameters["package"])), int(parameters["monitor_period_ms"])
        return Loop(
            turn=f"pid=$(pidof {process}) && cat /proc/${{pid%% *}}/{parameters['monitor_file']} > /dev/null && echo 'did read'",
            turns=10 + 10 * math.ceil(int(parameters["duration_ms"]) / period_ms),
            period_ms=period_ms,
            process=process,
        )


@dataclass(frozen=True, slots=True)
class Reader:
    """A weak monitor: reads files of ``/proc/PID`` of the app again and again at a low priority, and times each reading.

    Unlike `Monitor` it runs a program of ours, which has a name and a priority of its own in the trace.
    """

    next_step: str = "reading another process's memory map needs root: run `android-suite doctor`."
    program: str = "proc_reader"

    @property
    def defaults(self) -> Parameters:
        """See the protocol."""
        return {"reader_files": "maps,smaps", "reader_period_ms": 20, "reader_nice": 10}

    def check(self, parameters: Parameters) -> None:
        """See the protocol."""
        for file in str(parameters["reader_files"]).split(","):
            if file not in MONITOR_FILES:
                raise UsageError(f"there is no reader_files {file!r}; choose among {', '.join(MONITOR_FILES)}.")
        _check_range(parameters, "reader_period_ms", 1, 60_000)
        _check_range(parameters, "reader_nice", 0, 19)

    def make(self, parameters: Parameters) -> Loop:
        """See the protocol."""
        process, period_ms = check_package(str(parameters["package"])), int(parameters["reader_period_ms"])
        files = " ".join(str(parameters["reader_files"]).split(","))
        return Loop(
            turn=f'pid=$(pidof {process}) && "$program" ${{pid%% *}} {int(parameters["reader_nice"])} {files}',
            turns=10 + 10 * math.ceil(int(parameters["duration_ms"]) / period_ms),
            period_ms=period_ms,
            process=process,
        )


@dataclass(frozen=True, slots=True)
class Swipes:
    """Swipes over the middle of the screen, up and down in turns, as a finger that scrolls a list."""

    next_step: str = "see `beside.txt` of the run for what `input` says."
    program: str = ""

    @property
    def defaults(self) -> Parameters:
        """See the protocol."""
        return {"swipe_ms": 250, "swipe_period_ms": 300}

    def check(self, parameters: Parameters) -> None:
        """See the protocol."""
        _check_range(parameters, "swipe_ms", 1, 10_000)
        _check_range(parameters, "swipe_period_ms", 1, 60_000)

    def make(self, parameters: Parameters) -> Loop:
        """See the protocol."""
        swipe_ms, period_ms = int(parameters["swipe_ms"]), int(parameters["swipe_period_ms"])
        ends = "if [ $((n%2)) = 1 ]; then set -- 8 2; else set -- 2 8; fi"
        swipe = f"input swipe $((w/2)) $((h*$1/10)) $((w/2)) $((h*$2/10)) {swipe_ms}"
        return Loop(
            before="size=$(wm size | tail -n 1); size=${size##* }; w=${size%x*}; h=${size#*x}",
            turn=f"{ends}\n{swipe} && echo 'did swipe'",
            turns=10 + 3 * math.ceil(int(parameters["duration_ms"]) / (swipe_ms + period_ms)),
            period_ms=period_ms,
            process=check_package(str(parameters["package"])),
        )


@dataclass(frozen=True, slots=True)
class Trims:
    """Sends ``am send-trim-memory`` to the app, one level after the other, evenly over its time.

    Properties make ActivityThread purge the allocator and request a collection at any level; they are restored.
    """

    levels: tuple[str, ...] = FOREGROUND_LEVELS
    next_step: str = "see `beside.txt` of the run for what `am` says."
    program: str = ""

    @property
    def defaults(self) -> Parameters:
        """See the protocol."""
        return {"trim_levels": ",".join(self.levels)}

    def check(self, parameters: Parameters) -> None:
        """See the protocol."""
        known = (*FOREGROUND_LEVELS, *BACKGROUND_LEVELS)
        for level in str(parameters["trim_levels"]).split(","):
            if level not in known:
                raise UsageError(f"there is no trim level {level!r}; choose among {', '.join(known)}.")

    def make(self, parameters: Parameters) -> Loop:
        """See the protocol."""
        return _make_trims((check_package(str(parameters["package"])),), parameters)


@dataclass(frozen=True, slots=True)
class ManyTrims:
    """As `Trims`, to many processes at once: services of our app, or processes that are named."""

    trims: Trims = field(default=Trims(levels=BACKGROUND_LEVELS[1:]))
    next_step: str = "the named processes must run in the background; see `beside.txt` of the run for what `am` says."
    program: str = ""

    @property
    def defaults(self) -> Parameters:
        """See the protocol."""
        return {**self.trims.defaults, "processes": 4, "trim_processes": ""}

    def check(self, parameters: Parameters) -> None:
        """See the protocol."""
        self.trims.check(parameters)
        _check_range(parameters, "processes", 1, MOST_PROCESSES)
        self._list(parameters)

    def make(self, parameters: Parameters) -> Loop:
        """See the protocol."""
        return _make_trims(self._list(parameters), parameters)

    def _list(self, parameters: Parameters) -> tuple[str, ...]:
        if named := str(parameters["trim_processes"]):
            return tuple(_check_process(name) for name in named.split(","))
        package = check_package(str(parameters["package"]))
        return tuple(f"{package}:p{number}" for number in range(1, int(parameters["processes"]) + 1))


def _make_trims(processes: tuple[str, ...], parameters: Parameters) -> Loop:
    levels = str(parameters["trim_levels"]).split(",")
    user = "".join(f"{word} " for word in render_user(find_user(parameters)))
    send = "\n".join(
        f'( am send-trim-memory {user}{shlex.quote(name)} $level && echo "did trim {name} $level" ) &'
        for name in processes
    )
    keep = "\n".join(f"kept{i}=$(getprop {name}); setprop {name} 5" for i, name in enumerate(_TRIM_PROPERTIES))
    restore = "\n".join(f'setprop {name} "$kept{i}"' for i, name in enumerate(_TRIM_PROPERTIES))
    return Loop(
        before=f"{keep}\nset -- {' '.join(levels)}",
        turn=f"level=$1; shift\n{send}\nwait",
        turns=len(levels),
        period_ms=max(50, int(parameters["duration_ms"]) // (len(levels) + 1)),
        process=check_package(str(parameters["package"])),
        after=restore,
    )


def _check_process(name: str) -> str:
    package, colon, rest = name.partition(":")
    if colon and not rest.replace("_", "a").isalnum():
        raise UsageError(f"{name!r} is not a process; give PACKAGE or PACKAGE:NAME.")
    return f"{check_package(package)}{colon}{rest}"


def _check_range(parameters: Parameters, name: str, least: int, most: int) -> None:
    if not least <= int(parameters[name]) <= most:
        raise UsageError(f"{name} is {parameters[name]}; choose {least} to {most}.")
