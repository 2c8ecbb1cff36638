"""The answer of ``am start -W``, as far as driving needs it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FIELD = re.compile(r"^(Status|LaunchState|Activity|TotalTime|WaitTime|ThisTime):\s*(.+?)\s*$", re.MULTILINE)
_ERROR = re.compile(r"^\s*(?:Error(?: type \d+)?|Exception[^:]*|java\.lang\.\w+):?\s*(.*)$", re.MULTILINE)
_WARNING = re.compile(r"^Warning: (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class AmStart:
    """What ``am start -W`` said. Times in ms; None where it did not say."""

    status: str | None  # "ok", "timeout"
    launch_state: str | None  # "COLD", "WARM", "HOT", "RELAUNCH", "UNKNOWN (0)"; absent before Android 10
    activity: str | None
    total_ms: int | None
    wait_ms: int | None
    warnings: tuple[str, ...]  # "Activity not started, ...": what was asked for was no launch
    error: str | None  # "Activity class {...} does not exist."


def parse_am_start(text: str) -> AmStart:
    """Reads the output of ``am start -W``, of any Android version."""
    facts = dict(_FIELD.findall(text))
    failure = _ERROR.search(text)
    return AmStart(
        status=facts.get("Status"),
        launch_state=facts.get("LaunchState"),
        activity=facts.get("Activity"),
        total_ms=_number(facts.get("TotalTime")),
        wait_ms=_number(facts.get("WaitTime")),
        warnings=tuple(_WARNING.findall(text)),
        error=(failure.group(0).strip() if failure else None),
    )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None
