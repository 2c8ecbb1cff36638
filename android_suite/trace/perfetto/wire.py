"""Reads and writes the parts of protobuf that a trace needs: varints, fields of a message, packets of a file.

Perfetto's trace is ``repeated TracePacket packet = 1``: each packet begins with the byte 0x0A and its length.
"""

from __future__ import annotations

import re

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
PACKET_TAG = 0x0A
# Bytes that no text contains. Zeros alone are not enough: a first packet of compressed packets may begin without any.
_BINARY = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")


def read_varint(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """The varint at ``at``: its value and the position after it, or (0, -1) if it is cut or longer than 10 bytes."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            return 0, -1
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
    return 0, -1


def walk_fields(data: bytes | memoryview) -> list[tuple[int, int, int, int]] | None:
    """The fields of one message as (number, wire type, value or length, start of the bytes); None if it is malformed."""
    fields = []
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        if at < 0:
            return None
        number, wire = tag >> 3, tag & 7
        if number == 0:
            return None
        if wire == VARINT:
            start = at
            value, at = read_varint(data, at)
            if at < 0:
                return None
        elif wire == LENGTH:
            value, at = read_varint(data, at)
            start = at
            at += value
        elif wire in (FIXED32, FIXED64):
            start, value = at, 4 if wire == FIXED32 else 8
            at += value
        else:
            return None
        if at < 0 or at > len(data):
            return None
        fields.append((number, wire, value, start))
    return fields


def looks_like_perfetto(head: bytes, size: int) -> bool:
    """Whether a file of ``size`` bytes that begins with ``head`` consists of packets with well-formed messages."""
    at, sound = 0, 0
    while at < len(head):
        if head[at] != PACKET_TAG:
            return sound > 0 and not head[at:].strip(head[at : at + 1])  # padding
        length, start = read_varint(head, at + 1)
        if start < 0:
            return sound > 0
        if start + length > size:
            return sound > 0  # a file cut in its last packet is still one
        if start + length > len(head):
            return sound > 0 or _begins_message(head[start:])
        fields = walk_fields(head[start : start + length])
        if fields is None:
            return False
        sound += length > 0
        at = start + length
    return sound > 0


def _begins_message(start: bytes) -> bool:
    """Whether the first field is one with which TracePackets begin, for a first packet larger than the head."""
    tag, at = read_varint(start, 0)
    return (
        at > 0
        and tag & 7 in (VARINT, FIXED64, LENGTH, FIXED32)
        and 0 < tag >> 3 < 1000
        and len(start) > 64
        and _BINARY.search(start) is not None
    )


def write_varint(value: int) -> bytes:
    """A 64-bit number as a varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
