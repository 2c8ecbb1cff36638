"""One device, reached: run a command, stream a command, push and pull bytes, each with a deadline.

Everything above speaks to the :class:`Transport` protocol. The real one is in ``device/adb.py``; ``device/scripted.py``
plays a written script for what no virtual device can do.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from android_suite.errors import AdbError

DEFAULT_TIMEOUT_S = 30.0

Command = Sequence[str] | str
"""A sequence is quoted word by word; a string is a script for the device's shell, taken as it is."""


def render_command(command: Command) -> str:
    """The line that the device's shell gets."""
    return command if isinstance(command, str) else shlex.join(command)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A command that ended on the device."""

    command: str
    stdout: bytes
    stderr: bytes
    status: int

    @property
    def text(self) -> str:
        """Standard output as text; bytes that are not UTF-8 survive as surrogates."""
        return self.stdout.decode("utf-8", errors="surrogateescape")

    @property
    def complaint(self) -> str:
        """What the command said about its failure, shortened to one line."""
        said = (self.stderr or self.stdout).decode("utf-8", errors="replace").split("\n")
        lines = [line.strip() for line in said if line.strip()]
        return (lines[-1] if lines else "it said nothing")[:300]


class Stream(Protocol):
    """A command that is still running: its output as it comes, its input, its end.

    One thread may read while another calls :meth:`close_stdin`.
    """

    def read(self, *, timeout: float) -> bytes:
        """The next piece of standard output; ``b""`` at the end.

        Raises:
            AdbTimeout: nothing came in ``timeout`` seconds; reading may be tried again.
            DeviceLost: the device went away before the command ended.
        """
        ...

    def close_stdin(self) -> None:
        """Tells the command that its input has ended."""
        ...

    @property
    def status(self) -> int | None:
        """Exit status, once :meth:`read` has returned ``b""``."""
        ...

    @property
    def stderr(self) -> bytes:
        """Standard error so far."""
        ...

    def close(self) -> None:
        """Lets go of the connection; the device ends the command if it still runs."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


class Transport(Protocol):
    """A device that takes commands. Not for use from several threads at once, except through streams."""

    @property
    def serial(self) -> str:
        """As adb names it."""
        ...

    def run(self, command: Command, *, timeout: float = DEFAULT_TIMEOUT_S, stdin: bytes = b"") -> Completed:
        """Runs a command to its end, whatever its status.

        Raises:
            AdbTimeout: it did not end in ``timeout`` seconds.
            DeviceLost: the device is gone; sticky.
            AdbError: adb refused.
        """
        ...

    def stream(self, command: Command) -> Stream:
        """Starts a command and gives its output as it comes."""
        ...

    def push(self, data: bytes, path: str, *, mode: int = 0o644, timeout: float = DEFAULT_TIMEOUT_S) -> None:
        """Writes a file on the device.

        Raises:
            AdbError: the device refused the path.
        """
        ...

    def pull(self, path: str, *, timeout: float = DEFAULT_TIMEOUT_S) -> bytes:
        """Reads a regular file of the device (for files of tracefs and procfs, whose size is a lie, use ``cat``).

        Raises:
            AdbError: there is none, or it cannot be read.
        """
        ...


def check_status(completed: Completed, serial: str, *, next_step: str = "") -> Completed:
    """Returns ``completed`` if its status is 0.

    Raises:
        AdbError: it is not; the message names the command and what it said.
    """
    if completed.status == 0:
        return completed
    short = completed.command if len(completed.command) <= 120 else completed.command[:117] + "..."
    step = next_step or "look at the device with `adb shell`."
    raise AdbError(
        f"{serial}: `{short}` ended with status {completed.status} ({completed.complaint}); {step}",
        argv=(completed.command,),
        serial=serial,
        status=completed.status,
        output=(completed.stdout + completed.stderr).decode("utf-8", errors="replace"),
    )
