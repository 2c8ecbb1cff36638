"""Formats numbers (units, signs, intervals), and foreign text with hostile characters made visible."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable

UNKNOWN = "unknown"
LONGEST = 240  # characters of foreign text that a report shows in one place
P_NOTE = (
    "p tests for an effect beyond the margin, not for any difference: a p near 1 beside an interval that excludes zero "
    "means that there is a difference, but that it is not shown to exceed the margin."
)
_MINUS = "\N{MINUS SIGN}"
_THIN = "\N{NARROW NO-BREAK SPACE}"


def join_words(words: Iterable[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *first, last = list(words) or [""]
    return f"{', '.join(first)} and {last}" if first else last


def explain_times(mode: str, *, virtual: bool) -> str:
    """Says what the times of a recording do not show; empty for a real device."""
    if mode == "deterministic":
        return (
            "Deterministic runs: time is virtual, one instruction is one nanosecond. It repeats exactly and shows what "
            "waits for what, but leaves out caches and memory latency: these times are not a phone's."
        )
    if mode == "realtime" and virtual:
        return (
            "Real time on an emulated device: who waits for whom is real, how long depends on the host and its load. "
            "These times are not a phone's."
        )
    return ""


def find_decimals(*values: float | None) -> int:
    """Decimals that give the largest of some numbers four significant digits, for numbers side by side."""
    known = [abs(value) for value in values if value is not None and math.isfinite(value)]
    largest = max(known, default=0.0)
    if all(value.is_integer() for value in map(float, known)) or largest >= 1000:
        return 0
    return max(0, min(6, 3 - math.floor(math.log10(largest))))


def format_number(value: float | None, *, signed: bool = False, decimals: int | None = None) -> str:
    """Four significant digits or ``decimals``, thousands in groups, a real minus sign; ``unknown`` for None."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    digits = f"{abs(value):,.{find_decimals(value) if decimals is None else decimals}f}"
    if not digits.strip("0.,"):
        return digits
    sign = _MINUS if value < 0 else ("+" if signed else "")
    return sign + digits.replace(",", _THIN)


def format_value(value: float | None, unit: str, *, signed: bool = False, decimals: int | None = None) -> str:
    """Number and unit; a count has no unit, a difference of percentages is in percentage points."""
    number = format_number(value, signed=signed, decimals=decimals)
    if number == UNKNOWN or unit in ("", "count"):
        return number
    return f"{number}{_THIN}{'pp' if signed and unit == '%' else unit}"


def format_interval(bounds: tuple[float, float] | None, unit: str, *, decimals: int | None = None) -> str:
    """Two signed bounds, with the unit once."""
    if bounds is None:
        return UNKNOWN
    places = find_decimals(*bounds) if decimals is None else decimals
    low, high = (format_number(bound, signed=True, decimals=places) for bound in bounds)
    shown = "pp" if unit == "%" else ("" if unit == "count" else unit)
    return f"{low} to {high}{_THIN}{shown}".rstrip(_THIN)


def format_percent(share: float | None, *, signed: bool = False) -> str:
    """A share of 1 as percent; one that is neither 0 nor 1 is never rounded to these."""
    if share is None or not math.isfinite(share):
        return UNKNOWN
    size = abs(share)
    digits = 0 if size >= 10 or size in (0.0, 1.0) else 1
    while digits and digits < 6 and round(size, digits + 2) in (0.0, 1.0):
        digits += 1
    text = f"{size * 100:.{digits}f}"
    text = text.removesuffix(".0")
    sign = _MINUS if share < 0 and float(text) else ("+" if signed and float(text) else "")
    return f"{sign}{text}{_THIN}%"


def format_p(p: float | None) -> str:
    """A p-value; a very small one as an upper bound."""
    if p is None:
        return "\N{EN DASH}"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def format_ms(nanoseconds: float | None) -> str:
    """Nanoseconds shown in milliseconds, or microseconds below one."""
    if nanoseconds is None:
        return UNKNOWN
    if abs(nanoseconds) < 1e6:
        return format_value(nanoseconds / 1e3, "µs")
    return format_value(nanoseconds / 1e6, "ms")


def format_bytes(count: float | None) -> str:
    """Bytes in the largest binary unit that keeps a number above one."""
    if count is None:
        return UNKNOWN
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if abs(count) >= size:
            return format_value(count / size, unit)
    return format_value(count, "bytes")


def show_foreign(text: object, *, longest: int = LONGEST) -> str:
    """Text from a device, safe to show in one line anywhere: controls and bidi marks named, the length bounded."""
    shown = "".join(_visible(character) for character in str(text)[: longest + 1])
    if len(str(text)) > longest:
        shown = f"{shown[:longest]}\N{HORIZONTAL ELLIPSIS} ({len(str(text))} characters)"
    return shown


def show_foreign_lines(text: str, *, most: int = 200) -> str:
    """A console text: each line as :func:`show_foreign`, the last ``most`` lines."""
    lines = text.replace("\r\n", "\n").split("\n")
    cut = [f"({len(lines) - most} lines before)"] if len(lines) > most else []
    return "\n".join([*cut, *(show_foreign(line.replace("\t", "    "), longest=400) for line in lines[-most:])])


def _visible(character: str) -> str:
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return f"\N{MATHEMATICAL LEFT ANGLE BRACKET}U+{ord(character):04X}\N{MATHEMATICAL RIGHT ANGLE BRACKET}"
    return character
