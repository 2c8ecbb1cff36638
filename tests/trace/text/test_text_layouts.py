"""Layouts of ftrace text beside the usual one: latency format, kernel logs, flags of any number, texts without an event."""

from __future__ import annotations

import pytest

from android_suite.errors import TraceError
from android_suite.tables.events import TASK_STATES
from android_suite.tables.trace import Trace
from android_suite.trace.text.reader import read_text

HEADER = """# tracer: {tracer}
#
# {tracer} latency trace v1.1.5 on 6.6.1
# --------------------------------------------------------------------
# latency: 97 us, #{kept}/{written}, CPU#3 | (M:{model} VP:0, KP:0, SP:0 HP:0 #P:8)
#    -----------------
#    | task: rt-77 (uid:0 nice:0 policy:1 rt_prio:5)
#    -----------------
#  => started at: lock_a
#  => ended at:   unlock_a
#
#  cmd     pid     |||||| time  |   caller
#     \\   /        ||||||  \\    |    /
"""
SWITCH = (
    "sched_switch: prev_comm=rt prev_pid=77 prev_prio={prio} prev_state=S ==> next_comm=gc next_pid=88 next_prio=120"
)


def read(*lines: str) -> Trace:
    return read_text("\n".join(lines).encode() + b"\n")


@pytest.mark.parametrize(
    "tracer", ["irqsoff", "preemptoff", "preemptirqsoff", "wakeup", "wakeup_rt", "wakeup_dl", "nop"]
)
@pytest.mark.parametrize(
    "flags", ["d..2.", "d..2", "dNh4.", "D.Zf.1", "dLnh1.2", "b.....2", "Xp..1..", ".....", "dBs3."]
)
def test_latency_format_of_every_tracer(tracer: str, flags: str) -> None:
    trace = read(
        HEADER.format(tracer=tracer, kept=5, written=5, model="PREEMPT_RT"),
        f"      rt-77      3{flags}    0us : lock_a <-caller_a",
        f"      rt-77      3{flags}   10us+: {SWITCH.format(prio=94)}",
        f"HeapTaskDaemon-88    11{flags} 1234us!: tracing_mark_write: B|88|x",
        f"    <...>-88     3{flags} 123456us#: print: tracing_mark_write: E|88",
        f"    <...>-88     3{flags} 1234567us@: <stack trace>",
        " => unlock_a",
        " => caller_a",
    )
    source = trace.source
    assert (source.events, source.lost_events, source.cpus, source.end_ns) == (4, 0, 12, 123_456_000)
    assert trace["sched_switch"][["ts_ns", "cpu", "prev_tid"]].values.tolist() == [[10_000, 3, 77]]
    assert trace["marker"]["text"].tolist() == ["B|88|x", "E|88"]
    assert trace["threads"].set_index("tid")["comm"].to_dict() == {77: "rt", 88: "gc"}
    assert "3 lines of stack traces were left out" in source.notes


def test_latency_header_tells_of_losses() -> None:
    head = HEADER.format(tracer="nop", kept=1, written=11, model="preempt")
    assert read(head, f"  rt-77  3d..2.  5us : {SWITCH.format(prio=94)}").source.lost_events == 10


def test_the_wakeup_tracers_own_lines() -> None:
    trace = read(
        HEADER.format(tracer="wakeup_rt", kept=3, written=3, model="preempt"),
        "  <idle>-0       3d.h4.    0us :      0:120:R   + [003]  2389: 94:R sleep",
        "  <idle>-0       3d..3.    5us :      0:120:R ==> [003]  2389: 94:R sleep",
        "   sleep-2389    3d..3.    9us :   2389: 94:D ==> [003]     0:120:R <idle>",
    )
    wake, switch = trace["sched_wake"], trace["sched_switch"]
    assert wake[["tid", "target_tid", "target_prio", "target_cpu"]].values.tolist() == [[0, 2389, 94, 3]]
    assert switch[["prev_tid", "prev_prio", "prev_state", "next_tid", "next_prio"]].values.tolist() == [
        [0, 120, 0, 2389, 94], [2389, 94, 3, 0, 120],
    ]  # fmt: skip
    assert trace.source.event_counts == {"context_switch": 2, "wakeup": 1}
    twice = read(
        "  <idle>-0  3d..3.  5us :  0:120:R ==> [003]  77: 94:R rt",
        f"  rt-77  3d..3.  6us : {SWITCH.format(prio=94)}",
    )
    assert len(twice["sched_switch"]) == 1  # the tracer's line repeats the recorded event
    assert any(note.startswith("1 lines of the tracer itself") for note in twice.source.notes)
    wakes = read(
        "  <idle>-0  3d.h4.  1us :  0:120:R   + [003]  77: 94:R rt",
        f"  rt-77  3d..3.  6us : {SWITCH.format(prio=94)}",
    )
    assert wakes["sched_wake"]["target_tid"].tolist() == [77]  # no event tells of the wakeup, so the line counts


def test_trace_cmd_report_in_latency_format() -> None:
    trace = read(
        "version = 7", "cpus=12",
        "      rt-77      3d..2. 12.000001: sched_switch:         rt:77 [94] S ==> gc:88 [120]",
        "HeapTask-88     11d..2. 12.500001500: sched_waking:         rt:77 [94] CPU:003",
    )  # fmt: skip
    assert trace.source.duration_ns == 500_000_500
    assert trace["sched_wake"][["tid", "cpu", "target_tid"]].values.tolist() == [[88, 11, 77]]


@pytest.mark.parametrize(
    "prefix", ["[   12.345678] ", "<6>[   12.345678] ", "[   12.345678][ T1234] ", "[   12.345678][    C3]   ",
               "Nov 28 22:10:11 host kernel: [   12.345678] ", "<4>"]
)  # fmt: skip
def test_a_kernel_log_with_a_dump(prefix: str) -> None:
    trace = read(
        f"{prefix}BUG: kernel NULL pointer dereference",
        f"{prefix}Dumping ftrace buffer:",
        f"{prefix}---------------------------------",
        f"{prefix}CPU:3 [LOST 45 EVENTS]",
        f"{prefix}      rt-77      3d..2. 11111111us : {SWITCH.format(prio=94)}",
        f"{prefix}  <idle>-0       1dNh2. 11112111us+: sched_wakeup: comm=rt pid=77 prio=94 target_cpu=003",
        f"{prefix}---------------------------------",
    )
    assert (trace.source.events, trace.source.duration_ns, trace.source.lost_events) == (2, 1_000_000, 45)
    assert trace["threads"].set_index("tid")["comm"].to_dict() == {0: "swapper", 77: "rt", 88: "gc"}
    assert any("latency format" in note for note in trace.source.notes)


@pytest.mark.parametrize(
    ("flags", "header"),
    [
        ("....", ""), ("d...", ""), ("dNh.", ""), (".....", ""), ("d..2.", ""), ("d...1..", ""), ("d..h1.1", "|||||||"),
        ("d..21", "|||||"), ("d..2", "||||"), ("D.Zf.f", ""),
    ],
)  # fmt: skip
def test_flags_without_a_gap(flags: str, header: str) -> None:
    columns = f"#           TASK-PID     CPU#  {header}  TIMESTAMP  FUNCTION"
    trace = read(
        "# tracer: nop", columns if header else "#",
        f"worker/u16:1-77    (   77) [004] {flags}99.196720: tracing_mark_write: B|77|one",
        f"worker/u16:1-77    (   77) [004] {flags}100.196730: tracing_mark_write: E|77",
    )  # fmt: skip
    assert trace["marker"]["ts_ns"].tolist() == [99_196_720_000, 100_196_730_000]


def test_digits_of_flags_by_the_time_around() -> None:
    trace = read(
        "   a-77 [004] d..2. 316.196720: tracing_mark_write: B|77|one",
        "   a-77 [004] d..21316.196730: tracing_mark_write: E|77",
        "   a-77 [004] d..2316.196740: tracing_mark_write: B|77|two",
    )
    assert trace["marker"]["ts_ns"].tolist() == [316_196_720_000, 316_196_730_000, 316_196_740_000]


@pytest.mark.parametrize("prio", [-1, -101, 139, 4096, 65535, 2147483647])
def test_priorities_of_any_size(prio: int) -> None:
    trace = read(f"  rt-77 [003] d..2. 1.000005: {SWITCH.format(prio=prio)}")
    assert trace["sched_switch"]["prev_prio"].tolist() == [prio]


def test_markers_printed_raw() -> None:
    trace = read(
        "   app-55    [001]  1.000000: print:                 ip=0xffffffff81000000 buf=B|55|a buf=b",
        "   app-55    [001]  1.000001: print:                 ip=0xffffffff81000000 buf=E|55",
        "   app-55    [001]  1.000002: tracing_mark_write: ip=1 buf=2",
    )
    assert trace["marker"]["text"].tolist() == ["B|55|a buf=b", "E|55", "ip=1 buf=2"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# tracer: function_graph\n#\n 0)   0.100 us    |  foo();\n", "function_graph"),
        (" 1)               |  do_page_fault() {\n 1)   0.200 us    |    down_read();\n", "function_graph"),
        ("# tracer: nop\n#\n# entries-in-buffer/entries-written: 0/0   #P:8\n", "trace is empty"),
        ("CPU:1 [LOST 5 EVENTS]\n# tracer: nop\n", "trace is empty"),
        ("some log\n" * 9 + "# tracer: nop\n", "trace is empty"),
        ("[    1.000000] Dumping ftrace buffer:\n[    1.000001]    (ftrace buffer empty)\n", "buffer was empty"),
        (
            "# tracer: irqsoff\n            bash  1234 1 0 00000000 00000000 [00001234] 0.012ms (+0.003ms): sched_wakeup: x\n",
            "verbose latency format",
        ),
        ("   app-55    [001] d..2. 12345: sched_wakeup: comm=a\n", "times in seconds"),
    ],
)  # fmt: skip
def test_texts_without_an_event_are_refused(text: str, words: str) -> None:
    with pytest.raises(TraceError, match=words):
        read_text(text.encode())


def test_a_legacy_html_whose_viewer_quotes_the_data() -> None:
    line = "   app-55    (   55) [001] d..2. 1.000000: tracing_mark_write: E|55"
    page = (
        '<html><head><script>if(!b(/^  var linuxPerfData = "\\\\$/))return f;</script></head><body><script>\n'
        f'  var linuxPerfData = "\\\n# tracer: nop\\n\\\n{line}\\n\\\n";\n</script></body></html>'
    )
    trace = read_text(page.encode())
    assert (trace.source.format, trace.source.events) == ("systrace_html", 1)


def test_a_thread_id_of_two_processes() -> None:
    trace = read(
        "   a-77 (   77) [004] d..2. 1.000001: tracing_mark_write: E|77",
        "   b-77 (   12) [004] d..2. 2.000001: tracing_mark_write: E|12",
    )
    assert trace["thread_moves"].to_numpy().tolist() == [[77, 2_000_001_000, 77, "a"]]


def test_trace_cmd_report_with_differences_of_time() -> None:
    trace = read(
        "cpus=2",
        "      rt-77    [001]     5.000000:          sched_switch: rt:77 [120] S ==> gc:88 [120]",
        "      gc-88    [001]     5.000490: (+490)   sched_switch: gc:88 [120] D ==> rt:77 [120]",
        "      rt-77    [001]     7.000000: (+1999510) print: tracing_mark_write: B|77|(+5) x",
    )
    assert trace["sched_switch"]["ts_ns"].tolist() == [5_000000000, 5_000490000]
    assert trace["marker"]["text"].tolist() == ["B|77|(+5) x"]


def test_the_option_fields() -> None:
    """Numbers as ``0x37 (55)``; the kernel prints a persistent buffer of the last boot so, too."""
    trace = read(
        "p-5 [000] d..2. 1.000000: sched_switch: prev_comm=p prev_pid=0x5 (5) prev_prio=0xffffffff (-1) prev_state=0x2 (2) "
        "next_comm=q r next_pid=0x37 (55) next_prio=0x6e (110)",
        "q r-55 [000] d..2. 1.000001: sched_waking: comm=p pid=0x5 (5) prio=0x78 (120) target_cpu=0x1 (1)",
        "q r-55 [000] ..... 1.000002: mmap_lock_acquire_returned: mm=0xffff888012340000 (-131391) memcg_path=/ "
        "write=0x1 (1) success=0x0 (0)",
        "q r-55 [000] ..... 1.000003: contention_begin: lock_addr=0xffff888012340078 (-131271) flags=0x2 (2)",
        "q r-55 [000] ..... 1.000004: contention_end: lock_addr=0xffff888012340078 (-131271) ret=0xfffffffc (-4)",
        "q r-55 [000] ..... 1.000005: sys_exit: id=0xe9 (233) ret=0xffffffffffffffea (-22)",
        "q r-55 [000] ..... 1.000006: sched_process_exit: comm=q r pid=0x37 (55) prio=0x6e (110)",
        "q r-55 [000] ..... 1.000007: sys_enter: id=0xe9 (233) args=<INVALID-SIZE>",
    )
    switch = trace["sched_switch"].iloc[0]
    assert switch[["prev_tid", "prev_prio", "next_tid", "next_prio"]].tolist() == [5, -1, 55, 110]
    assert TASK_STATES[switch["prev_state"]] == "D"
    assert trace["sched_wake"][["target_tid", "target_prio", "target_cpu"]].values.tolist() == [[5, 120, 1]]
    lock = trace["mmap_lock"].iloc[0]
    assert (lock["mm"], lock["write"], lock["success"]) == (0xFFFF_8880_1234_0000, True, False)
    assert trace["contention"][["flags", "ret"]].values.tolist() == [[2, 0], [0, -4]]
    assert trace["syscall"][["kind", "nr", "ret"]].values.tolist() == [[1, 233, -22]]
    assert trace["task"]["target_tid"].tolist() == [55]
    assert trace.unread[["cpu", "from_ns", "to_ns", "events"]].values.tolist() == [[0, 1_000006999, 1_000007001, 1]]
    assert "events whose fields could not be read: 1 sys_enter" in trace.source.notes
