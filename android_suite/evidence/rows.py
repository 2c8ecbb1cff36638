"""Builds declared frames from rows: the last step of every evidence parser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from android_suite.tables.schema import Table, make_frame

INT64_MAX = 9223372036854775807  # what Android writes for "not known"


def frame_of(table: Table, rows: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """A frame of ``table`` with one row per mapping; values that a mapping lacks become -1, False or ''."""
    if not rows:
        return make_frame(table)
    unknown = {c.name: "" if c.dtype == "str" else False if c.dtype == "bool" else -1 for c in table.columns}
    columns = {
        c.name: pd.Series([row.get(c.name, unknown[c.name]) for row in rows], dtype=c.dtype) for c in table.columns
    }
    return make_frame(table, columns)


def whole_number(word: str | None) -> int:
    """A decimal of at most 19 digits that fits 64 bits; -1 for anything else and for Android's 'not known'."""
    if not word:
        return -1
    word = word.strip()
    digits = word.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 19):
        return -1
    return or_unknown(int(word))


def or_unknown(value: int) -> int:
    """The value; -1 if it is Android's 'not known' or does not fit 64 bits, which only damage causes."""
    return value if abs(value) < INT64_MAX else -1
