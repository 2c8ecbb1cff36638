"""What a comparison can say about one metric, and what a gate makes of it."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """BETTER and WORSE need proof of a difference, SAME needs proof of none; everything else is UNDECIDED."""

    BETTER = "BETTER"
    WORSE = "WORSE"
    SAME = "SAME"
    UNDECIDED = "UNDECIDED"


class GateOutcome(StrEnum):
    """A gate's end; the words of the JUnit report (the kernel's fault is a failure, an absent metric is skipped)."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ERROR = "error"
