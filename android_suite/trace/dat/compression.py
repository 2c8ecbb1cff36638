"""Unpacks trace.dat version 7: blocks of headers and chunks of pages, each up to a bound."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import zstandard

from android_suite.errors import TraceError, Unsupported
from android_suite.trace.dat.cursor import MAX_BLOCK_BYTES, Cursor

MAX_CHUNK_BYTES = 64 << 20
# Pages shrink 5 to 25 times, nearly empty ones up to 140 times. A CPU that exceeds both of these is a decompression bomb.
MAX_PLAIN_BYTES = 256 << 20
MAX_RATIO = 100
_ALGORITHMS = ("none", "zlib", "zstd")


def check_algorithm(name: str, path: Path) -> None:
    """Refuses a compression that the suite does not support.

    Raises:
        Unsupported: the suite does not support it.
    """
    if name not in _ALGORITHMS:
        raise Unsupported(
            f"{path} is compressed with {name[:40]!r}, supported are {', '.join(_ALGORITHMS)}; "
            "rewrite it with `trace-cmd convert --compression zstd`."
        )


def unpack(algorithm: str, data: bytes, nbytes: int, path: Path, offset: int) -> bytes:
    """Unpacks ``data`` to exactly ``nbytes`` bytes.

    Raises:
        TraceError: it is damaged, or has another size.
    """
    try:
        if algorithm == "zlib":
            worker = zlib.decompressobj()
            out = worker.decompress(data, nbytes + 1)
        else:
            # A frame may state a wrong size, so the bound applies to the data.
            reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(io.BytesIO(data))
            out = _read_up_to(reader, nbytes + 1)
    except (zlib.error, zstandard.ZstdError, MemoryError) as error:
        raise TraceError(path, offset, f"intact {algorithm} data ({error})") from error
    if len(out) != nbytes:
        raise TraceError(path, offset, f"{nbytes} bytes of unpacked {algorithm} data, found {len(out)} or more")
    return out


def _read_up_to(reader: zstandard.ZstdDecompressionReader, limit: int) -> bytes:
    parts, left = [], limit
    while left:
        part = reader.read(left)
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def unpack_section(cursor: Cursor, algorithm: str) -> bytes:
    """Unpacks a header section: packed size, unpacked size, data.

    Raises:
        TraceError: it is damaged or too large.
    """
    start = cursor.at
    packed, plain = cursor.number(4, "a packed size"), cursor.number(4, "an unpacked size")
    if plain > MAX_BLOCK_BYTES:
        raise cursor.fail(f"a section of at most {MAX_BLOCK_BYTES} bytes, found {plain}")
    return unpack(algorithm, cursor.take(packed, "packed data"), plain, cursor.path, start)


class ChunkReader:
    """A stream of one CPU's unpacked pages. It unpacks one chunk at a time."""

    __slots__ = ("_chunks", "_rest")

    def __init__(self, path: Path, offset: int, nbytes: int, *, algorithm: str, big_endian: bool) -> None:
        self._chunks = _iter_chunks(path, offset, nbytes, algorithm, big_endian)
        self._rest = b""

    def read_into(self, target: npt.NDArray[np.uint8]) -> int:
        """Fills ``target``; returns the bytes read, which are fewer only at the end."""
        done = 0
        while done < target.size:
            if not self._rest:
                self._rest = next(self._chunks, b"")
                if not self._rest:
                    break
            part = self._rest[: target.size - done]
            target[done : done + len(part)] = np.frombuffer(part, np.uint8)
            self._rest = self._rest[len(part) :]
            done += len(part)
        return done


def _iter_chunks(path: Path, offset: int, nbytes: int, algorithm: str, big_endian: bool) -> Iterator[bytes]:
    """Unpacks the chunks of one CPU; none of them is empty.

    Raises:
        TraceError: a chunk is damaged, too large or outside the CPU's part of the file.
    """
    if nbytes == 0:
        return
    with path.open("rb") as file:
        # The size in the buffer's description does not include the number of chunks.
        cursor = Cursor(file, path, offset + 4 + nbytes, big_endian=big_endian)
        cursor.seek(offset, "packed pages")
        budget = max(MAX_PLAIN_BYTES, MAX_RATIO * nbytes)
        for _ in range(cursor.number(4, "the number of chunks")):
            start = cursor.at
            packed, plain = cursor.number(4, "a packed size"), cursor.number(4, "an unpacked size")
            if not 0 < plain <= MAX_CHUNK_BYTES:
                raise cursor.fail(f"a chunk of 1 to {MAX_CHUNK_BYTES} bytes, found {plain}")
            budget -= plain
            if budget < 0:
                raise cursor.fail(f"pages that unpack to at most {MAX_RATIO} times their packed size")
            yield unpack(algorithm, cursor.take(packed, "packed pages"), plain, path, start)
