"""Reads the headers of a trace.dat, checking every number and text against the bytes that remain."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from android_suite.errors import TraceError

MAX_BLOCK_BYTES = 64 << 20  # of one text in the headers; kallsyms is the largest, about 15 MB


class Cursor:
    """Reads numbers, texts and blocks one after the other, from a file or from bytes.

    Args:
        source: the file (seekable) or a stream of unpacked bytes.
        path: the file to name in errors.
        end: size of ``source``, in bytes.
        shift: offset to add to positions in errors, for unpacked bytes.
    """

    def __init__(self, source: BinaryIO, path: Path, end: int, *, big_endian: bool = False, shift: int = 0) -> None:
        self._source, self.path, self.end, self._shift = source, path, end, shift
        self.order: str = "big" if big_endian else "little"
        self.at = 0

    def fail(self, expected: str) -> TraceError:
        """The error for a fault at the current position."""
        return TraceError(self.path, self._shift + self.at, expected)

    def seek(self, at: int, what: str) -> None:
        """Moves to ``at``.

        Raises:
            TraceError: ``at`` is outside the source.
        """
        if not 0 <= at <= self.end:
            raise self.fail(f"an offset of {what} within {self.end} bytes, found {at}")
        self.at = at

    def take(self, count: int, what: str) -> bytes:
        """The next ``count`` bytes.

        Raises:
            TraceError: fewer are left, or ``count`` is unreasonably large.
        """
        if not 0 <= count <= min(self.end - self.at, MAX_BLOCK_BYTES):
            raise self.fail(f"{count} bytes of {what}, where {self.end - self.at} are left")
        self._source.seek(self.at)
        data = self._source.read(count)
        if len(data) != count:
            raise self.fail(f"{count} bytes of {what}")
        self.at += count
        return data

    def number(self, nbytes: int, what: str) -> int:
        """An unsigned number in the file's byte order."""
        return int.from_bytes(self.take(nbytes, what), "big" if self.order == "big" else "little")

    def string(self, what: str, *, limit: int = 4096) -> str:
        """A zero-terminated text of at most ``limit`` bytes."""
        start = self.at
        data = self.take(min(limit, self.end - self.at), what)
        length = data.find(b"\0")
        self.at = start
        if length < 0:
            raise self.fail(f"{what}, ended by a zero byte within {limit} bytes")
        self.at = start + length + 1
        return data[:length].decode("utf-8", "replace")

    def block(self, size_bytes: int, what: str) -> str:
        """A text after its size, which is a number of ``size_bytes`` bytes."""
        return self.take(self.number(size_bytes, f"the size of {what}"), what).decode("utf-8", "replace")

    def expect(self, marker: bytes, what: str) -> None:
        """Reads ``marker``.

        Raises:
            TraceError: something else is there.
        """
        start = self.at
        if self.take(len(marker), what) != marker:
            self.at = start
            raise self.fail(what)
