"""What a Perfetto trace says of its own losses, read from its few packets of statistics. No event is decoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

_FIELDS = protos.TracePacket.DESCRIPTOR.fields_by_name
_FTRACE_STATS, _TRACE_STATS = _FIELDS["ftrace_stats"].number, _FIELDS["trace_stats"].number
_LENGTH, _FIXED = 2, {1: 8, 5: 4}  # wire types


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """The counts at the end of the session.

    Attributes:
        events: events that the kernel lost or overwrote since the start; None if the trace does not say.
        chunks: chunks of data that the service overwrote or discarded.
        refused: events that the kernel or SELinux did not allow, ``system/name``.
        unknown: events that the kernel does not have.
    """

    events: int | None = None
    chunks: int = 0
    refused: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def read_losses(trace: bytes) -> Losses:
    """Reads the statistics; a cut or damaged trace gives what stands before the damage."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    refused: dict[str, None] = {}
    unknown: dict[str, None] = {}
    chunks = 0
    for number, body in _list_stats(memoryview(trace)):
        try:
            if number == _TRACE_STATS:
                told = protos.TraceStats.FromString(body)
                chunks = sum(buffer.chunks_overwritten + buffer.chunks_discarded for buffer in told.buffer_stats)
                continue
            stats = protos.FtraceStats.FromString(body)
        except DecodeError:
            continue
        refused |= dict.fromkeys(stats.failed_ftrace_events)
        unknown |= dict.fromkeys(stats.unknown_ftrace_events)
        for cpu in stats.cpu_stats:
            lost = cpu.overrun + cpu.commit_overrun + cpu.dropped_events
            if stats.phase == protos.FtraceStats.START_OF_TRACE:
                first.setdefault(cpu.cpu, lost)
            else:
                last[cpu.cpu] = lost
    events = sum(max(0, count - first.get(cpu, 0)) for cpu, count in last.items()) if last else None
    return Losses(events=events, chunks=chunks, refused=tuple(refused), unknown=tuple(unknown))


def _list_stats(data: memoryview) -> Iterator[tuple[int, bytes]]:
    """Number and body of every ``ftrace_stats`` and ``trace_stats``, in the order of the file."""
    for packet, _, begin, end in _list_fields(data, 0, len(data)):
        if packet != 1:
            return
        for number, kind, at, to in _list_fields(data, begin, end):
            if kind == _LENGTH and number in (_FTRACE_STATS, _TRACE_STATS):
                yield number, bytes(data[at:to])


def _list_fields(data: memoryview, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, wire type and bounds of the fields of a message, up to the first that does not fit."""
    while at < end:
        tag, at = _read_varint(data, at, end)
        kind = tag & 7
        size = _FIXED.get(kind, 0)
        if kind == _LENGTH:
            size, at = _read_varint(data, at, end)
        elif kind == 0:
            size = _read_varint(data, at, end)[1] - at
        elif kind not in _FIXED:
            return
        if tag <= 0 or size < 0 or at + size > end:
            return
        yield tag >> 3, kind, at, at + size
        at += size


def _read_varint(data: memoryview, at: int, end: int) -> tuple[int, int]:
    """The number and the place after it; -1 and the end if it is not whole."""
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    return -1, end
