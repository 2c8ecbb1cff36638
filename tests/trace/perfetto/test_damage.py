"""Perfetto traces that are cut, packed, damaged, or without what was lost."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
import zstandard
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

from android_suite.errors import TraceError
from android_suite.trace.detect import open_trace
from android_suite.trace.perfetto.packets import PACKET_FIELDS
from android_suite.trace.perfetto.reader import read_perfetto
from android_suite.trace.perfetto.scan import _COMMON_FLAGS
from android_suite.trace.perfetto.wire import write_varint
from tests.trace.perfetto.build import bundle, checked, read, varint


def test_the_fields_that_are_no_event_are_known() -> None:
    """A splice may give one of these bytes; there is no message type to decode them with."""
    plain = {f.number for f in protos.FtraceEvent.DESCRIPTOR.fields if f.message_type is None}
    assert plain == {1, 2, _COMMON_FLAGS}

    def build(raw: protos.Trace) -> None:
        bundle(raw, 0).event.add(timestamp=10, pid=1).print.buf = "x"

    whole = protos.Trace()
    build(whole)
    event = whole.packet[-1].ftrace_events.event[0]
    for number in sorted(plain):
        damaged = bytes([number << 3 | 2, 1, 65]) + event.SerializeToString()
        bundle_bytes = b"\x08\x00\x12" + bytes([len(damaged)]) + damaged
        packet = b"\x0a" + bytes([len(bundle_bytes)]) + bundle_bytes
        trace = read_perfetto(b"\x0a" + bytes([len(packet)]) + packet)
        assert dict(trace.source.event_counts) == {"print": 1}


@pytest.mark.parametrize("field", ["ftrace_events", "compressed_packets", "zstd_compressed_packets", "system_info"])
@pytest.mark.parametrize("value", [0, 5, 1 << 40, (1 << 63) - 1, (1 << 64) - 1])
def test_a_number_where_bytes_belong_is_not_a_place(field: str, value: int, tmp_path: Path) -> None:
    def build(raw: protos.Trace) -> None:
        bundle(raw, 0).event.add(timestamp=10, pid=1).print.buf = "x"

    raw = protos.Trace()
    build(raw)
    body = write_varint(PACKET_FIELDS[field] << 3) + write_varint(value)
    file = tmp_path / "t.pftrace"
    file.write_bytes(raw.SerializeToString() + b"\x0a" + write_varint(len(body)) + body)
    if "compressed" in field:
        with pytest.raises(TraceError, match=r"t\.pftrace at byte \d+: expected"):
            read_perfetto(file)
    else:
        assert len(read_perfetto(file)["marker"]) == 1


def test_losses_of_every_kind() -> None:
    def build(raw: protos.Trace) -> None:
        for phase, overrun in ((protos.FtraceStats.START_OF_TRACE, 5), (protos.FtraceStats.END_OF_TRACE, 12)):
            stats = raw.packet.add().ftrace_stats
            stats.phase = phase
            for cpu in (0, 1):
                # CPU 0's overruns are marked before its second bundle, the event that it dropped is not.
                stats.cpu_stats.add(cpu=cpu, overrun=overrun, dropped_events=overrun // 12 if cpu == 0 else 0)
        for cpu, ts, lost in ((0, 10, False), (1, 11, False), (0, 30, True)):
            out = bundle(raw, cpu)
            out.lost_events = lost
            out.event.add(timestamp=ts, pid=1).print.buf = "x"
        bundle(raw, 0).event.add(timestamp=50, pid=1).print.buf = "y"
        raw.packet[-1].previous_packet_dropped = 1

    trace = read(build)
    assert trace.source.lost_events == 7 + 7 + 1
    assert sorted(trace["lost"].values.tolist()) == [
        [0, 10, 30, -1], [0, 10, 50, 1], [0, 30, 50, -1], [1, 10, 50, 7], [1, 11, 50, -1],
    ]  # fmt: skip


def test_a_dropped_packet_may_be_of_any_cpu() -> None:
    """The packets of one drain cover the same time; after a loss nobody knows who runs."""

    def build(raw: protos.Trace) -> None:
        for cpu, ts in ((0, 100), (1, 90), (2, 110), (0, 200), (2, 190)):  # CPU 1's second is dropped
            compact = bundle(raw, cpu).compact_sched
            compact.intern_table.append("a")
            for column, value in (("timestamp", ts), ("prev_state", 1), ("next_pid", cpu + 7), ("next_prio", 120)):
                getattr(compact, f"switch_{column}").append(value)
            compact.switch_next_comm_index.append(0)
        raw.packet[-1].previous_packet_dropped = 1

    trace = read(build)
    assert sorted(trace["lost"].values.tolist()) == [[0, 200, 200, -1], [1, 90, 200, -1], [2, 110, 190, -1]]
    assert trace["sched_switch"]["prev_tid"].tolist() == [-1, -1, -1, -1, 7]


def test_compressed_packets() -> None:
    inner = protos.Trace()
    bundle(inner, 0).event.add(timestamp=10, pid=1).print.buf = "x"
    outer = protos.Trace()
    outer.packet.add().compressed_packets = zlib.compress(inner.SerializeToString())
    data = outer.SerializeToString()
    packed = zstandard.ZstdCompressor().compress(inner.SerializeToString())
    zstd = varint(133 << 3 | 2) + varint(len(packed)) + packed
    trace = checked(data + b"\x0a" + varint(len(zstd)) + zstd)
    assert trace["marker"]["text"].tolist() == ["x", "x"]
    outer.packet[0].compressed_packets = outer.packet[0].compressed_packets[:-3]
    with pytest.raises(TraceError):
        read_perfetto(outer.SerializeToString())


def test_a_cut_trace_is_read_and_says_so() -> None:
    raw = protos.Trace()
    for ts in (10, 20):
        bundle(raw, 0).event.add(timestamp=ts, pid=1).print.buf = "x"
    trace = checked(raw.SerializeToString()[:-2])
    assert len(trace["marker"]) == 1
    assert any("inside a packet" in note for note in trace.source.notes)


@pytest.mark.parametrize("padding", [bytes(4096), b"\xff" * 9, b" " * 100])
def test_padding_is_left_out_and_said(padding: bytes, tmp_path: Path) -> None:
    raw = protos.Trace()
    for ts in (10, 20):
        bundle(raw, 0).event.add(timestamp=ts, pid=1).print.buf = "x"
    path = tmp_path / "padded"
    path.write_bytes(raw.SerializeToString() + padding)
    trace = open_trace(path)
    assert len(trace["marker"]) == 2
    assert trace.source.cut
    assert any("padding" in note for note in trace.source.notes)


@pytest.mark.parametrize("data", [b"\x0a", b"\x0a\xff\xff", b"\xff" * 50, b"\x0a\x02\xff\xff", b"\x0a\x02\x0a\x7f"])
def test_what_is_no_trace_is_refused(data: bytes) -> None:
    with pytest.raises(TraceError, match="expected"):
        read_perfetto(data)


def test_a_trace_of_nothing_is_empty() -> None:
    assert read(lambda raw: None).source.events == 0
