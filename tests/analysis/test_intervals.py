"""Sets of time against a set of single nanoseconds."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from android_suite.analysis.intervals import EMPTY, TimeSet
from android_suite.analysis.loss import Windows

pairs = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)), max_size=8)


def make(spans: list[tuple[int, int]]) -> TimeSet:
    start = np.array([s for s, _ in spans], np.int64)
    return TimeSet.of(start, start + np.array([n for _, n in spans], np.int64))


def points(spans: list[tuple[int, int]]) -> set[int]:
    return {t for s, n in spans for t in range(s, s + n)}


def as_points(times: TimeSet) -> set[int]:
    assert (times.end > times.start).all()
    assert (times.start[1:] >= times.end[:-1]).all()
    return {t for s, e in zip(times.start, times.end, strict=True) for t in range(s, e)}


@given(pairs, pairs, st.integers(-5, 60), st.integers(0, 30))
def test_the_algebra_of_time(a: list[tuple[int, int]], b: list[tuple[int, int]], begin: int, length: int) -> None:
    one, two = make(a), make(b)
    assert as_points(one) == points(a)
    assert as_points(one & two) == points(a) & points(b)
    assert as_points(one | two) == points(a) | points(b)
    assert as_points(one - two) == points(a) - points(b)
    inside = one.time_in(np.array([begin]), np.array([begin + length]))
    assert inside.tolist() == [len(points(a) & set(range(begin, begin + length)))]


def test_the_empty_set() -> None:
    one = make([(3, 4)])
    assert as_points(one - EMPTY) == {3, 4, 5, 6}
    assert not len((EMPTY - one).start)
    assert EMPTY.time_in(np.array([0]), np.array([9])).tolist() == [0]


@given(pairs, st.integers(0, 50), st.integers(0, 20))
def test_windows_touch_what_lies_across_them(spans: list[tuple[int, int]], begin: int, length: int) -> None:
    start = np.array([s for s, _ in spans], np.int64)
    end = start + np.array([n for _, n in spans], np.int64)
    touched = Windows.of(start, end).touch(np.array([begin]), np.array([begin + length]))
    assert touched.tolist() == [any(s < begin + length and s + n > begin for s, n in spans)]
