"""Numbers and foreign text as people read them."""

from __future__ import annotations

import pytest

from android_suite.report.phrases import (
    find_decimals,
    format_bytes,
    format_interval,
    format_ms,
    format_number,
    format_p,
    format_percent,
    format_value,
    show_foreign,
    show_foreign_lines,
)

THIN = "\N{NARROW NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "unknown"),
        (float("nan"), "unknown"),
        (float("inf"), "unknown"),
        (0, "0"),
        (-0.0, "0"),
        (217735, f"217{THIN}735"),
        (1312, f"1{THIN}312"),
        (3.14159, "3.142"),
        (-71.8142, f"{MINUS}71.81"),
        (0.00123456, "0.001235"),
        (123456.7, f"123{THIN}457"),
        (1e-12, "0.000000"),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    assert format_number(value) == text


def test_a_row_shares_its_decimals() -> None:
    assert find_decimals(384.8, 0.0771, -10.2) == 1
    assert format_value(-0.0771, "ms", signed=True, decimals=1) == f"{MINUS}0.1{THIN}ms"
    assert format_value(-0.0171, "ms", signed=True, decimals=1) == f"0.0{THIN}ms"


def test_units() -> None:
    assert format_value(3, "count") == "3"
    assert format_value(0.5, "%") == f"0.5000{THIN}%"
    assert format_value(-0.5, "%", signed=True).endswith("pp")
    assert format_interval((-1.5, 2.0), "ms") == f"{MINUS}1.500 to +2.000{THIN}ms"
    assert format_interval(None, "ms") == "unknown"
    assert format_ms(21_000) == f"21{THIN}µs"
    assert format_ms(9_100_000) == f"9.100{THIN}ms"
    assert format_bytes(3 * 2**30) == f"3{THIN}GiB"
    assert format_percent(0.99438) == f"99.4{THIN}%"
    assert format_percent(-0.5, signed=True) == f"{MINUS}50{THIN}%"
    assert (format_p(None), format_p(0.0004), format_p(0.0421)) == ("\N{EN DASH}", "<0.001", "0.042")


def test_a_share_just_below_one_is_not_rounded_up() -> None:
    assert format_percent(0.99995) != f"100{THIN}%"
    assert format_percent(1.0) == f"100{THIN}%"
    assert format_percent(0.00004) != f"0{THIN}%"
    assert format_percent(0.0) == f"0{THIN}%"


def test_foreign_text_cannot_hide() -> None:
    assert show_foreign("a\x1b[31mb\u202ec\x00\ud800") == "a⟨U+001B⟩[31mb⟨U+202E⟩c⟨U+0000⟩⟨U+D800⟩"
    assert show_foreign("日本語 ümläut 🙂") == "日本語 ümläut 🙂"
    shown = show_foreign("x" * 5000)
    assert shown.endswith("(5000 characters)")
    assert len(shown) < 300
    assert show_foreign(None) == "None"
    assert show_foreign_lines("a\r\nb\tc\x07") == "a\nb    c⟨U+0007⟩"
    assert show_foreign_lines("\n".join(map(str, range(900)))).startswith("(700 lines before)")
