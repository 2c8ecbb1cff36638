"""Columns that share an array and let go of their pages one by one."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np

from android_suite.tables import events
from android_suite.trace.ring.row_store import RowStore

ROWS = 1_000_000


def resident_bytes() -> int:
    [line] = [text for text in Path("/proc/self/status").read_text().splitlines() if text.startswith("VmRSS")]
    return int(line.split()[1]) * 1024


def filled() -> RowStore:
    store = RowStore(events.MMAP_LOCK)
    store.make_room(ROWS, lambda: 1.0)
    for width, array in enumerate(store.arrays):
        for column in range(len(array)):
            array[column, :ROWS] = (np.arange(ROWS) + width + column) % 100
    store.used = ROWS
    return store


def test_rows_survive_growth_and_other_columns() -> None:
    store = filled()
    store.make_room(2 * ROWS, lambda: 0.5)
    columns = store.columns()
    wanted = {name: (np.arange(ROWS) + width + column) % 100 for name, (width, column) in store.place.items()}
    for name in list(columns)[::2]:  # what is let go of takes nothing of its neighbours with it
        view = columns.pop(name)[10:]
        assert np.array_equal(
            view.astype(np.int64), (wanted[name] != 0)[10:] if view.dtype == np.bool_ else wanted[name][10:]
        )
        del view
        gc.collect()
    for name, values in columns.items():
        assert np.array_equal(values.astype(np.int64), wanted[name] if values.dtype != np.bool_ else wanted[name] != 0)


def test_a_column_gives_its_pages_back_with_its_last_view() -> None:
    columns = filled().columns()
    time = columns.pop("ts_ns")
    part = time[5:50]
    del time
    gc.collect()
    full = resident_bytes()
    assert part[0] == 6  # a view still holds on to it
    del part
    gc.collect()
    assert full - resident_bytes() > 6 * ROWS
    assert int(columns["seq"][ROWS - 1]) == (ROWS - 1) % 100


def test_an_empty_table_has_its_columns() -> None:
    columns = RowStore(events.MMAP_LOCK).columns()
    assert {len(values) for values in columns.values()} == {0}
