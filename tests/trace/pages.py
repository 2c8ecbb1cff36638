"""Writes ring-buffer pages as the kernel does: all event headers, either byte order, any page size."""

from __future__ import annotations

from dataclasses import dataclass, field

from android_suite.trace.core.event_format import PageLayout

DELTA_LIMIT = 1 << 27
STAMP_LIMIT = 1 << 59


def make_layout(*, page_bytes: int = 4096, long_bytes: int = 8, big_endian: bool = False) -> PageLayout:
    return PageLayout(
        commit_offset=8,
        commit_bytes=long_bytes,
        data_offset=8 + long_bytes,
        page_bytes=page_bytes,
        big_endian=big_endian,
    )


def header_page_text(layout: PageLayout) -> str:
    data = layout.page_bytes - layout.data_offset
    return (
        "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
        f"\tfield: local_t commit;\toffset:8;\tsize:{layout.commit_bytes};\tsigned:1;\n"
        "\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n"
        f"\tfield: char data;\toffset:{layout.data_offset};\tsize:{data};\tsigned:1;\n"
    )


@dataclass
class PageWriter:
    """Collects the events of one CPU; ``finish`` gives the pages."""

    layout: PageLayout
    pages: list[bytes] = field(default_factory=list)
    _data: bytearray | None = None
    _page_ts: int = 0
    _now: int = 0
    _lost: int | None = None  # None: nothing; -1: unknown number
    _page_lost: int | None = None

    def add(
        self, ts: int, record: bytes, *, absolute: bool = False, long_form: bool = False, discarded: bool = False
    ) -> None:
        """One event. ``absolute`` writes a full time stamp before it, ``long_form`` its length in a word of its own.

        A discarded event is what a filter rejected after it had been reserved: its room and its time stay. A time
        difference of 0 is written as 1, so who reads a 1 takes it for 0.
        """
        body = record + bytes(-len(record) % 4)
        short = 0 < len(body) <= 112 and len(body) == len(record) and not long_form and not discarded
        size = 4 + len(body) + (0 if short else 4) + 8
        room = self.layout.page_bytes - self.layout.data_offset
        assert size <= room, "record too large for a page"
        if self._data is None or len(self._data) + size > room:
            self.new_page(ts)
        assert self._data is not None
        delta = ts - self._now
        if absolute or not 0 <= delta < DELTA_LIMIT:
            extend = not absolute and 0 <= delta < STAMP_LIMIT
            value = delta if extend else ts % STAMP_LIMIT
            self._event(30 if extend else 31, value % DELTA_LIMIT, (value >> 27).to_bytes(4, self._order))
            self._now, delta = ts, 0
        if discarded:
            self._event(29, delta or 1, (len(body) + 4).to_bytes(4, self._order) + body)
            self._now += delta if delta != 1 else 0
            return
        head = b"" if short else (len(record) + 4).to_bytes(4, self._order)
        self._event(len(body) // 4 if short else 0, delta, head + body)
        self._now = ts

    def lose(self, events: int | None) -> None:
        """Events are lost here: the next one starts a page that says so."""
        self._close()
        self._lost = -1 if events is None else events

    def new_page(self, ts: int) -> None:
        self._close()
        self._data, self._page_ts, self._now = bytearray(), ts, ts
        self._page_lost, self._lost = self._lost, None

    def finish(self) -> bytes:
        self._close()
        return b"".join(self.pages)

    @property
    def _order(self) -> str:
        return "big" if self.layout.big_endian else "little"

    def _event(self, type_len: int, delta: int, rest: bytes) -> None:
        assert self._data is not None
        word = type_len << 27 | delta if self.layout.big_endian else delta << 5 | type_len
        self._data += word.to_bytes(4, self._order) + rest

    def _close(self) -> None:
        if self._data is None:
            return
        layout, data = self.layout, bytes(self._data)
        commit, tail = len(data), b""
        if self._page_lost is not None:
            commit |= 1 << 31
            count = self._page_lost.to_bytes(layout.commit_bytes, self._order, signed=True)
            if self._page_lost >= 0 and layout.data_offset + len(data) + layout.commit_bytes <= layout.page_bytes:
                commit |= 1 << 30
                tail = count
        page = self._page_ts.to_bytes(8, self._order) + commit.to_bytes(layout.commit_bytes, self._order) + data + tail
        self.pages.append(page + bytes(layout.page_bytes - len(page)))
        self._data = None
