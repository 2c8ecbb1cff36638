from __future__ import annotations

import pytest

from android_suite.stats.steps import Range, Step, find_step


def levels(*values: float | None) -> list[Range | None]:
    return [None if value is None else (value, value) for value in values]


@pytest.mark.parametrize(
    ("ranges", "step"),
    [
        (levels(50, 60, 55, 1, 2, 1), Step(at=3, before=(50, 60), after=(1, 2))),
        (levels(1, 2, None, 9, None, 8), Step(at=3, before=(1, 2), after=(8, 9))),
        (levels(0, 0, 0, 5), Step(at=3, before=(0, 0), after=(5, 5))),
        (levels(1, 3, 9, 30), Step(at=3, before=(1, 9), after=(30, 30))),  # the widest gap
        (levels(10, 11, 10, 12), None),  # less than a quarter apart
        (levels(50, 1, 50, 1), None),  # both sides overlap
        ([(1.0, 6.0), (5.0, 9.0)], None),  # the seeds overlap
        (levels(None, None, 4), None),
        (levels(7), None),
        ([], None),
        (levels(-8, -8, -2, -2), Step(at=2, before=(-8, -8), after=(-2, -2))),
        (levels(-3, -3, 4, 4), Step(at=2, before=(-3, -3), after=(4, 4))),
    ],
)
def test_a_step_parts_all_before_from_all_after(ranges: list[Range | None], step: Step | None) -> None:
    assert find_step(ranges) == step


def test_a_step_below_the_floor_is_none() -> None:
    assert find_step(levels(0.01, 0.03), floor=0.05) is None
    assert find_step(levels(0.01, 0.09), floor=0.05) is not None
