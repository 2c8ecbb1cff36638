from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from google.protobuf import descriptor_pb2
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

from android_suite.tables import events
from android_suite.trace.perfetto import index as perfetto_index
from android_suite.trace.perfetto.packets import read_packets
from android_suite.trace.perfetto.reader import read_perfetto
from tests.trace.perfetto.build import bundle, checked, read, varint


def test_compact_sched() -> None:
    def build(raw: protos.Trace) -> None:
        for cpu, base in ((0, 1000), (1, 1005), (0, 2000)):
            compact = bundle(raw, cpu).compact_sched
            compact.intern_table.extend(["HeapTaskDaemon", "ui thread"])
            compact.switch_timestamp.extend([base, 10, 20])
            compact.switch_prev_state.extend([1, 0x100, 2])
            compact.switch_next_pid.extend([7, 8, 0])
            compact.switch_next_prio.extend([124, 110, 120])
            compact.switch_next_comm_index.extend([0, 1, 9])
            compact.waking_timestamp.extend([base + 5, 6])
            compact.waking_pid.extend([8, 7])
            compact.waking_target_cpu.extend([1, 0])
            compact.waking_prio.extend([110, 124])
            compact.waking_comm_index.extend([1, 0])

    trace = read(build)
    rows = trace["sched_switch"]
    first = rows[(rows["cpu"] == 0)]
    assert first["ts_ns"].tolist() == [1000, 1010, 1030, 2000, 2010, 2030]
    assert first["prev_tid"].tolist() == [-1, 7, 8, 0, 7, 8]
    assert first["prev_prio"].tolist() == [0, 124, 110, 120, 124, 110]
    assert [events.TASK_STATES[s] for s in first["prev_state"]] == ["S", "R+", "D"] * 2
    wakes = trace["sched_wake"].query("cpu == 0")
    assert wakes["ts_ns"].tolist() == [1005, 1011, 2005, 2011]
    assert wakes["tid"].tolist() == [7, 8, 7, 8]
    threads = trace["threads"].set_index("tid")["comm"]
    assert (threads[7], threads[8], threads[0]) == ("HeapTaskDaemon", "ui thread", "swapper")
    assert trace.source.event_counts == {"sched_switch": 9, "sched_waking": 6}
    seqs = sorted([*trace["sched_switch"]["seq"], *trace["sched_wake"]["seq"]])
    assert seqs == list(range(15))


def test_generic_events_in_both_encodings() -> None:
    def named(raw: protos.Trace) -> None:
        out = bundle(raw, 2)
        for ts, name, fields in (
            (10, "mmap_lock_start_locking", {"mm": (1 << 64) - 16, "memcg_path": "/a", "write": 1}),
            (12, "mmap_lock_acquire_returned", {"mm": (1 << 64) - 16, "memcg_path": "/a", "write": 1, "success": 1}),
            (14, "contention_begin", {"lock_addr": 77, "flags": 4}),
            (15, "contention_end", {"lock_addr": 77, "ret": -4}),
            (16, "page_fault_user", {"address": 4096, "ip": 5, "error_code": 6}),
            (17, "sys_enter_munmap", {"__syscall_nr": 11, "addr": 8192, "len": 4096}),
            (18, "sys_exit_munmap", {"__syscall_nr": 11, "ret": -12}),
        ):
            event = out.event.add(timestamp=ts, pid=42)
            event.generic.event_name = name
            for key, value in fields.items():
                field = event.generic.field.add(name=key)
                if isinstance(value, str):
                    field.str_value = value
                elif value < 0:
                    field.int_value = value
                else:
                    field.uint_value = value

    def described(raw: protos.Trace) -> None:
        message = descriptor_pb2.DescriptorProto(name="mmap_lock_released")
        for number, name in ((1, "mm"), (2, "memcg_id"), (3, "write")):
            message.field.add(name=name, number=number)
        out = bundle(raw, 2)
        out.generic_event_descriptors.add(
            field_id=70000, group_name="mmap_lock", event_descriptor=message.SerializeToString()
        )
        event = protos.FtraceEvent(timestamp=20, pid=42).SerializeToString()
        body = b"\x08" + varint((1 << 64) - 16) + b"\x10\x01\x18\x01"
        event += varint(70000 << 3 | 2) + varint(len(body)) + body
        out.event.add().MergeFromString(event)

    trace = read(named, described)
    locks = trace["mmap_lock"]
    assert locks["kind"].tolist() == [0, 1, 2]
    assert locks["mm"].tolist() == [(1 << 64) - 16] * 3
    assert locks["write"].all()
    assert locks["success"].all()
    assert trace["contention"][["kind", "flags", "ret"]].values.tolist() == [[0, 4, 0], [1, 0, -4]]
    assert trace["page_fault"]["address"].tolist() == [4096]
    calls = trace["syscall"]
    assert [events.SYSCALLS[c] for c in calls["call"]] == ["munmap", "munmap"]
    assert calls[["arg0", "arg1", "ret"]].values.tolist() == [[8192, 4096, 0], [0, 0, -12]]
    assert trace.source.event_counts["mmap_lock_released"] == 1
    assert trace.decode_event is not None
    assert trace.decode_event("contention_begin")["lock_addr"].tolist() == [77]
    assert trace.decode_event("mmap_lock:mmap_lock_released")["memcg_id"].tolist() == [1]


def test_typed_events_and_what_the_system_is() -> None:
    def build(raw: protos.Trace) -> None:
        info = raw.packet.add().system_info.utsname
        info.release, info.machine = "6.1.57-android14-11", "aarch64"
        tree = raw.packet.add().process_tree
        tree.processes.add(pid=100, cmdline=["com.example.gc", "-x"])
        tree.threads.add(tid=101, tgid=100, name="RenderThread")
        out = bundle(raw, 0)
        out.event.add(timestamp=5, pid=101).sys_enter.MergeFrom(
            protos.SysEnterFtraceEvent(id=233, args=[1 << 40, 4096, 4])
        )
        out.event.add(timestamp=6, pid=101).sys_exit.MergeFrom(protos.SysExitFtraceEvent(id=233, ret=-22))
        out.event.add(timestamp=7, pid=101).print.buf = "B|100|Choreographer#doFrame\n"
        out.event.add(timestamp=8, pid=100).task_newtask.MergeFrom(
            protos.TaskNewtaskFtraceEvent(pid=102, comm="x", clone_flags=0x10000)
        )
        out.event.add(timestamp=9, pid=102).task_rename.MergeFrom(
            protos.TaskRenameFtraceEvent(pid=102, oldcomm="x", newcomm="Jit thread pool")
        )
        out.event.add(timestamp=10, pid=1).sched_pi_setprio.MergeFrom(
            protos.SchedPiSetprioFtraceEvent(comm="a", pid=5, oldprio=120, newprio=98)
        )
        out.event.add(timestamp=11, pid=1).tracing_mark_write.MergeFrom(
            protos.TracingMarkWriteFtraceEvent(pid=3, trace_name="kernel", trace_begin=1)
        )

    trace = read(build)
    calls = trace["syscall"]
    assert [events.SYSCALLS[c] for c in calls["call"]] == ["madvise"] * 2
    assert calls[["arg0", "arg1", "arg2"]].values.tolist()[0] == [1 << 40, 4096, 4]
    assert calls["ret"].tolist() == [0, -22]
    assert trace["marker"]["text"].tolist() == ["B|100|Choreographer#doFrame", "B|3|kernel"]
    assert trace["pi_setprio"][["target_tid", "old_prio", "new_prio"]].values.tolist() == [[5, 120, 98]]
    threads = trace["threads"].set_index("tid")
    assert threads.loc[102].tolist() == [100, "Jit thread pool", "com.example.gc"]
    assert threads.loc[101].tolist() == [100, "RenderThread", "com.example.gc"]
    assert trace.source.kernel == "6.1.57-android14-11"
    assert trace.decode_event is not None
    assert trace.decode_event("task_rename")["newcomm"].tolist() == ["Jit thread pool"]


def test_a_boost_since_it_came_is_in_the_priority_of_who_leaves() -> None:
    def build(raw: protos.Trace) -> None:
        out = bundle(raw, 0)
        compact = out.compact_sched
        compact.intern_table.append("a")
        compact.switch_timestamp.extend([10, 10, 10])
        compact.switch_prev_state.extend([1, 1, 1])
        compact.switch_next_pid.extend([7, 8, 7])
        compact.switch_next_prio.extend([120, 110, 98])
        compact.switch_next_comm_index.extend([0, 0, 0])
        for ts, prio in ((12, 115), (15, 98)):
            boost = protos.SchedPiSetprioFtraceEvent(comm="a", pid=7, oldprio=120, newprio=prio)
            bundle(raw, 1).event.add(timestamp=ts, pid=1).sched_pi_setprio.MergeFrom(boost)
        boost = protos.SchedPiSetprioFtraceEvent(comm="a", pid=8, oldprio=100, newprio=110)
        bundle(raw, 1).event.add(timestamp=5, pid=1).sched_pi_setprio.MergeFrom(boost)

    switches = read(build)["sched_switch"]
    assert switches[["prev_tid", "prev_prio"]].values.tolist() == [[-1, 0], [7, 98], [8, 110]]


def test_another_ftrace_clock_is_moved_to_boottime() -> None:
    def build(raw: protos.Trace) -> None:
        out = bundle(raw, 0)
        out.ftrace_clock = protos.FTRACE_CLOCK_GLOBAL
        out.ftrace_timestamp, out.boot_timestamp = 1000, 5000
        out.event.add(timestamp=1010, pid=1).print.buf = "x"

    trace = read(build)
    assert trace["marker"]["ts_ns"].tolist() == [5010]
    assert trace.source.clock == "boot"


def test_systrace_text_inside() -> None:
    def build(raw: protos.Trace) -> None:
        for piece in ("# tracer: nop\n   x-1 [000] 1.0000", "00: tracing_mark_write: B|1|a\n"):
            raw.packet.add().chrome_events.legacy_ftrace_output.append(piece)

    trace = read(build)
    assert trace["marker"]["text"].tolist() == ["B|1|a"]
    assert trace.source.format == "perfetto"


def test_pieces_are_one_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trace cut wherever times allow gives the same tables, ties and carried-over state included."""

    def build(raw: protos.Trace) -> None:
        for round_ in range(40):
            for cpu in (1, 0):
                out = bundle(raw, cpu)
                start = round_ * 100 + cpu * (40 if round_ % 3 else 100)  # some rounds end when the next begins
                compact = out.compact_sched
                compact.intern_table.extend(["a", f"b{round_}"])
                compact.switch_timestamp.extend([start, 10, 10])
                compact.switch_prev_state.extend([1, 2, 0])
                compact.switch_next_pid.extend([round_ + 1, 0, 7])
                compact.switch_next_prio.extend([120, 120, 98])
                compact.switch_next_comm_index.extend([1, 0, 0])
                compact.waking_timestamp.extend([start + 10])
                compact.waking_pid.extend([9])
                compact.waking_target_cpu.extend([cpu])
                compact.waking_prio.extend([110])
                compact.waking_comm_index.extend([0])
                for ts in (start + 20, start, start + 50):
                    out.event.add(timestamp=ts, pid=cpu + 1).print.buf = f"C|1|x|{ts}"
                generic = out.event.add(timestamp=start + 50, pid=3)
                generic.generic.event_name = "mmap_lock_released"
                generic.generic.field.add(name="mm", uint_value=round_ + 1)

    whole = read(build)
    monkeypatch.setattr(perfetto_index, "_PIECE_EVENTS", 1)
    raw = protos.Trace()
    build(raw)
    assert len(perfetto_index.index_bundles(read_packets(raw.SerializeToString(), "x"), "x").pieces) > 10
    cut = read(build)
    assert cut.source == whole.source
    for name, table in whole.tables.items():
        pd.testing.assert_frame_equal(cut[name], table)
    assert whole["marker"]["ts_ns"].is_monotonic_increasing
    assert whole.decode_event is not None
    assert cut.decode_event is not None
    for event in ("print", "mmap_lock_released"):
        pd.testing.assert_frame_equal(cut.decode_event(event), whole.decode_event(event))


class TestRealFiles:
    def test_emulator(self, shared_data: Path) -> None:
        trace = read_perfetto(shared_data / "perfetto/msft_perfetto_trace_cpu_sampling_not_scoped.pftrace")
        counts = trace.source.event_counts
        assert (counts["sched_switch"], counts["sched_waking"], counts["cpu_idle"]) == (24698, 15470, 8032)
        assert len(trace["sched_switch"]) == 24698
        assert (trace["sched_wake"]["kind"] == 0).sum() == 15470
        assert trace.source.lost_events == 0
        assert trace.source.kernel is not None
        assert trace.source.kernel.startswith("5.10.43-android12")
        switches = trace["sched_switch"].sort_values(["cpu", "seq"])
        follows = switches.groupby("cpu")["next_tid"].shift()
        known = follows.notna()
        assert (follows[known] == switches["prev_tid"][known]).mean() > 0.999  # who leaves is who came
        assert trace.decode_event is not None
        assert len(trace.decode_event("cpu_idle")) == 8032
        # The process tree has 263 processes, idle is one more (trace_processor counts 266 of its own ids).
        assert trace["threads"]["tgid"].nunique() == 264
        assert (trace["threads"]["process"] != "").all()

    def test_every_gold_trace_is_read(self, shared_data: Path) -> None:
        files = sorted((shared_data / "perfetto_gold").glob("*.pb"))
        assert len(files) > 25
        for path in files:
            checked(path.read_bytes())
