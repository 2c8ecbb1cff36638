"""Columns and tables that grow in place, and files whose pages are given back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from android_suite.errors import TraceError, UsageError
from android_suite.tables.events import MARKER
from android_suite.trace.core.growing import GrowingColumn, GrowingTable
from android_suite.trace.core.mapped import map_file, release_pages


@pytest.mark.parametrize("dtype", ["int64", "int8", "bool", "uint64"])
def test_a_column_keeps_what_was_added(dtype: str) -> None:
    rng = np.random.default_rng(1)
    pieces = [rng.integers(0, 2, size=n).astype(dtype) for n in (0, 3, 70_000, 1, 300_000, 2_000_000)]
    column = GrowingColumn(dtype)
    for piece in pieces:
        column.extend(piece)
    assert len(column) == sum(len(piece) for piece in pieces)
    made = column.finish()
    assert made.dtype == np.dtype(dtype)
    assert np.array_equal(made, np.concatenate(pieces))


def test_an_empty_column() -> None:
    assert GrowingColumn("int32").finish().dtype == np.int32


def test_values_are_cast_as_they_are_added() -> None:
    column = GrowingColumn("int32")
    column.extend(np.array([-1, 7], np.int64))
    assert column.finish().tolist() == [-1, 7]


@pytest.mark.parametrize("ranked", [False, True])
def test_a_table_is_sorted_by_seq(ranked: bool) -> None:
    table = GrowingTable(MARKER)
    for seq, text in (([3, 4], ["d", "e"]), ([0, 2], ["a", "\u00e9"]), ([1], [""])):
        rows = np.array(seq)
        table.extend(
            {"seq": rows, "ts_ns": rows * 10, "cpu": rows % 2, "tid": rows, "text": pd.Series(text, dtype="str")}
        )
    made = table.finish(np.array([4, 3, 2, 1, 0]) if ranked else None)
    wanted = [0, 1, 2, 3, 4]
    assert made["seq"].tolist() == wanted
    assert made["ts_ns"].tolist() == ([40, 30, 20, 10, 0] if ranked else [0, 10, 20, 30, 40])
    texts = ["a", "", "\u00e9", "d", "e"]
    assert made["text"].tolist() == (texts[::-1] if ranked else texts)


def test_released_pages_come_back(tmp_path: Path) -> None:
    data = np.random.default_rng(2).integers(0, 256, size=1_000_000).astype(np.uint8)
    path = tmp_path / "file"
    path.write_bytes(data.tobytes())
    mapped = map_file(path, "a file")
    view = np.frombuffer(mapped, np.uint8)
    assert np.array_equal(view, data)
    release_pages(mapped, 5, 700_001)
    release_pages(mapped, 5, 6)
    release_pages(None, 0, 10)
    assert np.array_equal(view, data)


def test_what_cannot_be_mapped(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(TraceError, match="the file is empty"):
        map_file(tmp_path / "empty", "a trace")
    with pytest.raises(UsageError, match="cannot be read"):
        map_file(tmp_path / "none", "a trace")
