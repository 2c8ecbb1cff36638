"""A trace made of ring-buffer pages, whatever container they came in: pages, formats and names to a Trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from android_suite.tables import events
from android_suite.tables.trace import Trace, TraceSource, fill_missing
from android_suite.trace.core.event_format import EventFormat, PageLayout
from android_suite.trace.core.side_files import Symbols
from android_suite.trace.ring.batches import ScanSummary, iter_batches
from android_suite.trace.ring.build_tables import TableBuilder, event_counts
from android_suite.trace.ring.lost import CpuStats, summarize_lost
from android_suite.trace.ring.page_stream import PageStream
from android_suite.trace.ring.thread_names import make_threads
from android_suite.trace.ring.whole_events import decode_whole_event
from android_suite.trace.syscalls import call_lookup


@dataclass(frozen=True, slots=True, kw_only=True)
class RingBufferTrace:
    """An opened binary ftrace: everything that is known before its pages are read."""

    format: str
    path: str
    streams: tuple[PageStream, ...]
    layout: PageLayout
    formats: tuple[EventFormat, ...]
    clock: str
    scaled: bool = False  # the times of a counter, made ns by the file's own factor
    cpu_count: int = 0  # of the machine, where the trace says it; some may have no events
    kernel: str | None = None
    machine: str | None = None
    stats: Mapping[int, CpuStats] = field(default_factory=dict)
    proc_comms: Mapping[int, str] = field(default_factory=dict)
    saved_comms: Mapping[int, str] = field(default_factory=dict)
    tgids: Mapping[int, int] = field(default_factory=dict)
    processes: Mapping[int, str] = field(default_factory=dict)
    symbols: Symbols = field(default_factory=Symbols)
    printk: Mapping[int, str] = field(default_factory=dict)
    enabled_events: frozenset[str] | None = None
    notes: tuple[str, ...] = ()


def read_ring_buffer_trace(opened: RingBufferTrace) -> Trace:
    """Decodes all pages into the event tables.

    Raises:
        TraceError: a page that cannot be decoded.
    """
    builder, summary = decode_ring_buffer(opened)
    tables = builder.finish()
    lost = summarize_lost(summary, [s.cpu for s in opened.streams], opened.stats)
    tables["lost"] = lost.table
    tables["threads"] = make_threads(
        seen=builder.threads.tids, event_comms=builder.threads.comms, proc_comms=opened.proc_comms,
        saved_comms=opened.saved_comms, tgids={**opened.tgids, **_new_thread_tgids(tables, opened.tgids)},
        processes=opened.processes,
    )  # fmt: skip
    counts = event_counts(summary.id_counts, opened.formats)
    source = TraceSource(
        format=opened.format, path=opened.path, events=summary.events, lost_events=lost.total, clock=opened.clock,
        start_ns=summary.first_ns or 0, end_ns=summary.last_ns or 0,
        cpus=max(opened.cpu_count, len({s.cpu for s in opened.streams})),
        kernel=opened.kernel, event_counts=counts, enabled_events=opened.enabled_events,
        notes=(*opened.notes, *_notes(counts, call_lookup(opened.machine) is None, lost.unknown, summary)),
    )  # fmt: skip
    return Trace(source=source, tables=fill_missing(tables), decode_event=lambda name: decode_whole_event(opened, name))


def decode_ring_buffer(opened: RingBufferTrace) -> tuple[TableBuilder, ScanSummary]:
    """Decodes all pages; the builder has the columns, the summary what was lost.

    Raises:
        TraceError: a page that cannot be decoded.
    """
    builder = TableBuilder(
        opened.formats, opened.streams, calls=call_lookup(opened.machine), symbol=opened.symbols.name_caller
    )
    summary = ScanSummary()
    for batch in iter_batches(opened.streams, opened.layout, builder.dense, summary):
        builder.add(batch)
    return builder, summary


def _new_thread_tgids(tables: Mapping[str, pd.DataFrame], known: Mapping[int, int]) -> dict[int, int]:
    """Processes of threads that only task_newtask tells of: with CLONE_THREAD the caller's, else their own."""
    tasks = tables.get(events.TASK.name)
    if tasks is None:
        return {}
    made = tasks[tasks["kind"] == events.TASK_KINDS.index("newtask")]
    found: dict[int, int] = {}
    for tid, parent, shares in zip(made["target_tid"], made["tid"], made["thread_of_caller"], strict=True):
        tgid = (found.get(int(parent)) or known.get(int(parent), -1)) if shares else int(tid)
        if int(tid) not in known and tgid >= 0:
            found[int(tid)] = tgid
    return found


def _notes(counts: Mapping[str, int], no_calls: bool, lost_unknown: bool, summary: ScanSummary) -> list[str]:
    notes = []
    unknown = sum(n for name, n in counts.items() if name.startswith("unknown:"))
    if unknown:
        notes.append(f"{unknown} events of kinds that no format file describes")
    if no_calls and any(name.startswith("raw_syscalls:") for name in counts):
        notes.append("the machine is not named, so raw system call numbers have no names")
    if lost_unknown:
        notes.append("the number of lost events is a lower bound: some gaps do not say how many")
    if summary.cut_bytes:
        notes.append(f"{len(summary.cut_bytes)} CPU buffers end within a page: the trace was cut")
    return notes
