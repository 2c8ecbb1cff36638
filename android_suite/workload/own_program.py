"""Scenarios that only run a program of the suite: no app, no event, no frame.

The program is built on the host for the device's machine. It is pushed to the work folder of a phone or a virtual device;
a guest that runs alone has it in its image.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from android_suite.device.native_program import build_native
from android_suite.device.numbers import read_count
from android_suite.workload.workload import Context, Left, Parameters, decode_left


class Printed(NamedTuple):
    """What a program left: its output, its exit status (None if it did not end), and its standard error."""

    text: str
    status: int | None
    complaint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnProgram:
    """A program, and how it is run.

    Attributes:
        source: its C file or folder.
        name: of the program.
        output: the iteration's file for what it prints.
        short: begins the names of the files that a lone guest leaves beside it.
    """

    source: Path
    name: str
    output: str
    short: str

    @property
    def guest_file(self) -> str:
        """Where it lies in a guest that runs alone."""
        return f"/etc/android-suite/run/{self.name}"

    def run(self, context: Context, arguments: Sequence[str], limit_s: float) -> Printed:
        """Pushes it and runs it, as the shell's user or as root, whichever the device allows; keeps what it printed."""
        device = context.device
        machine = device.run(["uname", "-m"]).text.strip()
        program = device.push_program(build_native(self.source, machine, cache=context.cache), self.name)
        done = device.transport.run([program, *arguments], timeout=limit_s)
        text = done.stdout.decode(errors="replace")
        context.out.write(self.output, text)
        return Printed(text, done.status, done.complaint)

    def build_for_guest(self, machine: str, cache: Path) -> Mapping[str, bytes]:
        """The file for the image of a guest that runs alone, which cannot be sent one."""
        return {self.guest_file: build_native(self.source, machine, cache=cache)}

    def render_run(self, arguments: Sequence[str], limit_s: float) -> str:
        """The lines of a lone guest's script that run it."""
        command = shlex.join(["timeout", f"{limit_s:.0f}", self.guest_file, *arguments])
        run = f"{command} > $out/{self.output} 2> $out/{self.short}_stderr.txt < /dev/null"
        return f"{run}\necho $? > $out/{self.short}_status.txt\n"

    def read_run(self, left: Left) -> Printed:
        """What it left in a lone guest."""
        status = decode_left(left, f"{self.short}_status.txt").strip()
        complaint = decode_left(left, f"{self.short}_stderr.txt").strip()
        return Printed(decode_left(left, self.output), read_count(status), complaint)


class ProgramScenario:
    """What every such scenario answers alike: nothing is traced, only the log, counters and results are recorded."""

    __slots__ = ()

    def needs(self, parameters: Parameters) -> tuple[str, ...]:
        """No event."""
        return ()

    def process(self, parameters: Parameters) -> str:
        """No app."""
        return ""

    def package(self, parameters: Parameters) -> str | None:
        """No frames."""
        return None

    @property
    def guest_defaults(self) -> Parameters:
        """See the protocol."""
        return {}
