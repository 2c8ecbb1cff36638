"""Perfetto traces to a Trace: ftrace bundles, FrameTimeline, process tree, losses; over columns, no Python loop an event."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

from android_suite.errors import UsageError
from android_suite.tables import events
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import Trace, TraceSource, fill_missing
from android_suite.trace.perfetto_about import About, read_about, thread_table, to_boottime
from android_suite.trace.perfetto_events import GENERIC, FtraceEvents, decode_bundles
from android_suite.trace.perfetto_frames import decode_frame_timeline
from android_suite.trace.perfetto_packets import Packets, read_packets
from android_suite.trace.perfetto_scan import expand_field, read_columns
from android_suite.trace.perfetto_symbols import read_symbols
from android_suite.trace.perfetto_tables import Context, build_tables
from android_suite.trace.text import read_text

_EVENT_NAMES: dict[int, str] = {f.number: f.name for f in protos.FtraceEvent.DESCRIPTOR.fields}


def read_perfetto(source: Path | str | bytes, *, name: str = "trace") -> Trace:
    """Reads a Perfetto trace (protobuf), packets compressed inside it included.

    Args:
        source: a path, or the bytes themselves.
        name: what to call bytes in messages.

    Returns:
        The trace on boottime. Where compact_sched does not tell who left a CPU or who woke a thread, that tid is -1.

    Raises:
        UsageError: the path cannot be read.
        TraceError: it is no Perfetto trace, or damaged.
    """
    where = Path(source) if isinstance(source, str) else source
    called = name if isinstance(where, bytes) else str(where)
    packets = read_packets(where, called)
    if (text := _systrace_inside(packets)) is not None:
        inner = read_text(text, name=called)
        return replace(inner, source=replace(inner.source, format="perfetto"))
    ftrace = decode_bundles(packets, called)
    about = read_about(packets)
    context = Context(machine=about.machine, kernel=about.kernel, symbols=read_symbols(packets))
    tables = build_tables(ftrace, context)
    which, start, end = packets.of("frame_timeline_event")
    ts, known = to_boottime(packets, which)
    tables[events.FRAME_TIMELINE.name] = decode_frame_timeline(packets.buf, start[known], end[known], ts[known])
    tables[events.THREADS.name] = thread_table(packets, ftrace, tables)
    begin, finish = _range(ftrace, tables[events.FRAME_TIMELINE.name])
    tables[events.LOST.name], lost = _lost(ftrace, about, begin, finish)
    trace = TraceSource(
        format="perfetto", path=called, events=len(ftrace.ts_ns), lost_events=lost, clock=ftrace.clock, start_ns=begin,
        end_ns=finish, cpus=ftrace.cpus, kernel=about.kernel, event_counts=_counts(ftrace), enabled_events=about.enabled,
        notes=_notes(packets, ftrace, about, int((~known).sum())),
    )  # fmt: skip
    return Trace(source=trace, tables=fill_missing(tables), decode_event=_Decoder(ftrace).decode)


def _systrace_inside(packets: Packets) -> bytes | None:
    """Ftrace text of older recorders (ChromeEventBundle.legacy_ftrace_output), where there are no ftrace bundles."""
    _, start, end = packets.of("chrome_events")
    _, first, last = expand_field(packets.buf, start, end, 4)
    if not len(first) or len(packets.of("ftrace_events")[0]):
        return None
    return b"".join(packets.buf[a:b].tobytes() for a, b in zip(first.tolist(), last.tolist(), strict=True))


def _range(ftrace: FtraceEvents, frames: pd.DataFrame) -> tuple[int, int]:
    if len(ftrace.ts_ns):
        return int(ftrace.ts_ns.min()), int(ftrace.ts_ns.max())
    if len(frames):
        return int(frames["actual_start_ns"].min()), int(frames[["actual_start_ns", "actual_end_ns"]].to_numpy().max())
    return 0, 0


def _counts(ftrace: FtraceEvents) -> dict[str, int]:
    numbers, tally = np.unique(ftrace.kind, return_counts=True)
    described = {int(rows_kind) for rows_kind in numbers if int(rows_kind) not in _EVENT_NAMES}
    counts = {
        _EVENT_NAMES[int(n)]: int(c)
        for n, c in zip(numbers, tally, strict=True)
        if int(n) != GENERIC and int(n) not in described
    }
    for name, (rows, _) in ftrace.generic.items():
        if len(rows):
            counts[name] = counts.get(name, 0) + len(rows)
    return dict(sorted(counts.items()))


def _lost(ftrace: FtraceEvents, about: About, begin: int, end: int) -> tuple[pd.DataFrame, int | None]:
    rows = list(ftrace.lost)
    flagged = {row[0] for row in rows}
    # Counted by the kernel and not marked in any bundle: somewhere in the trace.
    rows += [(cpu, begin, end, count) for cpu, count in about.lost_cpus.items() if count and cpu not in flagged]
    columns = zip(*rows, strict=True) if rows else ([], [], [], [])
    names = events.LOST.dtypes
    frame = make_frame(events.LOST, {n: np.array(c, dtype=d) for (n, d), c in zip(names.items(), columns, strict=True)})
    if about.lost_events is None:
        return frame, len(rows) or None
    return frame, max(about.lost_events, len(rows))


def _notes(packets: Packets, ftrace: FtraceEvents, about: About, unplaced: int) -> tuple[str, ...]:
    notes = list(ftrace.notes)
    if packets.cut:
        notes.append("the file ends inside a packet: the end of the trace is missing")
    if ftrace.malformed:
        notes.append(f"{ftrace.malformed} ftrace events were malformed and left out")
    if about.buffer_overwritten:
        notes.append("perfetto's own buffer was too small: the trace's beginning or parts of it are missing")
    if unplaced:
        notes.append(f"{unplaced} frame events stand on a clock that the trace does not relate to boottime")
    return tuple(notes)


class _Decoder:
    """Decodes one event of any name on request, through the perfetto package's own classes."""

    def __init__(self, ftrace: FtraceEvents) -> None:
        self._ftrace = ftrace

    def decode(self, name: str) -> pd.DataFrame:
        """All events of ``name``: seq, ts_ns, cpu, tid and its fields.

        Raises:
            UsageError: Perfetto knows no such event, and the trace has none.
        """
        ftrace = self._ftrace
        bare = name.rpartition(":")[2]
        if bare in ftrace.generic:
            rows, fields = ftrace.generic[bare]
            bodies = [self._generic(row, fields) for row in rows]
        elif bare in _EVENT_NAMES.values():
            number = next(n for n, known in _EVENT_NAMES.items() if known == bare)
            rows = ftrace.rows(number)
            kind = protos.FtraceEvent.DESCRIPTOR.fields_by_number[number].message_type.name
            bodies = [self._typed(row, getattr(protos, kind)) for row in rows]
        else:
            raise UsageError(f"no event {name!r} here; the trace has {', '.join(sorted(_counts(ftrace)))}.")
        head = {"seq": ftrace.rank, "ts_ns": ftrace.ts_ns, "cpu": ftrace.cpu, "tid": ftrace.tid}
        frame = pd.DataFrame({column: values[rows] for column, values in head.items()})
        found = pd.DataFrame(bodies, index=frame.index)
        found = found.rename(columns={c: f"{c}_field" for c in found.columns if c in frame.columns})
        return pd.concat([frame, found], axis=1).sort_values("seq", ignore_index=True)

    def _bytes(self, row: int) -> bytes:
        return self._ftrace.buf[self._ftrace.start[row] : self._ftrace.end[row]].tobytes()

    def _typed(self, row: int, kind: Any) -> dict[str, object]:
        """Fields of one event; none where it is malformed."""
        try:
            return MessageToDict(kind.FromString(self._bytes(row)), preserving_proto_field_name=True)
        except DecodeError:
            return {}

    def _generic(self, row: int, fields: dict[str, int] | None) -> dict[str, object]:
        if fields is not None:
            span = np.array([self._ftrace.start[row]]), np.array([self._ftrace.end[row]])
            found = read_columns(self._ftrace.buf, *span, tuple(fields.values()))
            return {
                name: int(found.value[0, k]) if found.size[0, k] <= 0
                else self._ftrace.buf[found.value[0, k] : found.value[0, k] + found.size[0, k]].tobytes().decode(errors="replace")
                for k, name in enumerate(fields)
            }  # fmt: skip
        try:
            event = protos.GenericFtraceEvent.FromString(self._bytes(row))
        except DecodeError:
            return {}
        return {f.name: getattr(f, f.WhichOneof("value") or "int_value") for f in event.field}
