"""A decoded trace: where it came from, its event tables, and any other event on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from android_suite.tables import events
from android_suite.tables.schema import make_frame


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSource:
    """Facts about a trace as a whole."""

    format: str  # ftrace_raw | trace_dat | ftrace_text | systrace_html | atrace_z | perfetto
    path: str
    events: int  # all events decoded, of any kind
    lost_events: int | None  # None: the format does not record it
    clock: str  # boot, mono, local, global, ...; "unknown"
    start_ns: int
    end_ns: int
    cpus: int
    kernel: str | None = None  # uname -r, if the trace records it
    event_counts: Mapping[str, int] = field(default_factory=dict)  # "sched:sched_switch" -> count; text: name only
    # Event kinds that were enabled, if the format records them (None: unknown, so a missing event proves nothing).
    enabled_events: frozenset[str] | None = None
    mono_offset_ns: int | None = None  # this clock minus CLOCK_MONOTONIC, if the format records it
    cut: bool = False  # the file is damaged or ends before the recording did: counts are lower bounds
    notes: tuple[str, ...] = ()  # what a user must know: "times have microsecond precision", ...

    @property
    def duration_ns(self) -> int:
        """Last minus first event."""
        return self.end_ns - self.start_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A decoded trace. ``tables`` has every table of ``events.EVENT_TABLES``; a table of no events is empty, not absent."""

    source: TraceSource
    tables: Mapping[str, pd.DataFrame]
    # Decodes one event of any kind with all its fields: name -> frame with seq, ts_ns, cpu, tid and the fields.
    decode_event: Callable[[str], pd.DataFrame] | None = None
    # Windows as in LOST, each around an event that was recorded but whose fields could not be read.
    unread: pd.DataFrame = field(default_factory=lambda: make_frame(events.LOST))

    def __getitem__(self, table: str) -> pd.DataFrame:
        return self.tables[table]


def fill_missing(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Adds an empty frame for every missing event table."""
    return {t.name: tables[t.name] if t.name in tables else make_frame(t) for t in events.EVENT_TABLES}
