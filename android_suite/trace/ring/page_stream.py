"""Streams of ring-buffer pages: one per CPU, of whole pages, read in order into memory that the caller owns."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from android_suite.errors import TraceError


class PageReader(Protocol):
    """Reads the bytes of one CPU's pages once, from the first to the last."""

    def read_into(self, target: npt.NDArray[np.uint8]) -> int:
        """Fills ``target`` from its start; returns the bytes read, which are fewer only at the end of the stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageStream:
    """One CPU's pages.

    ``open_reader`` starts reading from the first page; it may be called again. ``adjust_ns`` converts the ring buffer's
    times to those of the trace (None: they are the same).
    """

    cpu: int
    file: Path
    offset: int  # of the first page in the file (for errors)
    bytes: int
    open_reader: Callable[[], PageReader]
    adjust_ns: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]] | None = None


class FileReader:
    """Reads part of a file without mapping it, so it uses only the caller's memory. No file stays open between reads."""

    __slots__ = ("_at", "_end", "_path")

    def __init__(self, path: Path, offset: int, nbytes: int) -> None:
        self._path, self._at, self._end = path, offset, offset + nbytes

    def read_into(self, target: npt.NDArray[np.uint8]) -> int:
        """Fills ``target``; returns the bytes read, which are fewer only at the end."""
        view = memoryview(target.data)[: max(0, min(target.size, self._end - self._at))]
        done = 0
        try:
            with self._path.open("rb", buffering=0) as file:
                while done < len(view):
                    got = os.preadv(file.fileno(), [view[done:]], self._at + done)
                    if not got:
                        break
                    done += got
        except OSError as error:
            raise TraceError(self._path, self._at + done, f"readable bytes ({error.strerror})") from error
        self._at += done
        return done


def file_stream(*, cpu: int, file: Path, offset: int = 0, nbytes: int | None = None) -> PageStream:
    """The stream of ``nbytes`` bytes (None: to the end) at ``offset`` of ``file``."""
    if nbytes is None:
        try:
            nbytes = file.stat().st_size - offset
        except OSError as error:
            raise TraceError(file, None, f"a readable file ({error.strerror})") from error
    size = nbytes
    return PageStream(cpu=cpu, file=file, offset=offset, bytes=size, open_reader=lambda: FileReader(file, offset, size))
