"""Parses ``am start -W``: replies of any Android version, and the launches that the recorder noted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from android_suite.evidence.rows import frame_of
from android_suite.model.launch import (
    AmStart,
    judge_launch,
    parse_am_start,
    parse_am_starts,
    parse_drawn,
    shorten_component,
)
from android_suite.tables.evidence import AM_STARTS


def parse_am_start_answers(text: str) -> pd.DataFrame:
    """Reads every reply in ``text`` (AM_STARTS), each judged as a launch in any state."""
    return frame_of(AM_STARTS, [_row(started, asked="") for started in parse_am_starts(text)])


def parse_launches(launches: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The rows of ``launches.json`` (AM_STARTS), judged again from what am and the app printed."""
    rows = []
    for launch in launches:
        drawn = (
            parse_drawn(f"Fully drawn {launch['component']}: {launch['fully_drawn']}")
            if launch["fully_drawn"]
            else None
        )
        row = _row(
            parse_am_start(launch["output"]),
            asked=launch["asked"],
            component=launch["component"],
            crash=launch.get("crash") or "",
            no_answer_ms=launch.get("no_answer_ms"),
        )
        rows.append(row | {"fully_drawn_ms": -1 if drawn is None or drawn.duration_ms is None else drawn.duration_ms})
    return frame_of(AM_STARTS, rows)


def _row(
    started: AmStart, *, asked: str, component: str = "", crash: str = "", no_answer_ms: int | None = None
) -> dict[str, object]:
    verdict = judge_launch(asked, started, component=component, crash=crash, no_answer_ms=no_answer_ms)
    said: dict[str, object] = {
        "intent": shorten_component(component or started.intent or ""),
        "asked": asked, "status": started.status or "", "launch_state": started.state,
        "activity": shorten_component(started.activity or ""),
        "this_ms": started.this_ms, "total_ms": started.total_ms,
        "wait_ms": started.wait_ms if no_answer_ms is None else no_answer_ms,
        "outcome": verdict.outcome, "reason": verdict.reason,
    }  # fmt: skip
    return {name: -1 if value is None else value for name, value in said.items()}
