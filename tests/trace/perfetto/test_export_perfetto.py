from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

from android_suite.analysis.pipeline import analyze_trace
from android_suite.analysis.summary import summarize_analysis
from android_suite.errors import UsageError
from android_suite.tables import derived, events
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import Trace
from android_suite.trace.core.calls import find_machine
from android_suite.trace.perfetto.reader import read_perfetto
from android_suite.trace.perfetto.write.tracks import Slice, split_lanes
from android_suite.trace.perfetto.write.writer import write_perfetto
from android_suite.trace.text.reader import read_text

STATES = events.TASK_STATES
TEXT = b"""\
HeapTaskDaemon-7 (    5) [001] 1.000000: sched_switch: prev_comm=HeapTaskDaemon prev_pid=7 prev_prio=124 prev_state=D \
==> next_comm=ui next_pid=5 next_prio=110
ui-5 (    5) [001] 1.000001: sched_waking: comm=HeapTaskDaemon pid=7 prio=124 target_cpu=000
ui-5 (    5) [001] 1.000002: sched_wakeup_new: comm=HeapTaskDaemon pid=7 prio=124 target_cpu=000
ui-5 (    5) [001] 1.000003: mmap_lock_start_locking: mm=ffff888000000001 memcg_id=1 write=true
ui-5 (    5) [001] 1.000004: mmap_lock_acquire_returned: mm=ffff888000000001 memcg_id=1 write=true success=false
ui-5 (    5) [000] 1.000005: mmap_lock_released: mm=ffff888000000001 memcg_id=1 write=false
ui-5 (    5) [000] 1.000006: contention_begin: ffff888000000100 (flags=SPIN|WRITE)
ui-5 (    5) [000] 1.000007: contention_end: ffff888000000100 (ret=-4)
ui-5 (    5) [000] 1.000008: sys_madvise(start: 7f3854356000, len_in: 7fc000, behavior: 4)
ui-5 (    5) [000] 1.000009: sys_madvise -> 0xfffffffffffffff4
ui-5 (    5) [000] 1.000010: tracing_mark_write: B|5|Choreographer#doFrame \xc3\xa4
CPU:0 [LOST 3 EVENTS]
ui-5 (    5) [000] 1.000011: sched_blocked_reason: pid=7 iowait=1 caller=rwsem_down_read_slowpath+0x1/0x2
ui-5 (    5) [000] 1.000012: sched_pi_setprio: comm=ui pid=5 oldprio=120 newprio=98
ui-5 (    5) [000] 1.000013: page_fault_user: address=0x7f00 ip=0x4000 error_code=0x6
ui-5 (    5) [000] 1.000014: task_rename: pid=5 oldcomm=a newcomm=ui oom_score_adj=0
ui-5 (    5) [000] 1.000015: sys_enter: NR 28 (7f3854356000, 40000, 4, 0, 0, ffffffffffffffff)
ui-5 (    5) [000] 1.000016: sys_exit: NR 28 = -22
ui-5 (    5) [000] 1.000017: contended_release: ffff888000000100
ui-5 (    5) [000] 1.000018: binder_transaction: transaction=81 dest_node=9 dest_proc=70 dest_thread=0 reply=0 \
flags=0x10 code=0x3
B:70_1-71 (   70) [001] 1.000019: binder_transaction_received: transaction=81
"""


def same_tables(first: Trace, second: Trace, *, but: frozenset[str] = frozenset()) -> None:
    for table in events.EVENT_TABLES:
        if table.name not in but:
            pd.testing.assert_frame_equal(first[table.name], second[table.name], obj=table.name)


def test_events_come_back(tmp_path: Path) -> None:
    trace = read_text(TEXT)
    write_perfetto(trace, {}, tmp_path / "t.pftrace")
    again = read_perfetto(tmp_path / "t.pftrace")
    assert again.source.events == trace.source.events
    # A gap has no count there.
    same_tables(trace, again, but=frozenset({"syscall", "lost"}))
    # Perfetto has numbers only; the machine is written so that they keep their names.
    assert again["syscall"]["call"].tolist() == trace["syscall"]["call"].tolist()
    assert again["lost"][["cpu", "from_ns", "to_ns"]].values.tolist() == [[0, 1_000010000, 1_000011000]]
    columns = ["seq", "kind", "nr", "arg0", "arg1", "arg2", "arg5", "ret"]
    pd.testing.assert_frame_equal(trace["syscall"][columns], again["syscall"][columns])
    assert again["syscall"]["call"].tolist()[:2] == [1, 1]


def test_real_captures_come_back(tmp_path: Path, shared_data: Path) -> None:
    for name in ("own_capture/inversion-6.16.12.txt.gz", "ftrace_text/trace_surfaceflinger.html"):
        trace = read_text(shared_data / name)
        write_perfetto(trace, {}, tmp_path / "t.pftrace")
        again = read_perfetto(tmp_path / "t.pftrace")
        known = sum(len(trace[t.name]) for t in events.EVENT_TABLES if t.name not in ("threads", "lost"))
        assert again.source.events == known
        for table in ("sched_switch", "sched_wake", "mmap_lock", "contention", "marker", "syscall", "blocked_reason"):
            first, second = (t[table].drop(columns="seq") for t in (trace, again))
            if table == "sched_switch":  # x of old kernels is X in new ones
                first["prev_state"] = first["prev_state"].replace(STATES.index("x"), STATES.index("X"))
            order = ["ts_ns", "cpu"]
            pd.testing.assert_frame_equal(
                first.sort_values(order, kind="stable", ignore_index=True),
                second.sort_values(order, kind="stable", ignore_index=True),
            )


def test_frame_timeline_comes_back(tmp_path: Path, shared_data: Path) -> None:
    trace = read_perfetto(shared_data / "perfetto_gold/stdlib__android__android_frames_overrun.pb")
    write_perfetto(trace, {}, tmp_path / "t.pftrace")
    again = read_perfetto(tmp_path / "t.pftrace")
    pd.testing.assert_frame_equal(trace["frame_timeline"], again["frame_timeline"])


def frame_of(table: derived.Table, **columns: list[object]) -> pd.DataFrame:
    size = len(next(iter(columns.values())))
    zero = {"str": "", "bool": False}
    full = {c.name: columns.get(c.name, [zero.get(c.dtype, 0)] * size) for c in table.columns}
    return make_frame(table, {c.name: pd.Series(full[c.name], dtype=c.dtype) for c in table.columns})


@pytest.mark.parametrize(
    ("calls", "machine"),
    [
        ([("madvise", 233), ("mmap", 222), ("read", 63)], "aarch64"),
        ([("madvise", 28), ("madvise", -1)], "x86_64"),
        ([("madvise", 28), ("mmap", 222)], None),  # of two machines
        ([("madvise", 28), ("other", 9)], "x86_64"),  # of a process that may be 32-bit
        ([("madvise", 233), ("madvise", 220)], "aarch64"),  # with a 32-bit process
        ([("other", 28), ("other", 2000)], None),
        ([("madvise", 233), ("other", 5000)], "aarch64"),
        ([], None),
    ],
)
def test_machine_of_call_numbers(calls: list[tuple[str, int]], machine: str | None) -> None:
    call = np.array([events.SYSCALLS.index(name) for name, _ in calls], np.int32)
    assert find_machine(call, np.array([nr for _, nr in calls], np.int32)) == machine


def test_tracks(tmp_path: Path) -> None:
    tables = {
        "lock_waits": frame_of(derived.LOCK_WAITS, tid=[5], mm=[1], write=[True], start_ns=[100], end_ns=[900]),
        "lock_holds": frame_of(
            derived.LOCK_HOLDS, tid=[7, 7], mm=[1, 2], write=[False, False], start_ns=[50, 60], end_ns=[850, 70]
        ),
        "lock_blockers": frame_of(
            derived.LOCK_BLOCKERS, start_ns=[100], end_ns=[850], waiter_tid=[5], via_tid=[-1], holder_tid=[7],
            operation=["munmap"],
        ),
        "inversions": frame_of(
            derived.INVERSIONS, start_ns=[100], end_ns=[800], kind=[1], waiter_tid=[5], via_tid=[-1], holder_tid=[7],
            holder_prio=[124], waiter_prio=[110], operation=["madvise(MADV_DONTNEED)"], runnable_ns=[600],
        ),
        "frames": frame_of(
            derived.FRAMES, tgid=[5, 5], start_ns=[0, 10], end_ns=[99, 20], late=[True, False], overrun_ns=[2_500_000, 0],
            from_inversion=[True, False],
        ),
    }  # fmt: skip
    write_perfetto(read_text(TEXT), tables, tmp_path / "t.pftrace")
    raw = protos.Trace.FromString((tmp_path / "t.pftrace").read_bytes())
    tracks = {p.track_descriptor.uuid: p.track_descriptor for p in raw.packet if p.HasField("track_descriptor")}
    assert {t.thread.thread_name for t in tracks.values() if t.HasField("thread")} == {"ui", "HeapTaskDaemon"}
    slices = [p for p in raw.packet if p.HasField("track_event")]
    begins = [p for p in slices if p.track_event.type == protos.TrackEvent.TYPE_SLICE_BEGIN]
    names = {(tracks[p.track_event.track_uuid].name, p.track_event.name, p.timestamp) for p in begins}
    assert names == {
        ("mmap_lock waits", "waits to write", 100), ("mmap_lock holds", "holds for read", 50),
        ("mmap_lock holds", "holds for read", 60), ("waited for", "HeapTaskDaemon in munmap", 100),
        ("late frames", "late by 2.5 ms (inversion)", 0),
        ("priority inversions", "chained: HeapTaskDaemon in madvise(MADV_DONTNEED)", 100),
    }  # fmt: skip
    assert len(slices) == 2 * len(begins)
    # The two holds overlap without nesting: each has a track of its own.
    holds = {p.track_event.track_uuid for p in begins if p.track_event.name == "holds for read"}
    assert len(holds) == 2
    inverted = next(p for p in begins if p.track_event.name.startswith("chained"))
    notes = {n.name: n.int_value for n in inverted.track_event.debug_annotations}
    assert (notes["holder_runnable_ns"], notes["holder_prio"]) == (600, 124)


def test_lanes_do_not_overlap() -> None:
    generator = np.random.default_rng(7)
    starts = np.sort(generator.integers(0, 1000, 200))
    slices = [Slice(start_ns=int(s), end_ns=int(s + generator.integers(0, 80)), name="x") for s in starts]
    lanes = split_lanes(slices)
    assert sum(len(lane) for lane in lanes) == 200
    for lane in lanes:
        assert all(a.end_ns <= b.start_ns for a, b in pairwise(lane))


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        write_perfetto(read_text(TEXT), {}, tmp_path / "no" / "such")
    assert not list(tmp_path.iterdir())


def test_the_analysis_of_an_export_is_that_of_the_trace(tmp_path: Path, shared_data: Path) -> None:
    trace = read_text(shared_data / "own_capture/inversion-6.16.12.txt.gz")
    found = analyze_trace(trace)
    write_perfetto(trace, found.tables, tmp_path / "t.pftrace")
    first, second = summarize_analysis(found), summarize_analysis(analyze_trace(read_perfetto(tmp_path / "t.pftrace")))
    for part in ("madvise", "locks", "blockers", "inversions", "frames", "gc"):
        assert first[part] == second[part], part
    assert first["inversions"]["count"] == 6
