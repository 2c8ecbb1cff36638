"""The search itself: which position is tested next, and what the answers say. Knows no kernel and no metric.

Positions count from 0, the state without any change, to ``count``, the state with all of them. Position 0 is known to be
as before and ``count`` as after the change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum


class Standing(Enum):
    """Where a position stands."""

    BEFORE = "before"  # as position 0
    AFTER = "after"  # the metric has moved
    SKIPPED = "skipped"  # it cannot be built, booted or decided


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found.

    Attributes:
        suspects: positions among which the first AFTER is: one, unless skipped positions hide it.
        tested: the positions that were asked for, in that order, with their answers.
    """

    suspects: tuple[int, ...]
    tested: Mapping[int, Standing] = field(default_factory=dict)

    @property
    def first(self) -> int | None:
        """The first position at which the metric has moved; None if skipped positions hide which it is."""
        return self.suspects[0] if len(self.suspects) == 1 else None


def find_first(count: int, test: Callable[[int], Standing]) -> Found:
    """Halves the positions between the last BEFORE and the first AFTER until nothing between them can be tested.

    At most ``ceil(log2(count))`` positions are BEFORE or AFTER, if none is skipped. After a skipped position the one next
    nearest to the middle is tried.

    Args:
        count: number of changes; at least 1.
        test: asked at most once for each position from 1 to ``count - 1``.
    """
    before, after = 0, count
    tested: dict[int, Standing] = {}
    while (position := _next(before, after, tested)) is not None:
        standing = tested[position] = test(position)
        if standing is Standing.BEFORE:
            before = position
        elif standing is Standing.AFTER:
            after = position
    return Found(tuple(range(before + 1, after + 1)), tested)


def _next(before: int, after: int, tested: Mapping[int, Standing]) -> int | None:
    """The testable position nearest to the middle, or None."""
    free = [position for position in range(before + 1, after) if position not in tested]
    middle = (before + after) / 2
    return min(free, key=lambda position: (abs(position - middle), position), default=None)
