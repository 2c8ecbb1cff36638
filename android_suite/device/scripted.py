"""A transport that plays a script, for tests that no virtual device can serve.

It asserts every command word by word and fails when the script ends early. A test that passes has seen exactly this
sequence of commands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from android_suite.device.transport import DEFAULT_TIMEOUT_S, Command, Completed, render_command
from android_suite.errors import AdbTimeout, SuiteError


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One call and its answer. ``command`` is the rendered line, or ``push PATH`` and ``pull PATH``."""

    command: str
    stdout: bytes = b""
    stderr: bytes = b""
    status: int = 0
    error: SuiteError | None = None  # raised instead of an answer
    pieces: tuple[bytes | SuiteError, ...] = ()  # of a stream


class ScriptedTransport:
    """A :class:`~android_suite.device.transport.Transport` with scripted answers."""

    def __init__(self, exchanges: Iterable[Exchange], *, serial: str = "scripted") -> None:
        self._left = list(exchanges)
        self._serial = serial
        self.pushed: dict[str, bytes] = {}

    @property
    def serial(self) -> str:
        """As given."""
        return self._serial

    def _next(self, command: str) -> Exchange:
        assert self._left, f"the script ran dry before {command!r}"
        exchange = self._left.pop(0)
        assert command == exchange.command, f"expected {exchange.command!r}, got {command!r}"
        if exchange.error is not None:
            raise exchange.error
        return exchange

    def run(self, command: Command, *, timeout: float = DEFAULT_TIMEOUT_S, stdin: bytes = b"") -> Completed:
        """Answers the next exchange."""
        line = render_command(command)
        exchange = self._next(line)
        return Completed(command=line, stdout=exchange.stdout, stderr=exchange.stderr, status=exchange.status)

    def stream(self, command: Command) -> ScriptedStream:
        """Streams the next exchange."""
        return ScriptedStream(self._next(render_command(command)))

    def push(self, data: bytes, path: str, *, mode: int = 0o644, timeout: float = DEFAULT_TIMEOUT_S) -> None:
        """Keeps the data in ``pushed``."""
        self._next(f"push {path}")
        self.pushed[path] = data

    def pull(self, path: str, *, timeout: float = DEFAULT_TIMEOUT_S) -> bytes:
        """Gives the exchange's ``stdout``."""
        return self._next(f"pull {path}").stdout

    def finish(self) -> None:
        """Asserts that the whole script was played."""
        assert not self._left, f"not asked for: {[exchange.command for exchange in self._left]}"


class ScriptedStream:
    """A :class:`~android_suite.device.transport.Stream` of given pieces."""

    def __init__(self, exchange: Exchange) -> None:
        self._pieces = list(exchange.pieces)
        self._exchange = exchange
        self._status: int | None = None
        self._closed = False

    def read(self, *, timeout: float) -> bytes:
        """The next piece; an exception in its place is raised."""
        if self._closed:
            return b""
        if not self._pieces:
            self._status = self._exchange.status
            return b""
        piece = self._pieces.pop(0)
        if isinstance(piece, SuiteError):
            if not isinstance(piece, AdbTimeout):
                self._pieces.insert(0, piece)  # a lost device stays lost
            raise piece
        return piece

    def write(self, data: bytes) -> None:
        """No-op: nothing reads the input."""

    def close_stdin(self) -> None:
        """No-op: nothing reads the input."""

    @property
    def status(self) -> int | None:
        """The scripted status."""
        return self._status

    @property
    def stderr(self) -> bytes:
        """As scripted."""
        return self._exchange.stderr

    def close(self) -> None:
        """Ends the stream."""
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
