"""Direct and chained inversions, blame, priorities over time, intruders, operations."""

from __future__ import annotations

import pandas as pd
import pytest

from android_suite.analysis.pipeline import Analysis, analyze_trace
from android_suite.capture.needs import list_syscall_numbers
from android_suite.model.syscalls import CALL_NAMES, find_abi, numbers_of
from android_suite.tables.derived import EXACT, INVERSION_KINDS, LOWER_BOUND
from tests.analysis.build import APP, BINDER, GC, MM, TraceBuilder

THIRD, FOURTH = 103, 104


def awake(b: TraceBuilder, *prios: tuple[int, int]) -> TraceBuilder:
    """All threads run, each on its own CPU, from the start."""
    for cpu, (tid, prio) in enumerate(prios):
        b.switch(1 + cpu, 0, "R", tid, prio=(120, prio), cpu=cpu)
    return b


def told(analysis: Analysis, *columns: str) -> list[tuple[object, ...]]:
    return [*analysis["inversions"][[*columns]].itertuples(index=False, name=None)]


def start_writer(b: TraceBuilder, begin: int, end: int, tid: int = APP) -> TraceBuilder:
    return (
        b.lock(begin, tid, "start", write=True)
        .lock(end, tid, "acquired", write=True)
        .lock(end + 5, tid, "released", write=True)
    )


def test_a_writer_behind_a_weaker_reader() -> None:
    b = awake(TraceBuilder(), (APP, 110), (GC, 124)).enter(15, GC, "madvise", 0, 4096, 4).hold(20, 80, GC)
    analysis = analyze_trace(start_writer(b, 40, 81).leave(90, GC, "madvise").trace())
    assert told(analysis, "start_ns", "end_ns", "waiter_tid", "holder_tid", "running_ns", "operation") == [
        (40, 80, APP, GC, 40, "madvise(MADV_DONTNEED)")
    ]


def test_a_stronger_holder_is_no_inversion() -> None:
    b = start_writer(awake(TraceBuilder(), (APP, 124), (GC, 110)).hold(20, 80, GC), 40, 81)
    assert told(analyze_trace(b.trace()), "start_ns") == []


def test_readers_do_not_keep_readers_out() -> None:
    b = awake(TraceBuilder(), (APP, 110), (GC, 124)).hold(20, 80, GC).lock(40, APP, "start").lock(60, APP, "acquired")
    assert told(analyze_trace(b.trace()), "start_ns") == []


def test_a_reader_behind_a_waiting_writer_is_a_chain() -> None:
    b = awake(TraceBuilder(), (APP, 110), (GC, 124), (BINDER, 120)).hold(20, 80, GC)
    b.lock(30, BINDER, "start", write=True).lock(40, APP, "start").lock(81, BINDER, "acquired", write=True)
    b.lock(90, BINDER, "released", write=True).lock(92, APP, "acquired").lock(95, APP, "released")
    found = told(analyze_trace(b.trace()), "start_ns", "end_ns", "kind", "waiter_tid", "via_tid", "holder_tid")
    direct, chained = (INVERSION_KINDS.index(k) for k in ("direct", "chained"))
    # The weak writer is the link of the chain at first and a holder in the way later.
    assert found == [
        (30, 80, direct, BINDER, -1, GC), (40, 80, chained, APP, BINDER, GC), (81, 90, direct, APP, -1, BINDER),
    ]  # fmt: skip


def test_a_writer_that_came_later_is_no_link() -> None:
    b = awake(TraceBuilder(), (APP, 110), (GC, 124), (BINDER, 105)).hold(20, 80, GC).lock(40, APP, "start")
    b.lock(50, BINDER, "start", write=True).lock(60, APP, "acquired").lock(70, APP, "released")
    b.lock(81, BINDER, "acquired", write=True).lock(82, BINDER, "released", write=True)
    assert told(analyze_trace(b.trace()), "waiter_tid", "holder_tid") == [(BINDER, GC)]


def test_of_two_weak_readers_the_last_to_leave_is_blamed_and_time_counts_once() -> None:
    b = awake(TraceBuilder(), (APP, 110), (GC, 124), (BINDER, 130)).hold(20, 70, BINDER).hold(30, 80, GC)
    found = told(analyze_trace(start_writer(b, 40, 81).trace()), "start_ns", "end_ns", "holder_tid", "holders")
    assert found == [(40, 80, GC, 2)]


def test_a_boost_ends_the_inversion_and_its_end_begins_another() -> None:
    b = awake(TraceBuilder(), (APP, 110), (GC, 124)).hold(20, 80, GC).boost(50, GC, 124, 100).boost(60, GC, 100, 124)
    assert told(analyze_trace(start_writer(b, 40, 81).trace()), "start_ns", "end_ns", "holder_prio") == [
        (40, 50, 124),
        (60, 80, 124),
    ]


@pytest.mark.parametrize(("before", "quality", "ran"), [(FOURTH, EXACT, [(FOURTH, 20)]), (-1, LOWER_BOUND, [])])
def test_who_ran_before_the_first_switch_of_a_cpu_may_be_untold(
    before: int, quality: int, ran: list[tuple[int, int]]
) -> None:
    """A trace that begins late, in Perfetto's compact form: its first switch of a CPU does not say who left."""
    b = TraceBuilder().switch(1, 0, "R", GC, prio=(120, 124)).hold(20, 200, GC)
    b.switch(25, GC, "D", APP, prio=(124, 110)).lock(40, APP, "start", write=True)
    b.switch(50, APP, "D", 0, prio=(110, 120)).wake(100, GC, prio=124, cpu=1)
    b.switch(120, before, "S", GC, prio=(120, 124), cpu=1).wake(201, APP, prio=110)
    b.switch(210, 0, "R", APP, prio=(120, 110)).lock(220, APP, "acquired", write=True)
    analysis = analyze_trace(b.trace())
    assert told(analysis, "start_ns", "end_ns", "runnable_ns", "quality") == [(40, 200, 20, quality)]
    assert [*analysis["intruders"][["tid", "ran_ns"]].itertuples(index=False, name=None)] == ran


def test_a_preempted_holder_and_those_who_ran_instead() -> None:
    b = TraceBuilder().switch(1, 0, "R", GC, prio=(120, 124)).hold(20, 200, GC)
    b.switch(30, GC, "R+", APP, prio=(124, 110)).lock(40, APP, "start", write=True)
    b.switch(50, APP, "D", BINDER, prio=(110, 120)).switch(120, BINDER, "S", THIRD, prio=(120, 120))
    b.switch(150, THIRD, "S", GC, prio=(120, 124)).wake(201, APP, prio=110).switch(210, GC, "R", APP, prio=(124, 110))
    analysis = analyze_trace(b.lock(220, APP, "acquired", write=True).trace())
    assert told(analysis, "start_ns", "end_ns", "running_ns", "runnable_ns", "blocked_ns") == [(40, 200, 50, 110, 0)]
    intruders = analysis["intruders"][["tid", "ran_ns"]]
    assert [*intruders.itertuples(index=False, name=None)] == [(BINDER, 70), (THIRD, 30)]  # not the waiter itself


def test_a_holder_asleep() -> None:
    b = awake(TraceBuilder(), (APP, 110), (GC, 124)).hold(20, 80, GC).switch(50, GC, "D", 0, prio=(124, 120), cpu=1)
    b.wake(60, GC, prio=124, cpu=1).switch(65, 0, "R", GC, prio=(120, 124), cpu=1)
    found = told(analyze_trace(start_writer(b, 40, 81).trace()), "running_ns", "runnable_ns", "blocked_ns")
    assert found == [(25, 5, 10)]


def test_without_priorities_there_is_no_word_of_inversion() -> None:
    analysis = analyze_trace(start_writer(TraceBuilder().hold(20, 80, GC), 40, 81).trace())
    assert told(analysis, "start_ns") == []
    assert "sched" not in analysis.recorded
    assert any("sched_switch" in note for note in analysis.notes)


def test_a_wait_cut_by_the_end_is_at_least_that_long() -> None:
    b = (
        awake(TraceBuilder(), (APP, 110), (GC, 124))
        .lock(19, GC, "start")
        .lock(20, GC, "acquired")
        .lock(40, APP, "start", write=True)
    )
    assert told(analyze_trace(b.trace(end=90)), "start_ns", "end_ns", "quality") == [(40, 90, LOWER_BOUND)]


def test_a_downgraded_holder_still_keeps_a_writer_out() -> None:
    b = (
        awake(TraceBuilder(), (APP, 110), (GC, 124))
        .lock(10, GC, "start", write=True)
        .lock(11, GC, "acquired", write=True)
    )
    b.lock(50, GC, "acquired").lock(80, GC, "released")
    b.lock(20, APP, "start", write=True).lock(81, APP, "acquired", write=True)
    found = told(analyze_trace(b.trace()), "start_ns", "end_ns", "holder_write")
    assert found == [(20, 80, True)]


def test_operations() -> None:
    def operation(b: TraceBuilder, **more: object) -> str:
        return str(analyze_trace(start_writer(b, 40, 81).trace(**more))["inversions"]["operation"].iloc[0])  # type: ignore[arg-type]

    def base(nr: int | None = None) -> TraceBuilder:
        b = awake(TraceBuilder(), (APP, 110), (GC, 124))
        return b if nr is None else b.enter(3, BINDER, "other", nr=nr)

    assert operation(base().hold(20, 80, GC)) == "untraced"
    assert operation(base().enter(5, GC, "munmap").hold(20, 80, GC).leave(95, GC, "munmap")) == "munmap"
    every = base(63)  # read on arm64: no recorder enables this call alone
    assert operation(every.enter(5, GC, "mmap").leave(9, GC, "mmap").hold(20, 80, GC)) == "fault"
    assert operation(base(63).hold(20, 80, GC)) == "unknown"  # it may be in a call since before the trace
    assert operation(base().hold(20, 80, GC).leave(95, GC, "mprotect")) == "mprotect"
    assert operation(base().lock(80, GC, "released")) == "unknown"
    assert operation(base().fault(5, GC).hold(20, 80, GC)) == "fault"
    for nr in (None, 63):
        kernel = awake(TraceBuilder(), (APP, 110), (59, 139)).thread(59, 59, "khugepaged")
        kernel = kernel if nr is None else kernel.enter(3, BINDER, "read", nr=nr)
        assert operation(kernel.hold(20, 80, 59)) == "kernel"
    # A fault under the VMA's own lock leaves no lock event; the call after it is no fault.
    faulted = base().fault(5, GC)
    assert operation(faulted.enter(9, GC, "munmap").hold(20, 80, GC).leave(95, GC, "munmap")) == "munmap"
    assert operation(base().fault(5, GC).enter(6, GC, "mmap").leave(9, GC, "mmap").hold(20, 80, GC)) == "untraced"


@pytest.mark.parametrize("machine", ["aarch64", "x86_64"])
def test_a_filter_on_numbers_is_not_every_call(machine: str) -> None:
    """What `record` enables on a kernel that has raw_syscalls alone: some of the numbers mean another call in the other
    kind of process, and those pass, too."""
    b = awake(TraceBuilder(), (APP, 110), (GC, 124)).enter(5, GC, "mmap").leave(9, GC, "mmap")
    for number in list_syscall_numbers(machine):
        b.enter(3, BINDER, CALL_NAMES[numbers_of(find_abi(machine) or "").get(number, 0)], nr=number)
    b.hold(20, 80, GC)
    enabled = ["raw_syscalls:sys_enter", "mmap_lock:mmap_lock_start_locking", "sched:sched_switch"]
    found = analyze_trace(start_writer(b, 40, 81).trace(enabled=enabled))["inversions"]
    assert found["operation"].tolist() == ["untraced"]


def test_segments_of_other_mms_do_not_mix() -> None:
    b = awake(TraceBuilder(), (APP, 110), (GC, 124)).hold(20, 80, GC, MM + 0x5000)
    analysis = analyze_trace(start_writer(b, 40, 81).trace())
    assert isinstance(analysis["inversions"], pd.DataFrame)
    assert told(analysis, "start_ns") == []
