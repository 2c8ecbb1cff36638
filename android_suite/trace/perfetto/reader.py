"""Reads Perfetto traces: ftrace bundles, FrameTimeline, process tree and lost events, without a Python loop per event."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

from android_suite.errors import UsageError
from android_suite.tables import events
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import Trace, TraceSource, fill_missing
from android_suite.trace.core.calls import name_calls
from android_suite.trace.perfetto.about import About, read_about, to_boottime
from android_suite.trace.perfetto.events import FtraceEvents, decode_pieces
from android_suite.trace.perfetto.frames import decode_frame_timeline
from android_suite.trace.perfetto.index import GENERIC, Bundles, index_bundles
from android_suite.trace.perfetto.numbers import number_of
from android_suite.trace.perfetto.packets import Packets, read_packets
from android_suite.trace.perfetto.redacted import NOTE, is_redacted, limit_enabled
from android_suite.trace.perfetto.scan import expand_field, read_columns
from android_suite.trace.perfetto.symbols import read_symbols
from android_suite.trace.perfetto.tables import Context, PerfettoTables
from android_suite.trace.perfetto.threads import SchedThreads, thread_tables
from android_suite.trace.text.reader import read_text

_EVENT_NAMES: dict[int, str] = {f.number: f.name for f in protos.FtraceEvent.DESCRIPTOR.fields}


def read_perfetto(source: Path | str | bytes, *, name: str = "trace") -> Trace:
    """Reads a Perfetto trace (protobuf), including its compressed packets.

    Args:
        source: a path, or the bytes themselves.
        name: name of the bytes in messages.

    Returns:
        The trace, with times on boottime. If compact_sched does not show which thread left a CPU or woke another, that
        tid is -1.

    Raises:
        UsageError: the path cannot be read.
        TraceError: it is not a Perfetto trace, or it is damaged.
    """
    where = Path(source) if isinstance(source, str) else source
    called = name if isinstance(where, bytes) else str(where)
    packets = read_packets(where, called)
    if (text := _systrace_inside(packets)) is not None:
        inner = read_text(text, name=called)
        return replace(inner, source=replace(inner.source, format="perfetto"))
    bundles = index_bundles(packets, called)
    about = read_about(packets)
    context = Context(machine=about.machine, kernel=about.kernel, symbols=read_symbols(packets))
    tables, sched, generic = _decode(packets, bundles, context)
    which, start, end = packets.of("frame_timeline_event")
    ts, known = to_boottime(packets, which)
    tables[events.FRAME_TIMELINE.name] = decode_frame_timeline(packets.buf, start[known], end[known], ts[known])
    tables |= thread_tables(packets, sched, tables)
    named = name_calls(tables[events.SYSCALL.name], tables[events.THREADS.name], about.machine or None)
    redacted = is_redacted(tables[events.THREADS.name])
    begin, finish = _range(bundles, tables[events.FRAME_TIMELINE.name])
    tables[events.LOST.name], lost = _lost(bundles, about, begin, finish)
    trace = TraceSource(
        format="perfetto", path=called, cut=packets.cut, events=bundles.total, lost_events=lost, clock=bundles.clock,
        start_ns=begin, end_ns=finish, cpus=int(bundles.cpu.max(initial=-1)) + 1, kernel=about.kernel,
        event_counts=_counts(bundles, generic), enabled_events=limit_enabled(about.enabled) if redacted else about.enabled,
        mono_offset_ns=about.mono_offset_ns if bundles.clock == "boot" else None,
        notes=(*((NOTE,) if redacted else ()), *_notes(packets, bundles, about, int((~known).sum())), *named),
    )  # fmt: skip
    decoder = _Decoder(bundles, trace.event_counts, generic.keys())
    return Trace(source=trace, tables=fill_missing(tables), decode_event=decoder.decode)


def _decode(
    packets: Packets, bundles: Bundles, context: Context
) -> tuple[dict[str, pd.DataFrame], SchedThreads, dict[str, int]]:
    """The tables of ftrace events, the threads in them, and the number of generic events by name."""
    tables, sched = PerfettoTables(context), SchedThreads()
    generic: dict[str, int] = {}
    packets.release(0, len(packets.buf))
    for (begin, end), piece in zip(bundles.pieces, decode_pieces(bundles), strict=True):
        tables.add(piece)
        sched.add(piece)
        for name, (rows, _) in piece.generic.items():
            generic[name] = generic.get(name, 0) + len(rows)
        if end:
            packets.release(int(bundles.start[begin]), int(bundles.end[end - 1]))
    return tables.finish(), sched, generic


def _systrace_inside(packets: Packets) -> bytes | None:
    """Ftrace text of older recorders (ChromeEventBundle.legacy_ftrace_output), if there are no ftrace bundles."""
    _, start, end = packets.of("chrome_events")
    _, first, last = expand_field(packets.buf, start, end, number_of("ChromeEventBundle", "legacy_ftrace_output"))
    if not len(first) or len(packets.of("ftrace_events")[0]):
        return None
    return b"".join(packets.buf[a:b].tobytes() for a, b in zip(first.tolist(), last.tolist(), strict=True))


def _range(bundles: Bundles, frames: pd.DataFrame) -> tuple[int, int]:
    if bundles.total:
        return int(bundles.first_ns.min()), int(bundles.last_ns.max())
    if len(frames):
        return int(frames["actual_start_ns"].min()), int(frames[["actual_start_ns", "actual_end_ns"]].to_numpy().max())
    return 0, 0


def _counts(bundles: Bundles, generic: Mapping[str, int]) -> dict[str, int]:
    counts = {
        _EVENT_NAMES[n]: int(bundles.kind_counts[n])
        for n in np.flatnonzero(bundles.kind_counts).tolist()
        if n in _EVENT_NAMES and n != GENERIC
    }
    for name, count in generic.items():
        counts[name] = counts.get(name, 0) + count
    return dict(sorted(counts.items()))


def _gaps(bundles: Bundles, begin: int, end: int) -> list[tuple[int, int, int, int]]:
    """Gaps before bundles marked ``lost_events`` (of that CPU), before dropped packets (of every CPU), and around bundles
    with malformed events.

    Bundles of one drain cover the same time, one CPU after the other. So the events of a dropped packet are later than
    the last event of their CPU before it in the file, and earlier than the first one after it.
    """
    rows: list[tuple[int, int, int, int]] = []
    if not bundles.total:
        return rows
    first, last, largest = bundles.first_ns, bundles.last_ns, np.iinfo(np.int64).max
    of_cpu = {int(cpu): np.flatnonzero(bundles.cpu == cpu) for cpu in np.unique(bundles.cpu)}
    for i in np.flatnonzero(bundles.lost | bundles.dropped).tolist():
        for cpu in of_cpu if bundles.dropped[i] else (int(bundles.cpu[i]),):
            same = of_cpu[cpu]
            before = int(last[same[same < i]].max(initial=-1))
            after = int(first[same[same >= i]].min(initial=largest))
            from_ns, to_ns = (before if before >= 0 else begin), (after if after < largest else end)
            rows.append((cpu, min(from_ns, to_ns), to_ns, -1))
    for i in np.flatnonzero(bundles.malformed).tolist():  # events whose times could not be read either
        same = of_cpu[int(bundles.cpu[i])]
        before, after = int(last[same[same < i]].max(initial=-1)), int(first[same[same > i]].min(initial=largest))
        from_ns, to_ns = (before if before >= 0 else begin), (after if after < largest else end)
        rows.append((int(bundles.cpu[i]), min(from_ns, to_ns), to_ns, int(bundles.malformed[i])))
    return rows


def _late_starts(bundles: Bundles, begin: int, end: int) -> list[tuple[int, int, int, int]]:
    """Gaps of CPUs whose events begin later than the trace: others read their earlier events, or they were overwritten."""
    rows: list[tuple[int, int, int, int]] = []
    for i in np.unique(bundles.cpu, return_index=True)[1].tolist() if bundles.total else ():
        until = min(int(bundles.read_ns[i]), int(bundles.first_ns[i]), end)
        if until > begin:
            rows.append((int(bundles.cpu[i]), begin, until, -1))
    return rows


def _lost(bundles: Bundles, about: About, begin: int, end: int) -> tuple[pd.DataFrame, int | None]:
    rows = _gaps(bundles, begin, end)
    flagged = set(bundles.cpu[bundles.lost].tolist())
    # Events that the kernel counts as lost but no bundle marks were lost somewhere in the trace.
    unplaced = {cpu: (about.unmarked_cpus if cpu in flagged else about.lost_cpus)[cpu] for cpu in about.lost_cpus}
    rows += [(cpu, begin, end, count) for cpu, count in unplaced.items() if count]
    # Data lost before the trace forms a gap but does not count as lost events.
    listed = rows + _late_starts(bundles, begin, end)
    columns = zip(*listed, strict=True) if listed else ([], [], [], [])
    names = events.LOST.dtypes
    frame = make_frame(events.LOST, {n: np.array(c, dtype=d) for (n, d), c in zip(names.items(), columns, strict=True)})
    if about.lost_events is None:
        return frame, len(rows) or None
    return frame, max(about.lost_events, len(rows))


def _notes(packets: Packets, bundles: Bundles, about: About, unplaced: int) -> tuple[str, ...]:
    notes = list(bundles.notes)
    if packets.cut:
        notes.append("the file ends inside a packet or in padding: the end of the trace may be missing")
    if malformed := int(bundles.malformed.sum()):
        notes.append(f"{malformed} ftrace events were malformed and left out")
    if about.buffer_overwritten:
        notes.append("perfetto's own buffer was too small: the trace's beginning or parts of it are missing")
    for field, why in (("unknown_ftrace_events", "are not in this kernel"), ("failed_ftrace_events", "were refused")):
        if names := about.refused[field]:
            shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
            notes.append(f"requested events that {why}: {shown}")
    if unplaced:
        notes.append(f"{unplaced} frame events are on a clock that the trace does not relate to boottime")
    return tuple(notes)


class _Decoder:
    """Decodes all events of one name on request: reads the trace again, with the classes of the perfetto package."""

    def __init__(self, bundles: Bundles, counts: Mapping[str, int], generic: Collection[str]) -> None:
        self._bundles, self._counts, self._generic = bundles, counts, generic

    def decode(self, name: str) -> pd.DataFrame:
        """All events of ``name``: seq, ts_ns, cpu, tid and the event's fields.

        Raises:
            UsageError: neither Perfetto nor the trace has such an event.
        """
        bare = name.rpartition(":")[2]
        number = next((n for n, known in _EVENT_NAMES.items() if known == bare), -1)
        if number < 0 and bare not in self._generic:
            raise UsageError(f"the trace has no event {name!r}; it has {', '.join(sorted(self._counts))}.")
        frames: list[pd.DataFrame] = []
        bodies: list[dict[str, object]] = []
        for piece in decode_pieces(self._bundles):
            if bare in self._generic:
                rows, fields = piece.generic.get(bare, (np.empty(0, np.int64), None))
                bodies += [_generic_fields(piece, row, fields) for row in rows]
            else:
                rows = piece.rows(number)
                bodies += [_typed_fields(piece, row, number) for row in rows]
            head = {"seq": piece.seq, "ts_ns": piece.ts_ns, "cpu": piece.cpu, "tid": piece.tid}
            frames.append(pd.DataFrame({column: values[rows] for column, values in head.items()}))
        frame = pd.concat(frames, ignore_index=True)
        found = pd.DataFrame(bodies, index=frame.index)
        found = found.rename(columns={c: f"{c}_field" for c in found.columns if c in frame.columns})
        return pd.concat([frame, found], axis=1).sort_values("seq", ignore_index=True)


def _bytes(piece: FtraceEvents, row: int) -> bytes:
    return piece.buf[piece.start[row] : piece.end[row]].tobytes()


def _typed_fields(piece: FtraceEvents, row: int, number: int) -> dict[str, object]:
    """Fields of one event; none if it is malformed."""
    kind = getattr(protos, protos.FtraceEvent.DESCRIPTOR.fields_by_number[number].message_type.name)
    try:
        return MessageToDict(kind.FromString(_bytes(piece, row)), preserving_proto_field_name=True)
    except DecodeError:
        return {}


def _generic_fields(piece: FtraceEvents, row: int, fields: Mapping[str, int] | None) -> dict[str, object]:
    if fields is not None:
        span = np.array([piece.start[row]]), np.array([piece.end[row]])
        found = read_columns(piece.buf, *span, tuple(fields.values()))
        return {
            name: int(found.value[0, k]) if found.size[0, k] <= 0
            else piece.buf[found.value[0, k] : found.value[0, k] + found.size[0, k]].tobytes().decode(errors="replace")
            for k, name in enumerate(fields)
        }  # fmt: skip
    try:
        event = protos.GenericFtraceEvent.FromString(_bytes(piece, row))
    except DecodeError:
        return {}
    return {f.name: getattr(f, f.WhichOneof("value") or "int_value") for f in event.field}
