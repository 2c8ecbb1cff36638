"""One metric's value, with the reasons for its quality."""

from __future__ import annotations

from dataclasses import dataclass

from android_suite.analysis.doubts import Reasons


@dataclass(frozen=True, slots=True)
class Value:
    """A metric's value (None: unknown), why it may be larger, and why it is unknown."""

    name: str
    value: float | int | None
    doubts: Reasons = ()
    missing: Reasons = ()
