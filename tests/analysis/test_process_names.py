"""A process that ended in the trace is found by its file's name, in every format, and not its id's next owner."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from android_suite.analysis.pipeline import Analysis, analyze_trace
from android_suite.analyze import analyze_file
from android_suite.errors import UsageError
from android_suite.tables import events
from android_suite.tables.derived import ROLES
from android_suite.tables.events import MAX_TID
from android_suite.tables.trace import Trace
from android_suite.trace.perfetto.reader import read_perfetto
from android_suite.trace.ring.capture_folder import read_raw_capture
from tests.analysis.build import TraceBuilder
from tests.analysis.reused_ids import Event, as_capture, as_perfetto, as_text, switch

SHELL, OLD, GC = 300, MAX_TID + 200, 201
IDLE, SH = (0, "swapper/0"), (SHELL, "sh")
LISTED = {"threads_before": "300 300 sh\n", "threads": "300 300 sh\n", "processes": "300 sh\n"}


def executed(ts: int, tid: int, path: str) -> list[Event]:
    """A child of the shell that becomes a program."""
    made = {"pid": tid, "comm": "sh", "clone_flags": 0, "oom_score_adj": 0}
    return [
        (ts, SHELL, "task_newtask", made), switch(ts + 10, SH, "S", (tid, "sh")),
        (ts + 20, tid, "sched_process_exec", {"filename": path, "pid": tid, "old_pid": tid}),
    ]  # fmt: skip


def story() -> list[Event]:
    """A runtime, which calls its main thread "main", runs and ends; another program gets its id."""
    named = {"oldcomm": "dalvikvm.bin", "newcomm": "main", "oom_score_adj": 0}
    made = {"pid": GC, "comm": "main", "clone_flags": 0x10F00, "oom_score_adj": 0}
    main, gc, next_one = (200, "main"), (GC, "HeapTaskDaemon"), (200, "toybox")
    return [
        switch(10, IDLE, "R", SH), *executed(1000, 200, "/data/local/dalvikvm.bin"), (1100, 200, "task_rename", named),
        (1200, 200, "task_newtask", made), switch(1300, main, "S", gc), switch(1400, gc, "X", main),
        switch(1500, main, "Z", SH), *executed(2000, 200, "/system/bin/toybox"), switch(2100, next_one, "Z", SH),
        switch(3000, SH, "S", IDLE),
    ]  # fmt: skip


def without(recorded: list[Event], *fields: str) -> list[Event]:
    return [(ts, tid, name, {k: v for k, v in told.items() if k not in fields}) for ts, tid, name, told in recorded]


FORMS: dict[str, Callable[[Path], Trace]] = {
    "text": lambda folder: as_text(story(), None),
    "perfetto": lambda folder: read_perfetto(as_perfetto(story())),
    "ring": lambda folder: read_raw_capture(as_capture(folder, without(story(), "oom_score_adj"))),
    "ring with lists": lambda folder: read_raw_capture(as_capture(folder, without(story(), "oom_score_adj"), **LISTED)),
}


def owners(analysis: Analysis) -> dict[int, tuple[str, str]]:
    table = analysis["thread_roles"]
    rows = zip(*(table[name].tolist() for name in ("tid", "process", "role")), strict=True)
    return {tid: (process, ROLES[role]) for tid, process, role in rows if tid}


@pytest.mark.parametrize("form", FORMS)
def test_a_program_that_ended(form: str, tmp_path: Path) -> None:
    found = owners(analyze_trace(FORMS[form](tmp_path)))
    assert {tid: whose for tid, whose in found.items() if tid != SHELL} == {
        OLD: ("dalvikvm.bin", "ui"), GC: ("dalvikvm.bin", "gc"), 200: ("toybox", "other"),
    }  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["dalvikvm.bin", "/data/local/dalvikvm.bin", "main"])
def test_it_is_found_by_its_file_and_by_its_comm(form: str, name: str, tmp_path: Path) -> None:
    found = owners(analyze_trace(FORMS[form](tmp_path), process=name))
    assert {tid for tid, (process, _) in found.items() if process == name} == {OLD, GC}


def test_the_command_finds_it(tmp_path: Path) -> None:
    path = tmp_path / "trace.pftrace"
    path.write_bytes(as_perfetto(story()))
    assert (analyze_file(path, process="dalvikvm.bin")["thread_roles"]["process"] == "dalvikvm.bin").sum() == 2
    with pytest.raises(UsageError, match=r"has no process zygote; there is dalvikvm\.bin, "):
        analyze_file(path, process="zygote")


def task(b: TraceBuilder, ts: int, kind: str, tid: int, name: str) -> TraceBuilder:
    return b._add("task", ts, 0, tid, events.TASK_KINDS.index(kind), tid, False, name)


def processes(b: TraceBuilder, process: str | None = None) -> dict[int, str]:
    return {tid: name for tid, (name, _) in owners(analyze_trace(b.trace(), process=process)).items() if tid > 102}


def test_a_command_line_counts_for_more_than_a_file() -> None:
    b = TraceBuilder().thread(140, 140, "com.example.b", "com.example.bigger")
    task(b, 1, "exec", 140, "app_process64").switch(2, 140, "S", 0)
    assert processes(b) == {140: "com.example.bigger"}
    assert processes(b, "app_process64") == {140: "app_process64"}  # nothing else has that name


def test_a_command_line_that_was_read_before_an_exec_is_of_the_program_before() -> None:
    b = TraceBuilder().thread(140, 140, "main", "/system/bin/sh")
    task(b, 5, "exec", 140, "dalvikvm").switch(6, 140, "Z", 0)
    rows: list[Any] = [(140, 1, 140, "sh", "/system/bin/sh")]
    b.rows["thread_lists"] = rows
    assert processes(b) == {140: "dalvikvm"}
    rows.append((140, 9, 140, "main", "dalvikvm64"))
    b.rows["threads"][-1] = (140, 140, "main", "dalvikvm64")
    assert processes(b) == {140: "dalvikvm64"}


def test_a_former_name_finds_a_process_only_if_nothing_has_it_now() -> None:
    b = TraceBuilder().thread(140, 140, "ls", "").thread(141, 141, "sh", "")
    task(b, 1, "exec", 140, "sh")
    task(b, 2, "exec", 140, "ls").switch(3, 140, "Z", 141)
    assert processes(b, "sh") == {140: "ls", 141: "sh"}
    b.rows["threads"].pop()
    b.thread(141, 141, "logd", "")
    assert processes(b, "sh") == {140: "sh", 141: "logd"}


def test_a_thread_that_calls_exec_is_the_main_one(tmp_path: Path) -> None:
    recorded: list[Event] = [
        switch(10, IDLE, "R", (200, "sh")),
        (20, 200, "sched_process_exec", {"filename": "/bin/tool", "pid": 200, "old_pid": 200}),
        switch(30, (200, "tool"), "Z", IDLE),
    ]
    table = analyze_trace(as_text(recorded, None))["thread_roles"]
    assert table.loc[table["tid"] == 200, ["tgid", "process"]].to_numpy().tolist() == [[200, "tool"]]
