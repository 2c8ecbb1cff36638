"""adb's shell protocol, version 2: packets of ``u8 id, u32 length, payload`` separate stdout, stderr and status.

Version 1 does not separate them, and its pty turns LF into CR LF. It is used only if a device lacks version 2; then the
last line of the output gives the status.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)
_HEADER = struct.Struct("<BI")
_MAX_PACKET_BYTES = 64 << 20  # adbd sends at most its payload size, 1 MiB; more means a corrupt stream


class OutOfStep(ValueError):  # noqa: N818 - internal signal, turned into AdbError by the transport
    """The bytes are not packets of the protocol."""


def encode_packet(kind: int, payload: bytes = b"") -> bytes:
    """One packet as sent to the device."""
    return _HEADER.pack(kind, len(payload)) + payload


@dataclass(slots=True)
class PacketReader:
    """Splits a byte stream into packets. Pieces may have any size."""

    _buffer: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Adds bytes; returns the packets that are now complete.

        Raises:
            OutOfStep: a packet has an unknown kind or an impossible length.
        """
        self._buffer += data
        packets: list[tuple[int, bytes]] = []
        at = 0
        while len(self._buffer) - at >= _HEADER.size:
            kind, length = _HEADER.unpack_from(self._buffer, at)
            if kind > CLOSE_STDIN or length > _MAX_PACKET_BYTES:
                raise OutOfStep(f"packet of kind {kind} and {length} bytes")
            end = at + _HEADER.size + length
            if len(self._buffer) < end:
                break
            packets.append((kind, bytes(self._buffer[at + _HEADER.size : end])))
            at = end
        del self._buffer[:at]
        return packets
