"""Print formats: the C that TRACE_EVENT uses, and what hostile ones may not do."""

from __future__ import annotations

from typing import Any

import pytest

from android_suite.trace.render.print_fmt import parse_print_fmt
from tests.trace.captures import FORMATS


def render(fmt: str, **record: Any) -> str:
    function = parse_print_fmt(fmt)
    assert function is not None, fmt
    return function(record)


@pytest.mark.parametrize(
    ("fmt", "record", "text"),
    [
        ('"plain 100%%"', {}, "plain 100%"),
        ('"a" "b %d", REC->x', {"x": -5}, "ab -5"),
        (
            '"%d %u %x %lx %lld", REC->x, REC->x, REC->x, REC->x, REC->x',
            {"x": -1},
            "-1 4294967295 ffffffff ffffffffffffffff -1",
        ),
        ('"%03d|%-5d|%5d|%+d|%#x|%08lx|%.3d", 7, 7, 7, 7, 7, 7, 7', {}, "007|7    |    7|+7|0x7|00000007|007"),
        ('"%s|%10s|%-4s|%.2s", REC->s, REC->s, REC->s, REC->s', {"s": "abc"}, "abc|       abc|abc |ab"),
        ('"%p %c %X", REC->p, 65, 255', {"p": (1 << 64) - 16}, "0xfffffffffffffff0 A FF"),
        ('"%*d", 5, 3', {}, "    3"),
        ('"%s", REC->w ? "true" : "false"', {"w": True}, "true"),
        ('"%d", 1 + 2 * 3 << 1 | 1', {}, "15"),
        ('"%d %d", -7 / 2, -7 % 2', {}, "-3 -1"),
        ('"%d", 5 / REC->zero', {"zero": 0}, "0"),
        ('"%d", (REC->a && !REC->b) || 0', {"a": 2, "b": 0}, "1"),
        ('"%u %d", (u8)REC->x, (int)REC->y', {"x": 511, "y": 0xFFFFFFFF}, "255 -1"),
        ('"0x%lx", ((unsigned long)(REC->x))', {"x": -1}, "0xffffffffffffffff"),
        ('"%s", __print_flags(REC->f, "|", { (1U << 0), "A" }, { (1U << 1), "B" })', {"f": 7}, "A|B|0x4"),
        ('"%s", __print_flags(REC->f, "|", { 0x0, "NONE" }, { 1, "A" })', {"f": 0}, "NONE"),
        ('"%s", __print_flags(REC->f, "|", { 1, "A" })', {"f": 0}, ""),
        (
            '"%s", __print_flags(REC->f, "|", { (unsigned long)(( gfp_t)((1UL) << (3))), "A" }, { 0, ((void *)0) } )',
            {"f": 8},
            "A",
        ),
        ('"%s %s", __print_symbolic(REC->f, { 1, "one" }), __print_symbolic(9, { 1, "one" })', {"f": 1}, "one 0x9"),
        ('"%s %d", __get_str(n), REC->args[1]', {"n": "path", "args": (4, 5)}, "path 5"),
        ('"%d", REC->args[9]', {"args": (4, 5)}, "0"),
        ('"%s", __print_hex(__get_dynamic_array(b), __get_dynamic_array_len(b))', {"b": b"\x01\xff"}, "01 ff"),
        ("\"%d\", 'A' == REC->c", {"c": 65}, "1"),
        ('"%d"', {}, "0"),
        ('"tab\\t\\"q\\""', {}, 'tab\t"q"'),
    ],
)
def test_formats(fmt: str, record: dict[str, Any], text: str) -> None:
    assert render(fmt, **record) == text


def test_every_format_of_the_captured_events_is_understood() -> None:
    for form in FORMATS.values():
        assert parse_print_fmt(form.print_fmt) is not None, form.name


@pytest.mark.parametrize(
    "fmt",
    [
        "", "REC->x", '"%d", ', '"%d", REC->', '"%d", foo(REC->x)', '"%d", REC->x REC->y', '"unterminated', '"%d", @',
        '"%d", ' + "(" * 5000 + "1" + ")" * 5000, '"%d", ' + "-" * 5000 + "1", '"%d", 1' + "?1:1" * 5000,
        '"%s", __print_flags(1, "|", { REC->x })', '"%d", 09',
    ],
)  # fmt: skip
def test_what_is_outside_the_grammar_is_none(fmt: str) -> None:
    assert parse_print_fmt(fmt) is None


def test_numbers_do_not_grow_without_end() -> None:
    assert len(render('"%d", ' + " * ".join(["0xffffffffffffffff"] * 1000))) < 30
    assert len(render('"%d", 1 << 63 << 63 << 63')) < 30
    assert len(render('"%99999d %*d", 1, 99999999, 1')) < 100_000
