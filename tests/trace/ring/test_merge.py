"""The tournament against the definition: the head with the smallest time is next, of equals the lowest stream."""

from __future__ import annotations

import numpy as np
import pytest

from android_suite.trace.ring.merge import merge_nodes, merge_streams

NEVER = np.iinfo(np.int64).max


def merge(times: list[list[int]], more: list[bool], room: int) -> list[tuple[int, int]]:
    """(stream, number within it) as merged."""
    n, capacity = len(times), max(1, max(map(len, times)))
    ts = np.full((n, capacity), -1, np.int64)
    where = np.zeros((n, capacity), np.uint32)
    for stream, row in enumerate(times):
        ts[stream, : len(row)] = row
        where[stream, : len(row)] = range(len(row))
    nodes = merge_nodes(n)
    out_stream, out_ts, out_where = np.empty(room, np.int32), np.empty(room, np.int64), np.empty(room, np.uint32)
    head, count = np.zeros(n, np.int64), np.array([len(row) for row in times], np.int64)
    got = merge_streams(
        ts, where.astype(np.int32), where, where.astype(np.int32), head, count, np.array(more), np.empty(nodes, np.int64),
        np.empty(nodes, np.uint64), out_stream, out_ts, np.empty(room, np.int32), out_where, np.empty(room, np.int32),
    )  # fmt: skip
    merged = list(zip(out_stream[:got].tolist(), out_where[:got].tolist(), strict=True))
    assert out_ts[:got].tolist() == [times[stream][at] for stream, at in merged]
    assert head.tolist() == np.bincount(out_stream[:got], minlength=n).tolist()
    return merged


def expect(times: list[list[int]], more: list[bool], room: int) -> list[tuple[int, int]]:
    """The same, one look at all heads an event."""
    heads, merged = [0] * len(times), []
    dry = any(m and not row for row, m in zip(times, more, strict=True))
    while not dry and len(merged) < room:
        waiting = [(row[heads[s]], s) for s, row in enumerate(times) if heads[s] < len(row)]
        if not waiting:
            break
        stream = min(waiting)[1]
        merged.append((stream, heads[stream]))
        heads[stream] += 1
        dry = more[stream] and heads[stream] == len(times[stream])
    return merged


@pytest.mark.parametrize("streams", [1, 2, 7, 8, 9, 63, 64, 65, 513])
def test_next_is_the_smallest_head(streams: int) -> None:
    rng = np.random.default_rng(streams)
    for _ in range(20):
        # Few different times, so many ties; clocks that run backwards; times as late as they get; streams without events.
        latest = int(rng.choice([4, 1000, NEVER]))
        picks = np.array([0, latest // 3, latest // 2, latest - 1, latest])
        times = [picks[rng.integers(0, picks.size, rng.integers(0, 9))].tolist() for _ in range(streams)]
        if rng.random() < 0.7:
            times = [sorted(row) for row in times]
        more = [bool(row) and rng.random() < 0.1 for row in times]
        room = int(rng.choice([1, 5, streams * 10]))
        assert merge(times, more, room) == expect(times, more, room)


def test_a_stream_that_ran_dry_stops_all() -> None:
    assert merge([[1, 2], []], [False, True], 9) == []
    assert merge([[1, 5], [2]], [False, True], 9) == [(0, 0), (1, 0)]
