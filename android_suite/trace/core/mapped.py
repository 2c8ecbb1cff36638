"""Maps files that are read from front to back, and releases pages, so that they do not count as the reader's memory."""

from __future__ import annotations

import mmap
from pathlib import Path

from android_suite.errors import TraceError, UsageError


def map_file(path: Path, what: str) -> mmap.mmap:
    """Maps a file, read-only; it stays mapped as long as an array or view of it exists.

    Raises:
        UsageError: it cannot be read.
        TraceError: it is empty; ``what`` says what was expected.
    """
    try:
        with path.open("rb") as stream:
            if path.stat().st_size == 0:
                raise TraceError(path, 0, f"{what}, but the file is empty")
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); check the path.") from error


def release_pages(mapped: mmap.mmap | None, begin: int, end: int) -> None:
    """Removes the pages of the bytes ``begin`` to ``end`` from the process; the next access maps them again."""
    first, last = begin // mmap.PAGESIZE * mmap.PAGESIZE, end // mmap.PAGESIZE * mmap.PAGESIZE
    if mapped is not None and last > first:
        mapped.madvise(mmap.MADV_DONTNEED, first, last - first)
