from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import pandas as pd
import pytest

from android_suite.analysis.threads import measure_threads
from android_suite.errors import TraceError, UsageError
from android_suite.tables import events
from android_suite.tables.schema import check_frame
from android_suite.tables.trace import Trace
from android_suite.trace.text import reader as text
from android_suite.trace.text.reader import read_text
from tests.trace.samples import TRACE_TEXT

STATES, CALLS = events.TASK_STATES, events.SYSCALLS
SWITCH = "sched_switch: prev_comm=a b prev_pid=7 prev_prio=120 prev_state=S ==> next_comm=c-d:1 next_pid=8 next_prio=98"


def read(*lines: str) -> Trace:
    trace = read_text("\n".join(lines).encode())
    for table in events.EVENT_TABLES:
        check_frame(table, trace[table.name])
    return trace


@pytest.mark.parametrize(
    "head",
    [
        "     a b-7     [003]  1583.765274: ",
        "     a b-7     [003] d..2  1583.765274: ",
        "     a b-7     [003] d..2.  1583.765274: ",
        "     a b-7     [003] d..h2.  1583.765274: ",
        "     a b-7     [003] dN..311  1583.765274: ",
        "     a b-7     (-----) [003] d..2  1583.765274: ",
        "     a b-7     (    6) [003] d..2  1583.765274: ",
        "a b-7 [003]  1583.765274000:  ",
        "\ta b-7     [003]  1583.765274: ",
    ],
)
def test_layouts(head: str) -> None:
    trace = read(head + SWITCH)
    row = trace["sched_switch"].iloc[0]
    assert (row["ts_ns"], row["cpu"], row["prev_tid"], row["prev_prio"]) == (1583_765274000, 3, 7, 120)
    assert (STATES[row["prev_state"]], row["next_tid"], row["next_prio"]) == ("S", 8, 98)
    threads = trace["threads"].set_index("tid")
    assert threads["comm"].to_dict() == {7: "a b", 8: "c-d:1"}
    assert threads.loc[7, "tgid"] == (6 if "(    6)" in head else -1)


@pytest.mark.parametrize(
    "comm", ["<...>", "a-1 [001] x", "(-----)", "a:b: c", "kworker/u8:2-ev", "[002]", "longer than fifteen"]
)
def test_comms_of_any_shape(comm: str) -> None:
    trace = read(f"   {comm}-42   (   41) [001] d..2   5.000001: tracing_mark_write: B|41|x")
    row = trace["marker"].iloc[0]
    assert (row["tid"], row["cpu"], row["ts_ns"], row["text"]) == (42, 1, 5_000001000, "B|41|x")
    thread = trace["threads"].iloc[0]
    assert thread["comm"] == ("" if comm == "<...>" else comm)
    assert thread["tgid"] == 41


def test_a_comm_that_looks_like_a_field() -> None:
    trace = read(
        "x-1 [000] 1.000000: sched_switch: prev_comm=a prev_pid=9 prev_pid=7 prev_prio=120 prev_state=D|K "
        "==> next_comm=b next_pid=5 next_pid=8 next_prio=120"
    )
    row = trace["sched_switch"].iloc[0]
    assert (row["prev_tid"], row["next_tid"], STATES[row["prev_state"]]) == (7, 8, "D")


@pytest.mark.parametrize(
    ("word", "letter"),
    [("R", "R"), ("R+", "R+"), ("D|K", "D"), ("x", "x"), ("I", "I"), ("0", "R"), ("1", "S"), ("2", "D"), ("1024", "R+"),
     ("256", "R+"), ("0x100", "R+"), ("0x1", "S"), ("0x82", "D"), ("0x0", "R"), ("128", "I"), ("16", "?"), ("?", "?")],
)  # fmt: skip
def test_states(word: str, letter: str) -> None:
    trace = read("x-1 [000] 1.000000: " + SWITCH.replace("prev_state=S", f"prev_state={word}"))
    assert STATES[trace["sched_switch"]["prev_state"][0]] == letter


def test_short_forms_of_trace_cmd() -> None:
    trace = read(
        "x-1 [000] 1.000000: sched_switch:  trace-cmd:4734 [120] S ==> a [b] c:18 [0]",
        "x-1 [000] 1.000001: sched_wakeup:  adbd svc:163 [120] success=1 CPU:003",
    )
    row, wake = trace["sched_switch"].iloc[0], trace["sched_wake"].iloc[0]
    assert (row["prev_tid"], STATES[row["prev_state"]], row["next_tid"], row["next_prio"]) == (4734, "S", 18, 0)
    assert (wake["target_tid"], wake["target_prio"], wake["target_cpu"]) == (163, 120, 3)
    assert trace["threads"].set_index("tid")["comm"][18] == "a [b] c"


def test_mmap_lock_and_contention_in_both_forms() -> None:
    trace = read(
        "x-1 [000] 1.000000: mmap_lock_start_locking: mm=00000000454f4691 memcg_id=1 write=true",
        "x-1 [000] 1.000001: mmap_lock_acquire_returned: mm=0xffff888000000001 memcg_path=/a b write=0 success=false",
        "x-1 [000] 1.000002: contention_begin: 00000000144d9cf3 (flags=SPIN|WRITE)",
        "x-1 [000] 1.000003: contention_begin: lock_addr=0xffff flags=2",
        "x-1 [000] 1.000004: contention_end: 00000000144d9cf3 (ret=-4)",
        "x-1 [000] 1.000005: contention_begin: 00000000144d9cf3 (flags=READ|RT|PERCPU|MUTEX)",
    )
    locks = trace["mmap_lock"]
    assert locks["mm"].tolist() == [0x454F4691, 0xFFFF888000000001]
    assert locks[["write", "success"]].values.tolist() == [[True, True], [False, False]]
    assert trace["contention"]["flags"].tolist() == [5, 2, 0, 58]
    assert trace["contention"]["ret"].tolist() == [0, 0, -4, 0]


def test_system_calls_of_every_form() -> None:
    trace = read(
        "x-1 [000] 1.000000: sys_madvise(start: 7f3854356000, len_in: 7fc000, behavior: 4)",
        "x-1 [000] 1.000001: sys_madvise -> 0x0",
        "x-1 [000] 1.000002: sys_enter_munmap:     addr: 0x7f3854356000, len: 0x1000",
        "x-1 [000] 1.000003: sys_exit_munmap:      0xfffffffffffffff4",
        "x-1 [000] 1.000004: sys_enter: NR 233 (7f3854356000, 40000, 4, 0, 0, ffffffffffffffff)",
        "x-1 [000] 1.000005: sys_exit: NR 233 = -22",
        "x-1 [000] 1.000006: sys_openat(dfd: ffffff9c, filename: 7ffd, flags: 0, mode: 0)",
    )
    calls = trace["syscall"]
    assert [CALLS[c] for c in calls["call"]] == ["madvise"] * 2 + ["munmap"] * 2 + ["madvise"] * 2 + ["openat"]
    assert calls["kind"].tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert calls["ret"].tolist() == [0, 0, 0, -12, 0, -22, 0]
    assert calls["arg1"].tolist()[:5] == [0x7FC000, 0, 0x1000, 0, 0x40000]
    assert calls["arg5"].tolist()[4] == 0xFFFFFFFFFFFFFFFF
    assert any("arm64" in note for note in trace.source.notes)


def test_named_calls_as_trace_cmd_prints_them_raw() -> None:
    trace = read(
        "x-1 [000] 1.000002: sys_enter_madvise:    __syscall_nr=233 start=0x7f3854356000 len_in=4096 behavior=0x4",
        "x-1 [000] 1.000003: sys_exit_madvise:     __syscall_nr=233 ret=-22",
        "x-1 [000] 1.000004: sys_enter_munmap:     __syscall_nr=215 addr=0x1000 len=18446744073709551615",
    )
    calls = trace["syscall"]
    assert [CALLS[c] for c in calls["call"]] == ["madvise"] * 2
    assert calls[["arg0", "arg1", "arg2"]].values.tolist() == [[0x7F3854356000, 4096, 4], [0, 0, 0]]
    assert calls["ret"].tolist() == [0, -22]
    assert any("1 sys_enter_munmap" in note for note in trace.source.notes)  # no decimal of 20 digits is read


def test_raw_calls_of_no_known_machine_stay_unnamed() -> None:
    trace = read("x-1 [000] 1.000004: sys_enter: NR 1 (5, 6, 7, 0, 0, 0)")
    assert trace["syscall"]["call"].tolist() == [0]
    assert any("architecture" in note for note in trace.source.notes)


def test_losses() -> None:
    trace = read(
        "# entries-in-buffer/entries-written: 3/10   #P:2",
        "x-1 [000] 1.000000: cpu_idle: state=1 cpu_id=0",
        "x-1 [001] 1.000002: cpu_idle: state=1 cpu_id=1",
        "CPU:0 [LOST 123 EVENTS]",
        "x-1 [000] 1.000009: cpu_idle: state=1 cpu_id=0",
        "CPU:1 [EVENTS DROPPED]",
    )
    assert trace.source.lost_events == 7 + 123
    assert trace["lost"].values.tolist() == [
        [0, 1_000000000, 1_000000000, -1],
        [1, 1_000000000, 1_000002000, -1],
        [0, 1_000000000, 1_000009000, 123],
        [1, 1_000002000, 1_000009000, -1],
    ]


def test_tasks_priorities_faults_and_blocked_reasons() -> None:
    trace = read(
        "p-5 [000] 1.000000: task_newtask: pid=6 comm=p q clone_flags=3d0f00 oom_score_adj=0",
        "p-5 [000] 1.000001: task_rename: pid=6 oldcomm=p q newcomm=HeapTaskDaemon oom_score_adj=0",
        "p-5 [000] 1.000002: task_newtask: pid=9 comm=z clone_flags=1200011 oom_score_adj=0",
        "z-9 [000] 1.000003: sched_process_exec: filename=/system/bin/app_process64 pid=9 old_pid=9",
        "z-9 [000] 1.000004: sched_process_exit: comm=z z pid=9 prio=120 group_dead=true",
        "z-9 [000] 1.000005: sched_pi_setprio: comm=ksoftirqd/7 pid=54 oldprio=120 newprio=98",
        "z-9 [000] 1.000006: binder_set_priority: proc=1 thread=77 old=120 => new=98 desired=98",
        "z-9 [000] 1.000007: sched_blocked_reason: pid=30 iowait=1 caller=do_page_fault+0x1/0x2",
        "z-9 [000] 1.000008: sched_blocked_reason: pid=30 iowait=0 caller=0x0",
        "z-9 [000] 1.000009: page_fault_user: address=0x7f00 ip=0x4000 error_code=0x6",
        "p-5 (    5) [000] 1.000010: tracing_mark_write: E|5",
    )
    tasks = trace["task"]
    assert [events.TASK_KINDS[k] for k in tasks["kind"]] == ["newtask", "rename", "newtask", "exec", "exit"]
    assert tasks["target_tid"].tolist() == [6, 6, 9, 9, 9]
    assert tasks["comm"].tolist() == ["p q", "HeapTaskDaemon", "z", "app_process64", "z z"]
    assert tasks["thread_of_caller"].tolist() == [True, False, False, False, False]
    assert trace["pi_setprio"][["target_tid", "old_prio", "new_prio"]].values.tolist() == [[54, 120, 98], [77, 120, 98]]
    assert trace["blocked_reason"]["caller"].tolist() == ["do_page_fault+0x1/0x2", ""]
    assert trace["page_fault"]["address"].tolist() == [0x7F00]
    assert trace["threads"].set_index("tid")["tgid"].loc[[5, 6, 9]].tolist() == [5, 5, 9]


def test_unsorted_lines_are_sorted_and_ties_keep_their_order() -> None:
    trace = read(
        "x-1 [000] 3.000000: tracing_mark_write: c",
        "x-1 [000] 1.000000: tracing_mark_write: a",
        "x-1 [001] 1.000000: tracing_mark_write: b",
    )
    assert trace["marker"]["text"].tolist() == ["a", "b", "c"]
    assert trace["marker"]["seq"].tolist() == [0, 1, 2]
    assert trace.decode_event is not None
    assert trace.decode_event("tracing_mark_write")["payload"].tolist() == ["a", "b", "c"]
    assert any("sorted" in note for note in trace.source.notes)


def test_text_that_is_not_utf8_and_empty_texts() -> None:
    trace = read_text(b"x-1 [000] 1.000000: tracing_mark_write: \xff\xfe\nx-1 [000] 1.000000: tracing_mark_write: \n")
    assert trace["marker"]["text"].tolist() == ["\ufffd\ufffd", ""]


@pytest.mark.parametrize(
    "text", [b"", b"hello\nworld\n", b"x-1 [000] 12345: foo: bar\n", b"\0" * 100, b"<html></html>"]
)
def test_what_is_no_trace_is_refused(text: bytes) -> None:
    with pytest.raises(TraceError):
        read_text(text)


def test_missing_file() -> None:
    with pytest.raises(UsageError):
        read_text(Path("no/such/file"))


def test_a_trace_without_an_event_is_refused() -> None:
    with pytest.raises(TraceError, match=r"the trace is empty\. Switch events on"):
        read_text(b"# tracer: nop\n#\n")


def test_packed_streams(tmp_path: Path) -> None:
    plain = b"# tracer: nop\n#\n   x-1 [000] 1.000000: cpu_idle: state=1 cpu_id=0\n"
    assert read_text(b"noise\nTRACE:\n" + zlib.compress(plain)).source.format == "atrace_z"
    path = tmp_path / "t.gz"
    path.write_bytes(gzip.compress(plain) + gzip.compress(plain))
    assert read_text(path).source.events == 2
    with pytest.raises(TraceError):
        read_text(b"TRACE:\n" + zlib.compress(plain)[:-8])


def test_chunks_are_one_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A text read in chunks of one line, from a file, gives the same tables; out of order as well."""
    path = tmp_path / "trace.txt"
    path.write_bytes(TRACE_TEXT * 3)
    whole = read_text(path)
    assert any("sorted by time" in note for note in whole.source.notes)
    monkeypatch.setattr(text, "_CHUNK_BYTES", 1)
    cut = read_text(path)
    assert cut.source == whole.source
    for name, table in whole.tables.items():
        pd.testing.assert_frame_equal(cut[name], table)
    assert whole.decode_event is not None
    assert cut.decode_event is not None
    for event in list(whole.source.event_counts)[:5]:
        pd.testing.assert_frame_equal(cut.decode_event(event), whole.decode_event(event))


class TestRealFiles:
    def test_own_capture(self, shared_data: Path) -> None:
        for release, calls, locked in (("6.16.12", 2050, 54274), ("6.17.13", 1314, 43105)):
            trace = read_text(shared_data / f"own_capture/trace-{release}.txt.gz")
            assert trace.source.lost_events == 0
            assert trace.source.event_counts["mmap_lock_acquire_returned"] == locked
            threads = measure_threads(trace).set_index("comm")
            daemon = threads.loc["HeapTaskDaemon"]
            assert daemon["inferred"]
            entries = trace["syscall"].query("tid == @daemon.tid and kind == 0")
            assert len(entries) == calls
            assert daemon["process"] == "com.example.gc"
            assert any("microsecond" in note for note in trace.source.notes)
            check_frame(events.MMAP_LOCK, trace["mmap_lock"])

    def test_event_counts_of_own_capture(self, shared_data: Path) -> None:
        trace = read_text(shared_data / "own_capture/trace-6.16.12.txt.gz")
        assert trace.source.events == 148_264
        assert (trace["mmap_lock"]["kind"].value_counts().sort_index().tolist()) == [41232, 54274, 41232]
        assert sum(trace.source.event_counts.values()) == trace.source.events

    def test_phone_html(self, shared_data: Path) -> None:
        trace = read_text(shared_data / "ftrace_text/trace_surfaceflinger.html")
        sizes = {name: len(trace[name]) for name in ("sched_switch", "sched_wake", "blocked_reason")}
        assert sizes == {"sched_switch": 715, "sched_wake": 421, "blocked_reason": 31}
        text = trace["marker"]["text"]
        assert [int(text.str.startswith(kind).sum()) for kind in ("B|", "E", "C|")] == [70, 70, 18]
        assert trace.source.events == 2506
        assert trace.source.format == "systrace_html"

    def test_systrace_of_2012(self, shared_data: Path) -> None:
        trace = read_text(shared_data / "ftrace_text/android_systrace.html")
        assert trace.source.start_ns > 50_000_000_000_000  # the closing line at time 0.0 is no event
        assert len(trace["marker"]) == 13577
        assert not trace["marker"]["text"].str.contains(r"\\n", regex=True).any()

    def test_packed_pair(self, shared_data: Path) -> None:
        packed = read_text(shared_data / "ftrace_text/compressed_atrace_data.txt")
        plain = read_text(shared_data / "ftrace_text/decompressed_atrace_data.txt")
        assert packed["marker"].equals(plain["marker"])
        texts = packed["marker"]["text"]
        frames = texts.str.extract(r"^B\|\d+\|(.*)$")[0]
        assert int((frames == "Choreographer#doFrame").sum()) == 15
        assert int((frames == "DrawFrame").sum()) == 14

    def test_tgids_from_a_dump(self, shared_data: Path) -> None:
        folder = shared_data / "ftrace_text"
        dump = (folder / "atrace_procfs_dump").read_bytes()
        made = read_text(folder / "atrace_missing_tgids", process_dump=dump)
        expected = read_text(folder / "atrace_fixed_tgids")
        wanted = expected["threads"].query("tgid > 0").set_index("tid")["tgid"]
        assert len(wanted) > 3
        assert made["threads"].set_index("tid")["tgid"].loc[wanted.index].tolist() == wanted.tolist()

    def test_lock_events_of_5_14(self, shared_data: Path) -> None:
        trace = read_text(shared_data / "mmap_lock/lkml_20210730_rostedt_trace-cmd-show.txt")
        locks = trace["mmap_lock"]
        assert locks["kind"].tolist() == [0, 1, 2, 0, 1, 2]
        assert locks["ts_ns"].diff().tolist()[1:3] == [2000, 5000]
        assert locks["mm"].unique().tolist() == [0x6515CB1F]

    def test_priority_boosts_of_rt(self, shared_data: Path) -> None:
        rows = read_text(shared_data / "pi/lkml_20201207_rt_sched_pi_setprio.txt")["pi_setprio"]
        assert rows[["ts_ns", "target_tid", "old_prio", "new_prio"]].values.tolist() == [
            [46_299766000, 54, 120, 98],
            [46_299784000, 54, 98, 120],
        ]

    @pytest.mark.parametrize(
        ("name", "count"),
        [
            ("trace.txt", 804), ("raw_trace.txt", 3), ("trace_dynamic.txt", 1600), ("trace_equals.txt", 7),
            ("trace_sched.txt", 11),
            ("trace_failed_to_parse.txt", 11), ("trace_no_trailing_line.txt", 10), ("trace_idle_unsorted.txt", 15),
            ("trace_legacy_systrace.html", 15), ("trace_systrace.html", 10),
            ("trace_common_clk.txt", 8), ("trace_filesystem.txt", 69),
        ],
    )  # fmt: skip
    def test_small_files(self, shared_data: Path, name: str, count: int) -> None:
        assert read_text(shared_data / "ftrace_text" / name).source.events == count

    def test_decode_any_event(self, shared_data: Path) -> None:
        trace = read_text(shared_data / "ftrace_text/trace.txt")
        assert trace.decode_event is not None
        rows = trace.decode_event("thermal_power_cpu_limit")
        assert len(rows) == 134
        assert rows["freq"].tolist()[0] == 1100000
        assert trace.decode_event("no_such_event").empty
