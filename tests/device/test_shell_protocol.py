"""Packets of adb's shell protocol, in pieces of every size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from android_suite.device.shell_protocol import EXIT, STDERR, STDOUT, OutOfStep, PacketReader, encode_packet

PACKETS = st.lists(st.tuples(st.sampled_from([STDOUT, STDERR, EXIT]), st.binary(max_size=300)), max_size=8)


@given(PACKETS, st.integers(1, 64))
def test_packets_survive_any_cut(packets: list[tuple[int, bytes]], size: int) -> None:
    data = b"".join(encode_packet(kind, payload) for kind, payload in packets)
    reader = PacketReader()
    found = [packet for at in range(0, len(data), size) for packet in reader.feed(data[at : at + size])]
    assert found == packets


@pytest.mark.parametrize("data", [b"\x09\0\0\0\0", b"\x01\xff\xff\xff\xff", b"adbd: not found\n"])
def test_other_bytes_are_out_of_step(data: bytes) -> None:
    with pytest.raises(OutOfStep):
        PacketReader().feed(data)
