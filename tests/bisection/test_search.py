"""The search, over every series of up to 33 changes."""

from __future__ import annotations

import math

import pytest

from android_suite.bisection.search import Standing, find_first

BEFORE, AFTER, SKIPPED = Standing.BEFORE, Standing.AFTER, Standing.SKIPPED


@pytest.mark.parametrize("count", range(1, 34))
def test_every_place_is_found_in_log2_steps(count: int) -> None:
    for first in range(1, count + 1):
        found = find_first(count, lambda position, first=first: AFTER if position >= first else BEFORE)
        assert found.first == first
        assert len(found.tested) <= math.ceil(math.log2(count))


@pytest.mark.parametrize("count", range(2, 14))
def test_one_that_cannot_be_tested_hides_only_its_neighbour(count: int) -> None:
    for first in range(1, count + 1):
        for broken in range(1, count):

            def test(position: int, first: int = first, broken: int = broken) -> Standing:
                return SKIPPED if position == broken else AFTER if position >= first else BEFORE

            found = find_first(count, test)
            hidden = {first, first + 1} if broken == first else {first - 1, first} if broken == first - 1 else {first}
            assert set(found.suspects) == hidden & set(range(1, count + 1))
            assert first in found.suspects
            assert found.first == (first if len(hidden) == 1 else None)
            answered = sum(standing is not SKIPPED for standing in found.tested.values())
            assert answered <= math.ceil(math.log2(count)) + 1


def test_a_stretch_that_cannot_be_tested_is_named_whole() -> None:
    found = find_first(16, lambda position: SKIPPED if 5 <= position <= 9 else AFTER if position >= 8 else BEFORE)
    assert found.suspects == (5, 6, 7, 8, 9, 10)
    assert found.first is None
    assert all(found.tested[position] is SKIPPED for position in range(5, 10))


def test_no_position_is_asked_twice() -> None:
    asked: list[int] = []

    def test(position: int) -> Standing:
        asked.append(position)
        return SKIPPED

    found = find_first(9, test)
    assert sorted(asked) == list(range(1, 9))
    assert found.suspects == tuple(range(1, 10))
