"""Metrics of who is to blame: through locks, monitors, futexes and binder calls."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from android_suite.analysis.doubts import app_tids, doubt_blind, say_absent, say_missing, say_no_art
from android_suite.analysis.metrics.value import Value
from android_suite.analysis.pipeline import Analysis
from android_suite.tables.blame import LINKS
from android_suite.tables.derived import EXACT

_HIDDEN = "a wait for a monitor may have begun before the trace"


def list_blame(analysis: Analysis) -> Iterator[Value]:
    """Metrics of a recording of all locks; in others they would be unknown in every comparison."""
    if "binder" not in analysis.recorded:
        return
    table, ui = analysis["blame"], app_tids(analysis, "ui")
    table = table[table["waiter_tid"].isin(app_tids(analysis))]
    length = (table["end_ns"] - table["start_ns"]).to_numpy()
    own, kind = table["waiter_tid"].isin(ui).to_numpy(), table["kind"].to_numpy()
    missing, doubts = say_missing(analysis, "sched") or say_absent(analysis, "ui"), doubt_blind(analysis)
    calls = analysis["binder_calls"]
    failed = calls["tid"].isin(ui) & (calls["quality"] != EXACT)
    cut = ("the begin of some binder calls, or the answer to them, is not in the trace",) if failed.any() else ()
    binder = int(length[own & (kind == LINKS.index("binder"))].sum()) / 1e6
    yield Value("binderWaitMs_ui", None if missing else binder, doubts + cut, missing)
    unmarked = say_no_art(analysis)
    silent = missing or unmarked
    in_art = np.isin(kind, [LINKS.index(name) for name in ("monitor", "art_lock")])
    hidden = (_HIDDEN,) if analysis.hidden.intersection(ui.tolist()) else ()
    yield Value("monitorWaitMs_ui", None if silent else int(length[own & in_art].sum()) / 1e6, doubts + hidden, silent)
    # The last thread of a chain that is not followed to its end may wait for another one.
    exact = ((table["evidence"] == EXACT) & ~table["cut"]).to_numpy(dtype=bool)
    inverted = table["inverted_ns"].to_numpy()
    if (~exact).any() or table["unjudged_ns"].any():
        doubts += ("some chains are inferred, not followed to their end, or end at an unknown thread",)
    doubts += (unmarked or hidden) + say_missing(analysis, "mmap_lock")
    absent = say_missing(analysis, "sched") or say_absent(analysis)
    yield Value("blamedInvertedMs", None if absent else int(inverted[exact].sum()) / 1e6, doubts + cut, absent)
