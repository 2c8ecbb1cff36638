"""Traces as Android's own profiling leaves them, refused events, and the clock of framestats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

from android_suite.analysis.clocks import find_monotonic_offset, shift_times
from android_suite.analyze.file import analyze_file
from android_suite.analyze.traces import add_frames
from android_suite.trace.perfetto.reader import read_perfetto
from android_suite.trace.perfetto.redacted import KEPT, OTHERS

APP, UI, GC, SYNTHETIC = "com.example.app", 500, 507, 30001
MS = 1_000_000


def add_config(raw: protos.Trace, *events: str) -> None:
    source = raw.packet.add().trace_config.data_sources.add().config
    source.name = "linux.ftrace"
    source.ftrace_config.ftrace_events.extend(events)


def add_switch(bundle: protos.FtraceEventBundle, ms: int, prev: int, following: int, state: int = 1) -> None:
    event = bundle.event.add(timestamp=ms * MS, pid=prev)
    names = {UI: "example.app", GC: "HeapTaskDaemon"}  # the redactor clears the names of all others
    event.sched_switch.prev_comm, event.sched_switch.next_comm = names.get(prev, ""), names.get(following, "")
    event.sched_switch.prev_pid, event.sched_switch.next_pid = prev, following
    event.sched_switch.prev_prio = event.sched_switch.next_prio = 120
    event.sched_switch.prev_state = state


def redacted_trace() -> bytes:
    """As the redactor of Android 16 leaves a trace: one process for all others, and no statistics, locks or calls."""
    raw = protos.Trace()
    add_config(raw, "sched/sched_switch", "sched/sched_waking", "ftrace/print", "mmap_lock/mmap_lock_start_locking")
    tree = raw.packet.add(timestamp=MS).process_tree
    tree.processes.add(pid=UI, ppid=900, uid=10123, cmdline=[APP])
    tree.processes.add(pid=SYNTHETIC, cmdline=[OTHERS])
    tree.threads.add(tid=GC, tgid=UI, name="HeapTaskDaemon")
    for cpu in range(2):
        tid = SYNTHETIC + 1 + cpu
        tree.threads.add(tid=tid, tgid=SYNTHETIC, name=f"cpu-{tid}")
    bundle = raw.packet.add().ftrace_events
    bundle.cpu = 0
    other = SYNTHETIC + 1
    add_switch(bundle, 10, other, UI)
    for ms, text in ((11, f"B|{UI}|Choreographer#doFrame 7"), (30, f"E|{UI}")):
        bundle.event.add(timestamp=ms * MS, pid=UI).print.buf = f"{text}\n"
    add_switch(bundle, 31, UI, other)
    add_switch(bundle, 35, other, other)  # two other threads, now one
    waking = bundle.event.add(timestamp=40 * MS, pid=other).sched_waking
    waking.comm, waking.pid, waking.prio, waking.target_cpu = "HeapTaskDaemon", GC, 124, 0
    add_switch(bundle, 41, other, GC)
    add_switch(bundle, 45, GC, other)
    add_frame(raw, 10, 26, "expected_surface_frame_start", cookie=1)
    add_frame(raw, 11, 34, "actual_surface_frame_start", cookie=2)
    return raw.SerializeToString()


def add_frame(raw: protos.Trace, start_ms: int, end_ms: int, kind: str, *, cookie: int) -> None:
    """A frame of FrameTimeline, for whose messages the perfetto package has no class."""
    numbers = {"expected_surface_frame_start": 3, "actual_surface_frame_start": 4}
    layer = b"TX - com.example.app/.MainActivity#0"
    fields = varint(1, cookie) + varint(2, 77) + varint(3, 78) + varint(4, UI) + text(5, layer)
    if numbers[kind] == 4:
        fields += varint(6, 2) + varint(9, 64)  # presented late; the app missed its deadline
    for ms, body in ((start_ms, text(numbers[kind], fields)), (end_ms, text(5, varint(1, cookie)))):
        packet = protos.TracePacket.FromString(text(76, body))
        packet.timestamp = ms * MS
        raw.packet.append(packet)


def varint(field: int, value: int) -> bytes:
    out = bytearray()
    for number in (field << 3, value):
        while number > 127:
            out.append(number & 127 | 128)
            number >>= 7
        out.append(number)
    return bytes(out)


def text(field: int, body: bytes) -> bytes:
    tag = varint(field, len(body))
    return bytes([tag[0] | 2]) + tag[1:] + body


def test_a_redacted_trace_is_read_and_says_what_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "redacted.perfetto-trace"
    file.write_bytes(redacted_trace())
    trace = read_perfetto(file)
    assert trace.source.lost_events is None  # the redactor drops the statistics: unknown, not 0
    # The configuration lists mmap_lock; that there is none proves nothing.
    assert trace.source.enabled_events == {"sched:sched_switch", "sched:sched_waking", "ftrace:print"} <= KEPT
    assert any("Android removed other processes" in note for note in trace.source.notes)
    analysis = analyze_file(file, process=APP)
    assert {"mmap_lock", "syscall"}.isdisjoint(analysis.recorded)
    threads = analysis["thread_roles"].set_index("tid")
    assert threads.loc[[UI, GC], "process"].tolist() == [APP, APP]
    assert threads.loc[[SYNTHETIC + 1], "process"].tolist() == [OTHERS]
    [frame] = analysis["frames"].to_dict("records")
    assert (frame["source"], frame["jank_type"], frame["late"]) == ("frametimeline", "App Deadline Missed", True)
    assert frame["overrun_ns"] == 8 * MS
    assert frame["ui_running_ns"] == 20 * MS  # of the window from 11 to 34 ms, until the switch at 31 ms
    assert not len(analysis["inversions"])


def test_a_whole_trace_with_all_its_processes_is_not_called_redacted() -> None:
    raw = protos.Trace()
    add_config(raw, "sched/sched_switch", "mmap_lock/mmap_lock_released")
    bundle = raw.packet.add().ftrace_events
    bundle.cpu = 0
    add_switch(bundle, 10, 1, UI)
    trace = read_perfetto(raw.SerializeToString())
    assert trace.source.enabled_events == {"sched:sched_switch", "mmap_lock:mmap_lock_released"}
    assert trace.source.notes == ()


def test_events_that_were_refused_are_not_enabled() -> None:
    raw = protos.Trace()
    add_config(raw, "sched/sched_switch", "mmap_lock/mmap_lock_released", "bogus/event")
    stats = raw.packet.add().ftrace_stats
    stats.unknown_ftrace_events.append("bogus/event")
    stats.failed_ftrace_events.append("mmap_lock/mmap_lock_released")
    source = read_perfetto(raw.SerializeToString()).source
    assert source.enabled_events == {"sched:sched_switch"}
    assert source.notes == (
        "requested events that are not in this kernel: bogus:event",
        "requested events that were refused: mmap_lock:mmap_lock_released",
    )


@pytest.mark.parametrize(
    ("snapshots", "offset"),
    [
        (((9_000, 2_000), (19_500, 12_520)), 7_000),  # the clocks of a snapshot are read one after the other
        (((9_000, 2_000), (10**9, 2_000)), None),  # suspended in between
        ((), None),
    ],
    ids=["steady", "suspended", "none"],
)
def test_framestats_find_their_place_on_boottime(snapshots: tuple[tuple[int, int], ...], offset: int | None) -> None:
    raw = protos.Trace()
    for boot, mono in snapshots:
        clocks = raw.packet.add().clock_snapshot.clocks
        clocks.add(clock_id=protos.BUILTIN_CLOCK_BOOTTIME, timestamp=boot)
        clocks.add(clock_id=protos.BUILTIN_CLOCK_MONOTONIC, timestamp=mono)
    bundle = raw.packet.add().ftrace_events
    bundle.cpu = 0
    add_switch(bundle, 10, 1, UI)
    source = read_perfetto(raw.SerializeToString()).source
    assert source.clock == "boot"
    assert find_monotonic_offset(source) == offset


def test_times_are_shifted_and_what_is_no_time_stays() -> None:
    frame = pd.DataFrame({"pid": [5, 5], "deadline_ns": [100, -1], "present_ns": [0, 90], "interval_ns": [16, 16]})
    assert shift_times(frame, 7).to_dict("list") == {
        "pid": [5, 5], "deadline_ns": [107, -1], "present_ns": [0, 97], "interval_ns": [16, 16],
    }  # fmt: skip


def test_frames_of_perfetto_beside_the_pages_move_to_their_clock() -> None:
    raw = protos.Trace()
    clocks = raw.packet.add().clock_snapshot.clocks
    clocks.add(clock_id=protos.BUILTIN_CLOCK_BOOTTIME, timestamp=5 * MS)
    clocks.add(clock_id=protos.BUILTIN_CLOCK_MONOTONIC, timestamp=2 * MS)
    bundle = raw.packet.add().ftrace_events
    bundle.cpu = 0
    add_switch(bundle, 10, 1, UI)
    without = read_perfetto(raw.SerializeToString())
    pages = replace(without, source=replace(without.source, clock="mono"))
    add_frame(raw, 10, 26, "expected_surface_frame_start", cookie=1)
    add_frame(raw, 11, 34, "actual_surface_frame_start", cookie=2)
    beside = read_perfetto(raw.SerializeToString())
    [frame] = add_frames(pages, beside)["frame_timeline"].to_dict("records")
    assert (frame["expected_end_ns"], frame["actual_start_ns"], frame["actual_end_ns"]) == (23 * MS, 8 * MS, 31 * MS)
    # A clock that nothing relates to boottime gets none of them, and a note.
    apart = add_frames(replace(pages, source=replace(pages.source, clock="local", mono_offset_ns=None)), beside)
    assert not len(apart["frame_timeline"])
    assert "local and boot do not join" in apart.source.notes[-1]
