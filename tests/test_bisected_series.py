"""The series that `benchmarks.series` makes: what the search must meet in it, and the page of what it found."""

from __future__ import annotations

from pathlib import Path

import pytest

from android_suite.bisection.search import Standing
from android_suite.virtual.series import read_series
from benchmarks.series import (
    COUNT,
    FILES,
    MOVES,
    ORDERS,
    ZAP,
    find_place,
    make_items,
    render,
    render_page,
    search,
)


@pytest.mark.parametrize("order", range(1, ORDERS + 1))
@pytest.mark.parametrize("moves", MOVES)
def test_the_search_can_find_the_change_and_meets_what_cannot_be_tested(moves: str, order: int) -> None:
    items = make_items(moves, order)
    assert len(items) == COUNT
    kinds = [item.kind for item in items]
    assert [kinds.count(kind) for kind in ("moves", "compile", "boot", "mend")] == [1, 2, 1, 3]
    found = search(items)
    assert found.suspects == (find_place(items),)
    assert Standing.SKIPPED in found.tested.values()


def test_the_patches_make_a_series_that_is_read_again(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for file in {*FILES, "init/main.c"}:
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).write_text(f"#include <linux/mman.h>\n{ZAP}}}\n")
    items = make_items("slow", 1)
    (tmp_path / "series").mkdir()
    names = [f"{n:04d}.patch" for n in range(1, COUNT + 1)]
    for name, text in zip(names, render(items, tree), strict=True):
        (tmp_path / "series" / name).write_text(text)
    (tmp_path / "series/series").write_text("".join(f"{name}\n" for name in names))
    read = read_series(tmp_path / "series")
    assert [patch.title for patch in read] == [item.title for item in items]
    change = read[find_place(items) - 1].diff.decode()
    assert "+\twhile (local_clock() - suite_began < suite_took + suite_took / 5)" in change


def test_the_page_tells_every_row_and_how_many_were_exact() -> None:
    row = {
        "moves": "seed", "order": 1, "place": 7, "first": 7, "exact": True, "builds": 6, "boots": 26, "a_seed": 7,
        "wall_s": 600, "cpu_s": 300, "load": [9.2, 8.1], "source": "linux-source-7.3",
        "standings": {"0": ["before", "", 9.0], "4": ["skipped", "it did not boot: panic", None], "16": ["after", "", 0.0]},
    }  # fmt: skip
    page = render_page([row, {**row, "order": 2, "first": 8, "exact": False}], "linux-source-7.3")
    assert "| seed | 1 | 7 | 7 | 0, 4, 16 | 4 (it did not boot) | 6 | 26 | 7 | 10 min | 5 min | 9 to 8 |" in page
    assert "1 of 2 were exact" in page
    assert "log2(16) + 3 = 7 boots" in page
