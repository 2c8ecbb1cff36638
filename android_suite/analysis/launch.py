"""Launches: what am told, joined to the main thread's slices of the same launch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from android_suite.analysis.causes import Waits, inverted_set, split_windows
from android_suite.analysis.intervals import TimeSet
from android_suite.analysis.slices import pick
from android_suite.analysis.threads import UI
from android_suite.tables.derived import LAUNCHES, SPLIT_CAUSES
from android_suite.tables.schema import make_frame

_BEGINS = r"bindApplication|activityStart|activityResume|performCreate|performResume"
_FRAME = r"Choreographer#doFrame(?!-)"
_APART_NS = 5_000_000_000  # a step that follows a frame by less belongs to the launch before


def measure_launches(
    am_starts: pd.DataFrame,
    asked: Sequence[str],
    displayed: pd.DataFrame | None,
    slices: pd.DataFrame,
    threads: pd.DataFrame,
    waits: Waits,
    inversions: pd.DataFrame,
    gc_cycles: pd.DataFrame,
) -> pd.DataFrame:
    """One row an answer of `am start -W`.

    Args:
        am_starts: frame of AM_STARTS, in order.
        asked: state each launch was meant to have (cold, warm, hot), in the same order; may be shorter or empty.
        displayed: frame of DISPLAYED (logcat), or None.
        slices: frame of SLICES.
        threads: frame of THREAD_ROLES.
        waits: what the threads waited for.
        inversions: frame of INVERSIONS.
        gc_cycles: frame of GC_CYCLES.

    Returns:
        A frame of LAUNCHES. A launch in another state than asked, one that timed out or one that am complains of is
        kept with the reason in ``discarded``. Where the trace shows another number of launches than am does, they are
        not joined: start_ns and end_ns are -1.
    """
    if not len(am_starts):
        return make_frame(LAUNCHES)
    rows = am_starts.reset_index(drop=True)
    count = len(rows)
    wanted = pd.Series([*asked][:count], dtype="str").reindex(range(count), fill_value="").str.lower()
    got = rows["launch_state"].astype("str").str.lower()
    component = rows["activity"].astype("str").where(rows["activity"] != "", rows["intent"].astype("str"))
    reasons = np.select(
        [(rows["complaint"] != "").to_numpy(dtype=bool), (rows["status"] != "ok").to_numpy(dtype=bool),
         ((wanted != "") & (got != "") & (wanted != got)).to_numpy(dtype=bool)],
        [rows["complaint"].astype(object), "status " + rows["status"].astype(object),
         "asked " + wanted.astype(object) + ", got " + got.astype(object)], "",
    )  # fmt: skip
    total = rows["total_ms"].where(rows["total_ms"] >= 0).astype("float64")
    initial = total.fillna(_from_logcat(displayed, component, fully=False))
    threads = _of_packages(threads, component)
    window = _windows(slices, threads)
    start, end = window if len(window[0]) == count else (np.full(count, -1, np.int64), np.full(count, -1, np.int64))
    columns: dict[str, np.ndarray] = {f"ui_{c}_ns": np.zeros(count, np.int64) for c in SPLIT_CAUSES}
    inverted, gc_ns = np.zeros(count, np.int64), np.zeros(count, np.int64)
    cycles = TimeSet.of(gc_cycles["start_ns"].to_numpy(), gc_cycles["end_ns"].to_numpy())
    for i in np.flatnonzero(start >= 0):
        tid, one = _main_thread(slices, threads, int(start[i])), slice(i, i + 1)
        for name, values in split_windows(waits, tid, start[one], end[one], "ui").items():
            columns[name][one] = values
        inverted[one] = inverted_set(inversions, tid).time_in(start[one], end[one])
        gc_ns[one] = cycles.time_in(start[one], end[one])
    return make_frame(
        LAUNCHES,
        {
            "component": component, "asked": wanted, "got": got, "initial_display_ms": initial,
            "full_display_ms": _from_logcat(displayed, component, fully=True), "discarded": pd.Series(reasons, dtype="str"),
            "start_ns": start, "end_ns": end, **columns, "gc_ns": gc_ns, "inverted_ns": inverted,
        },
    )  # fmt: skip


def _from_logcat(displayed: pd.DataFrame | None, component: pd.Series, *, fully: bool) -> pd.Series:
    """The n-th line of a component belongs to its n-th launch; where the numbers differ, to none."""
    out = pd.Series(np.nan, index=component.index, dtype="float64")
    if displayed is None:
        return out
    lines = displayed[displayed["fully_drawn"] == fully]
    for name in component.unique():
        of, told = component == name, lines.loc[lines["component"] == name, "duration_ms"].to_numpy(dtype=np.float64)
        if of.sum() == len(told):
            out[of] = told
    return out


def _steps(slices: pd.DataFrame, threads: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    ui = slices[slices["tid"].isin(threads.loc[threads["role"] == UI, "tid"])]
    return ui[pick(ui, _BEGINS)], ui[pick(ui, _FRAME)]


def _of_packages(threads: pd.DataFrame, component: pd.Series) -> pd.DataFrame:
    """The threads of the launched apps; all where no process has an app's name."""
    mine = threads["process"].isin(component.str.split("/").str[0].unique())
    return threads[mine] if mine.any() else threads


def _windows(slices: pd.DataFrame, threads: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Launches as the trace shows them: from the first step of a main thread to the end of its next frame."""
    steps, frames = _steps(slices, threads)
    starts, ends = [], []
    for tid in steps["tid"].unique():
        drawn = frames.loc[frames["tid"] == tid].sort_values("start_ns")
        until = -1
        for begin in np.sort(steps.loc[steps["tid"] == tid, "start_ns"].to_numpy()):  # a handful a launch
            at = int(np.searchsorted(drawn["start_ns"].to_numpy(), begin))
            if begin < until or at == len(drawn):
                continue
            until = int(drawn["end_ns"].iloc[at])
            if until - begin < _APART_NS:
                starts.append(int(begin))
                ends.append(until)
    order = np.argsort(starts, kind="stable")
    return np.array(starts, np.int64)[order], np.array(ends, np.int64)[order]


def _main_thread(slices: pd.DataFrame, threads: pd.DataFrame, start_ns: int) -> int:
    steps, _ = _steps(slices, threads)
    found = steps.loc[steps["start_ns"] == start_ns, "tid"]
    return int(found.iloc[0]) if len(found) else -1
