"""What every decoded trace must hold, and what of a broken one is known to be unbroken."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import numpy as np

from android_suite.analysis.pipeline import analyze_trace
from android_suite.errors import TraceError
from android_suite.tables import derived, events
from android_suite.tables.schema import check_frame
from android_suite.tables.trace import Trace
from tests.fuzz.engine import Case

ANALYZED_SHARE = 0.08  # of the traces that are made into tables
EVENT_SHARE = 0.1
# What these say of a thread or a gap depends on the whole trace.
_WHOLE_TRACE = (events.THREADS, events.THREAD_MOVES, events.THREAD_LISTS, events.LOST, events.FRAME_TIMELINE)

_ON_NUMBERS = re.compile(r"system call numbers|system calls of \d+ 32-bit|are 64-bit or 32-bit cannot be determined")
_SYSCALL = [column.name for column in events.SYSCALL.columns]
_CALL, _NR = _SYSCALL.index("call"), _SYSCALL.index("nr")  # of a row: the table's name takes the place of ``seq``

Rows = Counter[tuple[object, ...]]  # table and row, without its place in the merged trace


def check_trace(case: Case, trace: Trace, *, in_order: bool) -> None:
    """Whether the tables are whole and fit each other; a share is decoded event by event, a share analyzed.

    Args:
        case: gives the random numbers.
        trace: what came out.
        in_order: the times must not fall; a CPU's own clock may run backwards in a broken binary trace.

    Raises:
        AssertionError: they are not.
        TraceError: an event that is only decoded on request is damaged.
    """
    for table in events.EVENT_TABLES:
        check_frame(table, trace[table.name])
    numbered = [frame for frame in trace.tables.values() if "seq" in frame]
    seqs = np.concatenate([frame["seq"].to_numpy() for frame in numbered])
    assert np.unique(seqs).size == seqs.size <= trace.source.events
    assert seqs.size == 0 or 0 <= seqs.min() <= seqs.max() < trace.source.events
    assert sum(trace.source.event_counts.values()) <= trace.source.events
    for frame in numbered:
        assert (np.diff(frame["seq"]) > 0).all()
        assert not in_order or (np.diff(frame["ts_ns"]) >= 0).all()
    for frame in numbered:
        assert (
            len(frame) == 0
            or trace.source.start_ns <= frame["ts_ns"].min() <= frame["ts_ns"].max() <= trace.source.end_ns
        )
    if trace.decode_event is not None and case.chance(EVENT_SHARE, "read: single events"):
        for name in list(trace.source.event_counts)[:3]:
            if not name.startswith("unknown:"):
                assert len(trace.decode_event(name)) == trace.source.event_counts[name]
    if case.chance(ANALYZED_SHARE, "read: analyzed"):
        check_analysis(trace)


def check_analysis(trace: Trace) -> None:
    """Any trace that can be decoded can be analyzed, into tables as they are declared."""
    try:
        analysis = analyze_trace(trace)
    except TraceError as error:
        raise AssertionError("the trace was decoded, the analysis refuses it") from error
    for table in derived.DERIVED_TABLES:
        check_frame(table, analysis[table.name])


def rows_of(trace: Trace, tables: Iterable[str] = ()) -> list[tuple[int, tuple[object, ...]]]:
    """Every row that stands for one event: its place in the merged trace, and the row.

    Args:
        trace: decoded.
        tables: names of the tables; empty: all whose rows depend on nothing but their own event.
    """
    found = []
    for name in tables or [t.name for t in events.EVENT_TABLES if t not in _WHOLE_TRACE]:
        frame = trace[name]
        columns = [frame[column].tolist() for column in frame.columns if column != "seq"]
        found += [
            (seq, (name, *row)) for seq, row in zip(frame["seq"].tolist(), zip(*columns, strict=True), strict=True)
        ]
    return found


def _without_names(rows: Rows) -> Rows:
    """The rows, numbered system calls without their names."""
    out: Rows = Counter()
    for row, count in rows.items():
        numbered = row[0] == events.SYSCALL.name and row[_NR] != -1
        out[(*row[:_CALL], None, *row[_CALL + 1 :]) if numbered else row] += count
    return out


def check_kept(trace: Trace, expected: Rows) -> None:
    """Whether all rows that the damage cannot have touched are there, unchanged.

    What a system call's number means is decided for a whole process: where a note says that it was not taken for granted,
    a damaged event may have had a part in it, and the names of numbered calls are not compared.

    Raises:
        AssertionError: some are missing or differ.
    """
    found = Counter(row for _, row in rows_of(trace))
    if any(_ON_NUMBERS.search(note) for note in trace.source.notes):
        expected, found = _without_names(expected), _without_names(found)
    missing = expected - found
    assert not missing, f"{sum(missing.values())} undamaged events are lost or changed, such as {next(iter(missing))}"
