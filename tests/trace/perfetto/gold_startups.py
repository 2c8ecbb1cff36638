"""Perfetto's questions on the starts of apps, answered by the suite's tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

from android_suite.tables import derived
from tests.trace.gold import Message, Pair


def _in_window(table: pd.DataFrame, start: int, end: int) -> pd.DataFrame:
    """Rows that begin in the window."""
    return table[(table["start_ns"] >= start) & (table["start_ns"] < end)]


def _overlap(table: pd.DataFrame, start: int, end: int) -> int:
    """Time of the rows inside the window."""
    inside = np.minimum(table["end_ns"], end) - np.maximum(table["start_ns"], start)
    return int(inside.clip(lower=0).sum())


def _startup_windows(pair: Pair) -> list[tuple[int, int, str]]:
    """Start, end and package: from ActivityTaskManager's markers, of Android 13 or before it."""
    marks = pair.slices("launchingActivity#").sort_values("start_ns")
    if len(marks):
        done = pair.trace["marker"]["text"].str.extract(r"^I\|\d+\|(launchingActivity#\d+):completed:(.*)$").dropna()
        package = dict(zip(done[0], done[1], strict=True))
        return [(row.start_ns, row.end_ns, package[row.name]) for row in marks.itertuples(index=False)]
    asked = pair.slices("MetricsLogger:launchObserverNotifyIntentStarted").sort_values("start_ns")
    shown = pair.slices("launching: ").sort_values("start_ns")
    return [
        (start, end, name.removeprefix("launching: "))
        for start, end, name in zip(asked["start_ns"], shown["end_ns"], shown["name"], strict=True)
    ]


_TIMES_OF_SLICES = {
    "time_bind_application": "bindApplication", "time_activity_start": "activityStart", "time_activity_resume": "activityResume",
    "time_dex_open": "OpenDexFilesFromOat", "time_verify_class": "VerifyClass", "time_gc_total": ".* GC$",
    "time_lock_contention_thread_main": "Lock contention on",
    "time_monitor_contention_thread_main": "Lock contention on a monitor",
}  # fmt: skip


def check_startups(pair: Pair) -> None:
    startups = pair.message["android_startup"][0]["startup"]
    windows = _startup_windows(pair)
    assert len(windows) == len(startups)
    for (start, end, package), told in zip(windows, startups, strict=True):
        first, when = told["to_first_frame"][0], told["event_timestamps"][0]
        assert (package, end - start) == (told["package_name"][0], first["dur_ns"][0])
        assert (start, end) == (when["intent_received"][0], when["first_frame"][0])
        _compare_startup(pair, start, end, told)


def _compare_startup(pair: Pair, start: int, end: int, told: Message) -> None:
    first, system = told["to_first_frame"][0], told["system_state"][0]
    states, threads = pair.analysis["thread_states"], pair.trace["threads"].set_index("tid")
    running = states[states["state"] == derived.RUNNING]
    inside = _in_window(pair.slices(""), start, end)

    def count(prefix: str) -> int:
        return int(inside["name"].str.startswith(prefix).sum())

    assert (count("Broadcast dispatched"), count("broadcastReceive")) == (
        system["broadcast_dispatched_count"][0], system["broadcast_received_count"][0],
    )  # fmt: skip
    for name in ("dex2oat", "installd"):
        of = threads.index[threads["process"].str.startswith(name)]
        ran = _overlap(running[running["tid"].isin(of)], start, end)
        assert (ran, str(ran > 0).lower()) == (system[f"{name}_dur_ns"][0], system[f"{name}_running"][0])
    unlocked = count("KeyguardUpdateMonitor#onAuthenticationSucceeded") > 0
    assert unlocked == ("Unlock running during launch" in told.get("slow_start_reason", ()))
    if "process" not in told:
        return
    tgid = told["process"][0]["pid"][0]
    assert threads["process"][tgid] == told["process_name"][0]
    mine = inside[inside["tgid"] == tgid]
    for field, name in _TIMES_OF_SLICES.items():
        rows = mine if field == "time_gc_total" else mine[mine["tid"] == tgid]
        assert (
            int(rows["dur"][rows["name"].str.match(name)].sum()) == first.get(field, [{"dur_ns": [0]}])[0]["dur_ns"][0]
        ), field
    for one in first.get("verify_class", ()):
        assert mine["dur"][mine["name"] == f"VerifyClass {one['name'][0]}"].tolist() == one["dur_ns"]
    if "to_bind_application" in first:
        bind = mine["start_ns"][mine["name"] == "bindApplication"].iloc[0]
        assert first["to_bind_application"][0]["dur_ns"] == [bind - start]
    if len(running):
        _compare_startup_cpu(pair, start, end, tgid, mine, running, first)


def _compare_startup_cpu(
    pair: Pair, start: int, end: int, tgid: int, mine: pd.DataFrame, running: pd.DataFrame, first: Message
) -> None:
    threads = pair.trace["threads"].set_index("tid")
    own = threads[threads["tgid"] == tgid]
    jit = own.index[own["comm"] == "Jit thread pool"]
    compiled = mine["name"].str.startswith("JIT compiling") & mine["tid"].isin(jit)
    assert first["jit_compiled_methods"] == [int(compiled.sum())]
    assert first["time_jit_thread_pool_on_cpu"][0]["dur_ns"] == [
        _overlap(running[running["tid"].isin(jit)], start, end)
    ]
    cycles = pair.analysis["gc_cycles"]
    assert first["time_gc_on_cpu"][0]["dur_ns"] == [int(cycles["running_ns"][cycles["tgid"] == tgid].sum())]
    assert first["time_gc_total"][0]["dur_ns"] == [int((cycles["end_ns"] - cycles["start_ns"]).sum())]
    began = running["start_ns"][running["tid"].isin(own.index)].min()
    assert first["time_to_running_state"][0]["dur_ns"] == [began - start]
    main = pair.analysis["thread_states"].query("tid == @tgid")
    by_state = first["main_thread_by_task_state"][0]
    for field, state in (
        ("running_dur_ns", derived.RUNNING), ("runnable_dur_ns", derived.RUNNABLE),
        ("interruptible_sleep_dur_ns", derived.SLEEPING), ("uninterruptible_sleep_dur_ns", derived.DISK),
    ):  # fmt: skip
        assert by_state[field] == [_overlap(main[main["state"] == state], start, end)]
