"""Finds the one place in a short ordered list of ranges at which the level changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A change of level. ``at`` is the position of the first range behind it; ``before`` and ``after`` are the levels."""

    at: int
    before: Range
    after: Range


def find_step(ranges: Sequence[Range | None], *, ratio: float = 1.25, floor: float = 0.0) -> Step | None:
    """The place where everything before is below everything after, or above; None if there is no such place.

    No test: it says of what was measured that the two sides do not overlap and how far they are apart. With a few
    ranges on a side that can be chance.

    Args:
        ranges: least and largest value at each position; None where it is not known.
        ratio: the nearest values of the two sides differ at least so much, measured by the one nearer to zero.
        floor: and at least by this, in the unit of the values.
    """
    best: tuple[float, Step] | None = None
    for at in range(1, len(ranges)):
        if ranges[at] is None:
            continue
        sides = [[each for each in part if each is not None] for part in (ranges[:at], ranges[at:])]
        if not sides[0]:
            continue
        (low, high), (low_after, high_after) = ((min(r[0] for r in s), max(r[1] for r in s)) for s in sides)
        near, far = (high, low_after) if low_after > high else (high_after, low)
        gap = far - near
        apart = gap >= (ratio - 1) * min(abs(near), abs(far))
        if gap > 0 and gap >= floor and apart and (best is None or gap > best[0]):
            best = gap, Step(at=at, before=(low, high), after=(low_after, high_after))
    return best[1] if best else None
