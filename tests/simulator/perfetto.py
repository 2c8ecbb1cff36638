"""Worlds as Perfetto traces: bundles of each CPU, compact_sched, typed and generic events, and every way to tell of losses."""

from __future__ import annotations

import random
import zlib
from collections.abc import Mapping, Sequence

import zstandard
from google.protobuf import descriptor_pb2
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

from tests.simulator.kernel_events import MEMCG_PATH, KernelEvent, field_names, list_forms, state_bits
from tests.simulator.layout import Gap
from tests.simulator.recording import Recording
from tests.trace.samples import sized, varint

_TYPED = {
    "sched_switch", "sched_waking", "sched_wakeup", "sched_wakeup_new", "sched_pi_setprio", "task_newtask",
    "sched_process_exit", "sys_enter", "sys_exit", "print",
}  # fmt: skip
_FIRST_DESCRIBED, _ZSTD_PACKETS = 70_000, 133
_SEQUENCE = 5


def render_perfetto(
    found: Sequence[KernelEvent], gaps: Sequence[Gap], threads: Mapping[str, Sequence[object]], recording: Recording,
    *, lossy: bool,
) -> bytes:  # fmt: skip
    """The trace; a lossy one that tells losses by packets lacks some of these besides."""
    rng = random.Random(len(found))
    trace = protos.Trace()
    fields = {name: field_names(form) for name, form in list_forms(recording).items()}
    _tell_about(trace, threads, [] if recording.loss == "late" else gaps, recording)
    bundles = _cut_bundles(found, gaps, recording, rng)
    # Of a head that was gone before, no bundle is marked and nothing is counted: the first says how far it reached.
    late = {g.cpu: g.to_ns - 1 for g in gaps} if recording.loss == "late" else {}
    dropped = set()
    if lossy and recording.loss == "packets":
        dropped = {i for i in range(1, len(bundles) - 1) if rng.random() < 0.1}
    for number, (lost, own) in enumerate(bundles):
        if number in dropped:
            continue
        packet = trace.packet.add(trusted_packet_sequence_id=_SEQUENCE)
        if number == 0 or number - 1 in dropped:  # perfetto marks the first of a sequence as well
            packet.previous_packet_dropped = 1
        _fill(packet.ftrace_events, own, fields, recording)
        packet.ftrace_events.lost_events = lost
        if own[0].cpu in late:
            packet.ftrace_events.last_read_event_timestamp = late.pop(own[0].cpu)
    return _pack(trace.SerializeToString(), recording.packed)


def _tell_about(
    trace: protos.Trace, threads: Mapping[str, Sequence[object]], gaps: Sequence[Gap], recording: Recording
) -> None:
    info = trace.packet.add().system_info.utsname
    info.release, info.machine = "6.17.0-test", "aarch64"
    asked = trace.packet.add().trace_config.data_sources.add().config.ftrace_config
    for name, form in list_forms(recording).items():
        if {"raw_syscalls": recording.all_calls, "exceptions": recording.faults}.get(form.system, True):
            asked.ftrace_events.append(f"{form.system}/{name}")
    tree = trace.packet.add().process_tree
    processes = dict(zip(threads["tgid"], threads["process"], strict=True))
    for tgid, name in processes.items():
        tree.processes.add(pid=tgid, cmdline=[name])
    for tid, tgid, comm in zip(threads["tid"], threads["tgid"], threads["comm"], strict=True):
        tree.threads.add(tid=tid, tgid=tgid, name=comm)
    for phase, count in ((protos.FtraceStats.START_OF_TRACE, 0), (protos.FtraceStats.END_OF_TRACE, 1)):
        stats = trace.packet.add().ftrace_stats
        stats.phase = phase
        for cpu in sorted({g.cpu for g in gaps}):
            lost = sum(g.events for g in gaps if g.cpu == cpu)
            stats.cpu_stats.add(cpu=cpu, overrun=7 + count * lost)


def _cut_bundles(
    found: Sequence[KernelEvent], gaps: Sequence[Gap], recording: Recording, rng: random.Random
) -> list[tuple[bool, list[KernelEvent]]]:
    """What traced drains: again and again each CPU's new events. An event after a gap begins a bundle that says so."""
    first, last = found[0].ts, found[-1].ts
    borders = sorted(rng.randint(first, last) for _ in range(rng.randint(2, 12)))
    marks = set() if recording.loss in ("counters", "late") else {(g.cpu, g.to_ns) for g in gaps if not g.at_end}
    drains: list[dict[int, list[tuple[bool, list[KernelEvent]]]]] = [{} for _ in range(len(borders) + 1)]
    number = 0
    for event in found:
        while number < len(borders) and event.ts > borders[number]:
            number += 1
        own = drains[number].setdefault(event.cpu, [])
        lost = (event.cpu, event.ts) in marks
        if lost or not own:
            own.append((lost, []))
        own[-1][1].append(event)
    return [bundle for drain in drains for cpu in sorted(drain) for bundle in drain[cpu]]


def _fill(
    bundle: protos.FtraceEventBundle, own: Sequence[KernelEvent], fields: Mapping[str, Sequence[str]], recording: Recording
) -> None:  # fmt: skip
    bundle.cpu = own[0].cpu
    bits, comms = state_bits(recording), []
    last = {"switch": 0, "waking": 0}
    numbers: dict[str, int] = {}
    for event in own:
        values = dict(zip(fields[event.name], event.values, strict=True))
        if "prev_state" in values:
            values["prev_state"] = bits[str(values["prev_state"])]
        if recording.compact and event.name in ("sched_switch", "sched_waking"):
            _add_compact(bundle.compact_sched, event, values, comms, last)
        elif event.name in _TYPED:
            values.pop("success", None) if event.name == "sched_waking" else None
            added = bundle.event.add(timestamp=event.ts, pid=event.pid)
            message = getattr(added, event.name)
            for key, value in values.items():
                if key == "args":
                    message.args.extend(value)
                else:
                    setattr(message, key, value)
        else:
            _add_generic(bundle, event, values, numbers, described=recording.described)
    bundle.compact_sched.intern_table.extend(comms)


def _add_compact(out, event: KernelEvent, values: Mapping[str, object], comms: list[str], last: dict[str, int]) -> None:  # type: ignore[no-untyped-def]
    side = event.name.removeprefix("sched_")
    comm = str(values["next_comm" if side == "switch" else "comm"])
    if comm not in comms:
        comms.append(comm)
    columns = {
        "timestamp": event.ts - last[side],
        f"{'next_' if side == 'switch' else ''}comm_index": comms.index(comm),
    }
    keys = ("prev_state", "next_pid", "next_prio") if side == "switch" else ("pid", "target_cpu", "prio")
    columns |= {key: values[key] for key in keys}
    for key, value in columns.items():
        getattr(out, f"{side}_{key}").append(value)
    last[side] = event.ts


def _add_generic(  # type: ignore[no-untyped-def]
    bundle, event: KernelEvent, values: Mapping[str, object], numbers: dict[str, int], *, described: bool
) -> None:
    if not described:
        added = bundle.event.add(timestamp=event.ts, pid=event.pid)
        added.generic.event_name = event.name
        for key, value in values.items():
            field = added.generic.field.add(name=key)
            if isinstance(value, str):
                field.str_value = value
            elif int(value) < 0:  # type: ignore[call-overload]
                field.int_value = value
            else:
                field.uint_value = value
        return
    if event.name not in numbers:
        numbers[event.name] = _FIRST_DESCRIBED + sum(map(ord, event.name))
        message = descriptor_pb2.DescriptorProto(name=event.name)
        for number, key in enumerate(values, start=1):
            message.field.add(name=key, number=number)
        bundle.generic_event_descriptors.add(field_id=numbers[event.name], event_descriptor=message.SerializeToString())
    body = b""
    for number, value in enumerate(values.values(), start=1):
        if value == MEMCG_PATH:
            body += varint(number << 3 | 2) + sized(MEMCG_PATH.encode())
        elif value:  # proto3 leaves out what is 0
            body += varint(number << 3) + varint(int(value) % (1 << 64))  # type: ignore[call-overload]
    raw = protos.FtraceEvent(timestamp=event.ts, pid=event.pid).SerializeToString()
    bundle.event.add().MergeFromString(raw + varint(numbers[event.name] << 3 | 2) + sized(body))


def _pack(data: bytes, how: str) -> bytes:
    if how == "deflate":
        outer = protos.Trace()
        outer.packet.add().compressed_packets = zlib.compress(data, 1)
        return outer.SerializeToString()
    if how == "zstd":
        packet = varint(_ZSTD_PACKETS << 3 | 2) + sized(zstandard.ZstdCompressor(level=1).compress(data))
        return b"\x0a" + sized(packet)
    return data
