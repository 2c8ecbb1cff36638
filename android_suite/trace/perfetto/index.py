"""Indexes the ftrace bundles of a Perfetto trace before events are decoded: their numbers by kind, and their times.

The times show where the trace can be split: between two bundles, if everything before the split is older than everything
after it. The pieces are decoded one after another, each into its final place, in memory that does not grow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from android_suite.errors import TraceError
from android_suite.trace.core.byte_readers import copy_spans
from android_suite.trace.core.compiled import compiled
from android_suite.trace.core.string_columns import strings_from
from android_suite.trace.perfetto.numbers import number_of, numbers_of
from android_suite.trace.perfetto.packets import Packets
from android_suite.trace.perfetto.scan import (
    Array,
    Columns,
    expand_field,
    next_field,
    read_columns,
    scan_event,
    varint,
)

MAX_CPUS = 4096
SCHED_SWITCH, SCHED_WAKING, GENERIC = numbers_of("FtraceEvent", "sched_switch", "sched_waking", "generic")
FIRST_DESCRIBED = 0x10000  # events unknown to Perfetto are numbered from here on and described in the trace
_BUNDLE = {
    key: number_of("FtraceEventBundle", field)
    for key, field in (
        ("cpu", "cpu"), ("lost", "lost_events"), ("compact", "compact_sched"), ("clock", "ftrace_clock"),
        ("ftrace_ts", "ftrace_timestamp"), ("boot_ts", "boot_timestamp"), ("last_read", "last_read_event_timestamp"),
        ("previous_end", "previous_bundle_end_timestamp"),
    )
}  # fmt: skip
_EVENT = number_of("FtraceEventBundle", "event")
_CLOCKS = ("boot", "unknown", "global", "local", "mono_raw")
_COMPACT_TIMES = numbers_of("FtraceEventBundle.CompactSched", "switch_timestamp", "waking_timestamp")
_PIECE_EVENTS = 1 << 18
_LARGEST = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """An event that the trace itself describes."""

    number: int
    name: str
    fields: dict[str, int]  # name -> number


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundles:
    """All ftrace bundles, in file order. Arrays have one value per bundle."""

    buf: Array
    packet: Array  # index of its packet
    start: Array
    end: Array
    cpu: Array
    lost: Array  # bool: events of its CPU are missing before it
    dropped: Array  # bool: packets with events of any CPU are missing before it
    compact: tuple[Array, Array]  # bounds of compact_sched
    shift_ns: Array  # what to add to its times
    events: Array  # number of well-formed events, including those of compact_sched
    first_ns: Array  # its earliest time, shifted; the largest int64 if it has no event
    last_ns: Array  # its latest time, shifted; the smallest int64 if it has no event
    read_ns: Array  # older events of its CPU's buffer had already been read; the smallest int64 if unknown
    clock: str
    notes: tuple[str, ...]
    malformed: Array  # number of malformed events in each bundle
    kind_counts: Array  # events by FtraceEvent field, up to FIRST_DESCRIBED
    described: tuple[Described, ...]  # those that occur, with different names
    pieces: tuple[tuple[int, int], ...]  # first bundle of each piece, and the one after its last

    @property
    def total(self) -> int:
        """Number of events in the trace."""
        return int(self.events.sum())


def index_bundles(packets: Packets, name: str) -> Bundles:
    """Indexes all bundles in one pass.

    Raises:
        TraceError: a bundle is malformed.
    """
    buf = packets.buf
    which, starts, ends = packets.of("ftrace_events")
    fields = read_columns(buf, starts, ends, tuple(_BUNDLE.values()))
    of = {key: fields.number(k) for k, key in enumerate(_BUNDLE)}
    bad = ~fields.good | (of["cpu"] < 0) | (of["cpu"] >= MAX_CPUS)
    if bad.any():
        raise TraceError(name, int(starts[bad][0]), "a well-formed ftrace bundle", hint="Copy the file again.")
    shift, clock, notes = _clock(of)
    described = _read_described(buf, starts, ends)
    numbers = np.array(sorted(described), np.int64)
    n = len(starts)
    events, malformed = np.zeros(n, np.int64), np.zeros(n, np.int64)
    first, last = np.full(n, _LARGEST), np.full(n, np.iinfo(np.int64).min)
    kinds, tally = np.zeros(FIRST_DESCRIBED, np.int64), np.zeros(len(numbers), np.int64)
    _survey(buf, starts, ends, shift, numbers, events, malformed, first, last, kinds, tally)
    read = np.maximum(of["last_read"], of["previous_end"])  # an older and a newer field for nearly the same time
    compact = fields.span(list(_BUNDLE).index("compact"))
    packed: Columns = read_columns(buf, *compact, _COMPACT_TIMES)
    for k, kind in enumerate((SCHED_SWITCH, SCHED_WAKING)):
        before = int(events.sum())
        _survey_deltas(buf, *packed.span(k), shift, events, first, last)
        kinds[kind] += int(events.sum()) - before
    happen = {int(number) for number, count in zip(numbers, tally, strict=True) if count}
    taken = _generic_names(buf, starts, ends, events) if happen and kinds[GENERIC] else set()
    return Bundles(
        buf=buf, packet=which, start=starts, end=ends, cpu=of["cpu"], lost=of["lost"] != 0, dropped=_dropped(packets)[which],
        compact=compact, shift_ns=shift,
        events=events, first_ns=first, last_ns=last,
        read_ns=np.where(read > 0, read + shift, np.iinfo(np.int64).min), clock=clock, notes=notes,
        malformed=malformed,
        kind_counts=kinds, described=_different([described[n] for n in described if n in happen], taken),
        pieces=_cut(events, first, last),
    )  # fmt: skip


def _dropped(packets: Packets) -> Array:
    """Which packets follow dropped packets of their sequence, except the first of each, which perfetto always marks."""
    sequence = packets.number("trusted_packet_sequence_id")
    first = np.zeros(len(sequence), np.bool_)
    first[np.unique(sequence, return_index=True)[1]] = True
    return np.asarray((packets.number("previous_packet_dropped") != 0) & ~first)


def _clock(bundle: dict[str, Array]) -> tuple[Array, str, tuple[str, ...]]:
    """The shift of each bundle's times to boottime in ns, the resulting clock, and notes."""
    clocks = bundle["clock"]
    shift = np.where(clocks > 0, bundle["boot_ts"] - bundle["ftrace_ts"], 0)
    known = (clocks == 0) | ((bundle["boot_ts"] > 0) & (bundle["ftrace_ts"] > 0))
    if known.all():
        notes = ("times of another ftrace clock were converted to boottime",) if (clocks > 0).any() else ()
        return shift, "boot", notes
    number = int(clocks[~known][0])
    name = _CLOCKS[number] if 0 <= number < len(_CLOCKS) else "unknown"
    return np.zeros(len(clocks), np.int64), name, ("ftrace ran on a clock that the trace does not relate to boottime",)


def _cut(events: Array, first: Array, last: Array) -> tuple[tuple[int, int], ...]:
    """Splits the bundles into pieces of at least ``_PIECE_EVENTS`` events where the times allow, never at equal times."""
    if not len(events):
        return ((0, 0),)
    newest = np.maximum.accumulate(last)
    oldest_after = np.minimum.accumulate(first[::-1])[::-1]
    cuts = np.flatnonzero(newest[:-1] < oldest_after[1:]) + 1
    count = np.cumsum(events)
    bounds = [0]
    while True:
        full = np.searchsorted(count, (count[bounds[-1] - 1] if bounds[-1] else 0) + _PIECE_EVENTS) + 1
        at = np.searchsorted(cuts, full)
        if at >= len(cuts):
            break
        bounds.append(int(cuts[at]))
    return tuple(zip(bounds, [*bounds[1:], len(events)], strict=True))


def _read_described(buf: Array, starts: Array, ends: Array) -> dict[int, Described]:
    """The events that the trace itself describes, by number; the first description of a number counts."""
    _, at, to = expand_field(buf, starts, ends, number_of("FtraceEventBundle", "generic_event_descriptors"))
    wanted = numbers_of("FtraceEventBundle.GenericEventDescriptor", "field_id", "event_descriptor")
    fields = read_columns(buf, at, to, wanted)
    found: dict[int, Described] = {}
    for number, first, size in zip(
        fields.value[:, 0].tolist(), fields.value[:, 1].tolist(), fields.size[:, 1].tolist(), strict=True
    ):
        if number >= FIRST_DESCRIBED and number not in found and size >= 0:
            name, numbers = _descriptor(buf[first : first + size])
            found[number] = Described(number=number, name=name, fields=numbers)
    return found


def _different(described: list[Described], taken: set[str]) -> tuple[Described, ...]:
    kept: dict[str, Described] = {}
    for one in described:
        if one.name and one.name not in taken:
            kept.setdefault(one.name, one)
    return tuple(kept.values())


def _descriptor(buf: Array) -> tuple[str, dict[str, int]]:
    """Name and field numbers of a DescriptorProto."""
    whole = np.zeros(1, np.int64), np.array([len(buf)])
    names = read_columns(buf, *whole, numbers_of("DescriptorProto", "name")).span(0)
    _, at, to = expand_field(buf, *whole, number_of("DescriptorProto", "field"))
    fields = read_columns(buf, at, to, numbers_of("FieldDescriptorProto", "name", "number"))
    words = [_word(buf, a, b) for a, b in zip(*fields.span(0), strict=True)]
    numbers = fields.number(1)
    sane = {word: int(number) for word, number in zip(words, numbers, strict=True) if 0 < number < 4096}
    return _word(buf, names[0][0], names[1][0]), sane


def _word(buf: Array, start: int, end: int) -> str:
    return bytes(buf[start:end]).decode("utf-8", "replace")


def _generic_names(buf: Array, starts: Array, ends: Array, events: Array) -> set[str]:
    """Names of the generic events, which contain their own names."""
    names: set[str] = set()
    for i in np.flatnonzero(events):
        _, _, _, kind, start, end = collect_events(buf, starts[i : i + 1], ends[i : i + 1], int(events[i]))
        generic = kind == GENERIC
        names.update(read_names(buf, start[generic], end[generic]).unique().to_pylist())
    return names


def read_names(buf: Array, start: Array, end: Array) -> Any:
    """The names of generic events, as an Arrow array."""
    return strings_from(
        *copy_spans(buf, *read_columns(buf, start, end, numbers_of("GenericFtraceEvent", "event_name")).span(0))[::-1]
    )


def collect_events(
    buf: Array, starts: Array, ends: Array, most: int
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """The well-formed typed and generic events, at most ``most``: bundle, time, thread, kind, and bounds of the message."""
    made = tuple(np.empty(most, np.int64) for _ in range(6))
    count = _collect(buf, starts, ends, *made)
    bundle, ts, tid, kind, start, end = (array[:count] for array in made)
    return bundle, ts, tid, kind, start, end


@compiled
def _collect(
    buf: Array, starts: Array, ends: Array, bundle: Array, ts: Array, tid: Array, kind: Array, first: Array, last: Array
) -> int:
    n = 0
    for i in range(len(starts)):
        at, end = starts[i], ends[i]
        while at < end:
            number, wire, _, start, after = next_field(buf, at, end)
            if number < 0:
                break
            at = after
            if number == _EVENT and wire == 2 and n < len(ts):
                ts[n], tid[n], kind[n], first[n], last[n] = scan_event(buf, start, after)
                bundle[n] = i
                n += kind[n] > 0
    return n


@compiled
def _survey(
    buf: Array, starts: Array, ends: Array, shift: Array, described: Array, events: Array, malformed: Array,
    first_ns: Array, last_ns: Array, kinds: Array, tally: Array,
) -> None:  # fmt: skip
    """Counts the typed and generic events of each bundle, and extends its times to theirs."""
    for i in range(len(starts)):
        at, end = starts[i], ends[i]
        while at < end:
            number, wire, _, start, after = next_field(buf, at, end)
            if number < 0:
                break
            at = after
            if number != _EVENT or wire != 2:
                continue
            ts, _, kind, _, _ = scan_event(buf, start, after)
            if kind <= 0:
                malformed[i] += 1
                continue
            ts += shift[i]
            events[i] += 1
            first_ns[i], last_ns[i] = min(first_ns[i], ts), max(last_ns[i], ts)
            if kind < len(kinds):
                kinds[kind] += 1
            elif len(described):
                k = np.searchsorted(described, kind)
                if k < len(described) and described[k] == kind:
                    tally[k] += 1


@compiled
def _survey_deltas(
    buf: Array, starts: Array, ends: Array, shift: Array, events: Array, first_ns: Array, last_ns: Array
) -> None:
    """The same for the packed times of compact_sched, of which all but the first are differences."""
    for i in range(len(starts)):
        at = starts[i]
        ts = np.int64(0)
        while at < ends[i]:
            delta, at = varint(buf, at, ends[i])
            if at < 0:
                break
            ts += np.int64(delta)
            events[i] += 1
            first_ns[i], last_ns[i] = min(first_ns[i], ts + shift[i]), max(last_ns[i], ts + shift[i])
