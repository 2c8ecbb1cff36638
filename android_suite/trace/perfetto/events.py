"""Decodes pieces of a Perfetto trace to events in time order: typed, generic and compact_sched ones."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from android_suite.trace.perfetto.index import (
    GENERIC,
    MAX_CPUS,
    SCHED_SWITCH,
    SCHED_WAKING,
    Bundles,
    collect_events,
    read_names,
)
from android_suite.trace.perfetto.numbers import has_field, message_of_event, number_of
from android_suite.trace.perfetto.scan import (
    Array,
    Columns,
    expand_field,
    follow_switches,
    read_columns,
    read_named_fields,
    unpack_varints,
)

_COMPACT = "FtraceEventBundle.CompactSched"
# compact_sched: packed columns of switches and of wakings; only the times are deltas.
_SWITCH = {
    "ts": number_of(_COMPACT, "switch_timestamp"), "prev_state": number_of(_COMPACT, "switch_prev_state"),
    "next_tid": number_of(_COMPACT, "switch_next_pid"), "next_prio": number_of(_COMPACT, "switch_next_prio"),
    "comm": number_of(_COMPACT, "switch_next_comm_index"),
}  # fmt: skip
_WAKING = {
    "ts": number_of(_COMPACT, "waking_timestamp"), "target_tid": number_of(_COMPACT, "waking_pid"),
    "target_cpu": number_of(_COMPACT, "waking_target_cpu"), "target_prio": number_of(_COMPACT, "waking_prio"),
    "comm": number_of(_COMPACT, "waking_comm_index"),
}  # fmt: skip
_INTERN_TABLE = number_of(_COMPACT, "intern_table")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compact:
    """The compact_sched rows of all bundles; ``event`` is the position of each row among all events."""

    switch: dict[str, Array]  # event, cpu, prev_tid, prev_prio, prev_state, next_tid, next_prio, comm_start, comm_end
    waking: dict[str, Array]  # event, cpu, tid, target_tid, target_prio, target_cpu, comm_start, comm_end


@dataclass(frozen=True, slots=True, kw_only=True)
class FtraceEvents:
    """The events of a piece. Arrays have one value per event: typed and generic ones first, then those of compact_sched."""

    buf: Array
    ts_ns: Array
    tid: Array  # of typed and generic ones only
    cpu: Array
    packet: Array  # index of the packet with the event
    kind: Array  # number of the FtraceEvent field; compact_sched: that of sched_switch or sched_waking
    start: Array  # bounds of the event's message; of typed and generic ones only
    end: Array
    seq: Array  # position in time order, in the whole trace
    generic: dict[str, tuple[Array, dict[str, int] | None]]  # name -> events, field numbers (None: named in the event)
    compact: Compact

    def rows(self, kind: int) -> Array:
        """Typed events of a kind, by position."""
        return np.flatnonzero(self.kind[: len(self.start)] == kind)

    def columns(self, rows: Array, numbers: tuple[int, ...]) -> Columns:
        """Fields of typed events."""
        return read_columns(self.buf, self.start[rows], self.end[rows], numbers)

    def fields(self, name: str, fields: tuple[str, ...]) -> Iterator[tuple[Array, Columns, Collection[str]]]:
        """Fields of a kernel event, for each of its encodings in the trace.

        Returns:
            The positions of the events; a column for each of ``fields``; the fields that this encoding has at all.
        """
        message = message_of_event(name)
        if message is not None:
            known = {field: number_of(message, field) for field in fields if has_field(message, field)}
            rows = self.rows(number_of("FtraceEvent", name))
            yield rows, self._pick(rows, fields, known), known
        if name in self.generic:
            rows, numbers = self.generic[name]
            if numbers is not None:
                yield rows, self._pick(rows, fields, numbers), numbers
                return
            value, size = _no_fields(len(rows), len(fields))
            words = [word.encode() for word in fields]
            name_at = np.cumsum([0, *(len(word) for word in words)])
            names = np.frombuffer(b"".join(words), np.uint8)
            read_named_fields(self.buf, self.start[rows], self.end[rows], names, name_at, value, size)
            yield rows, Columns(value=value, size=size, good=np.ones(len(rows), np.bool_)), fields

    def _pick(self, rows: Array, fields: tuple[str, ...], numbers: Mapping[str, int]) -> Columns:
        """A column for each of ``fields``; a field without a number is absent in every row."""
        known = [(k, numbers[field]) for k, field in enumerate(fields) if field in numbers]
        different = tuple(dict.fromkeys(number for _, number in known))
        found = self.columns(rows, different)
        value, size = _no_fields(len(rows), len(fields))
        for k, number in known:
            at = different.index(number)
            value[:, k], size[:, k] = found.value[:, at], found.size[:, at]
        return Columns(value=value, size=size, good=found.good)


def _no_fields(rows: int, fields: int) -> tuple[Array, Array]:
    return np.zeros((rows, fields), np.int64), np.full((rows, fields), -1, np.int64)


def decode_pieces(bundles: Bundles) -> Iterator[FtraceEvents]:
    """Decodes the trace piece by piece, oldest first."""
    running, running_prio = np.full(MAX_CPUS, -1, np.int32), np.zeros(MAX_CPUS, np.int32)
    done = 0
    for begin, end in bundles.pieces:
        piece = _decode_piece(bundles, slice(begin, end), done, running, running_prio)
        done += len(piece.seq)
        yield piece


def _decode_piece(
    bundles: Bundles, part: slice, done: int, running: Array, running_prio: Array
) -> FtraceEvents:  # fmt: skip
    buf = bundles.buf
    parent, ts, tid, kind, start, end = collect_events(
        buf, bundles.start[part], bundles.end[part], int(bundles.events[part].sum())
    )
    compact, compact_ts, compact_bundle = _decode_compact(bundles, part, running, running_prio)
    bundle_of = np.concatenate([parent, compact_bundle])
    switches = len(compact.switch["cpu"])
    kinds = np.concatenate(
        [kind, np.full(switches, SCHED_SWITCH), np.full(len(bundle_of) - len(kind) - switches, SCHED_WAKING)]
    )
    ts = np.concatenate([ts, *compact_ts]) + bundles.shift_ns[part][bundle_of]
    seq = np.empty(len(ts), np.int64)
    seq[np.argsort(ts, kind="stable")] = np.arange(done, done + len(ts))
    for columns, base in ((compact.switch, len(kind)), (compact.waking, len(kind) + switches)):
        columns["event"] = np.arange(base, base + len(columns["cpu"]))
    return FtraceEvents(
        buf=buf, ts_ns=ts, tid=tid, cpu=bundles.cpu[part][bundle_of], packet=bundles.packet[part][bundle_of],
        kind=kinds, start=start, end=end, seq=seq, generic=_generic(bundles, kind, start, end), compact=compact,
    )  # fmt: skip


def _generic(bundles: Bundles, kind: Array, start: Array, end: Array) -> dict[str, tuple[Array, dict[str, int] | None]]:
    found: dict[str, tuple[Array, dict[str, int] | None]] = {}
    if bundles.kind_counts[GENERIC]:
        rows = np.flatnonzero(kind == GENERIC)
        coded = read_names(bundles.buf, start[rows], end[rows]).dictionary_encode()
        codes = coded.indices.to_numpy()
        for code, name in enumerate(coded.dictionary.to_pylist()):
            found[name] = rows[codes == code], None
    for one in bundles.described:
        found[one.name] = np.flatnonzero(kind == one.number), one.fields
    return found


def _decode_compact(
    bundles: Bundles, part: slice, running: Array, running_prio: Array
) -> tuple[Compact, tuple[Array, Array], Array]:
    """The rows, their times (switches, wakings) and the bundle of each row (switches, then wakings)."""
    buf, cpu, start, end = bundles.buf, bundles.cpu[part], bundles.compact[0][part], bundles.compact[1][part]
    numbers = (*_SWITCH.values(), *_WAKING.values())
    packed = read_columns(buf, start, end, numbers)
    table, word_at, word_end = expand_field(buf, start, end, _INTERN_TABLE)
    words = np.searchsorted(table, np.arange(len(start) + 1))  # where each bundle's intern table begins
    sides, offsets = [], []
    for base, names in ((0, _SWITCH), (len(_SWITCH), _WAKING)):
        columns: dict[str, Array] = {}
        for k, key in enumerate(names):
            offset, columns[key] = unpack_varints(buf, *packed.span(base + k))
            if key == "ts":
                offsets.append(offset)
            elif not np.array_equal(offset, offsets[-1]):
                columns[key] = _fit(columns[key], offset, offsets[-1])
        columns["ts"] = _undo_deltas(columns["ts"], offsets[-1])
        columns["bundle"] = np.repeat(np.arange(len(start)), np.diff(offsets[-1]))
        columns["cpu"] = cpu[columns["bundle"]]
        at = words[columns["bundle"]] + columns["comm"]
        inside = (columns["comm"] >= 0) & (at < words[columns["bundle"] + 1])
        at = np.where(inside, at, 0)
        empty = np.zeros(len(at), np.int64)
        columns["comm_start"] = np.where(inside, word_at[at], 0) if len(word_at) else empty
        columns["comm_end"] = np.where(inside, word_end[at], 0) if len(word_end) else empty
        sides.append(columns)
    switch, waking = sides
    for key in ("next_tid", "next_prio", "target_tid", "target_prio", "target_cpu"):
        side = switch if key in switch else waking
        side[key] = side[key].astype(np.int32)
    switch["prev_tid"] = np.empty(len(switch["ts"]), np.int32)
    switch["prev_prio"] = np.empty(len(switch["ts"]), np.int32)
    waking["tid"] = np.full(len(waking["ts"]), -1, np.int32)
    follow_switches(
        cpu, bundles.lost[part], bundles.dropped[part], offsets[0], switch["ts"], switch["next_tid"], switch["next_prio"],
        switch["prev_tid"], switch["prev_prio"], offsets[1], waking["ts"], waking["tid"],
        running, running_prio,
    )  # fmt: skip
    of_bundle = np.concatenate([switch["bundle"], waking["bundle"]])
    return Compact(switch=switch, waking=waking), (switch["ts"], waking["ts"]), of_bundle


def _fit(values: Array, offset: Array, wanted: Array) -> Array:
    """Fits a column to the length of the times; rows that it lacks (in a damaged or cut bundle) are 0."""
    out = np.zeros(int(wanted[-1]), np.int64)
    counts = np.minimum(np.diff(offset), np.diff(wanted))
    bundles = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(bundles)) - np.repeat(np.cumsum(counts) - counts, counts)
    out[wanted[:-1][bundles] + within] = values[offset[:-1][bundles] + within]
    return out


def _undo_deltas(deltas: Array, offsets: Array) -> Array:
    """Times of each bundle from its first time and the differences after it."""
    total = np.cumsum(deltas)
    counts = np.diff(offsets)
    before = np.where(offsets[:-1] > 0, total[np.maximum(offsets[:-1] - 1, 0)], 0) if len(total) else offsets[:-1]
    return np.asarray(total - np.repeat(before, counts))
