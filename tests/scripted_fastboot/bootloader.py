"""The bootloader's end of the fastboot protocol over TCP.

A connection begins with ``FB01`` from both ends. After it, every message has eight bytes of length (big-endian) before
it. A command is one message; the answers begin with ``INFO``, ``DATA``, ``OKAY`` or ``FAIL``.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Self

Where = Literal["bootloader", "fastbootd"]
MAX_DOWNLOAD = 0x10000000


@dataclass
class Slot:
    """What the bootloader knows of a slot."""

    successful: bool = True
    unbootable: bool = False
    retries: int = 7


class _EndedError(Exception):
    """The connection ended."""


class Bootloader:
    """Use it in a ``with`` block; it answers between :meth:`enter` and :meth:`leave`.

    Attributes:
        serial: what `fastboot -s` gets.
        partitions: name with its slot -> content.
        sizes: partition -> its size; a larger image is refused.
        fails: command prefix -> the words of its failure.
        on_leave: called with ("android", None), ("android", IMAGE) for an image booted from memory, ("bootloader", None)
            or ("fastbootd", None), after the last answer was sent.
    """

    def __init__(self, on_leave: Callable[[str, bytes | None], None]) -> None:
        self.on_leave = on_leave
        self.slots = {"a": Slot(), "b": Slot()}
        self.current = "a"
        self.unlocked = True
        self.where: Where = "bootloader"
        self.partitions: dict[str, bytes] = {}
        self.sizes: dict[str, int] = {}
        self.logical = {"vendor_dlkm", "system_dlkm", "odm_dlkm"}
        self.fails: dict[str, str] = {}
        self.commands: list[str] = []
        self._staged = b""
        self._port = 0
        self._listener: socket.socket | None = None
        self._connections: list[socket.socket] = []
        self._reserved = socket.socket()
        self._life = threading.RLock()
        self._closed = False

    def __enter__(self) -> Self:
        # a port of its own, also while nothing listens there: a bound socket keeps it, and the listener may share it
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind(("127.0.0.1", 0))
        self._port = self._reserved.getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends it for good; a thread that is on its way shows nothing any more."""
        with self._life:
            self._closed = True
            self.leave()
        self._reserved.close()

    @property
    def serial(self) -> str:
        """The address, as `fastboot -s` takes it."""
        return f"tcp:127.0.0.1:{self._port}"

    @property
    def there(self) -> bool:
        """Whether it answers."""
        return self._listener is not None

    def enter(self, where: Where = "bootloader") -> None:
        """The phone shows its bootloader, or fastbootd."""
        with self._life:
            if not self._closed:
                self._enter(where)

    def _enter(self, where: Where) -> None:
        self.where = where
        self._listener = socket.create_server(("127.0.0.1", self._port), backlog=8)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True, name="bootloader").start()

    def leave(self) -> None:
        """The phone goes on; fastboot sees it no more."""
        with self._life:
            listener, self._listener = self._listener, None
            connections, self._connections = self._connections, []
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def choose_slot(self, bootable: Callable[[str], bool]) -> str:
        """The slot that boots: the current one while it has tries, else the other one, as after failed boots."""
        for name in (self.current, "b" if self.current == "a" else "a"):
            slot = self.slots[name]
            if slot.unbootable:
                continue
            if bootable(name):
                self.current = name
                return name
            slot.retries, slot.unbootable, slot.successful = 0, True, False
        return ""

    # -- the protocol

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            self._connections.append(raw)
            threading.Thread(target=self._talk, args=(raw,), daemon=True).start()

    def _talk(self, raw: socket.socket) -> None:
        after: Callable[[], None] | None = None
        with raw, suppress(_EndedError, OSError):
            raw.sendall(b"FB01")
            if _read(raw, 4)[:2] != b"FB":
                return
            while after is None:
                after = self._answer(raw, _read_message(raw).decode())
        if after is not None:
            after()

    def _answer(self, raw: socket.socket, command: str) -> Callable[[], None] | None:
        """Answers one command; returns what happens afterwards if the connection ends with it."""
        self.commands.append(command)
        for prefix, words in self.fails.items():
            if command.startswith(prefix):
                _send(raw, b"FAIL" + words.encode())
                return None
        verb, _, rest = command.partition(":")
        match verb:
            case "getvar":
                self._tell_variable(raw, rest)
            case "download":
                _send(raw, b"DATA" + rest.encode())
                self._staged = self._receive(raw, int(rest, 16))
                _send(raw, b"OKAY")
            case "flash":
                self._flash(raw, rest)
            case "resize-logical-partition" if self.where == "fastbootd":
                partition, _, size = rest.partition(":")
                fits = int(size) <= self.sizes.get(partition, int(size))
                _send(raw, b"OKAY" if fits else b"FAILNot enough space to resize partition")
            case "set_active":
                self._set_active(raw, rest)
            case "boot":
                return self._boot(raw)
            case "continue" | "reboot":
                return self._go(raw, "android")
            case "reboot-bootloader":
                return self._go(raw, "bootloader")
            case "reboot-fastboot":
                return self._go(raw, "fastbootd")
            case _:
                _send(raw, b"FAILunknown command")
        return None

    def _receive(self, raw: socket.socket, size: int) -> bytes:
        out = b""
        while len(out) < size:
            out += _read_message(raw)
        return out

    def _tell_variable(self, raw: socket.socket, name: str) -> None:
        known = self._variables()
        if name == "all":
            for key, value in known.items():
                _send(raw, f"INFO{key}:{value}".encode())
            _send(raw, b"OKAY")
        elif name in known:
            _send(raw, f"OKAY{known[name]}".encode())
        else:
            _send(raw, b"FAILGetVar Variable Not found")

    def _variables(self) -> dict[str, str]:
        yes = {True: "yes", False: "no"}
        told = {
            "product": "oriole",
            "serialno": "1A2B3C4D5E6F",
            "version-bootloader": "slider-14.0-10825040",
            "unlocked": yes[self.unlocked],
            "max-download-size": hex(MAX_DOWNLOAD),
            "current-slot": self.current,
            "slot-count": "2",
            "is-userspace": yes[self.where == "fastbootd"],
        }
        for name, slot in self.slots.items():
            told[f"slot-successful:{name}"] = yes[slot.successful]
            told[f"slot-unbootable:{name}"] = yes[slot.unbootable]
            told[f"slot-retry-count:{name}"] = str(slot.retries)
        for partition in self.partitions:
            base = partition.rpartition("_")[0]
            told[f"has-slot:{base}"] = "yes"
            told[f"partition-type:{partition}"] = "raw"
            if self.where == "fastbootd":
                told[f"is-logical:{partition}"] = yes[base in self.logical]
        return told

    def _flash(self, raw: socket.socket, partition: str) -> None:
        base = partition.rpartition("_")[0]
        if not self.unlocked:
            _send(raw, b"FAILFlashing is not allowed in Lock State")
        elif partition not in self.partitions or (base in self.logical and self.where == "bootloader"):
            _send(raw, f"FAILpartition ({partition}) not found".encode())
        elif len(self._staged) > self.sizes.get(partition, len(self._staged)):
            _send(raw, b"FAILError flashing partition :Volume Full")
        else:
            self.partitions[partition] = self._staged
            _send(raw, b"OKAY")

    def _set_active(self, raw: socket.socket, slot: str) -> None:
        if slot not in self.slots:
            _send(raw, b"FAILInvalid slot")
            return
        self.current, self.slots[slot] = slot, Slot(successful=False)
        _send(raw, b"OKAY")

    def _boot(self, raw: socket.socket) -> Callable[[], None] | None:
        if not self.unlocked:
            _send(raw, b"FAILdevice is locked")
            return None
        image = self._staged
        _send(raw, b"OKAY")
        self.leave()
        return lambda: self.on_leave("android", image)

    def _go(self, raw: socket.socket, where: str) -> Callable[[], None]:
        _send(raw, b"OKAY")
        self.leave()
        return lambda: self.on_leave(where, None)


def _read(raw: socket.socket, size: int) -> bytes:
    out = bytearray()
    while len(out) < size:
        if not (data := raw.recv(min(1 << 20, size - len(out)))):
            raise _EndedError
        out += data
    return bytes(out)


def _read_message(raw: socket.socket) -> bytes:
    return _read(raw, struct.unpack(">Q", _read(raw, 8))[0])


def _send(raw: socket.socket, data: bytes) -> None:
    raw.sendall(struct.pack(">Q", len(data)) + data)
