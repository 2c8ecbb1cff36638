"""Decodes streams of pages to batches of merged events, for every reader of binary ftrace.

Memory is bounded whatever the size of the trace. Each CPU has two slots of a shared arena, which are filled in turn; a
batch is what can be merged before a slot must be filled again. Positions in a batch are words of the arena. A batch stays
valid until the second one after it is requested, so that its rows can be written while the next is merged. The merged
order does not depend on the sizes of slots and batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from android_suite.errors import TraceError
from android_suite.trace.core.event_format import PageLayout
from android_suite.trace.ring import merge
from android_suite.trace.ring import scan as ring_buffer
from android_suite.trace.ring.page_stream import PageReader, PageStream

Array = npt.NDArray[Any]

SLOT_BYTES = 4 << 20  # measured: smaller ones cost calls, which threads make in turn; larger ones gain nothing
BATCH_EVENTS = 1 << 18
ARENA_BYTES = 64 << 20
MAX_ARENA_BYTES = 128 << 20  # at least one page per CPU; kernels make pages of up to 512 KiB
MAX_STREAMS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Merged events, oldest first. Arrays have one value per event."""

    first_seq: int
    words: Array  # uint32, the arena that contains the records
    big: bool
    ts: Array  # int64, ns
    stream: Array  # int32
    cpus: Array  # int32, the CPU of each stream
    kind: Array  # int32, the caller's small number for the event id
    where: Array  # uint32, first word of the record
    size: Array  # int32, bytes of the record
    slot_words: int  # words of a slot in the arena; stream s has the slots 2 s and 2 s + 1
    slot_offsets: tuple[int, ...]  # offset in its file of the bytes in each slot
    share: Callable[[], float]  # approximate share of all pages in this batch and those before it, 0 to 1

    @property
    def cpu(self) -> Array:
        """int32, the CPU that wrote the event."""
        return self.cpus[self.stream]


@dataclass(slots=True, kw_only=True)
class Gap:
    """Events that the kernel marks as lost on one CPU."""

    stream: int
    from_ns: int | None
    to_ns: int | None
    events: int  # -1: unknown


@dataclass(slots=True, kw_only=True)
class ScanSummary:
    """Facts from a pass over the pages besides its events; complete after the last batch."""

    events: int = 0
    id_counts: Array = field(default_factory=lambda: np.zeros(1 << 16, np.int64))  # events of each id
    gaps: list[Gap] = field(default_factory=list)
    cut_bytes: dict[int, int] = field(default_factory=dict)  # stream -> bytes of an incomplete last page
    stream_end_ns: dict[int, int] = field(default_factory=dict)  # stream -> time of its last event
    first_ns: int | None = None
    last_ns: int | None = None


def iter_batches(
    streams: Sequence[PageStream],
    layout: PageLayout,
    dense: Array,
    summary: ScanSummary,
    *,
    slot_bytes: int = SLOT_BYTES,
    batch_events: int = BATCH_EVENTS,
) -> Iterator[Batch]:
    """Decodes all streams once, in merged time order.

    Args:
        streams: the CPUs, in the order that breaks ties.
        layout: layout of the pages.
        dense: int32 (65536): event id to the number for ``Batch.kind``.
        summary: filled on the way; complete when the iterator ends.
        slot_bytes: size of a CPU's slot, in bytes.
        batch_events: largest number of events in a batch.

    Raises:
        TraceError: a page cannot be decoded; names its file and offset.
    """
    if not streams:
        return
    if len(streams) > MAX_STREAMS:
        raise TraceError(streams[0].file, None, f"at most {MAX_STREAMS} CPU buffers, found {len(streams)}")
    page = layout.page_bytes
    if page * len(streams) > MAX_ARENA_BYTES:
        raise TraceError(
            streams[0].file,
            None,
            f"{len(streams)} CPU buffers with pages of at most {MAX_ARENA_BYTES // len(streams)} bytes",
        )
    largest = max(s.bytes for s in streams)
    slot_pages = max(1, min(slot_bytes, ARENA_BYTES // (2 * len(streams)), largest) // page)
    loader = _Loader(streams, layout, slot_pages, dense, summary)
    room = min(loader.ts.size, batch_events)
    columns = {"stream": np.int32, "ts": np.int64, "kind": np.int32, "where": np.uint32, "size": np.int32}
    turns: list[dict[str, Array]] = [{name: np.empty(room, dtype) for name, dtype in columns.items()} for _ in "ab"]
    nodes = merge.merge_nodes(len(streams))
    key, winner = np.empty(nodes, np.int64), np.empty(nodes, np.uint64)
    cpus = np.array([s.cpu for s in streams], np.int32)
    seq = 0
    while loader.load():
        out = turns[0]
        n = merge.merge_streams(
            loader.ts, loader.kind, loader.where, loader.size, loader.head, loader.count, loader.more, key, winner,
            out["stream"], out["ts"], out["kind"], out["where"], out["size"],
        )  # fmt: skip
        if not n:
            continue
        turns.reverse()
        ts = out["ts"][:n]
        # Minimum and maximum instead of first and last event, because a CPU's clock may have run backwards.
        first, last = int(ts.min()), int(ts.max())
        summary.first_ns = first if summary.first_ns is None else min(summary.first_ns, first)
        summary.last_ns = last if summary.last_ns is None else max(summary.last_ns, last)
        summary.events += n
        yield Batch(
            first_seq=seq, words=loader.words, big=layout.big_endian, ts=ts, stream=out["stream"][:n],
            cpus=cpus, kind=out["kind"][:n], where=out["where"][:n], size=out["size"][:n],
            slot_words=loader.slot_words, slot_offsets=tuple(loader.slot_offsets), share=loader.share,
        )  # fmt: skip
        seq += n


class _Loader:
    """The arena, which fills empty slots and indexes their events."""

    def __init__(
        self, streams: Sequence[PageStream], layout: PageLayout, slot_pages: int, dense: Array, summary: ScanSummary
    ) -> None:
        self._streams, self._layout, self._dense, self._summary = streams, layout, dense, summary
        n = len(streams)
        page = layout.page_bytes
        # The smallest event is 8 bytes.
        capacity = max(1, slot_pages * ((page - layout.data_offset) // 8))
        self.slot_words = slot_pages * (page // 4)
        self.words: Array = np.empty(2 * n * self.slot_words, np.uint32)
        self._bytes = self.words.view(np.uint8)
        self.ts: Array = np.empty((n, capacity), np.int64)
        self.kind: Array = np.empty((n, capacity), np.int32)
        self.where: Array = np.empty((n, capacity), np.uint32)
        self.size: Array = np.empty((n, capacity), np.int32)
        self.head: Array = np.zeros(n, np.int64)
        self.count: Array = np.zeros(n, np.int64)
        self.more: Array = np.ones(n, np.bool_)
        self._page_event: Array = np.zeros(slot_pages, np.int64)
        self._page_lost: Array = np.zeros(slot_pages, np.int64)
        self._readers: list[PageReader | None] = [None] * n
        self._read_bytes = [0] * n
        self._slot = list(range(0, 2 * n, 2))  # the slot of each stream that was filled last
        self.slot_offsets = [s.offset for s in streams for _ in "ab"]
        self._last_ns: list[int | None] = [None] * n
        self._open_gap: list[Gap | None] = [None] * n

    def load(self) -> bool:
        """Fills the slot of every stream that is empty and has more pages; returns False when all pages are done."""
        for s in range(len(self._streams)):
            while self.more[s] and self.head[s] >= self.count[s]:
                self._fill(s)
        return bool((self.head < self.count).any())

    def share(self) -> float:
        """The approximate share of all pages that is merged; inexact for packed streams, whose size is unknown."""
        merged = self.head / np.maximum(self.count, 1)
        done = np.array(self._read_bytes) - (1 - merged) * (self.slot_words * 4)
        return float(np.clip(done.sum() / max(1, sum(s.bytes for s in self._streams)), 0, 1))

    def _fill(self, s: int) -> None:
        stream, page = self._streams[s], self._layout.page_bytes
        reader = self._readers[s]
        if reader is None:
            reader = self._readers[s] = stream.open_reader()
        if self.count[s]:
            self._slot[s] ^= 1  # events of the other slot may still be in use
        slot = self._slot[s]
        start = slot * self.slot_words
        target = self._bytes[start * 4 : (start + self.slot_words) * 4]
        got = reader.read_into(target)
        whole = got // page
        if got < target.size:
            self.more[s] = False
            self._readers[s] = None
            if got % page:
                self._summary.cut_bytes[s] = got % page
        if self._layout.big_endian != _HOST_BIG:
            self.words[start : start + whole * (page // 4)].byteswap(inplace=True)
        self.slot_offsets[slot] = stream.offset + self._read_bytes[s]
        n, fault, word = self._scan(s, start, whole)
        if fault:
            raise TraceError(stream.file, self.slot_offsets[slot] + (word - start) * 4, ring_buffer.FAULTS[fault])
        self._read_bytes[s] += whole * page
        ts = self.ts[s, :n]
        if stream.adjust_ns is not None and n:
            ts[:] = stream.adjust_ns(ts)
        self._note_gaps(s, ts, whole)
        self.head[s], self.count[s] = 0, n

    def _scan(self, s: int, start: int, pages: int) -> tuple[int, int, int]:
        layout = self._layout
        # The commit word's low half: on a big-endian 64-bit kernel it is the second word.
        commit_word = layout.commit_offset // 4 + (1 if layout.big_endian and layout.commit_bytes == 8 else 0)
        return ring_buffer.scan_pages(
            self.words, start, pages, layout.page_bytes // 4, layout.data_offset // 4, commit_word, layout.big_endian,
            layout.commit_bytes // 4, self._dense, self.ts[s], self.kind[s], self.where[s], self.size[s],
            self._page_event, self._page_lost, self._summary.id_counts,
        )  # fmt: skip

    def _note_gaps(self, s: int, ts: Array, pages: int) -> None:
        """Turns every mark of lost events into a gap between the event before it and the first one after it."""
        open_gap = self._open_gap[s]
        if open_gap is not None and ts.size:
            open_gap.to_ns = int(ts[0])
            self._open_gap[s] = None
        for p in np.flatnonzero(self._page_lost[:pages] != ring_buffer.LOST_NONE):
            event = int(self._page_event[p])
            gap = Gap(
                stream=s, from_ns=int(ts[event - 1]) if event else self._last_ns[s],
                to_ns=int(ts[event]) if event < ts.size else None, events=int(self._page_lost[p]),
            )  # fmt: skip
            self._summary.gaps.append(gap)
            if gap.to_ns is None:
                self._open_gap[s] = gap
        if ts.size:
            self._last_ns[s] = self._summary.stream_end_ns[s] = int(ts[-1])


_HOST_BIG = bool(np.frombuffer(b"\0\1", np.uint16)[0] == 1)


def locate(streams: Sequence[PageStream], batch: Batch, event: int) -> tuple[Path, int]:
    """File and offset of an event's record, for errors; in packed pages the offset counts unpacked bytes."""
    slot, word = divmod(int(batch.where[event]), batch.slot_words)
    return streams[slot // 2].file, batch.slot_offsets[slot] + word * 4
