"""The weaker evidence: contention events without mmap_lock events, and sched_blocked_reason."""

from __future__ import annotations

from android_suite.analysis.pipeline import analyze_trace
from android_suite.tables.derived import EVIDENCE
from tests.analysis.build import APP, GC, MM, TraceBuilder

READ, WRITE, SPIN, MUTEX = 2, 4, 1, 32


def told(b: TraceBuilder, **more: int) -> list[tuple[object, ...]]:
    table = analyze_trace(b.trace(**more))["other_waits"]  # type: ignore[arg-type]
    return [
        (r["tid"], r["kind"], r["write"], r["start_ns"], r["end_ns"], EVIDENCE[r["evidence"]], r["quality"])
        for r in table.to_dict("records")
    ]


def test_kinds_of_locks() -> None:
    b = TraceBuilder()
    for n, flags in enumerate((READ, WRITE, SPIN, MUTEX, 8, 16)):
        b.contend(10 * n + 1, APP, 0x100 + n, flags).contend(10 * n + 5, APP, 0x100 + n, None)
    assert [row[1] for row in told(b)] == ["rwsem", "rwsem", "spin", "mutex", "rtmutex", "percpu"]
    assert [row[2] for row in told(b)][:2] == [False, True]


def test_a_mutex_begins_twice_and_ends_once() -> None:
    b = (
        TraceBuilder()
        .contend(10, APP, 0x100, SPIN | MUTEX)
        .contend(20, APP, 0x100, MUTEX)
        .contend(50, APP, 0x100, None)
    )
    assert told(b) == [(APP, "mutex", True, 10, 50, "contention", 0)]


def test_edges_and_gaps() -> None:
    b = (
        TraceBuilder()
        .contend(5, APP, 0x100, None)
        .contend(10, APP, 0x100, MUTEX)
        .lose(0, 20, 30)
        .contend(40, APP, 0x100, None)
    )
    b.contend(50, GC, 0x200, MUTEX)
    assert [(row[3], row[4], row[6]) for row in told(b, end=60)] == [(10, 40, 2), (50, 60, 1)]


def test_a_contended_mmap_lock_is_told_once() -> None:
    b = TraceBuilder().lock(10, APP, "start", write=True).contend(12, APP, MM + 8, WRITE).contend(30, APP, MM + 8, None)
    b.lock(31, APP, "acquired", write=True).lock(40, APP, "released", write=True)
    assert told(b) == []


def test_blocked_reasons_name_the_lock() -> None:
    b = TraceBuilder()
    for n, caller in enumerate(
        ("rwsem_down_write_slowpath+0x1/0x2", "do_page_fault+0x10/0x20", "SyS_munmap+0x4/0x8", "io_schedule+0x1")
    ):
        b.switch(100 * n + 10, APP, "D", 0).reason(100 * n + 61, APP, caller, io=caller.startswith("io"))
        b.wake(100 * n + 60, APP)
    assert told(b) == [
        (APP, "rwsem", True, 10, 60, "blocked_reason", 0), (APP, "mmap_lock", False, 110, 160, "blocked_reason", 0),
        (APP, "mmap_lock", True, 210, 260, "blocked_reason", 0),
    ]  # fmt: skip


def test_a_reason_adds_nothing_to_a_wait_that_is_known() -> None:
    b = TraceBuilder().lock(5, APP, "start", write=True).switch(10, APP, "D", 0).wake(60, APP)
    b.reason(61, APP, "rwsem_down_write_slowpath+0x1/0x2").switch(65, 0, "R", APP).lock(70, APP, "acquired", write=True)
    assert told(b) == []


def test_a_reason_without_a_known_sleep_says_nothing() -> None:
    assert told(TraceBuilder().reason(61, APP, "rwsem_down_write_slowpath+0x1/0x2")) == []
    assert told(TraceBuilder().switch(1, APP, "D", 0).reason(61, APP, "0")) == []
