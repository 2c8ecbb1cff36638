"""Raw captures to tables: each event's columns, names of threads, losses, and what is wrong with a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from android_suite.errors import TraceError, UsageError
from android_suite.tables import events
from android_suite.tables.schema import check_frame
from android_suite.tables.trace import Trace
from android_suite.trace.ring.capture_folder import read_raw_capture
from tests.trace.captures import make_record, write_capture
from tests.trace.pages import PageWriter, header_page_text, make_layout


def capture(tmp_path: Path, cpus, *, big_endian: bool = False, page_bytes: int = 4096, **more) -> Trace:
    """Records (ts, event, pid, fields) of each CPU as a capture, read again."""
    layout = make_layout(big_endian=big_endian, page_bytes=page_bytes)
    data = {}
    for cpu, rows in cpus.items():
        writer = PageWriter(layout)
        for ts, name, pid, values in rows:
            if name == "lose":
                writer.lose(values)
            else:
                writer.add(ts, make_record(name, pid, big_endian=big_endian, **values))
        data[cpu] = writer.finish()
    write_capture(tmp_path, layout, data, **more)
    trace = read_raw_capture(tmp_path)
    for table in events.EVENT_TABLES:
        check_frame(table, trace[table.name])
    return trace


def rows(trace: Trace, table: str) -> list[dict]:
    return trace[table].to_dict("records")


EVERYTHING = {
    0: [
        (100, "sched_switch", 10, {"prev_comm": "main", "prev_pid": 10, "prev_prio": 110, "prev_state": 2,
                                   "next_comm": "HeapTaskDaemon", "next_pid": 11, "next_prio": 124}),
        (200, "sched_wakeup", 11, {"comm": "main", "pid": 10, "prio": 110, "success": 1, "target_cpu": 3}),
        (201, "mmap_lock_start_locking", 11, {"mm": 0xFFFF_0000_1234_5678, "memcg_id": 1, "write": 1}),
        (203, "mmap_lock_acquire_returned", 11, {"mm": 0xFFFF_0000_1234_5678, "memcg_path": "/apps/x", "write": 1}),
        (204, "contention_begin", 11, {"lock_addr": (1 << 64) - 8, "flags": 4}),
        (209, "contention_end", 11, {"lock_addr": (1 << 64) - 8, "ret": -4}),
        (210, "sys_enter_madvise", 11, {"__syscall_nr": 233, "start": (1 << 63) + 4096, "len_in": 8192, "behavior": 4}),
        (215, "sys_exit_madvise", 11, {"__syscall_nr": 233, "ret": -22}),
        (220, "task_newtask", 10, {"pid": 12, "comm": "main", "clone_flags": 0x3D0F00}),
        (225, "sched_process_exec", 13, {"filename": "/system/bin/a_very_long_program", "pid": 13, "old_pid": 13}),
        (230, "page_fault_user", 10, {"address": 0xABC, "ip": 0xDEF, "error_code": 7}),
        (231, "sched_pi_setprio", 10, {"comm": "main", "pid": 10, "oldprio": 120, "newprio": 98}),
    ],
    1: [
        (202, "print", 10, {"ip": 1, "buf": "B|10|Choreographer#doFrame 7\n"}),
        (203, "sys_enter", 10, {"id": 215, "args": (1, 2, 3, 4, 5, (1 << 64) - 1)}),
        (206, "sys_exit", 10, {"id": 215, "ret": -1}),
        (207, "sys_enter", 10, {"id": 9999, "args": (0,) * 6}),
        (222, "task_rename", 12, {"oldcomm": "main", "newcomm": "RenderThread"}),
        (240, "sched_blocked_reason", 10, {"pid": 11, "caller": 0xFFFF_8000_0000_1010, "io_wait": 1}),
        (241, "sched_blocked_reason", 10, {"pid": 11, "caller": 0, "io_wait": 0}),
    ],
}  # fmt: skip


@pytest.mark.parametrize("big_endian", [False, True])
def test_every_event_ends_in_its_table(tmp_path: Path, big_endian: bool) -> None:
    files = {"kallsyms": "ffff800000001000 t rwsem_down_read_slowpath\nffff800000001100 T next\n"}
    trace = capture(tmp_path, EVERYTHING, big_endian=big_endian, files=files)
    assert rows(trace, "sched_switch") == [
        {"seq": 0, "ts_ns": 100, "cpu": 0, "prev_tid": 10, "prev_prio": 110, "prev_state": events.TASK_STATES.index("D"),
         "next_tid": 11, "next_prio": 124}
    ]  # fmt: skip
    assert rows(trace, "sched_wake") == [
        {"seq": 1, "ts_ns": 200, "cpu": 0, "tid": 11, "kind": 1, "target_tid": 10, "target_prio": 110, "target_cpu": 3}
    ]
    head = {"cpu": 0, "tid": 11}
    mm = 0xFFFF_0000_1234_5678
    assert rows(trace, "mmap_lock") == [
        {"seq": 2, "ts_ns": 201, **head, "kind": 0, "mm": mm, "write": True, "success": True},
        {"seq": 4, "ts_ns": 203, **head, "kind": 1, "mm": mm, "write": True, "success": False},
    ]
    assert rows(trace, "contention") == [
        {"seq": 6, "ts_ns": 204, **head, "kind": 0, "lock_addr": (1 << 64) - 8, "flags": 4, "ret": 0},
        {"seq": 9, "ts_ns": 209, **head, "kind": 1, "lock_addr": (1 << 64) - 8, "flags": 0, "ret": -4},
    ]
    calls = trace["syscall"]
    assert [events.SYSCALLS[c] for c in calls["call"]] == ["munmap", "munmap", "other", "madvise", "madvise"]
    assert calls["nr"].tolist() == [215, 215, 9999, 233, 233]
    assert calls["arg0"].tolist() == [1, 0, 0, (1 << 63) + 4096, 0]
    assert calls["arg5"].tolist() == [(1 << 64) - 1, 0, 0, 0, 0]
    assert calls["ret"].tolist() == [0, -1, 0, 0, -22]
    assert rows(trace, "marker") == [
        {"seq": 3, "ts_ns": 202, "cpu": 1, "tid": 10, "text": "B|10|Choreographer#doFrame 7"}
    ]
    assert [(r["target_tid"], r["io_wait"], r["caller"]) for r in rows(trace, "blocked_reason")] == [
        (11, True, "rwsem_down_read_slowpath+0x10"), (11, False, ""),
    ]  # fmt: skip
    assert [(r["target_tid"], r["old_prio"], r["new_prio"]) for r in rows(trace, "pi_setprio")] == [(10, 120, 98)]
    assert [(events.TASK_KINDS[r["kind"]], r["target_tid"], r["thread_of_caller"], r["comm"]) for r in rows(trace, "task")] == [
        ("newtask", 12, True, "main"), ("rename", 12, False, "RenderThread"), ("exec", 13, False, "a_very_long_pro"),
    ]  # fmt: skip
    assert [(r["address"], r["ip"], r["error_code"]) for r in rows(trace, "page_fault")] == [(0xABC, 0xDEF, 7)]
    assert trace.source.events == sum(len(v) for v in EVERYTHING.values())
    assert trace.source.event_counts["raw_syscalls:sys_enter"] == 2
    assert (trace.source.start_ns, trace.source.end_ns, trace.source.cpus) == (100, 241, 2)
    assert (trace.source.kernel, trace.source.clock, trace.source.lost_events) == ("6.17.0-test", "mono", 0)


@pytest.mark.parametrize("big_endian", [False, True])
def test_any_event_with_all_its_fields(tmp_path: Path, big_endian: bool) -> None:
    trace = capture(tmp_path, EVERYTHING, big_endian=big_endian)
    assert trace.decode_event is not None
    taken = trace.decode_event("mmap_lock_acquire_returned").to_dict("records")
    assert taken == [
        {"seq": 4, "ts_ns": 203, "cpu": 0, "tid": 11, "mm": 0xFFFF_0000_1234_5678, "memcg_path": "/apps/x", "write": True,
         "success": False}
    ]  # fmt: skip
    entered = trace.decode_event("raw_syscalls:sys_enter")
    assert entered["args5"].tolist() == [(1 << 64) - 1, 0]
    assert trace.decode_event("sched_process_exec")["filename"].tolist() == ["/system/bin/a_very_long_program"]
    assert len(trace.decode_event("sched_waking")) == 0
    with pytest.raises(UsageError, match="no event 'nonsense'"):
        trace.decode_event("nonsense")


def test_names_and_processes_of_threads(tmp_path: Path) -> None:
    files = {
        "threads.txt": "10 10 stale\n10 12 stale2\n20 21 binder:20_1\n20 20 system_server\n",
        "saved_cmdlines": "10 older\n30 from cmdlines\n31 <...>\n",
        "saved_tgids": "30 29\n10 99\n",
        "processes.txt": "10 com.example.app\n",
    }
    trace = capture(tmp_path, EVERYTHING, files=files)
    threads = trace["threads"].set_index("tid")
    assert threads.loc[10].tolist() == [10, "main", "com.example.app"]
    assert threads.loc[11].tolist() == [-1, "HeapTaskDaemon", ""]
    assert threads.loc[12].tolist() == [10, "RenderThread", "com.example.app"]
    assert threads.loc[21].tolist() == [20, "binder:20_1", "system_server"]
    assert threads.loc[30].tolist() == [29, "from cmdlines", ""]
    assert 31 not in threads.index


def test_an_event_of_its_own_names_its_call(tmp_path: Path) -> None:
    """Of process 20 nothing tells whether it is a 32-bit one, which the event tells: those have no such events."""
    sure = {"__syscall_nr": 233, "start": 0xFFFF_1000_0000, "len_in": 4096, "behavior": 4}
    unsure = {"__syscall_nr": 233, "start": 0, "len_in": 0, "behavior": 0}
    named = {0: [(1, "sys_enter_madvise", 10, sure), (2, "sys_enter_madvise", 20, unsure)]}
    found = capture(tmp_path / "named", named, meta={"machine": "aarch64"})["syscall"]
    assert [events.SYSCALLS[call] for call in found["call"]] == ["madvise", "madvise"]
    assert found["nr"].tolist() == [233, 233]


def test_an_unknown_event_among_the_raw_calls(tmp_path: Path) -> None:
    capture(tmp_path, {0: [(1, "sys_enter", 10, {"id": 215, "args": (0,) * 6})]})
    form = tmp_path / "ftrace/formats/raw_syscalls/sys_enter"
    form.write_text(form.read_text().replace("name: sys_enter", "name: sys_entry"))
    trace = read_raw_capture(tmp_path)
    assert trace.source.event_counts["raw_syscalls:sys_entry"] == 1
    assert len(trace["syscall"]) == 0


def test_a_new_thread_belongs_to_the_process_of_its_maker(tmp_path: Path) -> None:
    made = {0: [
        (1, "task_newtask", 50, {"pid": 60, "comm": "app", "clone_flags": 0}),
        (2, "task_newtask", 60, {"pid": 61, "comm": "app", "clone_flags": 0x10000}),
        (3, "task_newtask", 61, {"pid": 62, "comm": "app", "clone_flags": 0x10000}),
    ]}  # fmt: skip
    threads = capture(tmp_path, made)["threads"].set_index("tid")
    assert threads["tgid"].to_dict() == {50: -1, 60: 60, 61: 60, 62: 60}


def test_the_last_name_of_a_thread_holds(tmp_path: Path) -> None:
    def woken(ts: int, comm: str) -> tuple:
        return ts, "sched_waking", 1, {"comm": comm, "pid": 7, "prio": 120}

    trace = capture(
        tmp_path, {0: [woken(1, "old"), woken(5, "new"), woken(9, "newest")], 1: [woken(3, "old"), woken(7, "new")]}
    )
    assert trace["threads"].set_index("tid").loc[7, "comm"] == "newest"


def test_markers_keep_their_text(tmp_path: Path) -> None:
    texts = ["", "\n", "E", "B|1|ünïcode ✓", "C|1|" + "x" * 900, "two\nlines\n"]
    trace = capture(tmp_path, {0: [(i, "print", 1, {"buf": t}) for i, t in enumerate(texts)]})
    assert trace["marker"]["text"].tolist() == ["", "", "E", "B|1|ünïcode ✓", "C|1|" + "x" * 900, "two\nlines"]


def test_a_marker_that_is_not_utf8_is_mended(tmp_path: Path) -> None:
    layout = make_layout()
    writer = PageWriter(layout)
    writer.add(1, make_record("print", 1, buf="before"))
    writer.add(2, make_record("print", 1, buf="").rstrip(b"\0").ljust(16, b"\0") + b"a\xff\xfeb\0")
    writer.add(3, make_record("print", 1, buf="äfter"))
    write_capture(tmp_path, layout, {0: writer.finish()})
    assert read_raw_capture(tmp_path)["marker"]["text"].tolist() == ["before", "a\ufffd\ufffdb", "äfter"]


def test_lost_events_from_marks_and_counters(tmp_path: Path) -> None:
    marker = {"buf": "x"}
    cpus = {
        0: [(10, "print", 1, marker), (0, "lose", 0, 5), (30, "print", 1, marker)],
        1: [(12, "print", 1, marker), (0, "lose", 0, None), (40, "print", 1, marker)],
        2: [(11, "print", 1, marker)],
    }
    stats = {0: "overrun: 5\n", 1: "overrun: 7\ncommit overrun: 1\n", 2: "overrun: 0\ndropped events: 3\n"}
    trace = capture(tmp_path, cpus, stats=stats)
    assert [tuple(r.values()) for r in rows(trace, "lost")] == [
        (0, 10, 30, 5), (1, 10, 40, 1), (1, 12, 40, 7), (2, 10, 40, 3),  # never written: missing anywhere
    ]  # fmt: skip
    assert trace.source.lost_events == 16


def test_a_gap_without_a_number_is_a_lower_bound(tmp_path: Path) -> None:
    cpus = {0: [(10, "print", 1, {"buf": "x"}), (0, "lose", 0, None), (30, "print", 1, {"buf": "x"})]}
    trace = capture(tmp_path, cpus)
    assert [tuple(r.values()) for r in rows(trace, "lost")] == [(0, 10, 30, -1)]
    assert trace.source.lost_events == 1
    assert any("lower bound" in note for note in trace.source.notes)


def test_a_cut_file_is_read_up_to_the_cut(tmp_path: Path) -> None:
    marker = {"buf": "x" * 100}
    cpus = {0: [(i, "print", 1, marker) for i in range(100)], 1: [(500, "print", 1, marker)]}
    capture(tmp_path, cpus)
    file = tmp_path / "ftrace" / "cpu0.raw"
    file.write_bytes(file.read_bytes()[:-96])
    trace = read_raw_capture(tmp_path)
    last = int(trace["marker"]["ts_ns"].iloc[-2])
    assert rows(trace, "lost") == [{"cpu": 0, "from_ns": last, "to_ns": 500, "events": -1}]
    assert any("cut" in note for note in trace.source.notes)


def test_overwritten_events_are_not_what_a_cut_lost(tmp_path: Path) -> None:
    marker = {"buf": "x" * 100}
    capture(tmp_path, {0: [(i, "print", 1, marker) for i in range(100)]}, stats={0: "overrun: 3\n"})
    file = tmp_path / "ftrace" / "cpu0.raw"
    file.write_bytes(file.read_bytes()[:-96])
    trace = read_raw_capture(tmp_path)
    first, last = trace.source.start_ns, trace.source.end_ns
    assert [tuple(r.values()) for r in rows(trace, "lost")] == [(0, first, last, 3), (0, last, last, -1)]


def test_events_without_a_format_are_counted(tmp_path: Path) -> None:
    capture(tmp_path, EVERYTHING)
    (tmp_path / "ftrace/formats/ftrace/print").unlink()
    trace = read_raw_capture(tmp_path)
    assert trace.source.event_counts["unknown:5"] == 1
    assert len(trace["marker"]) == 0
    assert any("no format file" in note for note in trace.source.notes)


def test_what_was_switched_on_is_known(tmp_path: Path) -> None:
    assert capture(tmp_path / "a", {0: []}).source.enabled_events is None
    trace = capture(tmp_path / "b", {0: []}, meta={"enabled_events": ["sched:sched_switch"]})
    assert trace.source.enabled_events == {"sched:sched_switch", "ftrace:print"}


def test_of_two_formats_with_one_id_the_last_counts(tmp_path: Path) -> None:
    capture(tmp_path, EVERYTHING)
    formats = tmp_path / "ftrace/formats/sched"
    (formats / "sched_zwitch").write_text(
        (formats / "sched_switch").read_text().replace("sched_switch", "sched_zwitch")
    )
    trace = read_raw_capture(tmp_path)
    assert trace.source.event_counts["sched:sched_zwitch"] == 1
    assert len(trace["sched_switch"]) == 0


def test_a_capture_of_nothing(tmp_path: Path) -> None:
    trace = capture(tmp_path, {0: [], 1: []})
    assert (trace.source.events, trace.source.duration_ns) == (0, 0)


def test_times_that_run_backwards_on_a_cpu_keep_their_order(tmp_path: Path) -> None:
    layout = make_layout()
    writer = PageWriter(layout)
    for ts in (100, 50, 70):
        writer.new_page(ts)
        writer.add(ts, make_record("print", 1, buf=str(ts)))
    write_capture(tmp_path, layout, {0: writer.finish()})
    trace = read_raw_capture(tmp_path)
    assert trace["marker"]["text"].tolist() == ["100", "50", "70"]
    assert (trace.source.start_ns, trace.source.end_ns) == (50, 100)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("meta.json", "{", "a JSON object"),
        ("meta.json", "[1]", "a JSON object"),
        ("meta.json", '{"page_size": 9e99}', "page_size"),
        ("meta.json", '{"endian": 3}', "endian"),
        ("header_page", header_page_text(make_layout(page_bytes=8192)), "pages of 4096"),
        ("header_page", "", "header_page"),
        ("formats/sched/sched_switch", "garbage", "'name:' and 'ID:'"),
    ],
)
def test_a_malformed_side_file_is_named(tmp_path: Path, name: str, content: str, expected: str) -> None:
    capture(tmp_path, EVERYTHING)
    (tmp_path / "ftrace" / name).write_text(content)
    with pytest.raises(TraceError, match=expected) as caught:
        read_raw_capture(tmp_path)
    assert caught.value.file == tmp_path / "ftrace" / name


def test_a_record_shorter_than_its_format_is_refused(tmp_path: Path) -> None:
    layout = make_layout()
    writer = PageWriter(layout)
    writer.add(70, make_record("print", 1, buf="x"))
    writer.new_page(77)
    writer.add(77, make_record("sched_switch", 1)[:40])
    write_capture(tmp_path, layout, {0: b"", 1: writer.finish()})
    with pytest.raises(TraceError, match="at least 64 bytes, found 40 at 77 ns") as caught:
        read_raw_capture(tmp_path)
    assert (caught.value.file.name, caught.value.offset) == ("cpu1.raw", 4096 + 20)


def test_a_folder_without_pages(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"ftrace/cpu0.raw.*Name the folder"):
        read_raw_capture(tmp_path)


def test_two_formats_of_one_name_lose_no_count(tmp_path: Path) -> None:
    capture(tmp_path, EVERYTHING)
    rename = tmp_path / "ftrace" / "formats" / "task" / "task_rename"
    rename.write_text(rename.read_text().replace("name: task_rename", "name: task_newtask"))
    source = read_raw_capture(tmp_path).source
    assert source.event_counts["task:task_newtask"] == 2
    assert sum(source.event_counts.values()) == source.events
