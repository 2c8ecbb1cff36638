"""QEMU's control socket (QMP): JSON lines over a Unix socket."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from android_suite.errors import MachineError

_FORWARD = re.compile(r"TCP\[HOST_FORWARD\]\s+\d+\s+\S+\s+(\d+)\s")


class Qmp:
    """A connection to one QEMU, as a context manager. QEMU accepts one client at a time."""

    def __init__(self, path: Path, *, timeout_s: float = 10) -> None:
        """Connects; waits for the socket to appear.

        Raises:
            MachineError: QEMU does not answer within ``timeout_s``.
        """
        self.events: list[dict[str, Any]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        # A socket path is limited to 107 bytes; a path through the folder's descriptor stays short.
        deadline = time.monotonic() + timeout_s
        try:
            while True:
                try:
                    with _folder(path.parent) as folder:
                        self._socket.connect(f"/proc/self/fd/{folder}/{path.name}")
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.01)
            self._lines = self._socket.makefile("rb")
            self._read()
            self.execute("qmp_capabilities")
        except (OSError, ValueError) as error:
            self._socket.close()
            raise MachineError(f"QEMU does not answer on {path}; stop the device and start it again") from error
        except MachineError:
            self._socket.close()
            raise

    def execute(self, command: str, **arguments: Any) -> Any:
        """Runs one command and returns its result.

        Raises:
            MachineError: QEMU refuses it or has ended.
        """
        message = {"execute": command, "arguments": arguments}
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
            while True:
                reply = self._read()
                if "event" in reply:
                    self.events.append(reply)
                elif "error" in reply:
                    raise MachineError(f"QEMU refuses {command} ({reply['error'].get('desc')}); start the device again")
                elif "return" in reply:
                    return reply["return"]
        except (OSError, ValueError) as error:
            raise MachineError(f"QEMU ended during {command}; start the device again") from error

    def read_forwarded_port(self) -> int:
        """The host port that user networking forwards to the guest."""
        text = self.execute("human-monitor-command", **{"command-line": "info usernet"})
        found = _FORWARD.search(text)
        if not found:
            raise MachineError("QEMU forwards no port into the virtual device; start the device again")
        return int(found[1])

    def read_serial_port(self) -> int:
        """The host port on which QEMU takes connections for the character device ``adb``."""
        names = {each["label"]: each["filename"] for each in self.execute("query-chardev")}
        found = re.search(r"127\.0\.0\.1:(\d+)", names.get("adb", ""))
        if not found:
            raise MachineError("QEMU has no port for adb into the virtual device; start the device again")
        return int(found[1])

    def close(self) -> None:
        """Closes the connection; QEMU keeps running."""
        self._socket.close()

    def _read(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line:
            raise ConnectionResetError("QMP closed")
        message: dict[str, Any] = json.loads(line)
        return message

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextlib.contextmanager
def _folder(path: Path) -> Any:
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)
