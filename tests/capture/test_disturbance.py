"""What somebody else does to the trace buffers is found and named."""

from __future__ import annotations

from pathlib import Path

import pytest

from android_suite.capture.disturbance import find_changes, find_gaps, find_owner

ROOT = "/sys/kernel/tracing"


@pytest.mark.parametrize(
    ("state", "owner"),
    [
        ({"tracing_on": "1", "current_tracer": "nop", "set_event": ""}, ""),
        ({"tracing_on": "0", "current_tracer": "function", "set_event": "sched:sched_switch"}, ""),
        ({"tracing_on": "1", "current_tracer": "function_graph"}, "tracer function_graph"),
        ({"tracing_on": "1", "current_tracer": "nop", "set_event": "a:b\nc:d\ne:f\n"}, "event a:b and 2 more"),
        ({}, ""),
    ],
)
def test_who_records_already(state: dict[str, str], owner: str) -> None:
    assert find_owner(ROOT, {f"{ROOT}/{name}": text for name, text in state.items()}) == owner


def test_what_changed_is_named() -> None:
    before = {
        "tracing_on": "1",
        "trace_clock": "local [mono]",
        "set_event": "a:b\nc:d",
        "buffer_size_kb": "8192",
        "events/a/b/filter": "none",
        "options/markers": "1",
    }
    after = before | {
        "tracing_on": "0",
        "trace_clock": "[local] mono",
        "set_event": "c:d\ne:f",
        "buffer_size_kb": "64",
        "events/a/b/filter": "x == 1",
    }
    changes = find_changes(*({f"{ROOT}/{name}": text for name, text in each.items()} for each in (before, after)))
    assert changes == [
        "tracing_on from 1 to 0",
        "trace_clock from mono to local",
        "events: 1 off (a:b), 1 on (e:f)",
        "buffer_size_kb from 8192 to 64",
        "events/a/b/filter from none to x == 1",
    ]
    assert find_changes(before, dict(before)) == []


def write_marks(folder: Path, *marks: str) -> Path:
    for number, mark in enumerate(marks):
        with (folder / f"cpu{number % 2}.raw").open("ab") as file:
            file.write(b"\x00\xff" * 20 + f"android_suite: {mark} tok\n".encode() + b"\x00" * 30)
    return folder


def test_marks_that_are_all_there(tmp_path: Path) -> None:
    assert find_gaps(write_marks(tmp_path, "start", "beat 0", "beat 1", "beat 2", "end"), "tok", lost=False) == []


@pytest.mark.parametrize(
    ("marks", "says"),
    [
        (("beat 0", "end"), "it lacks the mark at the start;"),
        (("start", "beat 0"), "it lacks the mark at the end;"),
        (("start", "beat 0", "beat 3", "end"), "2 of 4 heartbeats"),
        ((), "the mark at the start and the mark at the end"),
    ],
)
def test_marks_that_are_missing(tmp_path: Path, marks: tuple[str, ...], says: str) -> None:
    (tmp_path / "cpu5.raw").write_bytes(b"")
    [told] = find_gaps(write_marks(tmp_path, *marks), "tok", lost=False)
    assert says in told
    assert find_gaps(tmp_path, "tok", lost=True) == [], "the kernel lost events and says so; marks may be among them"
    assert find_gaps(tmp_path, "other", lost=False), "another recording's marks are not ours"
