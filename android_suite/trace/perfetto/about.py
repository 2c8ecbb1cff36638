"""Reads facts about a Perfetto trace besides its events: clocks, kernel, lost events, enabled events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

from android_suite.trace.perfetto.numbers import number_of, numbers_of
from android_suite.trace.perfetto.packets import Packets
from android_suite.trace.perfetto.scan import Array, expand_field, read_columns

BOOTTIME = protos.BUILTIN_CLOCK_BOOTTIME


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Facts about the trace as a whole."""

    machine: str | None
    kernel: str | None
    enabled: frozenset[str] | None
    lost_events: int | None  # from the kernel's counters; None if the trace has none
    lost_cpus: Mapping[int, int]  # the same by CPU
    unmarked_cpus: Mapping[int, int]  # by CPU, those that no mark before a bundle covers
    buffer_overwritten: bool  # perfetto's own buffer lost chunks
    refused: Mapping[str, tuple[str, ...]]  # requested events that were not enabled, by why
    mono_offset_ns: int | None  # boottime minus CLOCK_MONOTONIC; None if there is no snapshot, or a suspend between two


def _text(buf: Array, start: int, end: int) -> str:
    return bytes(buf[start:end]).decode("utf-8", "replace")


def read_about(packets: Packets) -> About:
    """Collects the facts; those that the trace lacks are None."""
    buf = packets.buf
    machine = kernel = None
    _, start, end = packets.of("system_info")
    if len(start):
        outer = read_columns(buf, start[-1:], end[-1:], numbers_of("SystemInfo", "utsname"))
        uts = read_columns(buf, *outer.span(0), numbers_of("Utsname", "release", "machine"))
        kernel, machine = (_text(buf, *(int(x[0]) for x in uts.span(k))) or None for k in (0, 1))
    by_cpu = _count_losses(packets, ("overrun", "commit_overrun", "dropped_events"))
    unmarked = _count_losses(packets, ("commit_overrun", "dropped_events"))
    refused = _refused(packets)
    return About(
        machine=machine, kernel=kernel, enabled=_enabled(packets, refused), refused=refused,
        mono_offset_ns=_monotonic_offset(packets),
        lost_events=None if by_cpu is None else sum(by_cpu.values()), lost_cpus=by_cpu or {}, unmarked_cpus=unmarked or {},
        buffer_overwritten=_overwritten(packets),
    )  # fmt: skip


def _refused(packets: Packets) -> dict[str, tuple[str, ...]]:
    """Requested events that traced_probes could not enable: those that the kernel lacks, those that it refused."""
    _, start, end = packets.of("ftrace_stats")
    found = {}
    for field in ("unknown_ftrace_events", "failed_ftrace_events"):
        _, at, to = expand_field(packets.buf, start, end, number_of("FtraceStats", field))
        names = {_text(packets.buf, int(a), int(b)) for a, b in zip(at, to, strict=True)}
        found[field] = tuple(sorted(name.replace("/", ":", 1) for name in names))
    return found


def _enabled(packets: Packets, refused: Mapping[str, tuple[str, ...]]) -> frozenset[str] | None:
    """Names of the enabled events; None if atrace categories or wildcards may have added others."""
    buf = packets.buf
    _, start, end = packets.of("trace_config")
    _, start, end = expand_field(buf, start, end, number_of("TraceConfig", "data_sources"))
    configs = read_columns(buf, start, end, numbers_of("TraceConfig.DataSource", "config")).span(0)
    ftrace = read_columns(buf, *configs, numbers_of("DataSourceConfig", "ftrace_config"))
    start, end = ftrace.span(0)
    _, at, to = expand_field(buf, start, end, number_of("FtraceConfig", "ftrace_events"))
    _, atrace, _ = expand_field(buf, start, end, number_of("FtraceConfig", "atrace_categories"))
    names = [_text(buf, int(a), int(b)) for a, b in zip(at, to, strict=True)]
    alone = read_columns(buf, start, end, numbers_of("FtraceConfig", "atrace_userspace_only")).number(0)
    more = len(atrace) and not (len(alone) and alone.all())
    if not names or more or any("*" in name or "/" not in name for name in names):
        return None
    asked = frozenset(name.replace("/", ":", 1) for name in names)
    return asked.difference(*refused.values())


def _count_losses(packets: Packets, counters: tuple[str, ...]) -> dict[int, int] | None:
    """Events that each CPU lost from the start of the trace to its end; None without the kernel's counters.

    ``counters`` are fields of FtraceCpuStats: overrun (overwritten, which the kernel also marks in the pages),
    commit_overrun and dropped_events (never written, which no page shows).
    """
    buf = packets.buf
    _, start, end = packets.of("ftrace_stats")
    if not len(start):
        return None
    phase = read_columns(buf, start, end, numbers_of("FtraceStats", "phase")).number(0)
    parent, at, to = expand_field(buf, start, end, number_of("FtraceStats", "cpu_stats"))
    cpu = read_columns(buf, at, to, numbers_of("FtraceCpuStats", "cpu", *counters))
    lost = np.sum([cpu.number(1 + i) for i in range(len(counters))], axis=0)
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for where, number, count in zip(phase[parent].tolist(), cpu.number(0).tolist(), lost.tolist(), strict=True):
        if where == protos.FtraceStats.START_OF_TRACE:
            first.setdefault(number, count)
        else:
            last[number] = count
    return {n: max(0, count - first.get(n, 0)) for n, count in last.items() if 0 <= n < 4096}


def _overwritten(packets: Packets) -> bool:
    """Whether trace_stats.buffer_stats counts chunks_overwritten (the ring buffer wrapped) or chunks_discarded."""
    _, start, end = packets.of("trace_stats")
    if not len(start):
        return False
    _, at, to = expand_field(packets.buf, start[-1:], end[-1:], number_of("TraceStats", "buffer_stats"))
    stats = read_columns(
        packets.buf, at, to, numbers_of("TraceStats.BufferStats", "chunks_overwritten", "chunks_discarded")
    )
    return bool((stats.number(0) > 0).any() or (stats.number(1) > 0).any())


_MAX_DRIFT_NS = 5_000_000  # two clocks of one snapshot are read one after the other; a suspend is longer


def _monotonic_offset(packets: Packets) -> int | None:
    offset = _clock_offsets(packets, protos.BUILTIN_CLOCK_MONOTONIC)
    if offset is None:
        return None
    shifts = offset[1]
    # Boottime is read first, so the longest difference was read with the least delay.
    return int(shifts.max()) if int(shifts.max()) - int(shifts.min()) <= _MAX_DRIFT_NS else None


def to_boottime(packets: Packets, which: Array) -> tuple[Array, Array]:
    """Times of the packets ``which`` on boottime, and which of them could be converted."""
    ts = packets.number("timestamp")[which]
    clock = packets.number("timestamp_clock_id")[which]
    default = _default_clocks(packets)
    if default:
        sequence = packets.number("trusted_packet_sequence_id")[which]
        usual = np.array([default.get(int(s), BOOTTIME) for s in sequence], np.int64)
        clock = np.where(clock == 0, usual, clock)
    known = (clock == 0) | (clock == BOOTTIME)
    for number in np.unique(clock[~known]).tolist():
        offset = _clock_offsets(packets, number)
        if offset is not None:
            mine = clock == number
            at, shift = offset
            nearest = np.clip(np.searchsorted(at, ts[mine], side="right") - 1, 0, len(at) - 1)
            ts[mine] += shift[nearest]
            known |= mine
    return ts, known


def _default_clocks(packets: Packets) -> dict[int, int]:
    which, start, end = packets.of("trace_packet_defaults")
    clocks = read_columns(packets.buf, start, end, numbers_of("TracePacketDefaults", "timestamp_clock_id")).number(0)
    sequences = packets.number("trusted_packet_sequence_id")[which]
    return {int(s): int(c) for s, c in zip(sequences, clocks, strict=True) if c}


def _clock_offsets(packets: Packets, clock: int) -> tuple[Array, Array] | None:
    """Snapshots of ``clock`` and boottime: values of the clock, ascending, and what to add from each of them on."""
    _, start, end = packets.of("clock_snapshot")
    parent, at, to = expand_field(packets.buf, start, end, number_of("ClockSnapshot", "clocks"))
    found = read_columns(packets.buf, at, to, numbers_of("ClockSnapshot.Clock", "clock_id", "timestamp"))
    ids, values = found.number(0), found.number(1)
    boot = dict(zip(parent[ids == BOOTTIME].tolist(), values[ids == BOOTTIME].tolist(), strict=True))
    pairs = sorted(
        (value, boot[p] - value)
        for p, value in zip(parent[ids == clock].tolist(), values[ids == clock].tolist(), strict=True)
        if p in boot
    )
    if not pairs:
        return None
    return np.array([p[0] for p in pairs], np.int64), np.array([p[1] for p in pairs], np.int64)
