"""Decodes a trace of ring-buffer pages, from any container, to a Trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from android_suite.jit.workers import Workers
from android_suite.tables import events
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import Trace, TraceSource, fill_missing
from android_suite.trace.core.calls import call_lookup, name_calls
from android_suite.trace.ring.batches import ScanSummary, iter_batches
from android_suite.trace.ring.build_tables import RingTables, event_counts
from android_suite.trace.ring.lost import summarize_lost
from android_suite.trace.ring.ring_trace import RingBufferTrace, ThreadList
from android_suite.trace.ring.whole_events import decode_whole_event
from android_suite.trace.threads import make_threads

_MADE = tuple(events.TASK_KINDS.index(kind) for kind in ("fork", "newtask"))
_WOKEN_NEW = (events.WAKE_KINDS.index("sched_wakeup_new"),)


def read_ring_buffer_trace(opened: RingBufferTrace) -> Trace:
    """Decodes all pages into the event tables.

    Raises:
        TraceError: a page cannot be decoded.
    """
    builder, summary = decode_ring_buffer(opened)
    tables = builder.finish()
    lost = summarize_lost(summary, [s.cpu for s in opened.streams], opened.stats)
    tables["lost"] = lost.table
    before, after = _without_made(opened.before, tables), opened.after
    tables["threads"] = make_threads(
        seen=builder.threads.tids, comms=(builder.threads.comms, after.comms, before.comms, opened.saved_comms),
        tgids={**opened.tgids, **before.tgids, **after.tgids}, task=tables.get(events.TASK.name),
        processes={**before.processes, **after.processes},
    )  # fmt: skip
    first, last = summary.first_ns or 0, summary.last_ns or 0
    tables["thread_lists"] = make_lists([(first - 1, opened.before), (last + 1, after)])
    counts = event_counts(summary.id_counts, opened.formats)
    # An event of its own (syscalls:sys_enter_madvise) names its call, and 32-bit processes have none.
    numbered = "syscall" in tables and any(n for name, n in counts.items() if name.startswith("raw_syscalls:"))
    named = name_calls(tables["syscall"], tables["threads"], opened.machine or None) if numbered else []
    source = TraceSource(
        format=opened.format, path=opened.path, events=summary.events, lost_events=lost.total, clock=opened.clock,
        start_ns=first, end_ns=last,
        cpus=max(opened.cpu_count, len({s.cpu for s in opened.streams})),
        kernel=opened.kernel, event_counts=counts, enabled_events=opened.enabled_events,
        notes=(*opened.notes, *named, *_notes(counts, lost.unknown, summary)),
    )  # fmt: skip
    return Trace(source=source, tables=fill_missing(tables), decode_event=lambda name: decode_whole_event(opened, name))


def _without_made(before: ThreadList, tables: Mapping[str, pd.DataFrame]) -> ThreadList:
    """The list without the ids of threads that were made in the trace: it was read before, so it is not of those."""
    made: set[int] = set()
    for table, kinds in ((events.TASK, _MADE), (events.SCHED_WAKE, _WOKEN_NEW)):
        if table.name in tables:
            made |= set(tables[table.name].loc[tables[table.name]["kind"].isin(kinds), "target_tid"].tolist())
    return ThreadList(
        tgids={tid: tgid for tid, tgid in before.tgids.items() if tid not in made},
        comms={tid: comm for tid, comm in before.comms.items() if tid not in made},
        processes={tgid: name for tgid, name in before.processes.items() if tgid not in made},
    )


def make_lists(lists: Sequence[tuple[int, ThreadList]]) -> pd.DataFrame:
    """The THREAD_LISTS table of lists with the time (ns) that each was read at."""
    rows = [
        (tid, ts, tgid, one.comms.get(tid, ""), one.processes.get(tgid, ""))
        for ts, one in lists
        for tid, tgid in one.tgids.items()
        if 0 < tid <= events.MAX_TID and 0 < tgid <= events.MAX_TID
    ]
    columns = zip(*rows, strict=True) if rows else [()] * len(events.THREAD_LISTS.columns)
    return make_frame(events.THREAD_LISTS, dict(zip(events.THREAD_LISTS.dtypes, map(list, columns), strict=True)))


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
