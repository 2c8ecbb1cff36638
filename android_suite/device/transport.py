"""A connection to one device: run a command, stream a command, push and pull bytes, each with a deadline.

All other code uses the :class:`Transport` protocol. ``device/adb.py`` implements it; ``device/scripted.py`` plays a
script for tests that no virtual device can serve.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from android_suite.errors import AdbError

DEFAULT_TIMEOUT_S = 30.0

Command = Sequence[str] | str
"""A sequence is quoted word by word; a string is a script for the device's shell, passed unchanged."""


def render_command(command: Command) -> str:
    """The command line for the device's shell."""
    return command if isinstance(command, str) else shlex.join(command)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """The result of a command on the device."""

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
        """The command's error message, shortened to one line."""
        said = (self.stderr or self.stdout).decode("utf-8", errors="replace").split("\n")
        lines = [line.strip() for line in said if line.strip()]
        return (lines[-1] if lines else "no message")[:300]


class Stream(Protocol):
    """A running command: its output, its input and its status.

    One thread may read while another calls :meth:`close_stdin`.
    """

    def read(self, *, timeout: float) -> bytes:
        """The next piece of standard output; ``b""`` at the end.

        Raises:
            AdbTimeout: no output within ``timeout`` seconds; the caller may read again.
            DeviceLost: the device went away before the command ended.
        """
        ...

    def write(self, data: bytes) -> None:
        """Sends bytes to the command's standard input."""
        ...

    def close_stdin(self) -> None:
        """Closes the command's input."""
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
        """Closes the connection; the device ends the command if it still runs."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


class Transport(Protocol):
    """A device that runs commands. Only streams may be used from several threads at once."""

    @property
    def serial(self) -> str:
        """The serial, as adb prints it."""
        ...

    def run(self, command: Command, *, timeout: float = DEFAULT_TIMEOUT_S, stdin: bytes = b"") -> Completed:
        """Runs a command to its end; any status is returned.

        Raises:
            AdbTimeout: it did not end in ``timeout`` seconds.
            DeviceLost: the device disconnected, now or in an earlier call.
            AdbError: adb refused the command.
        """
        ...

    def stream(self, command: Command) -> Stream:
        """Starts a command and streams its output."""
        ...

    def push(self, data: bytes, path: str, *, mode: int = 0o644, timeout: float = DEFAULT_TIMEOUT_S) -> None:
        """Writes a file on the device.

        Raises:
            AdbError: the device refused the path.
        """
        ...

    def pull(self, path: str, *, timeout: float = DEFAULT_TIMEOUT_S) -> bytes:
        """Reads a regular file of the device. Use ``cat`` for tracefs and procfs, whose files report a wrong size.

        Raises:
            AdbError: the file does not exist or cannot be read.
        """
        ...


def check_status(completed: Completed, serial: str, *, next_step: str = "") -> Completed:
    """Returns ``completed`` if its status is 0.

    Raises:
        AdbError: the status is not 0; the message has the command and its output.
    """
    if completed.status == 0:
        return completed
    short = completed.command if len(completed.command) <= 120 else completed.command[:117] + "..."
    step = next_step or "examine the device with `adb shell`."
    raise AdbError(
        f"{serial}: `{short}` ended with status {completed.status} ({completed.complaint}); {step}",
        argv=(completed.command,),
        serial=serial,
        status=completed.status,
        output=(completed.stdout + completed.stderr).decode("utf-8", errors="replace"),
    )
