"""Makes the suite's tracks for the Perfetto UI: waits, holds, inversions and late frames, under their threads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

from android_suite.tables.events import kernel_tid

SEQUENCE_ID = 2
_MODES = ("read", "write")
_INVERSIONS = ("direct", "chained")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One slice of a track. Times are on the trace's clock."""

    start_ns: int
    end_ns: int
    name: str
    notes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One track under a thread."""

    tid: int
    name: str
    slices: Sequence[Slice]


def make_tracks(derived: Mapping[str, pd.DataFrame], comms: Mapping[int, str]) -> list[Track]:
    """Tracks from the given derived tables: lock_waits, lock_holds, lock_blockers, inversions, frames, madvise."""
    tracks: list[Track] = []
    for table, title, verb in (("lock_waits", "mmap_lock waits", "waits"), ("lock_holds", "mmap_lock holds", "holds")):
        rows = derived.get(table)
        if rows is not None and len(rows):
            names = [
                f"{verb} to {_MODES[w]}" if verb == "waits" else f"{verb} for {_MODES[w]}"
                for w in rows["write"].astype(int)
            ]
            mm = [f"0x{value:x}" for value in rows["mm"].tolist()]
            tracks += _by_thread(rows, rows["tid"], title, names, {"mm": mm})
    tracks += _blocker_tracks(derived, comms)
    tracks += _inversion_tracks(derived, comms)
    tracks += _madvise_tracks(derived)
    tracks += _frame_tracks(derived)
    return tracks


def _blocker_tracks(derived: Mapping[str, pd.DataFrame], comms: Mapping[int, str]) -> list[Track]:
    rows = derived.get("lock_blockers")
    if rows is None or rows.empty:
        return []
    holders = [comms.get(tid) or str(tid) for tid in rows["holder_tid"].tolist()]
    names = [f"{holder} in {operation}" for holder, operation in zip(holders, rows["operation"].tolist(), strict=True)]
    notes: dict[str, Sequence[object]] = {
        "holder": holders, "holder_tid": _kernel_tids(rows["holder_tid"]),
        "via": [comms.get(tid, "") if tid >= 0 else "" for tid in rows["via_tid"].tolist()],
    }  # fmt: skip
    return _by_thread(rows, rows["waiter_tid"], "waited for", names, notes)


def _inversion_tracks(derived: Mapping[str, pd.DataFrame], comms: Mapping[int, str]) -> list[Track]:
    rows = derived.get("inversions")
    if rows is None or rows.empty:
        return []
    holders = [comms.get(tid) or str(tid) for tid in rows["holder_tid"].tolist()]
    names = [
        f"{_INVERSIONS[kind]}: {holder} in {operation}"
        for kind, holder, operation in zip(rows["kind"].tolist(), holders, rows["operation"].tolist(), strict=True)
    ]
    notes: dict[str, Sequence[object]] = {
        "holder": holders, "holder_tid": _kernel_tids(rows["holder_tid"]), "holder_prio": rows["holder_prio"].tolist(),
        "waiter_prio": rows["waiter_prio"].tolist(),
        "via": [comms.get(tid, "") if tid >= 0 else "" for tid in rows["via_tid"].tolist()],
        "holder_running_ns": rows["running_ns"].tolist(), "holder_runnable_ns": rows["runnable_ns"].tolist(),
        "holder_blocked_ns": rows["blocked_ns"].tolist(),
    }  # fmt: skip
    return _by_thread(rows, rows["waiter_tid"], "priority inversions", names, notes)


def _madvise_tracks(derived: Mapping[str, pd.DataFrame]) -> list[Track]:
    rows = derived.get("madvise")
    if rows is None or rows.empty:
        return []
    paths = ("per-VMA lock", "mmap_lock", "path unknown")
    names = [f"madvise: {paths[path]}" for path in rows["path"].tolist()]
    return _by_thread(
        rows, rows["tid"], "madvise path", names, {"bytes": rows["bytes"].tolist(), "advice": rows["advice"].tolist()}
    )


def _frame_tracks(derived: Mapping[str, pd.DataFrame]) -> list[Track]:
    rows = derived.get("frames")
    if rows is None or rows.empty:
        return []
    rows = rows[rows["late"] & (rows["tgid"] >= 0)]
    names = [
        f"late by {overrun / 1e6:.1f} ms" + (" (inversion)" if inverted else "")
        for overrun, inverted in zip(rows["overrun_ns"].tolist(), rows["from_inversion"].tolist(), strict=True)
    ]
    notes: dict[str, Sequence[object]] = {
        "frame": rows["frame_id"].tolist(), "layer": rows["layer"].tolist(), "jank_type": rows["jank_type"].tolist(),
        "inverted_ns": rows["inverted_ns"].tolist(), "waited_for": rows["waited_for"].tolist(),
    }  # fmt: skip
    return _by_thread(rows, rows["tgid"], "late frames", names, notes)


def _by_thread(
    rows: pd.DataFrame, tids: pd.Series, title: str, names: list[str], notes: Mapping[str, Sequence[object]]
) -> list[Track]:
    starts, ends = rows["start_ns"].tolist(), rows["end_ns"].tolist()
    slices: dict[int, list[Slice]] = {}
    for i, tid in enumerate(tids.tolist()):
        noted = {key: values[i] for key, values in notes.items()}
        slices.setdefault(tid, []).append(Slice(start_ns=starts[i], end_ns=ends[i], name=names[i], notes=noted))
    return [
        Track(tid=tid, name=title, slices=lane)
        for tid, found in sorted(slices.items())
        for lane in split_lanes(sorted(found, key=lambda s: (s.start_ns, s.end_ns)))
    ]


def split_lanes(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Splits slices, sorted by start, into as few lanes as possible without overlaps, because a track's slices must nest."""
    lanes: list[list[Slice]] = []
    for one in slices:
        for lane in lanes:
            if lane[-1].end_ns <= one.start_ns:
                lane.append(one)
                break
        else:
            lanes.append([one])
    return lanes


def encode_tracks(tracks: Sequence[Track], threads: pd.DataFrame) -> Iterator[bytes]:
    """Packets of the tracks: a descriptor per thread and track, then the slices."""
    known = threads.set_index("tid")
    begun: set[int] = set()
    for number, track in enumerate(tracks, start=1):
        parent = track.tid + 1
        if track.tid not in begun:
            begun.add(track.tid)
            yield _packet(_describe_thread(parent, track.tid, known), first=len(begun) == 1)
        packet = protos.TracePacket()
        uuid = (1 << 32) + number
        packet.track_descriptor.uuid, packet.track_descriptor.parent_uuid = uuid, parent
        packet.track_descriptor.name = track.name
        yield _packet(packet)
        for one in track.slices:
            yield _packet(_begin(uuid, one))
            packet = protos.TracePacket(timestamp=max(one.end_ns, one.start_ns, 0))
            packet.track_event.type, packet.track_event.track_uuid = protos.TrackEvent.TYPE_SLICE_END, uuid
            yield _packet(packet)


def _kernel_tids(tids: pd.Series) -> Sequence[object]:
    return [kernel_tid(tid) for tid in tids.tolist()]


def _describe_thread(uuid: int, tid: int, known: pd.DataFrame) -> protos.TracePacket:
    packet = protos.TracePacket()
    packet.track_descriptor.uuid = uuid
    thread = packet.track_descriptor.thread
    thread.tid = kernel_tid(tid)
    tgid = int(known["tgid"].get(tid, -1))
    thread.pid = kernel_tid(tgid if tgid >= 0 else tid)
    thread.thread_name = str(known["comm"].get(tid, ""))
    return packet


def _begin(uuid: int, one: Slice) -> protos.TracePacket:
    packet = protos.TracePacket(timestamp=max(one.start_ns, 0))
    event = packet.track_event
    event.type, event.track_uuid, event.name = protos.TrackEvent.TYPE_SLICE_BEGIN, uuid, one.name
    event.categories.append("android-suite")
    for key, value in one.notes.items():
        note = event.debug_annotations.add(name=key)
        if isinstance(value, str):
            note.string_value = value
        elif isinstance(value, (int, np.integer)):
            note.int_value = int(value)
    return packet


def _packet(packet: protos.TracePacket, *, first: bool = False) -> bytes:
    packet.trusted_packet_sequence_id = SEQUENCE_ID
    if first:
        packet.sequence_flags = protos.TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
    return bytes(protos.Trace(packet=[packet]).SerializeToString())
