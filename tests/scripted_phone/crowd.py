"""Very many phones in one process, for tests of scheduling: adbd's wire protocol, and a shell without Android in it.

A :class:`Crowd` has no namespaces and no services, so a phone costs a port and a folder. Its commands run in this
machine's shell, whose ``/data/local/tmp`` is a folder of the phone; ``use NAME`` and ``done NAME`` tell the phone that
somebody begins and ends to use it.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.scripted_phone.wire import Channel, Link

FEATURES = "shell_v2,cmd"
_STDOUT, _STDERR, _EXIT = 1, 2, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Somebody used a phone. Times are of this process's monotonic clock, in seconds."""

    name: str
    begin: float
    end: float


@dataclass(slots=True)
class CrowdPhone:
    """One of them. ``clashes``: uses that began while another one lasted."""

    number: int
    folder: Path
    listener: socket.socket
    address: str  # its serial
    uses: list[Use] = field(default_factory=list)
    clashes: list[str] = field(default_factory=list)
    broken: bool = False  # every command fails from now on
    _using: dict[str, float] = field(default_factory=dict)
    _links: list[Link] = field(default_factory=list)

    def accept(self) -> None:
        """Lets adb servers in, until the listener is closed."""
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            banner = f"device::ro.product.name=crowd;ro.product.model=Crowd;ro.product.device=crowd;features={FEATURES}"
            link = Link(raw, banner, self._serve, authorization="none")
            self._links.append(link)
            threading.Thread(target=link.run, daemon=True, name=f"crowd {self.number}").start()

    def close(self) -> None:
        """Ends it."""
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for link in self._links:
            link.close()

    def _serve(self, service: str, channel: Channel) -> None:
        name, _, command = service.partition(":")
        if not name.startswith("shell,v2"):
            channel.refuse()
            return
        channel.accept()
        word, _, rest = command.partition(" ")
        if self.broken:
            status, out, err = 1, b"", b"Segmentation fault"
        elif word == "use":
            if self._using:
                self.clashes.append(rest)
            self._using[rest] = time.monotonic()
            status, out, err = 0, b"", b""
        elif word == "done":
            self.uses.append(Use(name=rest, begin=self._using.pop(rest), end=time.monotonic()))
            status, out, err = 0, b"", b""
        else:
            line = command.replace("/data/local/tmp", str(self.folder))
            done = subprocess.run(["sh", "-c", line], capture_output=True, stdin=subprocess.DEVNULL, check=False)
            status, out, err = done.returncode, done.stdout, done.stderr
        for kind, data in ((_STDOUT, out), (_STDERR, err), (_EXIT, bytes([status & 0xFF]))):
            if data or kind == _EXIT:
                channel.write(struct.pack("<BI", kind, len(data)) + data)


class Crowd:
    """``count`` phones; use it in a ``with`` block."""

    def __init__(self, count: int) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="crowd-"))
        self.phones: list[CrowdPhone] = []
        for number in range(count):
            folder = self._folder / f"{number:03d}"
            folder.mkdir()
            listener = socket.create_server(("127.0.0.1", 0), backlog=4)
            address = f"127.0.0.1:{listener.getsockname()[1]}"
            self.phones.append(CrowdPhone(number, folder, listener, address))

    def __enter__(self) -> Self:
        for phone in self.phones:
            threading.Thread(target=phone.accept, daemon=True, name=f"crowd {phone.number}").start()
        return self

    def __exit__(self, *exc: object) -> None:
        for phone in self.phones:
            phone.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def cpu_s(self) -> float:
        """CPU time of this process and its ended shells, in seconds."""
        times = os.times()
        return times.user + times.system + times.children_user + times.children_system
