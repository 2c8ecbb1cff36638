"""An adb server of the tests' own, on a port of its own, so that nobody else's devices are touched."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import adbutils

from android_suite.config import Config
from tests.ports import free_port


class AdbServer:
    """The real adb. It is started by whoever connects first; :meth:`kill` ends it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.client = adbutils.AdbClient(host="127.0.0.1", port=port)

    @property
    def environment(self) -> dict[str, str]:
        """For commands that are to use this server."""
        return {**os.environ, "ANDROID_ADB_SERVER_HOST": "127.0.0.1", "ANDROID_ADB_SERVER_PORT": str(self.port)}

    def config(self, cache: Path, *, serial: str | None = None) -> Config:
        """Settings of the suite that name this server."""
        return Config(adb_server_port=self.port, serial=serial, cache=cache)

    def run(self, *words: str, timeout: float = 30) -> subprocess.CompletedProcess[str]:
        """One ``adb`` command."""
        command = ["adb", "-P", str(self.port), *words]
        return subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=timeout, env=self.environment
        )

    def connect(self, address: str) -> None:
        """``adb connect``, until the device is there."""
        deadline = time.monotonic() + 20
        while "connected" not in (said := self.run("connect", address).stdout) or "failed" in said:
            assert time.monotonic() < deadline, said
            time.sleep(0.1)

    def kill(self) -> None:
        """Ends the server, as ``adb kill-server`` does."""
        self.run("kill-server")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()


@contextmanager
def own_server() -> Iterator[AdbServer]:
    """A server for one test module."""
    with AdbServer(free_port()) as server:
        server.run("start-server")
        yield server
