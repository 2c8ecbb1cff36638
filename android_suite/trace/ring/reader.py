"""Decodes a trace of ring-buffer pages, from any container, to a Trace."""

from __future__ import annotations

from collections.abc import Mapping

from android_suite.jit.workers import Workers
from android_suite.tables import events
from android_suite.tables.trace import Trace, TraceSource, fill_missing
from android_suite.trace.core.calls import call_lookup, name_calls
from android_suite.trace.ring.batches import ScanSummary, iter_batches
from android_suite.trace.ring.build_tables import RingTables, event_counts
from android_suite.trace.ring.lost import summarize_lost
from android_suite.trace.ring.ring_trace import RingBufferTrace
from android_suite.trace.ring.whole_events import decode_whole_event
from android_suite.trace.threads import make_threads


def read_ring_buffer_trace(opened: RingBufferTrace) -> Trace:
    """Decodes all pages into the event tables.

    Raises:
        TraceError: a page cannot be decoded.
    """
    builder, summary = decode_ring_buffer(opened)
    tables = builder.finish()
    lost = summarize_lost(summary, [s.cpu for s in opened.streams], opened.stats)
    tables["lost"] = lost.table
    tables["threads"] = make_threads(
        seen=builder.threads.tids, comms=(builder.threads.comms, opened.proc_comms, opened.saved_comms),
        tgids=opened.tgids, task=tables.get(events.TASK.name), processes=opened.processes,
    )  # fmt: skip
    named = name_calls(tables["syscall"], tables["threads"], opened.machine or None) if "syscall" in tables else []
    counts = event_counts(summary.id_counts, opened.formats)
    source = TraceSource(
        format=opened.format, path=opened.path, events=summary.events, lost_events=lost.total, clock=opened.clock,
        start_ns=summary.first_ns or 0, end_ns=summary.last_ns or 0,
        cpus=max(opened.cpu_count, len({s.cpu for s in opened.streams})),
        kernel=opened.kernel, event_counts=counts, enabled_events=opened.enabled_events,
        notes=(*opened.notes, *named, *_notes(counts, lost.unknown, summary)),
    )  # fmt: skip
    return Trace(source=source, tables=fill_missing(tables), decode_event=lambda name: decode_whole_event(opened, name))


def decode_ring_buffer(opened: RingBufferTrace) -> tuple[RingTables, ScanSummary]:
    """Decodes all pages; returns the builder of the tables, and a summary with the lost events.

    Raises:
        TraceError: a page cannot be decoded.
    """
    builder = RingTables(
        opened.formats, opened.streams, calls=call_lookup(opened.machine), symbol=opened.symbols.name_caller
    )
    summary = ScanSummary()
    with Workers() as workers:
        for batch in iter_batches(opened.streams, opened.layout, builder.dense, summary):
            builder.add(batch, workers)
        workers.finish()
    return builder, summary


def _notes(counts: Mapping[str, int], lost_unknown: bool, summary: ScanSummary) -> list[str]:
    notes = []
    unknown = sum(n for name, n in counts.items() if name.startswith("unknown:"))
    if unknown:
        notes.append(f"{unknown} events of kinds that no format file describes")
    if lost_unknown:
        notes.append("the number of lost events is a lower bound: some gaps do not say how many events")
    if summary.cut_bytes:
        notes.append(f"{len(summary.cut_bytes)} CPU buffers end within a page: the trace was cut")
    return notes
