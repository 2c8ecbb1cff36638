"""Splits the stream of ``ftrace_drain`` into one file per CPU while it arrives."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import BinaryIO, Literal

from android_suite.errors import LabError

_READY = 0xFFFF_FFFF
_COUNTING = 0xFFFF_FFFE
_MAX_FRAME_BYTES = 128 << 20


class FrameDemux:
    """Receives pieces of the stream and writes complete frames to the file of their CPU.

    Args:
        open_file: opens the file of a CPU; called once per CPU, when the drain announces their number.
        endian: byte order of the device.

    Attributes:
        cpus: number of CPUs, once the drain has opened every buffer.
        counting: whether the drain has written its first heartbeat.
    """

    def __init__(self, open_file: Callable[[int], BinaryIO], *, endian: Literal["<", ">"] = "<") -> None:
        self._open_file, self._header = open_file, struct.Struct(f"{endian}II")
        self._buffer = bytearray()
        self._files: dict[int, BinaryIO] = {}
        self.cpus: int | None = None
        self.counting = False
        self.bytes_written = 0

    def feed(self, data: bytes) -> None:
        """Adds bytes.

        Raises:
            LabError: they are not frames, because something else writes into the stream.
        """
        self._buffer += data
        at = 0
        while len(self._buffer) - at >= self._header.size:
            cpu, length = self._header.unpack_from(self._buffer, at)
            if cpu == _READY and self.cpus is None and 0 < length <= 4096:
                self.cpus = length
                self._files = {number: self._open_file(number) for number in range(length)}
                at += self._header.size
                continue
            if cpu == _COUNTING and self.cpus is not None and not self.counting and length == 1:
                self.counting = True
                at += self._header.size
                continue
            if cpu not in self._files or length > _MAX_FRAME_BYTES:
                raise LabError(
                    f"the trace stream is out of step (frame of CPU {cpu}, {length} bytes); record again, and check "
                    "whether the device's shell prints something when it starts."
                )
            end = at + self._header.size + length
            if len(self._buffer) < end:
                break
            self._files[cpu].write(memoryview(self._buffer)[at + self._header.size : end])
            self.bytes_written += length
            at = end
        if at:
            del self._buffer[:at]

    @property
    def pending_bytes(self) -> int:
        """Bytes of an incomplete frame; if this is not 0 at the end, the stream was cut off."""
        return len(self._buffer)

    def close(self) -> None:
        """Closes the files."""
        for file in self._files.values():
            file.close()
