"""The device's end of adb's wire protocol, as adbd speaks it over TCP (packages/modules/adb/protocol.txt).

A :class:`Link` is one connection of an adb server. It authorizes the server, then opens a :class:`Channel` for each
service that the server asks for. A channel may send its next piece only after the server has acknowledged the last one.
"""

from __future__ import annotations

import queue
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Literal

VERSION: Final = 0x01000001  # from here on no checksums
MAX_PAYLOAD: Final = 1 << 18
_HEADER = struct.Struct("<6I")
_TOKEN, _SIGNATURE, _PUBLIC_KEY = 1, 2, 3
Authorization = Literal["none", "accept", "refuse", "silent"]
"""``accept`` takes the server's key as a user does who taps Allow; ``refuse`` never does; ``silent`` never answers at all."""


class Gone(Exception):  # noqa: N818 - the name is what happened
    """The connection or the channel ended."""


class Channel:
    """One service in progress: a duplex stream of bytes."""

    def __init__(self, link: Link, number: int, peer: int) -> None:
        self._link, self.number, self._peer = link, number, peer
        self._arrived: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._may_send = threading.Semaphore(0)
        self._ended = False
        self._limit: tuple[int, Callable[[], None]] | None = None
        self.on_close: Callable[[], None] = lambda: None

    def read(self) -> bytes:
        """The next piece; ``b""`` after the end."""
        if self._ended and self._arrived.empty():
            return b""
        piece = self._arrived.get()
        if piece is None:
            return b""
        self._link.send(b"OKAY", self.number, self._peer)
        return piece

    def read_exactly(self, size: int, rest: bytearray) -> bytes:
        """``size`` bytes; ``rest`` keeps what came in excess.

        Raises:
            Gone: the channel ended before.
        """
        while len(rest) < size:
            if not (piece := self.read()):
                raise Gone
            rest += piece
        out = bytes(rest[:size])
        del rest[:size]
        return out

    def write(self, data: bytes) -> None:
        """Sends all of it.

        Raises:
            Gone: the channel ended.
        """
        if self._limit is not None:
            size, then = self._limit
            data, self._limit = data[:size], (size - len(data[:size]), then)
        for at in range(0, len(data), self._link.max_payload):
            if self._ended:
                raise Gone
            self._link.send(b"WRTE", self.number, self._peer, data[at : at + self._link.max_payload])
            self._may_send.acquire()
            if self._ended:
                raise Gone
        if self._limit is not None and self._limit[0] == 0:
            _, then = self._limit
            self._limit = 0, lambda: None  # once, although several threads may write
            then()
            raise Gone

    def accept(self) -> None:
        """Tells the server that the service is there."""
        self._link.send(b"OKAY", self.number, self._peer)

    def refuse(self) -> None:
        """Tells the server that there is no such service."""
        self._link.send(b"CLSE", 0, self._peer)
        self.end()

    def limit(self, size: int, then: Callable[[], None]) -> None:
        """After ``size`` bytes of answer, ``then`` is called and nothing more is sent."""
        self._limit = size, then

    def close(self) -> None:
        """Ends the channel from this side."""
        if not self._ended:
            with suppress(Gone):
                self._link.send(b"CLSE", self.number, self._peer)
        self.end()

    def end(self) -> None:
        """Wakes everybody who waits."""
        if self._ended:
            return
        self._ended = True
        self._arrived.put(None)
        self._may_send.release()
        with suppress(OSError):  # what it closes may have ended by itself at the same moment
            self.on_close()

    def arrived(self, data: bytes) -> None:
        """The link gives a piece."""
        self._arrived.put(data)

    def acknowledged(self) -> None:
        """The link gives an OKAY."""
        self._may_send.release()


Serve = Callable[[str, Channel], None]


class Link:
    """One connection of an adb server to the phone. ``serve`` runs in a thread of its own for each service."""

    def __init__(self, raw: socket.socket, banner: str, serve: Serve, *, authorization: Authorization) -> None:
        self._raw, self._banner, self._serve, self._authorization = raw, banner, serve, authorization
        self._sending = threading.Lock()
        self._channels: dict[int, Channel] = {}
        self._next = 0
        self.max_payload = MAX_PAYLOAD

    def run(self) -> None:
        """Serves until the connection ends."""
        try:
            while True:
                command, first, second, payload = self._receive()
                self._handle(command, first, second, payload)
        except (Gone, OSError):
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Cuts the connection, as pulling the cable does."""
        with suppress(OSError):
            self._raw.shutdown(socket.SHUT_RDWR)
        self._raw.close()
        for channel in list(self._channels.values()):
            channel.end()

    def send(self, command: bytes, first: int, second: int, payload: bytes = b"") -> None:
        """One message.

        Raises:
            Gone: the connection ended.
        """
        word = int.from_bytes(command, "little")
        head = _HEADER.pack(word, first, second, len(payload), sum(payload) & 0xFFFFFFFF, word ^ 0xFFFFFFFF)
        try:
            with self._sending:
                self._raw.sendall(head + payload)
        except OSError as error:
            raise Gone from error

    def send_raw(self, data: bytes) -> None:
        """Bytes that are no message."""
        with suppress(OSError), self._sending:
            self._raw.sendall(data)

    def _receive(self) -> tuple[bytes, int, int, bytes]:
        word, first, second, size, _, _ = _HEADER.unpack(self._read(_HEADER.size))
        return word.to_bytes(4, "little"), first, second, self._read(size)

    def _read(self, size: int) -> bytes:
        out = bytearray()
        while len(out) < size:
            if not (data := self._raw.recv(size - len(out))):
                raise Gone
            out += data
        return bytes(out)

    def _handle(self, command: bytes, first: int, second: int, payload: bytes) -> None:
        match command:
            case b"CNXN" if self._authorization != "silent":
                self.max_payload = min(MAX_PAYLOAD, second)
                if self._authorization == "none":
                    self._greet()
                else:
                    self.send(b"AUTH", _TOKEN, 0, bytes(range(20)))
            case b"AUTH" if first == _SIGNATURE:
                self.send(
                    b"AUTH", _TOKEN, 0, bytes(range(20))
                )  # no key is known: the server offers its public key then
            case b"AUTH" if first == _PUBLIC_KEY and self._authorization == "accept":
                self._greet()
            case b"OPEN":
                self._open(first, payload.rstrip(b"\0").decode(errors="surrogateescape"))
            case b"OKAY" if channel := self._channels.get(second):
                channel.acknowledged()
            case b"WRTE" if channel := self._channels.get(second):
                channel.arrived(payload)
            case b"CLSE" if channel := self._channels.pop(second, None):
                channel.end()

    def _greet(self) -> None:
        self.send(b"CNXN", VERSION, MAX_PAYLOAD, self._banner.encode())

    def _open(self, peer: int, service: str) -> None:
        self._next += 1
        channel = self._channels[self._next] = Channel(self, self._next, peer)
        threading.Thread(target=self._run_service, args=(service, channel), daemon=True, name=service[:40]).start()

    def _run_service(self, service: str, channel: Channel) -> None:
        try:
            self._serve(service, channel)
        except (Gone, OSError):
            pass
        finally:
            channel.close()
            self._channels.pop(channel.number, None)
