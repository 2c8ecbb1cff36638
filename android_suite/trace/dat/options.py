"""Reads the options of a trace.dat that matter to the reader, and skips all others."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from android_suite.trace.dat.cursor import Cursor
from android_suite.trace.ring.lost import CpuStats, parse_cpu_stats

_MAX_CPUS = 4096
_TGID_LINE = re.compile(r"^\s*(\d{1,8})\s+(\d{1,8})\s*$", re.MULTILINE)

Adjust = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffer:
    """One trace instance: its clock and where the pages of each CPU are (CPU, offset, bytes)."""

    name: str
    clock: str
    page_bytes: int
    cpus: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """In version 6: the place of the description of a further buffer."""

    name: str
    offset: int


@dataclass(slots=True, kw_only=True)
class Options:
    """The content of the options read so far."""

    stats: dict[int, CpuStats] = field(default_factory=dict)
    instances: list[Instance] = field(default_factory=list)
    buffers: list[Buffer] = field(default_factory=list)
    clock: str | None = None
    clock_follows: bool = False  # version 6: the clock's text follows the table of CPUs
    kernel: str | None = None
    machine: str | None = None
    cpu_count: int | None = None
    offset_ns: int = 0
    tsc: tuple[int, int] | None = None  # multiplier, shift
    tgids: dict[int, int] = field(default_factory=dict)  # process by tid
    notes: list[str] = field(default_factory=list)

    @staticmethod
    def choose_clock(text: str) -> str | None:
        """The clock in brackets of a trace_clock file, or the only word."""
        match = re.search(r"\[([\w-]{1,64})\]", text) or re.fullmatch(r"\s*([\w-]{1,64})[\s\0]*", text)
        return match[1] if match else None

    def time_adjustment(self) -> Adjust | None:
        """The function that converts the buffer's times; None if they need no conversion."""
        offset, tsc = self.offset_ns, self.tsc
        if not offset and tsc is None:
            return None

        def adjust(ts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
            if tsc is not None:
                ts = _multiply_shift(ts, *tsc)
            return ts + np.int64(offset)

        return adjust


def _multiply_shift(ts: npt.NDArray[np.int64], mult: int, shift: int) -> npt.NDArray[np.int64]:
    """``ts * mult >> shift`` for 64-bit times and 32-bit ``mult``, without losing the upper half; wraps as in the kernel."""
    t = ts.view(np.uint64)
    m, low32 = np.uint64(mult), np.uint64(0xFFFFFFFF)
    low, high = (t & low32) * m, (t >> np.uint64(32)) * m
    if shift <= 32:
        out = (low >> np.uint64(shift)) + (high << np.uint64(32 - shift))
    else:
        out = (high + (low >> np.uint64(32))) >> np.uint64(shift - 32)
    return (out & np.uint64((1 << 63) - 1)).view(np.int64)


def read_option(cursor: Cursor, options: Options, number: int, size: int, *, version: int) -> None:
    """Reads one option of ``size`` bytes at the cursor and moves past it.

    Raises:
        TraceError: the option ends outside the headers, or its content is invalid.
    """
    end = cursor.at + size
    if end > cursor.end:
        raise cursor.fail(f"an option of {size} bytes, where {cursor.end - cursor.at} are left")
    match number:
        case 2:  # CPUSTAT
            text = _text(cursor, size)
            cpu = re.match(r"CPU:\s*(\d{1,5})", text)
            options.stats[int(cpu[1]) if cpu else len(options.stats)] = parse_cpu_stats(text)
        case 3:  # BUFFER
            if version == 6:
                offset = cursor.number(8, "a buffer's offset")
                options.instances.append(Instance(offset=offset, name=_text(cursor, end - cursor.at)))
                if len(options.instances) > 256:
                    raise cursor.fail("at most 256 buffers")
            else:
                options.buffers.append(_read_buffer(cursor, end))
        case 4:  # TRACECLOCK
            options.clock_follows = version == 6
            options.clock = options.choose_clock(_text(cursor, size)) or options.clock
        case 5:  # UNAME: sysname, nodename, release, version ..., machine
            words = _text(cursor, size).split()
            if len(words) >= 4:
                options.kernel, options.machine = words[2][:256], words[-1][:64]
        case 7:  # OFFSET
            text = _text(cursor, size).strip()
            if not re.fullmatch(r"[+-]?(0[xX][0-9a-fA-F]{1,16}|\d{1,19})", text):
                raise cursor.fail(f"a time offset in ns, found {text[:40]!r}")
            options.offset_ns = _in_int64(cursor, int(text, 0 if "x" in text.lower() else 10))
        case 8 if size >= 4:  # CPUCOUNT; the trace-cmd of GPUVis wrote lines "TID TGID" under this number
            text = _text(cursor, size)
            lines = {int(m[1]): int(m[2]) for m in _TGID_LINE.finditer(text)}
            options.tgids |= lines
            if size == 4 and not lines:
                cursor.seek(end - size, "the option again")
                options.cpu_count = cursor.number(4, "a number of CPUs")
        case 12:  # TIME_SHIFT
            options.notes.append("a guest's trace: its corrections to the host's time are not applied")
        case 14 if size >= 8:  # TSC2NSEC
            mult, shift = cursor.number(4, "a multiplier"), cursor.number(4, "a shift")
            if mult:
                if shift > 63:
                    raise cursor.fail(f"a shift below 64, found {shift}")
                options.tsc = (mult, shift)
    cursor.seek(end, "the next option")


def _in_int64(cursor: Cursor, value: int) -> int:
    if not -(1 << 62) < value < 1 << 62:
        raise cursor.fail("a time offset below 2^62 ns")
    return value


def _text(cursor: Cursor, size: int) -> str:
    return cursor.take(size, "an option").split(b"\0")[0].decode("utf-8", "replace")


def _read_buffer(cursor: Cursor, end: int) -> Buffer:
    cursor.number(8, "a buffer's offset")
    name, clock = cursor.string("a buffer's name"), cursor.string("a buffer's clock")
    page_bytes, count = cursor.number(4, "a buffer's page size"), cursor.number(4, "a number of CPUs")
    if count > _MAX_CPUS or cursor.at + count * 20 > end:
        raise cursor.fail(f"the places of {count} CPUs within the option")
    cpus = []
    for _ in range(count):
        cpu = cursor.number(4, "a CPU")
        cpus.append((cpu & 0x7FFFFFFF, cursor.number(8, "an offset of pages"), cursor.number(8, "a size of pages")))
    return Buffer(name=name, clock=Options.choose_clock(clock) or "local", page_bytes=page_bytes, cpus=tuple(cpus))
