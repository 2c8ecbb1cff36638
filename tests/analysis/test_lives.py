"""A thread id that the kernel gave out twice: HeapTaskDaemon of one app, then a thread of another; in every format."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

from android_suite.analysis.alive import AFTER_TRACE
from android_suite.analysis.late_frames import list_late_frames
from android_suite.analysis.map_snapshots import MapSnapshot
from android_suite.analysis.metrics.listing import list_metrics
from android_suite.analysis.pipeline import Analysis, Evidence, analyze_trace
from android_suite.analysis.summary import summarize
from android_suite.export import PERFETTO, TEXT, export_trace
from android_suite.tables import events
from android_suite.tables.events import MAX_TID, kernel_tid
from android_suite.tables.evidence import FRAMESTATS
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import Trace
from android_suite.trace.perfetto.reader import read_perfetto
from android_suite.trace.ring.capture_folder import read_raw_capture
from tests.analysis.build import APP, BINDER, MM, OTHER_MM, TraceBuilder
from tests.analysis.build import GC as GC_OF_BUILD
from tests.analysis.reused_ids import (
    FORMS,
    GC,
    OLD,
    REUSED,
    WORKER,
    as_capture,
    as_perfetto,
    as_text,
    in_format,
    lock,
    pages,
    roles,
    story,
)
from tests.trace.captures import DatBuffer, make_dat_v7
from tests.trace.pages import make_layout


@pytest.mark.parametrize("form", FORMS)
def test_two_threads_of_one_id(form: str, tmp_path: Path) -> None:
    analysis = analyze_trace(in_format(form, tmp_path))
    assert roles(analysis) == {
        100: ("com.example.a", "ui", 100), OLD: ("HeapTaskDaemon", "gc", 100),
        200: ("Worker", "other", 300), 300: ("com.example.b", "other", 300),
    }  # fmt: skip
    waits = analysis["lock_blockers"]
    who = zip(*(waits[name].tolist() for name in ("waiter_tid", "holder_tid")), strict=True)
    assert sorted(set(who)) == [(100, OLD), (300, REUSED)]
    listed = [(row.waiter.thread, row.holder.thread, row.holder.tid) for row in summarize(analysis).blockers]
    assert listed == [("com.example.a", "HeapTaskDaemon", 200), ("com.example.b", "Worker", 200)]
    assert any("thread ids used again by another thread: 1 (" in note for note in analysis.notes)


def measured(analysis: Analysis) -> dict[str, object]:
    return {metric.name: metric.value for metric in list_metrics(analysis)}


def test_the_metrics_of_a_process_are_without_the_others_thread() -> None:
    alone = [event for event in story(GC, WORKER) if event[0] < 20000]
    together = as_text(story(GC, WORKER), None)
    others = {name for name in measured(analyze_trace(together)) if name.endswith(("_gc", "_ui"))}
    found = measured(analyze_trace(together, process="com.example.a"))
    want = measured(analyze_trace(as_text(alone, None), process="com.example.a"))
    assert {name: found[name] for name in others} == {name: want[name] for name in others}
    assert others


def test_a_process_id_that_is_used_again() -> None:
    """Its threads, its markers and its name stay with the process that had the id when they were there."""
    b = TraceBuilder()
    b.rows["threads"] = [(150, 140, "HeapTaskDaemon", ""), (140, 140, "com.b", "com.b"), (7, 7, "zygote", "")]
    b.mark(1, 140, "B|140|old").mark(2, 150, "B|140|GC").mark(3, 150, "E|140").mark(4, 140, "E|140")
    b.switch(5, 140, "Z", 7)._add("task", 6, 0, 7, 4, 140, False, "zygote")
    b.switch(8, 7, "S", 140).mark(9, 140, "B|140|new").mark(10, 140, "E|140")
    analysis = analyze_trace(b.trace())
    old = MAX_TID + 140
    assert {tid: group for tid, (_, _, group) in roles(analysis).items()} == {7: 7, 140: 140, 150: old, old: old}
    slices = analysis["slices"]
    assert list(zip(slices["name"], slices["tid"], slices["tgid"], strict=True)) == [
        ("old", old, old), ("GC", 150, old), ("new", 140, 140),
    ]  # fmt: skip
    assert roles(analysis)[old][1] == "ui"
    assert roles(analysis)[140] == ("com.b", "other", 140)


def test_a_wait_that_a_thread_died_in_is_not_its_successors() -> None:
    b = TraceBuilder().switch(1, 0, "R", 200).lock(10, 200, "start").switch(11, 200, "Z", APP)
    b._add("task", 20, 0, APP, 4, 200, True, "new").switch(30, APP, "S", 200).lock(31, 200, "start")
    b.lock(35, 200, "acquired").lock(36, 200, "released").switch(40, 200, "S", 0)
    waits = analyze_trace(b.trace())["lock_waits"]
    assert waits.loc[waits["tid"] == 200, ["start_ns", "end_ns"]].to_numpy().tolist() == [[31, 35]]


def test_exec_by_another_thread_is_the_same_process() -> None:
    """It takes the id of the main thread, which is dead by then."""
    b = TraceBuilder().switch(1, 0, "R", APP).switch(5, APP, "Z", BINDER).mark(8, APP, "B|100|x").mark(9, APP, "E|100")
    b._add("task", 10, 0, APP, events.TASK_KINDS.index("exec"), APP, False, "new")
    b.switch(12, APP, "S", 0).switch(20, 0, "R", APP)
    analysis = analyze_trace(b.trace())
    assert set(roles(analysis)) == {APP, GC_OF_BUILD, BINDER}
    assert not any("used again" in note for note in analysis.notes)


def test_one_making_told_thrice_is_one_thread() -> None:
    b = TraceBuilder().switch(1, 0, "R", APP).born(5, 250, APP)._add("task", 6, 0, APP, 0, 250, False, "new")
    b.wake(7, 250, kind="sched_wakeup_new", waker=APP).switch(9, APP, "S", 250).switch(12, 250, "Z", 0)
    assert set(roles(analyze_trace(b.trace()))) == {APP, GC_OF_BUILD, BINDER, 250}


def test_three_threads_of_one_id() -> None:
    b = TraceBuilder().switch(1, 0, "R", 250).switch(2, 250, "Z", APP)
    for ts in (10, 20):
        b.born(ts, 250, APP).switch(ts + 1, APP, "S", 250).switch(ts + 2, 250, "Z", APP)
    found = roles(analyze_trace(b.trace()))
    assert {250, MAX_TID + 250, 2 * MAX_TID + 250} <= set(found)
    assert {kernel_tid(tid) for tid in found} == {APP, GC_OF_BUILD, BINDER, 250}


def test_an_export_has_the_kernels_ids(tmp_path: Path) -> None:
    source, target = tmp_path / "trace.dat", tmp_path / "out.pftrace"
    source.write_bytes(make_dat_v7(make_layout(), [DatBuffer(cpus={0: pages(story(GC, WORKER))})]))
    export_trace(source, {PERFETTO: target})
    back = read_perfetto(target)
    assert sorted(back["threads"]["tid"].tolist()) == [0, 100, 200, 300]
    assert roles(analyze_trace(back))[OLD][:2] == ("HeapTaskDaemon", "gc")


BEFORE = {
    "threads_before": "100 100 main\n100 200 HeapTaskDaemon\n300 300 main\n",
    "processes_before": "100 app.a\n300 app.b\n",
}
AFTER = {"threads": "100 100 main\n300 300 main\n300 200 Worker\n", "processes": "100 app.a\n300 app.b\n"}


@pytest.mark.parametrize(
    "files",
    [
        {**BEFORE, **AFTER},
        {**BEFORE, **AFTER, "threads": "100 100 main\n300 300 main\n"},  # it ended before the list was read
        # of the suite's first version: the later list first
        {"threads": AFTER["threads"] + "100 200 HeapTaskDaemon\n", "processes": AFTER["processes"]},
    ],
    ids=["both", "ended", "one file"],
)
@pytest.mark.parametrize("without", ["", "task_newtask"])
def test_lists_are_of_the_thread_of_their_time(tmp_path: Path, files: dict[str, str], without: str) -> None:
    recorded = [event for event in story(GC, WORKER) if event[2] != without]
    found = roles(analyze_trace(read_raw_capture(as_capture(tmp_path, recorded, **files))))
    assert {tid: (comm, group) for tid, (comm, _, group) in found.items()} == {
        100: ("com.example.a", 100), OLD: ("HeapTaskDaemon", 100), 200: ("Worker", 300), 300: ("com.example.b", 300),
    }  # fmt: skip


def test_names_of_lists_alone(tmp_path: Path) -> None:
    """Where no sched event names the threads, the lists do: each its own thread, and each process that had the id."""
    recorded = [
        lock(10, 100, "start_locking", 0xA000), lock(11, 200, "start_locking", 0xA000),
        (20, 300, "task_newtask", {"pid": 100, "comm": "zygote", "clone_flags": 0}),
        (21, 300, "task_newtask", {"pid": 200, "comm": "zygote", "clone_flags": 0}),
        lock(30, 100, "start_locking", 0xB000), lock(31, 200, "start_locking", 0xB000),
    ]  # fmt: skip
    files = {
        "threads_before": "100 100 app.a\n100 200 HeapTaskDaemon\n300 300 zygote\n",
        "processes_before": "100 com.example.a\n300 zygote64\n",
        "threads": "100 100 app.c\n200 200 app.d\n300 300 zygote\n",
        "processes": "100 com.example.c\n200 com.example.d\n300 zygote64\n",
    }
    table = analyze_trace(read_raw_capture(as_capture(tmp_path, recorded, **files)))["thread_roles"]
    rows = zip(*(table[name].tolist() for name in ("tid", "tgid", "comm", "process")), strict=True)
    assert {row for row in rows if row[0]} == {
        (MAX_TID + 100, MAX_TID + 100, "app.a", "com.example.a"), (OLD, MAX_TID + 100, "HeapTaskDaemon", "com.example.a"),
        (100, 100, "app.c", "com.example.c"), (200, 200, "app.d", "com.example.d"), (300, 300, "zygote", "zygote64"),
    }  # fmt: skip


def test_a_list_read_before_is_not_of_a_thread_made_in_the_trace(tmp_path: Path) -> None:
    made = {"pid": 200, "comm": "com.example.b", "clone_flags": 0x10F00}
    recorded = [(5, 300, "task_newtask", made), *story(GC, WORKER)[-11:]]
    capture = as_capture(
        tmp_path, recorded, threads_before="100 200 HeapTaskDaemon\n300 300 b\n", threads="300 300 b\n"
    )
    assert roles(analyze_trace(read_raw_capture(capture)))[200][::2] == ("Worker", 300)


def test_a_process_tree_of_a_known_time(tmp_path: Path) -> None:
    raw = protos.Trace()
    raw.ParseFromString(as_perfetto([event for event in story(GC, WORKER) if event[2] != "task_newtask"]))
    for at, tgid, name in ((500, 100, "HeapTaskDaemon"), (39_000, 300, "Worker")):
        packet = raw.packet.add(trusted_packet_sequence_id=2, timestamp=at, timestamp_clock_id=6)
        packet.process_tree.processes.add(pid=tgid, cmdline=[f"app.{tgid}"])
        packet.process_tree.threads.add(tid=200, tgid=tgid, name=name)
    trace = read_perfetto(raw.SerializeToString())
    assert trace["thread_lists"][["tid", "ts_ns", "tgid", "comm", "process"]].to_numpy().tolist() == [
        [100, 500, 100, "", "app.100"], [300, 39_000, 300, "", "app.300"],
        [200, 500, 100, "HeapTaskDaemon", ""], [200, 39_000, 300, "Worker", ""],
    ]  # fmt: skip
    found = roles(analyze_trace(trace))
    assert (found[OLD], found[200]) == (("HeapTaskDaemon", "gc", 100), ("Worker", "other", 300))


def two_processes(clock: str = "mono") -> Trace:
    """An app of id 140 that waits 3 us for its lock, then another one of that id that waits 1 us."""
    b = TraceBuilder()
    b.rows["threads"] = [(140, 140, "com.b", "com.b"), (7, 7, "zygote", "")]
    b.switch(0, 7, "S", 140).mark(1000, 140, "B|140|Choreographer#doFrame").lock(2000, 140, "start", write=True)
    b.switch(2100, 140, "D", 7).wake(5000, 140).switch(5100, 7, "R", 140).lock(5200, 140, "acquired", write=True)
    b.lock(5300, 140, "released", write=True).mark(6000, 140, "E|140").switch(7000, 140, "Z", 7)
    b._add("task", 20_000, 0, 7, events.TASK_KINDS.index("newtask"), 140, False, "zygote")
    b.switch(21_000, 7, "S", 140).mark(21_500, 140, "B|140|Choreographer#doFrame").lock(
        22_000, 140, "start", write=True
    )
    b.switch(22_100, 140, "D", 7).wake(23_000, 140).switch(23_100, 7, "R", 140).lock(
        23_200, 140, "acquired", write=True
    )
    b.lock(23_300, 140, "released", OTHER_MM, write=True).mark(24_000, 140, "E|140").switch(25_000, 140, "S", 7)
    return b.trace(clock=clock)


def frames_at(*starts: int) -> pd.DataFrame:
    blank = {column.name: -1 if column.dtype == "int64" else "" for column in FRAMESTATS.columns}
    rows = [
        {
            **blank, "pid": 140, "process": "com.x", "window": "w", "flags": 0, "vsync_id": n, "intended_vsync_ns": at,
            "deadline_ns": at + 100, "completed_ns": at + 6000,
        }
        for n, at in enumerate(starts)
    ]  # fmt: skip
    return make_frame(FRAMESTATS, {c.name: [row[c.name] for row in rows] for c in FRAMESTATS.columns})


def test_frames_are_of_the_process_of_their_time() -> None:
    old = MAX_TID + 140
    analysis = analyze_trace(two_processes(), evidence=Evidence(framestats=frames_at(1000, 20_500, 15_000)))
    frames = analysis["frames"].sort_values("start_ns")
    # The middle one began when the first process was dead and the second not yet made.
    assert list(zip(frames["start_ns"], frames["tgid"], strict=True)) == [(1000, old), (15_000, -1), (20_500, 140)]
    assert frames["ui_vma_lock_ns"].tolist() == [0, 0, 0]
    assert frames["ui_mmap_lock_ns"].tolist() == [2900, 0, 900]  # from the switch-out to the waking
    assert any("frames of the process ids 140 are of no process" in note for note in analysis.notes)
    assert [frame.process for frame in list_late_frames(analysis)].count("com.b") == 1


def test_frames_of_an_unknown_time_are_of_nobody() -> None:
    """Their clock is not the trace's, and two processes had the id: the numbers of either are lower bounds."""
    frames = frames_at(1000, 20_500)
    analysis = analyze_trace(two_processes("boot"), process="com.b", evidence=Evidence(framestats=frames))
    assert analysis["frames"]["tgid"].tolist() == [-1, -1]
    [count] = [metric for metric in list_metrics(analysis) if metric.name == "frameCount"]
    assert (count.value, count.quality) == (0, "lower_bound")
    assert "another process's, which had the same id" in (count.reason or "")
    assert any("frames of the process ids 140" in note for note in analysis.notes)
    alone = TraceBuilder().mark(1, APP, "x").trace(clock="boot")
    mine = frames.assign(pid=APP)
    assert analyze_trace(alone, evidence=Evidence(framestats=mine))["frames"]["tgid"].tolist() == [APP, APP]


HEAP = 0x7000_0000
SPANS = pd.DataFrame({"start": [HEAP, HEAP + 4096], "end": [HEAP + 4096, HEAP + 8192], "vm_flags": ["rd wr", "rd wr"]})


@pytest.mark.parametrize(
    ("taken_ns", "dies", "reasons", "noted"),
    [
        (50, False, ["spans_vmas", "unknown"], False),
        (AFTER_TRACE, False, ["unknown", "spans_vmas"], False),
        (AFTER_TRACE, True, ["unknown", "unknown"], True),  # of a third process, which the trace does not know
        (None, False, ["unknown", "unknown"], True),
    ],
)
def test_mappings_are_of_the_process_of_their_time(
    taken_ns: int | None, dies: bool, reasons: list[str], noted: bool
) -> None:
    b = TraceBuilder()
    b.rows["threads"] = [(140, 140, "com.b", "com.b"), (7, 7, "zygote", "")]
    for at, mm in ((100, MM), (1100, OTHER_MM)):
        b.switch(at, 7, "S", 140).enter(at + 10, 140, "madvise", HEAP, 8192, 4).hold(at + 12, at + 14, 140, mm)
        b.leave(at + 20, 140, "madvise").enter(at + 30, 140, "munmap", HEAP, 4096).hold(at + 32, at + 34, 140, mm)
        b.leave(at + 40, 140, "munmap").enter(at + 50, 140, "madvise", HEAP, 4096, 4).leave(at + 60, 140, "madvise")
        b.switch(at + 70, 140, "Z" if dies or at == 100 else "S", 7)
    b._add("task", 1000, 0, 7, events.TASK_KINDS.index("newtask"), 140, False, "zygote")
    snapshot = MapSnapshot(tgid=140, vmas=SPANS, taken_ns=taken_ns)
    analysis = analyze_trace(b.trace(), evidence=Evidence(maps=[snapshot]))
    madvise = analysis.named("madvise")
    assert madvise.loc[madvise["path"] == "mmap_lock", "reason"].tolist() == reasons
    assert any("the mappings of process 140 are of no process" in note for note in analysis.notes) == noted


def test_text_names_each_thread_by_its_own_name(tmp_path: Path) -> None:
    """trace-cmd has one name an id; the event's own fields have the right ones, and so have these lines."""
    source, target = tmp_path / "trace.dat", tmp_path / "out.txt"
    recorded = story(GC, WORKER)
    source.write_bytes(make_dat_v7(make_layout(), [DatBuffer(cpus={0: pages(recorded)})], cmdlines="200 Worker\n"))
    export_trace(source, {TEXT: target})
    lines = target.read_text().splitlines()[1:]
    shown = {int(line[17:22]): set() for line in lines}
    for line, (ts, tid, *_) in zip(lines, recorded, strict=True):
        assert int(line[17:22]) == tid
        shown[tid].add((ts > 20_000, line[:16].strip()))
    assert shown[REUSED] == {(False, "HeapTaskDaemon"), (True, "Worker")}
    assert shown[100] == {(False, "com.example.a")}
