"""The verdicts on one metric, and the results of a gate."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """BETTER and WORSE need proof of a difference, SAME needs proof of equivalence; anything else is UNDECIDED."""

    BETTER = "BETTER"
    WORSE = "WORSE"
    SAME = "SAME"
    UNDECIDED = "UNDECIDED"


class GateOutcome(StrEnum):
    """The result of a gate, in JUnit's words: a regression is a failure, an absent metric is skipped."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ERROR = "error"
