"""Format files: fields of every kind, state letters of several kernels, and what is refused."""

from __future__ import annotations

import pytest

from android_suite.errors import TraceError
from android_suite.tables.events import TASK_STATES
from android_suite.trace.core.event_format import (
    evaluate_int,
    parse_event_format,
    parse_header_page,
    parse_state_letters,
)
from android_suite.trace.ring.build_tables import make_state_lookup
from tests.trace.captures import FORMATS
from tests.trace.pages import header_page_text, make_layout

HEAD = "name: x\nID: 7\nformat:\n"


def parse_one(field: str):
    return parse_event_format(HEAD + field, system="s", file="f").fields[0]


@pytest.mark.parametrize(
    ("line", "name", "kind", "is_array", "location", "element"),
    [
        ("field:char comm[16];\toffset:8;\tsize:16;\tsigned:0;", "comm", "char", True, "here", 1),
        ("field:char comm[TASK_COMM_LEN];\toffset:8;\tsize:16;\tsigned:1;", "comm", "char", True, "here", 1),
        ("field:struct mm_struct * mm;\toffset:8;\tsize:8;\tsigned:0;", "mm", "struct mm_struct *", False, "here", 0),
        (
            "field:__data_loc char[] memcg_path;\toffset:16;\tsize:4;\tsigned:0;",
            "memcg_path",
            "char",
            True,
            "data_loc",
            1,
        ),
        ("field:__rel_loc u32[] ids;\toffset:16;\tsize:4;\tsigned:0;", "ids", "u32", True, "rel_loc", 4),
        ("field:unsigned long args[6];\toffset:16;\tsize:48;\tsigned:0;", "args", "unsigned long", True, "here", 8),
        ("field:unsigned long args[6];\toffset:16;\tsize:24;\tsigned:0;", "args", "unsigned long", True, "here", 4),
        ("field:char buf;\toffset:16;\tsize:0;\tsigned:0;", "buf", "char", False, "here", 0),
        ("field:const char * fmt;\toffset:16;\tsize:8;", "fmt", "const char *", False, "here", 0),
    ],
)
def test_fields(line: str, name: str, kind: str, is_array: bool, location: str, element: int) -> None:
    field = parse_one("\t" + line)
    assert (field.name, field.type, field.is_array, field.location, field.element_bytes) == (
        name, kind, is_array, location, element,
    )  # fmt: skip


def test_name_id_and_print_format_are_read() -> None:
    form = FORMATS["contention_begin"]
    assert (form.full_name, form.id, form.record_bytes) == ("lock:contention_begin", 288, 20)
    assert form.print_fmt.startswith('"%p (flags=%s)"')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "'name:' and 'ID:'"),
        ("name: x\n", "'name:' and 'ID:'"),
        ("name: x\nID: -3\n", "'name:' and 'ID:'"),
        ("name: x\nID: " + "9" * 5000 + "\n", "'name:' and 'ID:'"),
        (HEAD + "\tfield:int;;\toffset:8;\tsize:4;", "x"),
        (HEAD + "\tfield:int a;\toffset:99999999;\tsize:4;\tsigned:1;\n", "field a within"),
        (HEAD + "\tfield:int a;\toffset:" + "9" * 5000 + ";\tsize:4;\tsigned:1;\n", "a field declaration"),
        (HEAD + "\tfield:__data_loc char[] a;\toffset:8;\tsize:8;\tsigned:1;\n", "dynamic field a of 4 bytes"),
        ("x" * (1 << 21), "at most"),
    ],
)
def test_a_malformed_format_is_refused_or_read_as_empty(text: str, expected: str) -> None:
    if expected == "x":
        assert parse_event_format(text, system="s", file="f").fields == ()
        return
    with pytest.raises(TraceError, match=expected):
        parse_event_format(text, system="s", file="f")


@pytest.mark.parametrize(
    ("flags", "plus", "states"),
    [
        # 2.6.3x: no mark of preemption
        ('{ 1, "S"} , { 2, "D" }, { 4, "T" }, { 128, "W" }', None, {0: "R", 1: "S", 2: "D", 130: "D", 128: "W"}),
        # 4.4
        ('{ 1, "S"} , { 2, "D" }, { 64, "x" }', "1024", {0: "R", 1024: "R+", 2: "D", 1026: "D", 64: "x"}),
        # 4.14
        ('{ 0x1, "S" }, { 0x80, "K" }', "4096", {4096: "R+", 1: "S", 4097: "S", 0x80: "K"}),
    ],
)
def test_state_letters_come_from_the_format(flags: str, plus: str | None, states: dict[int, str]) -> None:
    fmt = f'"%s", REC->prev_state & (1024-1) ? __print_flags(REC->prev_state & (1024-1), "|", {flags}) : "R"'
    if plus:
        fmt += f', REC->prev_state & {plus} ? "+" : ""'
    letters = parse_state_letters(fmt)
    assert letters is not None
    assert {value: letters.letter(value) for value in states} == states
    lookup = make_state_lookup(fmt)
    assert {value: TASK_STATES[lookup[value]] for value in states} == states


def test_state_letters_of_a_present_kernel() -> None:
    letters = parse_state_letters(FORMATS["sched_switch"].print_fmt)
    assert letters is not None
    assert letters.preempted == 0x100
    assert [letters.letter(v) for v in (0, 1, 2, 0x80, 0x100, 0x102)] == ["R", "S", "D", "I", "R+", "D"]


def test_no_state_letters_without_flags() -> None:
    assert parse_state_letters('"prev_state=%d", REC->prev_state') is None


@pytest.mark.parametrize(
    ("text", "value"),
    [("0x10UL", 16), ("(1U << 5)", 32), ("((0x01 | 0x02) + 1) << 1", 8), ("~0", -1), ("1 << 99", None), ("f()", None),
     ("1+" * 300, None), ("(" * 90 + "1" + ")" * 90, 1), ("1 ** 9", None), ("", None)],
)  # fmt: skip
def test_integer_expressions(text: str, value: int | None) -> None:
    assert evaluate_int(text) == value


@pytest.mark.parametrize("page_bytes", [4096, 16384, 65536])
@pytest.mark.parametrize("long_bytes", [4, 8])
def test_header_page(page_bytes: int, long_bytes: int) -> None:
    layout = make_layout(page_bytes=page_bytes, long_bytes=long_bytes, big_endian=True)
    assert parse_header_page(header_page_text(layout), file="f", big_endian=True) == layout


@pytest.mark.parametrize(
    "text", ["", "field: u64 timestamp; offset:0; size:8;", header_page_text(make_layout()).replace("size:4080", "size:4081"),
             header_page_text(make_layout()).replace("offset:16", "offset:900")],
)  # fmt: skip
def test_a_malformed_header_page_is_refused(text: str) -> None:
    with pytest.raises(TraceError, match="header_page"):
        parse_header_page(text, file="f", big_endian=False)
