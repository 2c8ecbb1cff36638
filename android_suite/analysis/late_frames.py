"""Lists the frames that missed their deadline by most, for the summary."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from android_suite.analysis.doubts import say_unexplained
from android_suite.analysis.metrics.frames import frames_of_app
from android_suite.analysis.names import Threads
from android_suite.analysis.pipeline import Analysis
from android_suite.model.analysis import LateFrame, Waker
from android_suite.tables.derived import QUALITIES, ROLES, SPLIT_CAUSES, UNKNOWN

_MOST = 20
_WAKERS = 4
_UI, _RENDER = ROLES.index("ui"), ROLES.index("render")


def list_late_frames(analysis: Analysis) -> list[LateFrame]:
    """The frames that missed their deadline by most, worst first."""
    table = frames_of_app(analysis)
    late = table[table["late"] & (table["quality"] != UNKNOWN)]
    worst = late.sort_values("overrun_ns", ascending=False, kind="stable").head(_MOST)
    who, explained = Threads.of(analysis), not say_unexplained(analysis, table)
    return [_describe(analysis, row, who, explained=explained) for row in worst.to_dict("records")]


def _describe(analysis: Analysis, row: dict[Any, Any], who: Threads, *, explained: bool) -> LateFrame:
    split = {
        side: {cause: int(ns) for cause in SPLIT_CAUSES if (ns := row[f"{side}_{cause}_ns"])} or None
        for side in ("ui", "render")
    }
    seen = {"sched", "mmap_lock"} <= analysis.recorded and any(split.values())
    tids = {side: _thread_of(analysis, row["tgid"], role) for side, role in (("ui", _UI), ("render", _RENDER))}
    return LateFrame(
        start_ns=int(row["start_ns"]),
        duration_ns=int(row["end_ns"] - row["start_ns"]),
        overrun_ms=row["overrun_ns"] / 1e6,
        process=next((name for tid in (row["tgid"], *tids.values()) if (name := who.describe(tid)["process"])), None),
        layer=row["layer"] or None,
        frame_id=None if row["frame_id"] < 0 else int(row["frame_id"]),
        jank_type=row["jank_type"] or None,
        quality=QUALITIES[row["quality"]],
        inverted_ns=int(row["inverted_ns"]) if seen else None,
        from_inversion=bool(row["from_inversion"]) if seen and explained else None,
        waited_for=row["waited_for"] or None,
        ui_ns=split["ui"],
        render_ns=split["render"],
        woken_by=_wakers(analysis, row, tids, who) if any(split.values()) and "waking" in analysis.recorded else None,
    )


def _thread_of(analysis: Analysis, tgid: int, role: int) -> int:
    threads = analysis["thread_roles"]
    found = threads.loc[(threads["tgid"] == tgid) & (threads["role"] == role) & (tgid >= 0), "tid"]
    return int(found.iloc[0]) if len(found) else int(tgid) if role == _UI else -1


def _wakers(analysis: Analysis, row: dict[Any, Any], tids: dict[str, int], who: Threads) -> tuple[Waker, ...]:
    """Who ended the sleeps of the frame's threads during the frame; the longest sleep comes first."""
    wakeups = analysis["wakeups"]
    inside = wakeups[(wakeups["end_ns"] >= row["start_ns"]) & (wakeups["end_ns"] <= row["end_ns"])]
    found = []
    for side, tid in tids.items():
        own = inside[inside["tid"] == tid]
        slept = own["end_ns"] - np.maximum(own["start_ns"], row["start_ns"])
        for waker, times in pd.Series(slept).groupby(own["waker_tid"]):
            thread = who.describe(int(str(waker)))
            found.append(Waker(**thread, woken=side, wakes=len(times), slept_ns=int(times.sum())))
    return tuple(sorted(found, key=lambda each: -each.slept_ns)[:_WAKERS])
