"""ftrace bundles of a Perfetto trace to one list of events, in time order: typed, generic and compact_sched ones."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from android_suite.errors import TraceError
from android_suite.trace.perfetto_packets import Packets
from android_suite.trace.perfetto_scan import (
    Array,
    Columns,
    expand_field,
    follow_switches,
    read_columns,
    read_named_fields,
    scan_events,
    unpack_varints,
)
from android_suite.trace.text_column import strings_from
from android_suite.trace.text_jit import copy_spans

MAX_CPUS = 4096
GENERIC = 327
FIRST_DESCRIBED = 0x10000  # events that Perfetto does not know are numbered from here, and described in the trace
_BUNDLE = {"cpu": 1, "lost": 3, "compact": 4, "clock": 5, "ftrace_ts": 6, "boot_ts": 7}
_CLOCKS = ("boot", "unknown", "global", "local", "mono_raw")
# compact_sched: packed columns of switches and of wakings; times and nothing else are deltas.
_SWITCH = {"ts": 1, "prev_state": 2, "next_tid": 3, "next_prio": 4, "comm": 6}
_WAKING = {"ts": 7, "target_tid": 8, "target_cpu": 9, "target_prio": 10, "comm": 11}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compact:
    """compact_sched of all bundles; ``event`` is the position of each row among all events."""

    switch: dict[str, Array]  # event, cpu, prev_tid, prev_prio, prev_state, next_tid, next_prio, comm_start, comm_end
    waking: dict[str, Array]  # event, cpu, tid, target_tid, target_prio, target_cpu, comm_start, comm_end


@dataclass(frozen=True, slots=True, kw_only=True)
class FtraceEvents:
    """All ftrace events. Arrays have one entry an event: typed and generic ones first, then compact_sched's."""

    buf: Array
    ts_ns: Array
    tid: Array
    cpu: Array
    bundle: Array  # which ftrace bundle the event stands in
    packet_of_bundle: Array
    kind: Array  # number of the FtraceEvent field; compact_sched: that of sched_switch or sched_waking
    start: Array  # bounds of the event's message; of typed and generic ones only
    end: Array
    rank: Array  # position in time order: seq
    generic: dict[str, tuple[Array, dict[str, int] | None]]  # name -> events, field numbers (None: named in the event)
    compact: Compact
    clock: str
    lost: list[tuple[int, int, int, int]]  # rows of the `lost` table, found in the bundles
    malformed: int
    cpus: int
    notes: tuple[str, ...] = field(default=())

    def rows(self, kind: int) -> Array:
        """Typed events of a kind, by position."""
        return np.flatnonzero(self.kind[: len(self.start)] == kind)

    def columns(self, rows: Array, numbers: tuple[int, ...]) -> Columns:
        """Fields of typed events."""
        return read_columns(self.buf, self.start[rows], self.end[rows], numbers)

    def named(self, name: str, fields: tuple[str, ...]) -> tuple[Array, Columns]:
        """Fields of a generic event, in either encoding: which events, and the columns in the order of ``fields``."""
        if name not in self.generic:
            none = np.empty((0, len(fields)), np.int64)
            return np.empty(0, np.int64), Columns(value=none, size=none, good=np.empty(0, np.bool_))
        rows, numbers = self.generic[name]
        value = np.zeros((len(rows), len(fields)), np.int64)
        size = np.full((len(rows), len(fields)), -1, np.int64)
        good = np.ones(len(rows), np.bool_)
        if numbers is None:
            words = [word.encode() for word in fields]
            name_at = np.cumsum([0, *(len(word) for word in words)])
            names = np.frombuffer(b"".join(words), np.uint8)
            read_named_fields(self.buf, self.start[rows], self.end[rows], names, name_at, value, size)
        else:
            known = [(k, numbers[f]) for k, f in enumerate(fields) if f in numbers]
            if known:
                found = self.columns(rows, tuple(number for _, number in known))
                at = [k for k, _ in known]
                value[:, at], size[:, at], good = found.value, found.size, found.good
        return rows, Columns(value=value, size=size, good=good)


def decode_bundles(packets: Packets, name: str) -> FtraceEvents:
    """Decodes every ftrace bundle of ``packets``.

    Raises:
        TraceError: a bundle is malformed.
    """
    buf = packets.buf
    which, starts, ends = packets.of("ftrace_events")
    fields = read_columns(buf, starts, ends, tuple(_BUNDLE.values()))
    bundle = {key: fields.number(k) for k, key in enumerate(_BUNDLE)}
    bad = ~fields.good | (bundle["cpu"] < 0) | (bundle["cpu"] >= MAX_CPUS)
    if bad.any():
        raise TraceError(name, int(starts[bad][0]), "a well-formed ftrace bundle", hint="Copy the file again.")
    parent, first, last = expand_field(buf, starts, ends, 2)
    n = len(parent)
    ts, tid = np.empty(n, np.int64), np.empty(n, np.int64)
    kind, start, end = np.empty(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    scan_events(buf, first, last, ts, tid, kind, start, end)
    good = (kind > 0) & (ts >= 0) & (tid >= -1) & (tid < (1 << 31))
    parent, ts, tid, kind, start, end = (a[good] for a in (parent, ts, tid, kind, start, end))
    compact, compact_ts, compact_bundle = _decode_compact(buf, fields, bundle)
    bundle_of = np.concatenate([parent, compact_bundle])
    ts = np.concatenate([ts, *compact_ts])
    switches = len(compact.switch["cpu"])
    kinds = np.concatenate([kind, np.full(switches, 4), np.full(len(ts) - len(kind) - switches, 20)])
    shift, clock, notes = _clock(bundle)
    ts = ts + shift[bundle_of]
    order = np.argsort(ts, kind="stable")
    rank = np.empty(len(ts), np.int64)
    rank[order] = np.arange(len(ts))
    for columns, base in ((compact.switch, len(kind)), (compact.waking, len(kind) + switches)):
        columns["event"] = np.arange(base, base + len(columns["cpu"]))
    cpu = bundle["cpu"][bundle_of]
    return FtraceEvents(
        buf=buf, ts_ns=ts, tid=tid, cpu=cpu, bundle=bundle_of, packet_of_bundle=which, kind=kinds,
        start=start, end=end, rank=rank,
        generic=_generic_names(buf, starts, ends, kind, start, end), compact=compact, clock=clock,
        lost=_lost(bundle, bundle_of, ts, _dropped(packets)[which]), malformed=int((~good).sum()),
        cpus=int(bundle["cpu"].max(initial=-1)) + 1, notes=notes,
    )  # fmt: skip


def _decode_compact(
    buf: Array, fields: Columns, bundle: dict[str, Array]
) -> tuple[Compact, tuple[Array, Array], Array]:
    """The rows, their times (switches, wakings) and the bundle of each row (switches, then wakings)."""
    start, end = fields.span(2)
    numbers = (*_SWITCH.values(), *_WAKING.values())
    packed = read_columns(buf, start, end, numbers)
    table, word_at, word_end = expand_field(buf, start, end, 5)
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
        columns["cpu"] = bundle["cpu"][columns["bundle"]]
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
        bundle["cpu"], bundle["lost"] != 0, offsets[0], switch["ts"], switch["next_tid"], switch["next_prio"],
        switch["prev_tid"], switch["prev_prio"], offsets[1], waking["ts"], waking["tid"],
        np.full(MAX_CPUS, -1, np.int32), np.zeros(MAX_CPUS, np.int32),
    )  # fmt: skip
    of_bundle = np.concatenate([switch["bundle"], waking["bundle"]])
    return Compact(switch=switch, waking=waking), (switch["ts"], waking["ts"]), of_bundle


def _fit(values: Array, offset: Array, wanted: Array) -> Array:
    """A column of another length than the times': rows beyond it are 0 (a lying or cut bundle)."""
    out = np.zeros(int(wanted[-1]), np.int64)
    counts = np.minimum(np.diff(offset), np.diff(wanted))
    bundles = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(bundles)) - np.repeat(np.cumsum(counts) - counts, counts)
    out[wanted[:-1][bundles] + within] = values[offset[:-1][bundles] + within]
    return out


def _undo_deltas(deltas: Array, offsets: Array) -> Array:
    """Times of each bundle from the first and the differences after it."""
    total = np.cumsum(deltas)
    counts = np.diff(offsets)
    before = np.where(offsets[:-1] > 0, total[np.maximum(offsets[:-1] - 1, 0)], 0) if len(total) else offsets[:-1]
    return np.asarray(total - np.repeat(before, counts))


def _clock(bundle: dict[str, Array]) -> tuple[Array, str, tuple[str, ...]]:
    """What to add to each bundle's times to come to boottime, and the clock the times are then on."""
    clocks = bundle["clock"]
    shift = np.where(clocks > 0, bundle["boot_ts"] - bundle["ftrace_ts"], 0)
    known = (clocks == 0) | ((bundle["boot_ts"] > 0) & (bundle["ftrace_ts"] > 0))
    if known.all():
        notes = ("times of another ftrace clock were moved to boottime",) if (clocks > 0).any() else ()
        return shift, "boot", notes
    number = int(clocks[~known][0])
    name = _CLOCKS[number] if 0 <= number < len(_CLOCKS) else "unknown"
    return np.zeros(len(clocks), np.int64), name, ("ftrace ran on a clock that the trace does not relate to boottime",)


def _generic_names(
    buf: Array, starts: Array, ends: Array, kind: Array, start: Array, end: Array
) -> dict[str, tuple[Array, dict[str, int] | None]]:
    found: dict[str, tuple[Array, dict[str, int] | None]] = {}
    rows = np.flatnonzero(kind == GENERIC)
    if len(rows):
        spans = read_columns(buf, start[rows], end[rows], (1,)).span(0)
        coded = strings_from(*copy_spans(buf, *spans)[::-1]).dictionary_encode()
        codes = coded.indices.to_numpy()
        for code, name in enumerate(coded.dictionary.to_pylist()):
            found[name] = rows[codes == code], None
    _, at, to = expand_field(buf, starts, ends, 11)
    described = read_columns(buf, at, to, (1, 2))
    numbered: set[int] = set()
    for i in range(len(at)):
        number = int(described.value[i, 0])
        if number < FIRST_DESCRIBED or number in numbered or described.size[i, 1] < 0:
            continue
        numbered.add(number)
        rows = np.flatnonzero(kind == number)
        if len(rows):
            first = int(described.value[i, 1])
            name, fields = _descriptor(buf[first : first + int(described.size[i, 1])])
            if name and name not in found:
                found[name] = rows, fields
    return found


def _descriptor(buf: Array) -> tuple[str, dict[str, int]]:
    """Name and field numbers of a DescriptorProto."""
    whole = np.zeros(1, np.int64), np.array([len(buf)])
    names = read_columns(buf, *whole, (1,)).span(0)
    _, at, to = expand_field(buf, *whole, 2)
    fields = read_columns(buf, at, to, (1, 3))
    words = [_word(buf, a, b) for a, b in zip(*fields.span(0), strict=True)]
    numbers = fields.number(1)
    sane = {word: int(number) for word, number in zip(words, numbers, strict=True) if 0 < number < 4096}
    return _word(buf, names[0][0], names[1][0]), sane


def _word(buf: Array, start: int, end: int) -> str:
    return bytes(buf[start:end]).decode("utf-8", "replace")


def _dropped(packets: Packets) -> Array:
    """Packets before which others of their sequence were dropped; perfetto marks the first of each sequence as well."""
    sequence = packets.number("trusted_packet_sequence_id")
    first = np.zeros(len(sequence), np.bool_)
    first[np.unique(sequence, return_index=True)[1]] = True
    return np.asarray((packets.number("previous_packet_dropped") != 0) & ~first)


def _lost(bundle: dict[str, Array], bundle_of: Array, ts: Array, dropped: Array) -> list[tuple[int, int, int, int]]:
    """Gaps before bundles marked ``lost_events`` (of that CPU) and before dropped packets (of any CPU)."""
    flagged = bundle["lost"] != 0
    if not (flagged | dropped).any() or not len(ts):
        return []
    largest = np.iinfo(np.int64).max
    first = np.full(len(flagged), largest)
    last = np.full(len(flagged), -1)
    np.minimum.at(first, bundle_of, ts)
    np.maximum.at(last, bundle_of, ts)
    begin, end = int(ts.min()), int(ts.max())
    rows = []
    for i in np.flatnonzero(flagged | dropped).tolist():
        any_cpu = bool(dropped[i])
        same = np.flatnonzero(bundle["cpu"] == bundle["cpu"][i]) if not any_cpu else np.arange(len(first))
        before = int(last[same[same < i]].max(initial=-1))
        after = int(first[same[same >= i]].min(initial=largest))
        from_ns, to_ns = (before if before >= 0 else begin), (after if after < largest else end)
        rows.append((-1 if any_cpu else int(bundle["cpu"][i]), min(from_ns, to_ns), to_ns, -1))
    return rows
