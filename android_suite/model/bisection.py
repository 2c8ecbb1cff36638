"""What `bisect` found; see docs/schema/bisection.json."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["found", "hidden", "nothing moved", "undecided"]
PointStanding = Literal["before", "after", "skipped", "untested"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PointResult:
    """One position of the series.

    Attributes:
        position: 0 is the state without any change.
        title: of the change that leads to it; of position 0, of what the series is based on.
        standing: ``before``: as position 0; ``after``: the metric has moved; ``skipped``: it cannot be tested.
        reason: why it was skipped; empty otherwise.
        level: mean of the metric over seeds, in its unit; None where it was not measured.
        verdict: against position 0; None where it was not compared.
        boots: boots of it that were recorded, whether in this run or an earlier one that it continued.
    """

    position: int
    title: str
    standing: PointStanding
    reason: str = ""
    level: float | None = None
    verdict: str | None = None
    boots: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bisection:
    """The result of a bisection.

    Attributes:
        outcome: ``found``: one change; ``hidden``: skipped ones hide which of ``suspects`` it is; ``nothing moved``: the
            last position is as the first; ``undecided``: the ends cannot be told apart with the seeds allowed.
        first: position of the change that moved the metric; None unless found.
        suspects: positions among which it is.
        direction: whether the metric got ``better`` or ``worse``; None unless it moved.
        monotone: whether every tested position has the level of the first or of the last; None if nothing moved.
        repeated: whether both ends, recorded again at the end, gave the same traces; None if that was not done.
        boots: of all positions, those repeated at the end included.
        builds: kernels built; those in the cache do not count.
        notes: what a reader should know besides.
    """

    schema: Literal["android-suite/bisection"] = "android-suite/bisection"
    version: Literal[1] = 1
    metric: str
    scenario: str
    unit: str
    margin: str
    source: str
    seeds: tuple[int, ...]
    outcome: Outcome
    first: int | None
    suspects: tuple[int, ...]
    direction: Literal["better", "worse"] | None
    monotone: bool | None
    repeated: bool | None
    boots: int
    builds: int
    points: tuple[PointResult, ...]
    notes: tuple[str, ...] = ()
