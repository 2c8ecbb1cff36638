"""Writes a trace with the suite's own tracks as a file for the Perfetto UI (ui.perfetto.dev)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

from android_suite.errors import UsageError
from android_suite.tables.events import MAX_TID, kernel_tid
from android_suite.tables.trace import Trace
from android_suite.trace.core.calls import find_machine
from android_suite.trace.perfetto.numbers import number_of
from android_suite.trace.perfetto.wire import LENGTH, VARINT, write_varint
from android_suite.trace.perfetto.write.encode import encode_events
from android_suite.trace.perfetto.write.events import EventWriter, collect_events
from android_suite.trace.perfetto.write.frames import encode_frames
from android_suite.trace.perfetto.write.tracks import encode_tracks, make_tracks

_SEQUENCE_ID = 1
_EVENTS_A_BUNDLE = 4096
_PACKET_TAG = write_varint(number_of("Trace", "packet") << 3 | LENGTH)
_BUNDLE_TAG = write_varint(number_of("TracePacket", "ftrace_events") << 3 | LENGTH)
_SEQUENCE_TAG = write_varint(number_of("TracePacket", "trusted_packet_sequence_id") << 3 | VARINT)


def write_perfetto(trace: Trace, derived: Mapping[str, pd.DataFrame], path: Path) -> None:
    """Writes the events of ``trace`` and tracks made of ``derived``.

    Args:
        trace: any decoded trace; its event tables are written, mmap_lock and contention events as generic events.
        derived: tables of tables.derived by name; a missing table has no track.
        path: the file, which is written in full or not at all.

    Raises:
        UsageError: the file cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    comms = dict(zip(trace["threads"]["tid"].tolist(), trace["threads"]["comm"].tolist(), strict=True))
    try:
        with unfinished.open("wb") as stream:
            stream.write(_encode_system(trace))
            for part in _encode_bundles(trace, collect_events(trace)):
                stream.write(part)
            stream.writelines(encode_frames(trace["frame_timeline"]))
            stream.writelines(encode_tracks(make_tracks(derived, comms), trace["threads"]))
        unfinished.replace(path)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({error.strerror}); choose another place with --perfetto."
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def _encode_system(trace: Trace) -> bytes:
    out = protos.Trace()
    calls = trace["syscall"]
    machine = find_machine(calls["call"].to_numpy(), calls["nr"].to_numpy())
    if trace.source.kernel or machine:
        about = out.packet.add().system_info.utsname
        about.release, about.machine = (
            trace.source.kernel or "",
            machine or "",
        )  # the numbers of calls depend on the machine
    tree = out.packet.add().process_tree
    threads = trace["threads"]
    named = threads[threads["process"] != ""].drop_duplicates("tgid")
    for tgid, process in zip(named["tgid"].tolist(), named["process"].tolist(), strict=True):
        if 0 < tgid <= MAX_TID:
            tree.processes.add(pid=tgid, cmdline=[process])
    for tid, tgid, comm in zip(
        threads["tid"].tolist(), threads["tgid"].tolist(), threads["comm"].tolist(), strict=True
    ):
        if 0 < tid <= MAX_TID:  # of several threads with one id, the last
            tree.threads.add(tid=tid, tgid=max(0, kernel_tid(tgid)), name=comm)
    for packet in out.packet:
        packet.trusted_packet_sequence_id = _SEQUENCE_ID
    return bytes(out.SerializeToString())


def _encode_bundles(trace: Trace, events: EventWriter) -> Iterator[bytes]:
    if events.is_empty():
        return
    cpu, columns = events.ordered()
    offsets, data = encode_events(columns)
    lost = _gap_ends(trace["lost"], cpu, columns.ts_ns)
    changes = np.flatnonzero(np.diff(cpu)) + 1
    cuts = np.unique(np.concatenate([np.arange(0, len(cpu), _EVENTS_A_BUNDLE), changes, lost])).astype(np.int64)
    flagged = set(lost.tolist())
    yield _encode_first(events, int(cpu[0]))
    for start, end in zip(cuts, [*cuts[1:], len(cpu)], strict=True):
        head = protos.FtraceEventBundle(cpu=int(cpu[start]), lost_events=int(start) in flagged).SerializeToString()
        body = head + data[offsets[start] : offsets[end]].tobytes()
        packet = _BUNDLE_TAG + write_varint(len(body)) + body + _SEQUENCE_TAG + write_varint(_SEQUENCE_ID)
        yield _PACKET_TAG + write_varint(len(packet)) + packet


def _encode_first(events: EventWriter, cpu: int) -> bytes:
    """The first packet, to which the bundles refer: kernel symbols by number, and the forms of generic events."""
    out = protos.Trace()
    packet = out.packet.add()
    packet.trusted_packet_sequence_id = _SEQUENCE_ID
    packet.sequence_flags = protos.TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
    packet.ftrace_events.cpu = cpu
    packet.ftrace_events.generic_event_descriptors.extend(events.descriptors())
    for number, name in enumerate(events.symbol_names, start=1):
        packet.interned_data.kernel_symbols.add(iid=number, str=name.encode())
    return bytes(out.SerializeToString())


def _gap_ends(lost: pd.DataFrame, cpu: np.ndarray, ts: np.ndarray) -> np.ndarray:
    """Positions of the first event after each gap, where a bundle marked lost_events begins."""
    found = []
    for where, to_ns in zip(lost["cpu"].tolist(), lost["to_ns"].tolist(), strict=True):
        for one in np.unique(cpu).tolist() if where < 0 else [where]:
            start, end = np.searchsorted(cpu, [one, one + 1])
            at = start + np.searchsorted(ts[start:end], to_ns)
            if at < end:
                found.append(int(at))
    return np.array(sorted(set(found)), np.int64)
