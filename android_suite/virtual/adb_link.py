"""Connects the adb server to a virtual device and asks whether it has booted.

The device layer does everything else over adb.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable

from android_suite.config import Config
from android_suite.errors import AdbError, MachineError, NotReady

RECONNECT_AFTER_S = 1.0


def wait_boot_completed(config: Config, serial: str, *, timeout_s: float, check: Callable[[], None]) -> None:
    """Connects the adb server to the device and waits until ``sys.boot_completed`` is 1.

    Args:
        config: gives the adb server.
        serial: ``127.0.0.1:PORT``.
        timeout_s: the longest time to wait, in seconds.
        check: called between attempts; raises if waiting is pointless.

    Raises:
        NotReady: the device did not boot within ``timeout_s``.
        MachineError: adb is not installed.
    """
    deadline = time.monotonic() + timeout_s
    said = ""
    while time.monotonic() < deadline:
        start_server(config)  # each time, because a server may end meanwhile
        # QEMU accepts a connection before adbd listens. The server would keep that dead connection: reconnect.
        run_request(config, f"host:disconnect:{serial}")
        said = run_request(config, f"host:connect:{serial}")
        settled = time.monotonic() + RECONNECT_AFTER_S
        while said.startswith("connected to") and time.monotonic() < settled:
            check()
            if run_shell(config, serial, "getprop sys.boot_completed").strip() == "1":
                return
            time.sleep(0.05)
        check()
        time.sleep(0.05)
    raise NotReady(f"{serial} did not answer adb within {timeout_s:.0f} s ({said or 'no answer'}); see its console log")


def disconnect(config: Config, serial: str) -> None:
    """Makes the adb server forget the device. Does nothing if the server does not know it."""
    run_request(config, f"host:disconnect:{serial}")


def run_shell(config: Config, serial: str, command: str) -> str:
    """Output of a shell command, or an empty string if the device does not answer."""
    try:
        with _open(config) as link:
            _ask(link, f"host:transport:{serial}")
            _ask(link, f"shell:{command}")
            return _read_all(link).decode("utf-8", "replace")
    except (OSError, AdbError):
        return ""


def run_request(config: Config, request: str) -> str:
    """The server's answer to a host request, or an empty string if there is none."""
    try:
        with _open(config) as link:
            _ask(link, request)
            return _read_all(link)[4:].decode("utf-8", "replace")
    except AdbError as error:
        return str(error)
    except OSError:
        return ""


def start_server(config: Config) -> None:
    """Starts the adb server if none listens.

    Raises:
        MachineError: adb is missing or its server does not start.
    """
    if _is_there(config):
        return
    if not shutil.which("adb"):
        raise MachineError("adb not found; run make setup, or install the platform tools")
    host, port = config.adb_server_host, config.adb_server_port
    # The server must not inherit this process's pipes or die with its terminal.
    argv = ["adb", *(["-H", host] if host != "127.0.0.1" else []), "-P", str(port), "start-server"]
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=30,
            check=False,
            env=config.adb_environment(),
            start_new_session=True,
        )
        started = done.returncode == 0
    except subprocess.TimeoutExpired:
        started = False
    # Of two that start one at the same time, the later finds the port taken. The server is there then.
    if not started and not _is_there(config):
        raise MachineError(f"the adb server does not start on port {port}; run adb start-server and read its message")


def _is_there(config: Config) -> bool:
    try:
        _open(config).close()
    except OSError:
        return False
    return True


def _open(config: Config) -> socket.socket:
    return socket.create_connection((config.adb_server_host, config.adb_server_port), timeout=5)


def _ask(link: socket.socket, request: str) -> None:
    link.sendall(f"{len(request):04x}{request}".encode())
    status = _read_exactly(link, 4)
    if status != b"OKAY":
        reason = _read_all(link)[4:].decode("utf-8", "replace")
        raise AdbError(f"adb refuses {request} ({reason}); run adb devices", output=reason)


def _read_exactly(link: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        part = link.recv(size - len(content))
        if not part:
            raise ConnectionResetError("adb server closed the connection")
        content += part
    return content


def _read_all(link: socket.socket) -> bytes:
    content = b""
    while part := link.recv(65536):
        content += part
    return content
