"""The real transport: the adb server, over adbutils' connections.

Starts a local server if none runs. Each call opens its own connection, as adb itself does.
"""

from __future__ import annotations

import socket
import stat
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Self

import adbutils

from android_suite.config import Config
from android_suite.device import shell_protocol as v2
from android_suite.device.numbers import read_count
from android_suite.device.transport import DEFAULT_TIMEOUT_S, Command, Completed, render_command
from android_suite.errors import AdbError, AdbTimeout, DeviceLost, LabError

_CHUNK_BYTES = 1 << 18
_STATUS_MARK = b"\nandroid-suite-status:"
_GONE = ("not found", "offline", "no devices", "closed", "unauthorized", "connection reset", "device still connecting")


def start_server(config: Config) -> adbutils.AdbClient:
    """A client of the adb server at the configured address. Starts a local server if necessary.

    Raises:
        LabError: adb is not installed, or no server answers at the address.
    """
    host, port = config.adb_server_host, config.adb_server_port
    try:
        socket.create_connection((host, port), timeout=3).close()
    except OSError as refused:
        if host not in ("127.0.0.1", "localhost", "::1"):
            raise LabError(
                f"no adb server answers at {host}:{port}; start it there, or fix ANDROID_ADB_SERVER_HOST or suite.toml."
            ) from refused
        try:
            _run_adb("-P", str(port), "start-server", env=config.adb_environment())
        except LabError as failed:
            # Of two that start one at the same time, the later finds the port taken. The server is there then.
            try:
                socket.create_connection((host, port), timeout=3).close()
            except OSError:
                raise failed from None
    return adbutils.AdbClient(host=host, port=port)


def _run_adb(*arguments: str, env: Mapping[str, str]) -> None:
    try:
        # adbutils would do the same but let adb print to our stdout, which is for results
        subprocess.run(["adb", *arguments], check=True, capture_output=True, timeout=30, env=env)
    except FileNotFoundError as error:
        raise LabError("there is no `adb` on this machine; run `make setup` or install platform-tools.") from error
    except subprocess.SubprocessError as error:
        raise LabError(f"`adb {' '.join(arguments)}` failed ({error}); run it by hand to see why.") from error


def query_server(client: adbutils.AdbClient, service: str, *, timeout: float = 10.0) -> str:
    """The answer of the adb server to a host service such as ``host:devices-l``.

    Raises:
        LabError: the server refuses or does not answer.
    """
    try:
        with client.make_connection(timeout=timeout) as connection:
            connection.send_command(service)
            connection.check_okay()
            answer: str = connection.read_string_block()
            return answer
    except (adbutils.AdbError, OSError, ValueError) as error:
        raise LabError(f"the adb server refuses {service} ({error}); try `adb kill-server`, then again.") from error


class AdbTransport:
    """A :class:`~android_suite.device.transport.Transport` over adb. Made by ``device.connect``.

    ``via`` is the service that switches a connection to the device. It is needed if the serial is ambiguous.
    """

    def __init__(self, client: adbutils.AdbClient, serial: str, *, features: frozenset[str], via: str = "") -> None:
        self._client, self._serial = client, serial
        self._via = via or f"host:transport:{serial}"
        self._features, self._shell_v2 = features, "shell_v2" in features
        self._lost: str | None = None

    @property
    def serial(self) -> str:
        """The serial, as adb prints it."""
        return self._serial

    def adb_device(self) -> adbutils.AdbDevice:
        """The same device for a client library that speaks adb by itself."""
        kind, _, target = self._via.removeprefix("host:").partition(":")
        if kind == "transport-id":
            return adbutils.AdbDevice(self._client, serial=self._serial, transport_id=int(target))
        return adbutils.AdbDevice(self._client, serial=target)

    @property
    def via(self) -> str:
        """The service that switches a connection to the device."""
        return self._via

    def reopen(self, via: str) -> AdbTransport:
        """The same device after a reconnection."""
        return AdbTransport(self._client, self._serial, features=self._features, via=via)

    def ask_adbd(self, service: str, *, timeout: float = 10.0) -> str:
        """The answer of adbd to a service such as ``root:``, after which adbd may restart."""
        out = bytearray()
        with self._guard(service, timeout), self._open(service, timeout) as raw:
            deadline = time.monotonic() + timeout
            with suppress(ConnectionError):
                while data := _receive(raw, 4096, deadline):
                    out += data
        return out.decode(errors="replace").strip()

    def run(self, command: Command, *, timeout: float = DEFAULT_TIMEOUT_S, stdin: bytes = b"") -> Completed:
        """See the protocol."""
        line = render_command(command)
        if not self._shell_v2:
            return self._run_v1(line, timeout, stdin)
        deadline = time.monotonic() + timeout
        out = bytearray()
        with self._open_stream(line, timeout) as stream:
            stream.write(stdin)
            stream.close_stdin()
            try:
                while data := stream.read(timeout=deadline - time.monotonic()):
                    out += data
            except AdbTimeout as error:
                raise _timeout(line, timeout, self._serial) from error
            status = stream.status
        assert status is not None
        return Completed(command=line, stdout=bytes(out), stderr=stream.stderr, status=status)

    def _run_v1(self, line: str, timeout: float, stdin: bytes) -> Completed:
        if stdin:
            raise AdbError(f"{self._serial} has no shell_v2, so nothing can be piped into a command; update its adbd.")
        out = bytearray()
        deadline = time.monotonic() + timeout
        mark = _STATUS_MARK.decode().strip()
        with (
            self._guard(line, timeout),
            self._open("exec:" + f"({line}\n) 2>&1; s=$?; echo; echo {mark}$s", timeout) as raw,
        ):
            while data := _receive(raw, _CHUNK_BYTES, deadline):
                out += data
        body, found, status = bytes(out).rpartition(_STATUS_MARK)
        number = read_count(status) if found else None
        if number is None:
            raise self._lose(f"`{_shorten(line)}` was cut off")
        return Completed(command=line, stdout=body, stderr=b"", status=number)

    def stream(self, command: Command) -> AdbStream:
        """See the protocol.

        Raises:
            AdbError: the device lacks shell_v2; without it a stream has neither input nor status.
        """
        if not self._shell_v2:
            raise AdbError(f"{self._serial} has no shell_v2, which streaming needs; update its adbd.")
        return self._open_stream(render_command(command), DEFAULT_TIMEOUT_S)

    def _open_stream(self, line: str, timeout: float) -> AdbStream:
        with self._guard(line, timeout):
            return AdbStream(self._open_socket("shell,v2,raw:" + line, timeout), line, self._serial, self._lose)

    def push(self, data: bytes, path: str, *, mode: int = 0o644, timeout: float = DEFAULT_TIMEOUT_S) -> None:
        """See the protocol."""
        deadline = time.monotonic() + timeout
        with self._guard(f"push {path}", timeout), self._open("sync:", timeout) as raw:
            target = f"{path},{stat.S_IFREG | mode}".encode()
            raw.sendall(b"SEND" + struct.pack("<I", len(target)) + target)
            for at in range(0, len(data), 1 << 16):  # the protocol's largest piece
                piece = data[at : at + (1 << 16)]
                raw.settimeout(_left(deadline))
                raw.sendall(b"DATA" + struct.pack("<I", len(piece)) + piece)
            raw.sendall(b"DONE" + struct.pack("<I", int(time.time())))
            kind, size = struct.unpack("<4sI", _read_exactly(raw, 8, deadline))
            if kind != b"OKAY":
                raise self._refused(f"push {path}", _read_exactly(raw, min(size, 1 << 16), deadline))

    def pull(self, path: str, *, timeout: float = DEFAULT_TIMEOUT_S) -> bytes:
        """See the protocol."""
        out = bytearray()
        deadline = time.monotonic() + timeout
        with self._guard(f"pull {path}", timeout), self._open("sync:", timeout) as raw:
            raw.sendall(b"RECV" + struct.pack("<I", len(path.encode())) + path.encode())
            while True:
                kind, size = struct.unpack("<4sI", _read_exactly(raw, 8, deadline))
                if kind == b"DONE":
                    return bytes(out)
                if kind != b"DATA" or size > 1 << 16:
                    raise self._refused(f"pull {path}", _read_exactly(raw, min(size, 1 << 16), deadline))
                out += _read_exactly(raw, size, deadline)

    def _refused(self, what: str, reply: bytes) -> AdbError:
        said = reply.decode(errors="replace").strip()
        return AdbError(
            f"{self._serial}: {what} was refused ({said}); check the path and that adb may use it (`adb root`).",
            argv=(what,),
            serial=self._serial,
            output=said,
        )

    def _lose(self, what: str) -> DeviceLost:
        self._lost = f"{self._serial} went away ({what}); check cable, adb and the device, then run again."
        return DeviceLost(self._lost)

    def _open_socket(self, service: str, timeout: float) -> socket.socket:
        # not adbutils' own connections, which leak their socket if the server or the device is gone
        raw = socket.create_connection((self._client.host, self._client.port), timeout=timeout)
        try:
            for word in (self._via, service):
                encoded = word.encode(errors="surrogateescape")
                if len(encoded) > 0xFFFF:
                    raise AdbError(f"a command of {len(encoded)} bytes does not fit adb; send it as standard input.")
                raw.sendall(b"%04x" % len(encoded) + encoded)
                _check_okay(raw)
        except BaseException:
            raw.close()
            raise
        return raw

    @contextmanager
    def _open(self, service: str, timeout: float) -> Iterator[socket.socket]:
        raw = self._open_socket(service, timeout)
        try:
            yield raw
        finally:
            raw.close()

    @contextmanager
    def _guard(self, what: str, timeout: float) -> Iterator[None]:
        """Converts every failure of the socket and of adbutils into the suite's exceptions."""
        if self._lost:
            raise DeviceLost(self._lost)
        try:
            yield
        except (TimeoutError, adbutils.AdbTimeout) as error:
            raise _timeout(what, timeout, self._serial) from error
        except adbutils.AdbError as error:
            said = str(error)
            if any(word in said.lower() for word in _GONE):
                raise self._lose(said) from error
            raise AdbError(
                f"{self._serial}: adb refused `{_shorten(what)}` ({said}); try `adb devices`.",
                argv=(what,),
                serial=self._serial,
                output=said,
            ) from error
        except (OSError, EOFError) as error:
            raise self._lose(f"`{_shorten(what)}`: {error}") from error


def _check_okay(raw: socket.socket) -> None:
    """Reads the server's answer to a request.

    Raises:
        adbutils.AdbError: it refuses, with its words.
    """
    answer = _read_exactly(raw, 4)
    if answer == b"OKAY":
        return
    if answer != b"FAIL":
        raise adbutils.AdbError(f"unknown answer {answer!r}")
    size = _read_exactly(raw, 4)
    told = (
        _read_exactly(raw, int(size, 16)) if all(byte in b"0123456789abcdefABCDEF" for byte in size) else b"no reason"
    )
    raise adbutils.AdbError(told.decode(errors="replace"))


def _timeout(what: str, timeout: float, serial: str) -> AdbTimeout:
    return AdbTimeout(
        f"{serial}: `{_shorten(what)}` did not end in {timeout:.3g} s; check that the device answers `adb shell`.",
        argv=(what,),
        serial=serial,
    )


def _shorten(command: str) -> str:
    """A command as one short line."""
    line = " ".join(command.split())
    return line if len(line) <= 80 else line[:77] + "..."


def _left(deadline: float) -> float:
    """Seconds until then.

    Raises:
        TimeoutError: it has passed. A device that never stops sending would outlive a timeout of each call.
    """
    if (left := deadline - time.monotonic()) <= 0:
        raise TimeoutError
    return left


def _receive(raw: socket.socket, size: int, deadline: float) -> bytes:
    raw.settimeout(_left(deadline))
    return raw.recv(size)


def _read_exactly(raw: socket.socket, size: int, deadline: float | None = None) -> bytes:
    """So many bytes; without a deadline each piece may take the socket's own timeout."""
    out = bytearray()
    while len(out) < size:
        wanted = size - len(out)
        if not (data := raw.recv(wanted) if deadline is None else _receive(raw, wanted, deadline)):
            raise EOFError("adb closed the connection")
        out += data
    return bytes(out)


class AdbStream:
    """A :class:`~android_suite.device.transport.Stream` over the shell protocol."""

    def __init__(self, raw: socket.socket, line: str, serial: str, lose: Callable[[str], DeviceLost]) -> None:
        self._raw, self._line, self._serial, self._lose = raw, line, serial, lose
        self._packets = v2.PacketReader()
        self._stderr = bytearray()
        self._status: int | None = None
        self._closed = threading.Event()

    @property
    def status(self) -> int | None:
        """Exit status, once the output has ended."""
        return self._status

    @property
    def stderr(self) -> bytes:
        """Standard error so far."""
        return bytes(self._stderr)

    def read(self, *, timeout: float) -> bytes:
        """See the protocol."""
        deadline = time.monotonic() + timeout
        out = bytearray()
        while not out and self._status is None and not self._closed.is_set():
            try:
                data = _receive(self._raw, _CHUNK_BYTES, deadline)
                if not data and not self._closed.is_set():
                    raise self._lose(f"`{_shorten(self._line)}` was cut off")
                packets = self._packets.feed(data)
            except TimeoutError as error:
                raise _timeout(self._line, timeout, self._serial) from error
            except (OSError, v2.OutOfStep) as error:
                if self._closed.is_set():  # another thread closed it: this is the end, not a loss
                    break
                raise self._lose(f"`{_shorten(self._line)}`: {error}") from error
            for kind, payload in packets:
                if kind == v2.STDOUT:
                    out += payload
                elif kind == v2.STDERR:
                    self._stderr += payload
                elif kind == v2.EXIT and payload:
                    self._status = payload[0]
        return bytes(out)

    def write(self, data: bytes) -> None:
        """Sends standard input."""
        for at in range(0, len(data), 1 << 16):
            self._send(v2.encode_packet(v2.STDIN, data[at : at + (1 << 16)]))

    def close_stdin(self) -> None:
        """See the protocol."""
        self._send(v2.encode_packet(v2.CLOSE_STDIN))

    def _send(self, packet: bytes) -> None:
        # a command may end before it reads its input; its output and status can still be read
        with suppress(BrokenPipeError, ConnectionResetError):
            self._raw.sendall(packet)

    def close(self) -> None:
        """See the protocol."""
        self._closed.set()
        with suppress(OSError):
            self._raw.shutdown(socket.SHUT_RDWR)  # wakes a reader, which close() alone does not
        self._raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
