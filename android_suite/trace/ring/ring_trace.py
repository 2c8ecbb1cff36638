"""The description of an opened trace of ring-buffer pages, from any container."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from android_suite.trace.core.event_format import EventFormat, PageLayout
from android_suite.trace.core.side_files import Symbols
from android_suite.trace.ring.lost import CpuStats
from android_suite.trace.ring.page_stream import PageStream


@dataclass(frozen=True, slots=True)
class ThreadList:
    """The device's threads and processes at one time: process and name by tid, name of each process by tgid."""

    tgids: Mapping[int, int] = field(default_factory=dict)
    comms: Mapping[int, str] = field(default_factory=dict)
    processes: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RingBufferTrace:
    """An opened binary ftrace trace: everything that is known before its pages are read.

    ``before`` and ``after`` are lists read before the first event and after the last; ``tgids`` and ``saved_comms`` are
    what tracing itself remembered by its end.
    """

    format: str
    path: str
    streams: tuple[PageStream, ...]
    layout: PageLayout
    formats: tuple[EventFormat, ...]
    clock: str
    scaled: bool = False  # times of a counter, converted to ns by the file's own factor
    cpu_count: int = 0  # of the machine, if the trace records it; some CPUs may have no events
    kernel: str | None = None
    machine: str | None = None
    stats: Mapping[int, CpuStats] = field(default_factory=dict)
    before: ThreadList = field(default_factory=ThreadList)
    after: ThreadList = field(default_factory=ThreadList)
    saved_comms: Mapping[int, str] = field(default_factory=dict)
    tgids: Mapping[int, int] = field(default_factory=dict)
    symbols: Symbols = field(default_factory=Symbols)
    printk: Mapping[int, str] = field(default_factory=dict)
    enabled_events: frozenset[str] | None = None
    notes: tuple[str, ...] = ()
