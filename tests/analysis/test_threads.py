"""Processes and roles."""

from __future__ import annotations

from android_suite.analysis.threads import measure_threads
from android_suite.tables.derived import ROLES
from tests.analysis.build import APP, BINDER, GC, MM, OTHER_MM, TraceBuilder


def told(b: TraceBuilder, process: str | None = None) -> dict[int, tuple[int, str, str]]:
    table = measure_threads(b.trace(), process)
    rows = zip(table["tid"], table["tgid"], table["process"], table["role"], strict=True)
    return {tid: (tgid, name, ROLES[role]) for tid, tgid, name, role in rows}


def bare(*threads: tuple[int, str]) -> TraceBuilder:
    """Threads of which only the name is known."""
    b = TraceBuilder()
    b.rows["threads"] = [(tid, -1, comm, "") for tid, comm in threads]
    return b


def test_roles_of_an_app() -> None:
    b = (
        TraceBuilder()
        .thread(104, APP, "RenderThread", "com.example")
        .thread(105, APP, "Jit thread pool", "com.example")
    )
    b.thread(106, APP, "HwBinder:100_1", "com.example").thread(107, APP, "worker", "com.example")
    assert [role for _, _, role in told(b).values()] == ["ui", "gc", "binder", "render", "jit", "binder", "other"]


def test_a_process_without_an_apps_threads_has_no_ui_thread() -> None:
    b = bare((300, "sh")).thread(301, 301, "logd", "logd")
    assert told(b)[301] == (301, "logd", "other")
    assert told(b, "logd")[301][2] == "ui"  # unless it is the one that was asked for


def test_every_process_has_its_own_gc_thread() -> None:
    b = TraceBuilder().thread(201, 200, "HeapTaskDaemon", "other.app").thread(200, 200, "other.app", "other.app")
    found = told(b)
    assert (found[GC], found[201]) == ((APP, "com.example", "gc"), (200, "other.app", "gc"))


def test_markers_tell_the_process() -> None:
    b = bare((141, "com.example.gc"), (142, "HeapTaskDaemon")).mark(1, 142, "B|141|GC").mark(2, 142, "E|141")
    assert told(b) == {141: (141, "com.example.gc", "ui"), 142: (141, "com.example.gc", "gc")}


def test_a_shared_mm_tells_the_process_but_not_of_kernel_threads() -> None:
    b = bare((35, "khugepaged"), (141, "com.example"), (142, "HeapTaskDaemon"), (150, "sh"))
    for tid in (35, 142, 141):
        b.hold(10 * tid, 10 * tid + 1, tid, MM)
    b.hold(3000, 3001, 150, OTHER_MM)
    assert told(b) == {
        35: (-1, "", "other"), 141: (141, "com.example", "ui"), 142: (141, "com.example", "gc"), 150: (150, "sh", "other"),
    }  # fmt: skip


def test_a_thread_made_in_the_trace_is_of_its_maker() -> None:
    b = TraceBuilder().born(5, 160, BINDER)
    b.rows["threads"].append((160, -1, "pool-1", ""))
    assert told(b)[160] == (APP, "com.example", "other")


def test_a_long_name_is_found_by_its_last_letters() -> None:
    b = bare().thread(500, 500, "dsuite.workload", "dsuite.workload")
    assert told(b, "com.androidsuite.workload")[500] == (500, "com.androidsuite.workload", "ui")
