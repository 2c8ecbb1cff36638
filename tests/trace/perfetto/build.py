"""Perfetto traces made of the messages themselves, and read."""

from __future__ import annotations

from collections.abc import Callable

from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

from android_suite.tables import events
from android_suite.tables.schema import check_frame
from android_suite.tables.trace import Trace
from android_suite.trace.perfetto.reader import read_perfetto

Build = Callable[["protos.Trace"], None]


def read(*builds: Build) -> Trace:
    raw = protos.Trace()
    for build in builds:
        build(raw)
    return checked(raw.SerializeToString())


def checked(data: bytes) -> Trace:
    trace = read_perfetto(data)
    for table in events.EVENT_TABLES:
        check_frame(table, trace[table.name])
    return trace


def bundle(raw: protos.Trace, cpu: int) -> protos.FtraceEventBundle:
    packet = raw.packet.add()
    packet.trusted_packet_sequence_id = 1
    packet.ftrace_events.cpu = cpu
    return packet.ftrace_events


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
