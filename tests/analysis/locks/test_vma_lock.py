"""Waits for the lock of a VMA: what is one, behind whom, and what only looks like one."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from android_suite.analysis.pipeline import Analysis, analyze_trace
from android_suite.analysis.summary import summarize_analysis
from android_suite.tables.derived import EXACT, INVERSION_KINDS, LOCKS, UNKNOWN, VMA_EVIDENCE
from android_suite.trace.detect import open_trace
from tests.analysis.build import APP, BINDER, GC, TraceBuilder

RENDER = 103


def awake(b: TraceBuilder, *prios: tuple[int, int]) -> TraceBuilder:
    """All threads run, each on its own CPU, from the start, and have been in a call before."""
    for cpu, (tid, prio) in enumerate(prios):
        b.switch(1 + cpu, 0, "R", tid, prio=(120, prio), cpu=cpu)
        b.enter(10, tid, "mmap").leave(11, tid, "mmap")
    return b


def writer(
    b: TraceBuilder, begin: int, woken: int, *, waker: int = GC, tid: int = APP, prio: int = 110
) -> TraceBuilder:
    """An mprotect that sleeps 5 ns after it got mmap_lock, is woken, and runs again 3 ns later."""
    b.enter(begin, tid, "mprotect").lock(begin + 1, tid, "start", write=True).lock(
        begin + 2, tid, "acquired", write=True
    )
    b.switch(begin + 7, tid, "D", 0, prio=(prio, 120), cpu=0).wake(woken, tid, prio=prio, waker=waker)
    b.switch(woken + 3, 0, "R", tid, prio=(120, prio), cpu=0)
    return b.lock(woken + 5, tid, "released", write=True).leave(woken + 6, tid, "mprotect")


def reader(b: TraceBuilder, begin: int, end: int, tid: int = GC) -> TraceBuilder:
    return b.enter(begin, tid, "madvise", 0x7000, 4096, 4).leave(end, tid, "madvise")


def waits(analysis: Analysis) -> list[tuple[object, ...]]:
    table = analysis["vma_waits"]
    return [
        (tid, start, end, holder, operation, VMA_EVIDENCE[evidence])
        for tid, start, end, holder, operation, evidence in table[
            ["tid", "start_ns", "end_ns", "holder_tid", "operation", "evidence"]
        ].itertuples(index=False, name=None)
    ]


def inversions(analysis: Analysis) -> list[tuple[object, ...]]:
    columns = ["lock", "kind", "start_ns", "end_ns", "waiter_tid", "via_tid", "holder_lock", "holder_tid"]
    return [
        (LOCKS[lock], INVERSION_KINDS[kind], *rest[:4], LOCKS[rest[4]], rest[5])
        for lock, kind, *rest in analysis["inversions"][columns].itertuples(index=False, name=None)
    ]


def metric(analysis: Analysis, name: str) -> tuple[object, str]:
    return next((m["value"], m["quality"]) for m in summarize_analysis(analysis)["metrics"] if m["name"] == name)


DIRECT = ("vma_lock", "direct", 107, 150, APP, -1, "vma_lock", GC)


def test_a_sleep_in_a_write_hold_ended_by_a_reader_of_a_vma() -> None:
    analysis = analyze_trace(reader(writer(awake(TraceBuilder(), (APP, 110), (GC, 124)), 100, 150), 90, 152).trace())
    assert waits(analysis) == [(APP, 107, 150, GC, "madvise(MADV_DONTNEED)", "inferred")]
    assert analysis["vma_waits"]["runnable_ns"].tolist() == [3]
    assert inversions(analysis) == [DIRECT]
    (row,) = (r for r in summarize_analysis(analysis)["locks"] if r["lock"] == "vma_lock")
    assert (row["tid"], row["waits"], row["wait_total_ns"], row["evidence"]["inferred"]) == (APP, 1, 43, 1)
    assert metric(analysis, "invertedMs_vmaLock") == metric(analysis, "invertedMs") == (43e-6, "exact")
    assert metric(analysis, "vmaLockWaitMs_ui") == (43e-6, "exact")
    assert metric(analysis, "invertedMs_mmapLock") == (0.0, "exact")


@pytest.mark.parametrize(("woken", "evidence"), [(106, "inferred"), (None, "unknown")])
def test_woken_before_it_slept(woken: int | None, evidence: str) -> None:
    """The reader leaves between the writer's decision to sleep and its switch-out: it waits for a CPU, not for a VMA."""
    b = reader(awake(TraceBuilder(), (APP, 110), (GC, 124)), 90, 152)
    b.enter(100, APP, "mprotect").lock(101, APP, "start", write=True).lock(102, APP, "acquired", write=True)
    if woken is not None:
        b.wake(woken, APP, prio=110, waker=GC)
    b.switch(107, APP, "D", 0, prio=(110, 120), cpu=0).switch(120, 0, "R", APP, prio=(120, 110), cpu=0)
    analysis = analyze_trace(b.lock(125, APP, "released", write=True).leave(126, APP, "mprotect").trace())
    known = evidence == "inferred"
    assert waits(analysis) == [
        (APP, 107, 107 if known else 120, GC if known else -1, "madvise(MADV_DONTNEED)" if known else "", evidence)
    ]
    assert analysis["vma_waits"]["runnable_ns"].tolist() == [13 if known else 0]
    assert inversions(analysis) == []
    assert metric(analysis, "vmaLockWaitMs_ui") == (0.0, "exact" if known else "lower_bound")
    assert metric(analysis, "invertedMs") == (0.0, "exact" if known else "lower_bound")


def test_no_sleep_is_a_true_zero_and_no_switches_are_a_blind_one() -> None:
    b = awake(TraceBuilder(), (APP, 110), (GC, 124)).hold(100, 150, APP, write=True)
    analysis = analyze_trace(reader(b, 90, 152).trace())
    assert metric(analysis, "vmaLockWaitMs_ui") == (0.0, "exact")
    assert metric(analysis, "invertedMs") == (0.0, "exact")
    b = TraceBuilder().hold(100, 150, APP, write=True)
    assert metric(analyze_trace(reader(b, 90, 152).trace()), "vmaLockWaitMs_ui") == (None, "unknown")


@pytest.mark.parametrize("waker", [0, BINDER])
def test_who_is_woken_by_anybody_else_may_have_waited_for_anything(waker: int) -> None:
    b = (
        awake(TraceBuilder(), (APP, 110), (GC, 124), (BINDER, 120))
        .enter(60, BINDER, "ioctl")
        .leave(200, BINDER, "ioctl")
    )
    analysis = analyze_trace(reader(writer(b, 100, 150, waker=waker), 90, 152).trace())
    assert waits(analysis) == [(APP, 107, 150, -1, "", "unknown")]
    assert analysis["vma_waits"]["quality"].tolist() == [UNKNOWN]
    assert inversions(analysis) == []
    assert metric(analysis, "vmaLockWaitMs_ui") == (0.0, "lower_bound")
    assert metric(analysis, "invertedMs") == (0.0, "lower_bound")


def test_a_reader_that_came_later_did_not_hold_the_vma() -> None:
    b = awake(TraceBuilder(), (APP, 110), (GC, 124))
    assert waits(analyze_trace(reader(writer(b, 100, 150), 120, 152).trace()))[0][-1] == "unknown"


def test_a_madvise_under_mmap_lock_holds_no_vma() -> None:
    b = awake(TraceBuilder(), (APP, 110), (GC, 124)).enter(60, GC, "madvise", 0x7000, 4096, 4)
    b.lock(61, GC, "start").lock(62, GC, "acquired").lock(63, GC, "released").leave(152, GC, "madvise")
    assert waits(analyze_trace(writer(b, 100, 150).trace()))[0][-1] == "unknown"


def test_where_faults_have_no_event_a_thread_outside_all_recorded_calls_may_be_in_one() -> None:
    b = awake(TraceBuilder(), (APP, 110), (GC, 124))
    assert waits(analyze_trace(writer(b, 100, 150).trace())) == [(APP, 107, 150, GC, "untraced", "inferred")]
    b = awake(TraceBuilder(), (APP, 110), (GC, 124)).fault(5, BINDER)  # faults were recorded, and this is none
    assert waits(analyze_trace(writer(b, 100, 150).trace()))[0][-1] == "unknown"


def test_another_process_reads_other_vmas() -> None:
    b = awake(TraceBuilder().thread(900, 900, "HeapTaskDaemon", "other"), (APP, 110), (900, 124))
    assert waits(analyze_trace(reader(writer(b, 100, 150, waker=900), 90, 152, tid=900).trace()))[0][-1] == "unknown"


@pytest.mark.parametrize(
    ("call", "number", "every_call", "evidence"),
    [
        ("process_madvise", 440, True, "unknown"),
        ("munmap", 215, False, "inferred"),
        ("", -1, True, "inferred"),  # a fault
        ("", -1, False, "unknown"),  # or a read of /proc, which was not recorded
    ],
)
def test_whose_mm_it_is_shows_only_in_calls_and_faults_that_lock_their_own(
    call: str, number: int, every_call: bool, evidence: str
) -> None:
    b = awake(TraceBuilder(), (APP, 110), (GC, 124))
    b.rows["threads"] = [(APP, -1, "app", ""), (GC, -1, "other", "")]  # as in a trace.dat, which tells no processes
    if every_call:
        b.enter(12, BINDER, "read", nr=63).leave(13, BINDER, "read")
    if call:
        b.enter(20, GC, call, nr=number)
    b.hold(22, 30, GC, wait=1)
    if call:
        b.leave(32, GC, call)
    analysis = analyze_trace(reader(writer(b, 100, 150), 90, 152).trace())
    roles = analysis["thread_roles"]
    assert roles.loc[roles["tid"].isin((APP, GC)), "tgid"].tolist() == [APP, APP]
    assert waits(analysis)[0][-1] == evidence


def test_a_fault_reads_a_vma() -> None:
    b = awake(TraceBuilder(), (APP, 110), (GC, 124)).fault(90, GC)
    assert waits(analyze_trace(writer(b, 100, 150).trace())) == [(APP, 107, 150, GC, "fault", "inferred")]
    # Without its event: outside of every call, if all calls were recorded, which another thread's read shows.
    b = awake(TraceBuilder(), (APP, 110), (GC, 124)).enter(61, BINDER, "read", nr=63)
    assert waits(analyze_trace(writer(b, 100, 150).trace())) == [(APP, 107, 150, GC, "fault", "inferred")]
    b = awake(TraceBuilder(), (APP, 110), (GC, 124))
    filtered = writer(b, 100, 150).trace(enabled=["raw_syscalls:sys_enter", "sched:sched_switch"])
    assert waits(analyze_trace(filtered)) == [(APP, 107, 150, GC, "untraced", "inferred")]


@pytest.mark.parametrize(
    "caller", ["__vma_start_write+0x5c/0x120", "__vma_enter_locked+0x88/0xf0", "vma_mark_detached"]
)
def test_a_blocked_reason_makes_it_exact(caller: str) -> None:
    b = awake(TraceBuilder(), (APP, 110), (GC, 124)).enter(60, GC, "ioctl").leave(200, GC, "ioctl")
    b = writer(b, 100, 150).reason(151, APP, caller)
    assert waits(analyze_trace(b.trace())) == [(APP, 107, 150, GC, "ioctl", "exact")]
    assert inversions(analyze_trace(b.trace())) == [DIRECT]


@pytest.mark.parametrize(
    ("caller", "io"), [("io_schedule+0x1/0x2", True), ("mutex_lock+0x1/0x2", False), ("0xffff", True)]
)
def test_a_blocked_reason_of_another_kind_takes_it_out(caller: str, *, io: bool) -> None:
    b = writer(awake(TraceBuilder(), (APP, 110), (GC, 124)), 100, 150).reason(151, APP, caller, io=io)
    analysis = analyze_trace(reader(b, 90, 152).trace())
    assert waits(analysis) == []
    assert metric(analysis, "invertedMs") == (0.0, "exact")


def test_a_probe_around_it_makes_it_exact_and_one_elsewhere_does_not() -> None:
    for begin, end, evidence in ((103, 154, "exact"), (20, 30, "unknown")):
        b = awake(TraceBuilder(), (APP, 110), (GC, 124)).enter(60, GC, "ioctl").leave(200, GC, "ioctl")
        b = writer(b, 100, 150).probe(begin, APP, "enter").probe(end, APP, "exit")
        assert waits(analyze_trace(b.trace()))[0][-1] == evidence


def test_probes_are_read_from_text(tmp_path: Path) -> None:
    file = tmp_path / "trace.txt"
    file.write_text(
        "# tracer: nop\n"
        " app-1000 ( 1000) [000] ..... 1.000010: vma_start_write: (__vma_start_write+0x0/0x160)\n"
        " app-1000 ( 1000) [000] d.... 1.000020: sched_switch: prev_comm=app prev_pid=1000 prev_prio=110 prev_state=D ==> "
        "next_comm=swapper/0 next_pid=0 next_prio=120\n"
        " gc-1010 ( 1000) [001] d.... 1.000070: sched_waking: comm=app pid=1000 prio=110 target_cpu=000\n"
        " <idle>-0 (-----) [000] d.... 1.000080: sched_switch: prev_comm=swapper/0 prev_pid=0 prev_prio=120 prev_state=R ==> "
        "next_comm=app next_pid=1000 next_prio=110\n"
        " app-1000 ( 1000) [000] ..... 1.000090: vma_start_write_return: (mprotect_fixup+0x1/0x3 <- __vma_start_write)\n"
    )
    # mmap_lock events were not recorded, and still it is known what this sleep was for.
    analysis = analyze_trace(open_trace(file))
    assert waits(analysis) == [(1000, 1_000_020_000, 1_000_070_000, 1010, "untraced", "exact")]


def test_a_mutex_that_is_contended_in_the_hold_is_another_lock() -> None:
    mutex, rwsem_write = 32, 4
    for flags, found in ((mutex, []), (rwsem_write, [(APP, 107, 150, GC, "madvise(MADV_DONTNEED)", "inferred")])):
        b = writer(awake(TraceBuilder(), (APP, 110), (GC, 124)), 100, 150)
        b.contend(105, APP, 0xDEAD0000, flags).contend(154, APP, 0xDEAD0000, None)
        analysis = analyze_trace(reader(b, 90, 152).trace())
        assert waits(analysis) == found
        # What is told as a wait for a VMA is told once.
        assert analysis["other_waits"]["kind"].tolist() == ([] if found else ["mutex"])


def test_a_chain_across_both_locks() -> None:
    b = awake(TraceBuilder(), (APP, 110), (GC, 124), (RENDER, 105)).thread(RENDER, APP, "RenderThread", "com.example")
    b.lock(120, RENDER, "start").lock(157, RENDER, "acquired").lock(158, RENDER, "released")
    analysis = analyze_trace(reader(writer(b, 100, 150), 90, 152).trace())
    chain = ("mmap_lock", "chained", 120, 150, RENDER, APP, "vma_lock", GC)
    # The writer is weaker than the third thread, too: behind it that one stays until the lock is released.
    rest = ("mmap_lock", "direct", 150, 155, RENDER, -1, "mmap_lock", APP)
    assert inversions(analysis) == [chain, rest, DIRECT]
    blockers = analysis["lock_blockers"][["lock", "waiter_tid", "holder_lock", "holder_tid"]]
    mmap_lock, vma_lock = range(len(LOCKS))
    assert [*blockers.itertuples(index=False, name=None)] == [
        (mmap_lock, RENDER, mmap_lock, APP),
        (mmap_lock, RENDER, vma_lock, GC),
        (vma_lock, APP, vma_lock, GC),
    ]
    (first,) = (c for c in summarize_analysis(analysis)["inversions"]["chains"] if c["kind"] == "chained")
    assert (first["lock"], first["holder_lock"], first["via"]["tid"]) == ("mmap_lock", "vma_lock", APP)


def test_a_downgraded_hold_waits_for_no_vma() -> None:
    b = awake(TraceBuilder(), (APP, 110), (GC, 124)).enter(100, APP, "munmap")
    b.lock(101, APP, "start", write=True).lock(102, APP, "acquired", write=True).lock(105, APP, "acquired")
    b.switch(107, APP, "D", 0, cpu=0).wake(150, APP, waker=GC).switch(153, 0, "R", APP, cpu=0)
    b.lock(155, APP, "released").leave(156, APP, "munmap")
    assert waits(analyze_trace(reader(b, 90, 152).trace())) == []


def test_a_gap_that_may_hide_the_waking_makes_it_unknown() -> None:
    b = writer(awake(TraceBuilder(), (APP, 110), (GC, 124)), 100, 150).lose(1, 120, 130)
    analysis = analyze_trace(reader(b, 90, 152).trace())
    assert not (analysis["vma_waits"]["quality"] == EXACT).any()
    assert metric(analysis, "invertedMs")[1] == "lower_bound"


def test_a_boost_while_it_sleeps_is_one_wait() -> None:
    b = awake(TraceBuilder(), (APP, 110), (GC, 124)).boost(120, APP, 110, 98)
    assert waits(analyze_trace(reader(writer(b, 100, 150), 90, 152).trace())) == [
        (APP, 107, 150, GC, "madvise(MADV_DONTNEED)", "inferred")
    ]


def test_late_frames_show_the_time_as_the_vmas_lock() -> None:
    b = writer(awake(TraceBuilder(), (APP, 110), (GC, 124)), 100, 150).frame(
        1, (95, 120), (95, 170), "App Deadline Missed"
    )
    frames: pd.DataFrame = analyze_trace(reader(b, 90, 152).trace())["frames"]
    assert frames["ui_vma_lock_ns"].tolist() == [43]
    assert frames["inverted_ns"].tolist() == [43]
