"""Pages to events: whatever the writer encodes, in every layout, comes back in merged order."""

from __future__ import annotations

import heapq
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from android_suite.errors import TraceError
from android_suite.trace.ring.batches import ScanSummary, iter_batches
from android_suite.trace.ring.page_stream import PageStream, file_stream
from tests.trace.pages import PageWriter, make_layout

EVENT = st.tuples(
    st.one_of(st.just(0), st.integers(0, 2000), st.integers(1 << 26, 1 << 29), st.integers(1 << 40, 1 << 50)),  # delta
    st.integers(0, 65535),  # id
    st.integers(2, 60),  # words of the record
    st.sampled_from(["plain", "plain", "plain", "absolute", "long", "discarded"]),
)
LAYOUT = st.builds(
    make_layout,
    page_bytes=st.sampled_from([512, 1024, 4096, 8192]),
    long_bytes=st.sampled_from([4, 8]),
    big_endian=st.booleans(),
)


class BytesReader:
    """A page reader over bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read_into(self, target: np.ndarray) -> int:
        part = self.data[: target.size]
        self.data = self.data[target.size :]
        target[: len(part)] = np.frombuffer(part, np.uint8)
        return len(part)


def memory_stream(cpu: int, data: bytes) -> PageStream:
    from pathlib import Path

    return PageStream(cpu=cpu, file=Path(f"cpu{cpu}"), offset=0, bytes=len(data), open_reader=lambda: BytesReader(data))


def encode(layout, start: int, events) -> tuple[bytes, list[tuple[int, int, bytes]]]:
    writer, expected, now = PageWriter(layout), [], start
    order = "big" if layout.big_endian else "little"
    for number, (delta, ident, words, how) in enumerate(events):
        now += delta
        record = (
            ident.to_bytes(2, order)
            + b"\0\0"
            + number.to_bytes(4, order)
            + bytes((number + i) & 0xFF for i in range(4 * words - 8))
        )
        writer.add(now, record, absolute=how == "absolute", long_form=how == "long", discarded=how == "discarded")
        if how == "discarded":
            now = writer._now
        else:
            expected.append((now, ident, record))
    return writer.finish(), expected


def decode(streams, layout, slot_bytes: int = 1 << 20, batch_events: int = 1 << 16):
    dense = np.arange(1 << 16, dtype=np.int32)
    summary = ScanSummary()
    found = []
    for batch in iter_batches(streams, layout, dense, summary, slot_bytes=slot_bytes, batch_events=batch_events):
        words = batch.words.byteswap() if layout.big_endian else batch.words
        raw = words.tobytes()
        found += [
            (int(t), int(c), int(k), raw[int(w) * 4 : int(w) * 4 + int(n)])
            for t, c, k, w, n in zip(batch.ts, batch.cpu, batch.kind, batch.where, batch.size, strict=True)
        ]
    return found, summary


@settings(deadline=None, max_examples=150)
@given(
    layout=LAYOUT,
    cpus=st.lists(st.tuples(st.integers(0, 1 << 52), st.lists(EVENT, max_size=60)), min_size=1, max_size=5),
    slot_bytes=st.sampled_from([1, 3000, 1 << 20]),
    batch_events=st.sampled_from([1, 7, 1 << 16]),
)
def test_every_event_comes_back_in_merged_order(layout, cpus, slot_bytes, batch_events) -> None:
    encoded = [encode(layout, start, events) for start, events in cpus]
    streams = [memory_stream(cpu, data) for cpu, (data, _) in enumerate(encoded)]
    found, summary = decode(streams, layout, slot_bytes, batch_events)
    expected = list(
        heapq.merge(
            *([(t, cpu, k, r) for t, k, r in events] for cpu, (_, events) in enumerate(encoded)), key=lambda e: e[:2]
        )
    )
    assert found == expected
    assert summary.events == len(expected)
    counts = summary.id_counts
    assert int(counts.sum()) == len(expected)
    assert all(counts[kind] == sum(e[2] == kind for e in expected) for kind in {e[2] for e in expected})


def test_time_stamp_keeps_the_bits_above_59() -> None:
    layout, high = make_layout(), 5 << 59
    writer = PageWriter(layout)
    writer.add(high + 10, b"\1\0\0\0\0\0\0\0")
    writer.add(high + 20, b"\1\0\0\0\0\0\0\0", absolute=True)
    found, _ = decode([memory_stream(0, writer.finish())], layout)
    assert [e[0] for e in found] == [high + 10, high + 20]


def test_time_of_discarded_events_counts_but_for_the_one_that_stands_for_none() -> None:
    layout = make_layout()
    writer = PageWriter(layout)
    writer.add(100, b"\1\0\0\0\0\0\0\0")
    writer.add(100, bytes(8), discarded=True)  # the kernel writes 1
    writer.add(103, b"\1\0\0\0\0\0\0\0")
    writer.add(110, bytes(8), discarded=True)
    writer.add(115, b"\1\0\0\0\0\0\0\0")
    found, _ = decode([memory_stream(0, writer.finish())], layout)
    assert [e[0] for e in found] == [100, 103, 115]


def test_the_last_time_there_is_ties_with_streams_that_have_ended() -> None:
    layout, last = make_layout(), (1 << 63) - 1
    streams = []
    for cpu, times in enumerate(([5], [6, last], [7, last, last])):
        writer = PageWriter(layout)
        for ts in times:
            writer.new_page(ts)
            writer.add(ts, bytes(8))
        streams.append(memory_stream(cpu, writer.finish()))
    found, _ = decode(streams, layout)
    assert [e[:2] for e in found] == [(5, 0), (6, 1), (7, 2), (last, 1), (last, 2), (last, 2)]


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("long_bytes", [4, 8])
def test_lost_events_are_gaps_between_two_events(long_bytes: int, big_endian: bool) -> None:
    layout = make_layout(long_bytes=long_bytes, big_endian=big_endian, page_bytes=512)
    writer = PageWriter(layout)
    writer.add(100, bytes(8))
    writer.lose(17)
    writer.add(300, bytes(8))
    writer.add(301, bytes(8))
    writer.lose(None)
    writer.add(400, bytes(8))
    _, summary = decode([memory_stream(0, writer.finish())], layout, slot_bytes=1)
    assert [(g.from_ns, g.to_ns, g.events) for g in summary.gaps] == [(100, 300, 17), (301, 400, -1)]


def test_a_full_page_has_no_room_for_the_count() -> None:
    layout = make_layout(page_bytes=512)
    writer = PageWriter(layout)
    writer.lose(9)
    room = layout.page_bytes - layout.data_offset
    writer.add(1, bytes(room - 16), long_form=True)
    data = writer.finish()
    assert int.from_bytes(data[8:12], "little") >> 30 == 3, "8 bytes are left and hold the count"
    writer = PageWriter(layout)
    writer.lose(9)
    writer._data = None
    for _ in range((room - 8) // 8):
        writer.add(1, bytes(4))
    assert len(writer.pages) == 0
    writer._event(1, 0, bytes(4))  # the very last 8 bytes
    data = writer.finish()
    assert int.from_bytes(data[8:12], "little") >> 30 == 2
    _, summary = decode([memory_stream(0, data)], layout)
    assert [g.events for g in summary.gaps] == [-1]


def page(*, commit: int, data: bytes = b"", ts: int = 5) -> bytes:
    return (ts.to_bytes(8, "little") + commit.to_bytes(8, "little") + data).ljust(4096, b"\0")


@pytest.mark.parametrize(
    ("data", "offset", "expected"),
    [
        (page(commit=4088), 0, "committed bytes fit"),
        (page(commit=6), 0, "committed bytes fit"),
        (page(commit=8, data=(5).to_bytes(4, "little") + bytes(4)), 16, "ends within"),
        (page(commit=8, data=(0).to_bytes(4, "little") + (3).to_bytes(4, "little")), 16, "length of at least 4"),
        (page(commit=4, data=(30).to_bytes(4, "little")), 16, "ends within"),
        (page(commit=8, data=(29 | 32).to_bytes(4, "little") + (999999).to_bytes(4, "little")), 16, "ends within"),
        (page(commit=8, ts=1 << 63), 0, r"below 2\^63"),
        (page(commit=8, data=bytes(4) + (0xFFFFFFFF).to_bytes(4, "little")), 16, "ends within"),
    ],
)
def test_a_damaged_page_names_file_and_offset(data: bytes, offset: int, expected: str, tmp_path) -> None:
    good = page(commit=8, data=(1).to_bytes(4, "little") + bytes(4))
    file = tmp_path / "cpu0.raw"
    file.write_bytes(good + data)
    with pytest.raises(TraceError, match=expected) as caught:
        decode([file_stream(cpu=0, file=file)], make_layout())
    assert caught.value.file == file
    assert caught.value.offset == 4096 + offset


def test_a_page_cut_at_the_end_is_noted_and_the_rest_decoded() -> None:
    layout = make_layout()
    data, expected = encode(layout, 7, [(i, 3, 10, "plain") for i in range(400)])
    found, summary = decode([memory_stream(0, data[:-1000])], layout)
    assert 0 < len(found) < len(expected)
    assert [e[0] for e in found] == [e[0] for e in expected[: len(found)]]
    assert summary.cut_bytes == {0: 3096}


def test_many_cpus_merge_like_two() -> None:
    layout = make_layout(page_bytes=512)
    streams, expected = [], []
    for cpu in range(70):
        data, events = encode(
            layout, cpu % 7, [(d, cpu, 3, "plain") for d in itertools.islice(itertools.cycle([0, 3, 11]), 50)]
        )
        streams.append(memory_stream(cpu, data))
        expected += [(t, cpu, n) for n, (t, _, _) in enumerate(events)]
    found, _ = decode(streams, layout, slot_bytes=1024)
    assert [(t, c) for t, c, _, _ in found] == [(t, c) for t, c, _ in sorted(expected)]


def test_pages_of_absurd_size_take_no_memory() -> None:
    streams = [memory_stream(cpu, b"") for cpu in range(100)]
    with pytest.raises(TraceError, match="100 CPU buffers with pages of at most"):
        decode(streams, make_layout(page_bytes=1 << 24))
