"""Measures launches: the answers of `am start -W` joined to the main thread's slices, or slices alone without them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from android_suite.analysis.causes import Waits, inverted_set, split_windows
from android_suite.analysis.intervals import TimeSet
from android_suite.analysis.slices import pick
from android_suite.analysis.threads import UI
from android_suite.model.launch import FAILED
from android_suite.tables.derived import EXACT, LAUNCHES, LOWER_BOUND, SPLIT_CAUSES
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import Trace

_BINDS, _CREATES = r"bindApplication", r"activityStart|performCreate"
_BEGINS = rf"{_BINDS}|{_CREATES}|activityResume|performResume"
_FRAME = r"Choreographer#doFrame(?!-)"
_REPORTS = r"reportFullyDrawn\(\)"
_APART_NS = 5_000_000_000  # a step that follows a frame by less than this belongs to the launch before
_REPORT_WITHIN_NS = 60_000_000_000  # an app's report later than this belongs to no launch

# system_server's own slices (ActivityMetricsLogger). Android 10 to 12: "launching: PACKAGE", which lasts from the intent to
# the first window drawn. Since 13: "launchingActivity#7", and at its end an instant that has kind and package.
_LAUNCHING = r"^launching: (?P<package>[\w.]+)$"
_NUMBERED = r"^launchingActivity#(?P<number>\d+)$"
_COMPLETED = r"launchingActivity#(?P<number>\d+):completed(?:-(?P<state>[a-z]+))?[^:]*:(?P<package>[\w.]+)"


def measure_launches(
    am_starts: pd.DataFrame,
    slices: pd.DataFrame,
    threads: pd.DataFrame,
    waits: Waits,
    inversions: pd.DataFrame,
    gc_cycles: pd.DataFrame,
) -> pd.DataFrame:
    """One row per answer of `am start -W`.

    Args:
        am_starts: frame of AM_STARTS, in order.
        slices: frame of SLICES.
        threads: frame of THREAD_ROLES.
        waits: what the threads waited for.
        inversions: frame of INVERSIONS.
        gc_cycles: frame of GC_CYCLES.

    Returns:
        A frame of LAUNCHES. A failed launch has no times, only how long it was waited for. A launch in another state
        than the requested one is kept, with the reason in ``discarded``. If trace and am differ in the number of
        launches, they are not joined: start_ns and end_ns are -1.
    """
    if not len(am_starts):
        return make_frame(LAUNCHES)
    rows = am_starts.reset_index(drop=True)
    count = len(rows)
    intent, drew = (rows[name].astype("str") for name in ("intent", "activity"))
    component = drew.where((drew != "") & (rows["outcome"] != "elsewhere"), intent)
    failed = rows["outcome"].isin(FAILED)
    threads = _of_packages(threads, component)
    windows = _windows(slices, threads)
    if len(windows) != count:
        windows = pd.DataFrame({"tid": [-1] * count, "start_ns": -1, "end_ns": -1}, dtype="int64")
    known = {
        "component": component, "source": "am", "asked": rows["asked"], "got": rows["launch_state"],
        "outcome": rows["outcome"], "discarded": rows["reason"], "quality": EXACT,
        "initial_display_ms": _known(rows["total_ms"]).mask(failed),
        "full_display_ms": _known(rows["fully_drawn_ms"]).mask(failed),
        "limit_ms": _known(rows["wait_ms"]).where(failed),
    }  # fmt: skip
    return _with_causes(known, windows, waits, inversions, gc_cycles)


def measure_traced_launches(
    trace: Trace,
    process: str | None,
    slices: pd.DataFrame,
    threads: pd.DataFrame,
    waits: Waits,
    inversions: pd.DataFrame,
    gc_cycles: pd.DataFrame,
) -> pd.DataFrame:
    """Finds launches in the slices of a trace that has no answers of am.

    system_server's slices show a launch from the intent to the first window drawn. If they were not recorded, the app's
    own show it from its first step to the end of its next frame. The time before is missing: it is a lower bound.

    Args:
        trace: the trace, for its markers.
        process: only launches of this app; None: of every app.
        slices: frame of SLICES.
        threads: frame of THREAD_ROLES.
        waits: what the threads waited for.
        inversions: frame of INVERSIONS.
        gc_cycles: frame of GC_CYCLES.

    Returns:
        A frame of LAUNCHES.
    """
    found = _told_by_system_server(trace, slices)
    quality = EXACT
    if not len(found):
        quality, found = LOWER_BOUND, _windows(slices, threads)
        names = threads.set_index("tid")["process"]
        found["package"], found["state"] = names.reindex(found["tid"]).fillna("").to_numpy(), ""
        found = found[found["package"] != "system_server"]
    if process:
        found = found[found["package"] == process]
    found = found.sort_values("start_ns", kind="stable").reset_index(drop=True)
    if not len(found):
        return make_frame(LAUNCHES)
    details = [_look_into(each, found, slices, threads) for each in found.itertuples()]
    tids = pd.DataFrame({"tid": [each["tid"] for each in details]}, dtype="int64")
    windows = pd.concat([tids, found[["start_ns", "end_ns"]]], axis=1)
    known: dict[str, Any] = {
        "component": [each["component"] for each in details], "source": "trace", "asked": "",
        "got": [each["state"] for each in details], "outcome": "ok", "discarded": "", "quality": quality,
        "initial_display_ms": (found["end_ns"] - found["start_ns"]) / 1e6,
        "full_display_ms": np.array([each["full_ms"] for each in details]), "limit_ms": np.nan,
    }  # fmt: skip
    return _with_causes(known, windows, waits, inversions, gc_cycles)


def _with_causes(
    known: dict[str, Any], windows: pd.DataFrame, waits: Waits, inversions: pd.DataFrame, gc_cycles: pd.DataFrame
) -> pd.DataFrame:
    """LAUNCHES from the known columns and what each main thread did in its window (tid, start_ns, end_ns; -1: none)."""
    count = len(windows)
    tids, start, end = (windows[name].to_numpy(np.int64) for name in ("tid", "start_ns", "end_ns"))
    columns: dict[str, NDArray[np.int64]] = {f"ui_{c}_ns": np.zeros(count, np.int64) for c in SPLIT_CAUSES}
    inverted, gc_ns = np.zeros(count, np.int64), np.zeros(count, np.int64)
    cycles = TimeSet.of(gc_cycles["start_ns"].to_numpy(), gc_cycles["end_ns"].to_numpy())
    for i in np.flatnonzero((start >= 0) & (tids >= 0)):  # a handful
        tid, one = int(tids[i]), slice(i, i + 1)
        for name, values in split_windows(waits, tid, start[one], end[one], "ui").items():
            columns[name][one] = values
        inverted[one] = inverted_set(inversions, tid).time_in(start[one], end[one])
        gc_ns[one] = cycles.time_in(start[one], end[one])
    table = pd.DataFrame(
        {**known, "start_ns": start, "end_ns": end, **columns, "gc_ns": gc_ns, "inverted_ns": inverted},
        index=range(count),
    )
    return make_frame(LAUNCHES, {name: table[name] for name in LAUNCHES.dtypes})


def _known(milliseconds: pd.Series) -> pd.Series:
    return milliseconds.where(milliseconds >= 0).astype("float64")


def _steps(slices: pd.DataFrame, threads: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    ui = slices[slices["tid"].isin(threads.loc[threads["role"] == UI, "tid"])]
    return ui[pick(ui, _BEGINS)], ui[pick(ui, _FRAME)]


def _of_packages(threads: pd.DataFrame, component: pd.Series) -> pd.DataFrame:
    """The threads of the launched apps; all where no process has an app's name."""
    mine = threads["process"].isin(component.str.split("/").str[0].unique())
    return threads[mine] if mine.any() else threads


def _windows(slices: pd.DataFrame, threads: pd.DataFrame) -> pd.DataFrame:
    """Launches as the app shows them (tid, start_ns, end_ns): from a main thread's first step to the end of its next frame."""
    steps, frames = _steps(slices, threads)
    found = []
    for tid in steps["tid"].unique():
        drawn = frames.loc[frames["tid"] == tid].sort_values("start_ns")
        until = -1
        for begin in np.sort(steps.loc[steps["tid"] == tid, "start_ns"].to_numpy()):  # a handful a launch
            at = int(np.searchsorted(drawn["start_ns"].to_numpy(), begin))
            if begin < until or at == len(drawn):
                continue
            until = int(drawn["end_ns"].iloc[at])
            if until - begin < _APART_NS:
                found.append((int(tid), int(begin), until))
    table = pd.DataFrame(found, columns=["tid", "start_ns", "end_ns"], dtype="int64")
    return table.sort_values("start_ns", kind="stable").reset_index(drop=True)


def _told_by_system_server(trace: Trace, slices: pd.DataFrame) -> pd.DataFrame:
    """package, state ('' if unknown), start_ns and end_ns of the launches that ActivityMetricsLogger wrote as slices."""
    whole = slices[(slices["cut"] == 0) & pick(slices, r"^launching")]
    name = whole["name"].astype("str")
    old = whole.assign(package=name.str.extract(_LAUNCHING)["package"], state="").dropna(subset="package")
    numbered = whole.assign(number=name.str.extract(_NUMBERED)["number"]).dropna(subset="number")
    texts = trace["marker"]["text"]
    ends = texts[texts.str.contains("launchingActivity#", regex=False) & texts.str.contains(":completed", regex=False)]
    told = ends.astype("str").str.extract(_COMPLETED).dropna(subset="package").drop_duplicates("number")
    new = numbered.merge(told.fillna({"state": ""}), on="number")
    new["state"] = new["state"].where(new["state"].isin(("cold", "warm", "hot")), "")
    columns = ["package", "state", "start_ns", "end_ns"]
    return pd.concat([old[columns], new[columns]], ignore_index=True)


def _look_into(launch: Any, all_launches: pd.DataFrame, slices: pd.DataFrame, threads: pd.DataFrame) -> dict[str, Any]:
    """Main thread, state, component and time to full display (ms) of one launch, from the slices of its app."""
    package = launch.package
    ui = threads[(threads["role"] == UI) & (threads["process"] == package)]
    own = slices[slices["tid"].isin(ui["tid"])]
    inside = own[(own["start_ns"] >= launch.start_ns) & (own["start_ns"] <= launch.end_ns)]
    steps = inside[pick(inside, _BEGINS)]
    state = launch.state
    if not state and len(steps):
        state = "cold" if pick(steps, _BINDS).any() else "warm" if pick(steps, _CREATES).any() else "hot"
    created = steps["name"].astype("str").str.extract(r"^performCreate:(\S+/\S+)$")[0].dropna()
    later = all_launches.loc[
        (all_launches["package"] == package) & (all_launches["start_ns"] > launch.start_ns), "start_ns"
    ]
    until = min([launch.start_ns + _REPORT_WITHIN_NS, *later])
    processes = threads.loc[threads["process"] == package, "tid"]
    of_app = slices[slices["tid"].isin(processes)]
    reports = of_app[pick(of_app, _REPORTS) & of_app["start_ns"].between(launch.start_ns, until, inclusive="left")]
    return {
        "tid": int(steps["tid"].iloc[0]) if len(steps) else -1,
        "state": state,
        "component": created.iloc[0] if len(created) else package,
        "full_ms": (reports["start_ns"].min() - launch.start_ns) / 1e6 if len(reports) else np.nan,
    }
