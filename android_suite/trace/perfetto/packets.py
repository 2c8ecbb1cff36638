"""Splits a Perfetto file into packets, unpacks compressed ones, and reads the fields that the suite uses."""

from __future__ import annotations

import io
import mmap
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from android_suite.errors import TraceError
from android_suite.trace.core.mapped import map_file, release_pages
from android_suite.trace.core.unpack import bound_bytes, unpack_zlib, unpack_zstd
from android_suite.trace.perfetto.numbers import numbers_of
from android_suite.trace.perfetto.scan import Array, Columns, read_columns, scan_packets
from android_suite.trace.perfetto.wire import write_varint

# The fields of TracePacket that are read.
_NAMES = (
    "ftrace_events", "process_tree", "chrome_events", "clock_snapshot", "timestamp", "trusted_packet_sequence_id",
    "interned_data", "sequence_flags", "trace_config", "ftrace_stats", "trace_stats", "previous_packet_dropped",
    "system_info", "compressed_packets", "timestamp_clock_id", "trace_packet_defaults", "frame_timeline_event",
    "zstd_compressed_packets",
)  # fmt: skip
PACKET_FIELDS = dict(zip(_NAMES, numbers_of("TracePacket", *_NAMES), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Packets:
    """The packets of a trace, with compressed ones unpacked in place."""

    buf: Array  # uint8
    columns: Columns
    cut: bool  # the file ends inside a packet, or in bytes that are not a packet
    mapped: mmap.mmap | None = None  # the file, if ``buf`` is a mapping of it

    def of(self, field: str) -> tuple[Array, Array, Array]:
        """Indices of the packets that have ``field``, and the bounds of the field in each."""
        k = _NAMES.index(field)
        which = np.flatnonzero(self.columns.size[:, k] >= 0)
        start, end = self.columns.span(k)
        return which, start[which], end[which]

    def number(self, field: str) -> Array:
        """The numeric ``field`` of every packet; 0 if a packet lacks it."""
        return self.columns.number(_NAMES.index(field))

    def release(self, begin: int, end: int) -> None:
        """Releases bytes that are no longer needed in memory."""
        release_pages(self.mapped, begin, end)


def read_packets(source: Path | bytes, name: str) -> Packets:
    """Reads a trace and splits it into packets.

    Raises:
        UsageError: the file cannot be read.
        TraceError: it does not consist of packets, has malformed packets, or unpacks beyond the bound.
    """
    mapped = None if isinstance(source, bytes) else map_file(source, "a Perfetto trace")
    buf: Array = np.frombuffer(mapped if mapped is not None else source, np.uint8)  # type: ignore[arg-type]
    starts, ends, cut = _frame(buf, name)
    columns = read_columns(buf, starts, ends, tuple(PACKET_FIELDS.values()))
    _check_sound(columns, starts, name)
    packed = [_NAMES.index("compressed_packets"), _NAMES.index("zstd_compressed_packets")]
    if (columns.size[:, packed] >= 0).any():
        buf, mapped = _unpack_all(buf, starts, ends, columns, packed, name), None
        starts, ends, _ = _frame(buf, name)
        columns = read_columns(buf, starts, ends, tuple(PACKET_FIELDS.values()))
        _check_sound(columns, starts, name)
    return Packets(buf=buf, columns=columns, cut=cut, mapped=mapped)


def _frame(buf: Array, name: str) -> tuple[Array, Array, bool]:
    none = np.empty(0, np.int64)
    count, end = scan_packets(buf, none, none)
    starts, ends = np.empty(count, np.int64), np.empty(count, np.int64)
    scan_packets(buf, starts, ends)
    # A trace whose recording was interrupted ends inside a packet and is good up to there. Anything else is damage.
    cut = end < len(buf)
    if cut and count and (buf[end:] == buf[end]).all():
        return starts, ends, cut  # padding of a preallocated file or of an interrupted copy
    if cut and (count == 0 or buf[end] != 0x0A):
        raise TraceError(name, end, "a Perfetto packet (0x0A, length, message)", hint="Copy the file again.")
    return starts, ends, cut


def _check_sound(columns: Columns, starts: Array, name: str) -> None:
    if not columns.good.all():
        bad = int(starts[np.flatnonzero(~columns.good)[0]])
        raise TraceError(name, bad, "a well-formed packet", hint="Copy the file again.")


def _unpack_all(buf: Array, starts: Array, ends: Array, columns: Columns, packed: list[int], name: str) -> Array:
    bound = bound_bytes(len(buf))
    out = io.BytesIO()  # getvalue does not copy
    for i in range(len(starts)):
        for k, unpack in zip(packed, (unpack_zlib, unpack_zstd), strict=True):
            if columns.size[i, k] >= 0:
                at, size = int(columns.value[i, k]), int(columns.size[i, k])
                if not size:
                    raise TraceError(name, int(starts[i]), "compressed packets with data", hint="Copy the file again.")
                inner = buf[at : at + size].tobytes()
                out.write(unpack(inner, name, offset=at, bound=bound - out.tell()))
                break
        else:
            out.write(_packet(buf[int(starts[i]) : int(ends[i])].tobytes()))
    return np.frombuffer(out.getvalue(), np.uint8)


def _packet(body: bytes) -> bytes:
    return b"\x0a" + write_varint(len(body)) + body
