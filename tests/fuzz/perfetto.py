"""Broken Perfetto traces: in the framing, and inside packets whose framing stays whole."""

from __future__ import annotations

import functools
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import zstandard
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

from android_suite.errors import TraceError
from android_suite.trace.perfetto.index import index_bundles
from android_suite.trace.perfetto.packets import PACKET_FIELDS, read_packets
from android_suite.trace.perfetto.reader import read_perfetto
from android_suite.trace.perfetto.wire import write_varint
from tests.fuzz.checks import Rows, check_analysis, check_kept, check_trace, rows_of
from tests.fuzz.engine import Case, Reader, check_refusal
from tests.fuzz.mutate import first_difference, mutate
from tests.trace.samples import make_perfetto

VARIANTS = 4
ALONE_SHARE = 0.03
_HUGE = (0, 1, 0x7F, 1 << 14, 1 << 31, (1 << 32) - 1, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)


@functools.cache
def _packets(variant: int) -> tuple[bytes, ...]:
    return tuple(packet.SerializeToString() for packet in protos.Trace.FromString(make_perfetto(variant)).packet)


def frame(packets: Sequence[bytes]) -> bytes:
    """Packets as a file."""
    return b"".join(b"\x0a" + write_varint(len(packet)) + packet for packet in packets)


def mutate_packets(case: Case, variant: int) -> bytes:
    """One packet broken, or the bytes of the file."""
    rng = case.rng
    if rng.random() < 0.3:
        return mutate(case, make_perfetto(variant), make_perfetto(rng.randrange(VARIANTS)))
    packets = list(_packets(variant))
    at = rng.randrange(len(packets))
    packets[at] = _break_packet(case, packets[at])
    match rng.randrange(10):
        case 0:
            packets[at] = b"\x92\x03" + _sized(zlib.compress(frame([packets[at]])))
            case.drawn["packet: zlib inside"] += 1
        case 1:
            body = zstandard.ZstdCompressor().compress(frame([packets[at]]))
            packets[at] = write_varint(PACKET_FIELDS["zstd_compressed_packets"] << 3 | 2) + _sized(body)
            case.drawn["packet: zstd inside"] += 1
        case 2:
            rng.shuffle(packets)
            case.drawn["packet: order"] += 1
    return frame(packets)


def _break_packet(case: Case, packet: bytes) -> bytes:
    rng = case.rng
    kind = rng.choice(("bytes", "bytes", "bytes", "nesting", "varint", "length", "tag"))
    case.drawn[f"packet: {kind}"] += 1
    at = rng.randrange(len(packet) + 1)
    match kind:
        case "nesting":  # messages in messages, of fields that the reader walks into
            tag = write_varint(rng.choice((1, 2, 3, 12, 33, 45, 59, 76, *PACKET_FIELDS.values())) << 3 | 2)
            body = packet[:20]
            for _ in range(rng.choice((3, 101, 2000))):
                body = tag + _sized(body)
            return packet + body
        case "varint":
            number = write_varint(rng.choice(_HUGE))
            if rng.random() < 0.4:
                number = b"\xff" * rng.choice((9, 10, 11, 300)) + b"\x01"
            tag = write_varint(rng.choice((1, 2, 8, 10, 58, rng.randrange(1, 200))) << 3)
            return packet[:at] + number + packet[at:] if rng.random() < 0.5 else packet + tag + number
        case "length":
            tag = write_varint(rng.choice(tuple(PACKET_FIELDS.values())) << 3 | 2)
            return packet + tag + write_varint(rng.choice(_HUGE)) + packet[:at]
        case "tag":
            field, wire = rng.choice((0, 1, 76, 1 << 20, (1 << 29) - 1, 1 << 40, 1 << 60)), rng.randrange(8)
            return packet[:at] + write_varint((field << 3 | wire) & (1 << 64) - 1) + packet[at:]
    return mutate(case, packet)


def _sized(body: bytes) -> bytes:
    return write_varint(len(body)) + body


class PerfettoReader(Reader):
    """Perfetto traces; packets of many cases are read as one trace, a share alone."""

    name = "perfetto"
    batch: ClassVar[int] = 50

    def warm_up(self) -> None:
        self._file = self.scratch / "t.pftrace"
        for variant in range(VARIANTS):
            trace = read_perfetto(make_perfetto(variant))
            check_trace(Case.of(0, variant), trace, in_order=True)
            check_analysis(trace)
            assert len(trace["frame_timeline"]) == 1
            assert len(trace["mmap_lock"]) == len(trace["contention"]) == 2
            assert _rows_before(variant, len(make_perfetto(variant)))

    def make(self, case: Case) -> tuple[int, bytes]:
        variant = case.rng.randrange(VARIANTS)
        return variant, mutate_packets(case, variant)

    def read(self, case: Case, made: tuple[int, bytes]) -> None:
        variant, data = made
        if case.rng.random() < 0.2:
            self._file.write_bytes(data)
            trace = read_perfetto(self._file)
        else:
            trace = read_perfetto(data, name=str(self._file))
        check_trace(case, trace, in_order=True)
        same = first_difference(make_perfetto(variant), data)
        # A later bundle may say that ftrace ran on another clock: then all times are on that one, and the trace says so.
        if trace.source.clock != _clock(variant):
            return
        if expected := _rows_before(variant, same):
            case.drawn["read: compared with the whole trace"] += 1
            check_kept(trace, expected)

    def read_together(self, cases: Sequence[Case], made: Sequence[tuple[int, bytes]]) -> list[bool] | None:
        if cases[0].chance(ALONE_SHARE, "read: batch one by one"):
            return None
        found, bodies = [], []
        for _, data in made:
            try:
                packets = read_packets(data, str(self._file))
                index_bundles(packets, str(self._file))
            except TraceError as error:
                check_refusal(error, self, data)
                found.append(False)
                continue
            found.append(True)
            if not packets.cut:
                bodies.append(packets.buf.tobytes())
        if not bodies:
            return None
        check_trace(cases[0], read_perfetto(b"".join(bodies), name=str(self._file)), in_order=True)
        return found

    def input_bytes(self, made: tuple[int, bytes], file: Path) -> int | None:
        return None  # compressed packets are unpacked into their place


@functools.cache
def _clock(variant: int) -> str:
    """That of the whole trace."""
    return read_perfetto(make_perfetto(variant)).source.clock


@functools.cache
def _rows_before(variant: int, same: int) -> Rows:
    """Rows of the bundles that end before byte ``same``; none unless all that comes before the bundles is whole."""
    packets, at, last = _packets(variant), 0, -1
    for number, packet in enumerate(packets):
        at += len(frame([packet]))
        if at <= same:
            last = number
    if last < 0 or not (
        last == len(packets) - 1 or protos.TracePacket.FromString(packets[last]).HasField("ftrace_events")
    ):
        return Counter()
    trace = read_perfetto(frame(packets[: last + 1]))
    # Names of callers are interned anywhere in the trace, and any later packet may name another machine.
    return Counter(row for _, row in rows_of(trace) if row[0] not in ("blocked_reason", "syscall"))
