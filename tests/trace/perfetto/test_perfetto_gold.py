"""Perfetto's own diff tests: every question that the suite's tables can answer, answered by them and compared value by value.

A pair of a new kind fails ``test_every_pair_is_known`` until it is compared or named as outside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from android_suite.tables import derived
from tests.trace.gold import Message, Pair


def _in_window(table: pd.DataFrame, start: int, end: int) -> pd.DataFrame:
    """Rows that begin in the window."""
    return table[(table["start_ns"] >= start) & (table["start_ns"] < end)]


def _overlap(table: pd.DataFrame, start: int, end: int) -> int:
    """Time of the rows inside the window."""
    inside = np.minimum(table["end_ns"], end) - np.maximum(table["start_ns"], start)
    return int(inside.clip(lower=0).sum())


# --- sched ---


def check_blocked(pair: Pair) -> None:
    """Which threads went to sleep uninterruptibly, when, and whether for I/O: states joined to the reasons after them."""
    states, reasons = pair.analysis["thread_states"], pair.trace["blocked_reason"]
    asleep = states[states["state"] == derived.DISK].sort_values("start_ns")
    found = pd.merge_asof(
        asleep,
        reasons.assign(tid=reasons["target_tid"]),
        left_on="start_ns",
        right_on="ts_ns",
        by="tid",
        direction="forward",
    )
    third = "caller" if "func" in pair.expected else "io_wait"
    wanted = [(ts, tid, (value or "") if third == "caller" else bool(value)) for ts, tid, value in pair.rows]
    # Text tells the caller's offset as well, Perfetto's question does not ask for it.
    assert sorted(found[["start_ns", "tid", third]].itertuples(index=False, name=None)) == sorted(wanted)


def check_active_cpus(pair: Pair) -> None:
    states = pair.analysis["thread_states"]
    running = states[states["state"] == derived.RUNNING]
    for ts, count in pair.rows:
        assert ((running["start_ns"] <= ts) & (running["end_ns"] > ts)).sum() == count
    assert sorted({ts for ts, _ in pair.rows}) == sorted(pair.trace["sched_switch"]["ts_ns"].unique())


def check_runnable(pair: Pair) -> None:
    states = pair.analysis["thread_states"]
    ready = states[states["state"] == derived.RUNNABLE]
    for ts, count in pair.rows:
        assert ((ready["start_ns"] <= ts) & (ready["end_ns"] > ts)).sum() == count


# --- markers ---


def check_slices(pair: Pair) -> None:
    table = pair.slices("")
    assert list(zip(table["start_ns"], table["dur"], table["name"], strict=True)) == pair.rows


def check_async_slice(pair: Pair) -> None:
    table = pair.slices("")
    columns = (table["start_ns"], table["dur"], table["tgid"], table["name"], table["name"])
    assert list(zip(*columns, strict=True)) == pair.rows


def check_cropped_slices(pair: Pair) -> None:
    """Slices of a CPU's time of which another CPU's events were overwritten are not whole."""
    marker, whole = pair.trace["marker"], pair.slices("")
    assert pair.trace["lost"].values.tolist() == [[0, 1500, 2000, -1]]
    assert marker[["ts_ns", "text"]].values.tolist() == [[ts, text] for ts, text, _, _ in pair.rows]
    wanted = [(ts, dur, name) for ts, _, dur, name in pair.rows if dur is not None]
    assert list(zip(whole["start_ns"], whole["dur"], whole["name"], strict=True)) == wanted


# --- events of any kind, on request ---


def check_frequency_limits(pair: Pair) -> None:
    limits = pair.decoded("cpu_frequency_limits").to_dict("records")
    found = [
        (
            row["ts_ns"],
            float(row[edge] if row[edge] == row[edge] else row[f"{edge}_freq"]),
            f"Cpu {row['cpu_id']} {edge.title()}",
        )
        for row in limits  # two layouts in one file: what one has, the other has not
        for edge in ("max", "min")
    ]
    assert found == pair.rows


def check_print_unsigned(pair: Pair) -> None:
    found = []
    for name, fields in (
        ("kfree", ("call_site", "ptr")),
        ("kmalloc", ("bytes_alloc", "bytes_req", "call_site", "ptr")),
    ):
        rows = pair.decoded(name).to_dict("records")
        found += [(row["ts_ns"], row["tid"], name, {field: int(row[field]) for field in fields}) for row in rows]
    wanted = []
    for (line,) in pair.rows:
        name, told = re.findall(r"0\.000000: (\w+): (.*)", line)[0]
        values = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", told)}
        wanted.append((int(re.findall(r"-(\d+)", line)[0]), name, values))
    assert [found_one[1:] for found_one in sorted(found, key=lambda one: one[0])] == wanted


def check_binder(pair: Pair) -> None:
    threads = pair.trace["threads"].set_index("tid")
    sent = pair.decoded("binder_transaction")
    who = sent["tid"]
    kind = np.where(sent["reply"] == 1, "binder reply", "binder transaction")
    found = pd.Series(1, index=[threads["process"][who], threads["tgid"][who], kind]).groupby(level=[0, 1, 2]).sum()
    wanted = {
        (one["process_name"][0], one["pid"][0], one["slice_name"][0]): one["count"][0]
        for one in pair.message["android_binder"][0]["process_breakdown"]
    }
    assert found.to_dict() == wanted


def check_gpu_track(pair: Pair) -> None:
    run, done = pair.decoded("drm_sched_job_run"), pair.decoded("drm_sched_job_done")
    keys = ["fence_context", "fence_seqno"]
    both = run.merge(done, on=keys, suffixes=("", "_done"))
    for name, ts, dur, _, key, value, _ in pair.rows:
        row = both[both["ts_ns"] == ts].iloc[0]
        assert (f"sched-{row['name']}", row["ts_ns_done"] - row["ts_ns"]) == (name, dur)
        assert int(row[key.replace(" ", "_")]) == value


def check_thread_track(pair: Pair) -> None:
    jobs = pair.decoded("drm_sched_job")
    asked = {(ts, key): (number if number is not None else text) for _, ts, _, _, key, number, text in pair.rows}
    told = {}
    for row in jobs.to_dict("records"):
        told[row["ts_ns"], "gpu sched ring"], told[row["ts_ns"], "gpu sched job"] = row["name"], int(row["id"])
    assert told == asked
    # A utid is a thread: each stands for one tid.
    tid = jobs.set_index("ts_ns")["tid"]
    assert (
        len({(utid, tid[ts]) for utid, ts, *_ in pair.rows}) == len({utid for utid, *_ in pair.rows}) == tid.nunique()
    )


def check_nothing_lost(pair: Pair) -> None:
    """Diagnostics of the trace: none."""
    assert pair.rows == [(len(pair.trace["lost"]) + len(pair.trace.source.notes),)]


# --- frames ---


def _first_frames(pair: Pair) -> pd.DataFrame:
    """FrameTimeline as Perfetto's question takes it: of the frames of one number the first, SurfaceFlinger's own included."""
    table = pair.trace["frame_timeline"]
    number = table["token"].where(table["token"] >= 0, table["display_token"])
    table = table.assign(frame=number, overrun=table["actual_end_ns"] - table["expected_end_ns"])
    return table.sort_values("token", ascending=False, kind="stable").drop_duplicates("frame").set_index("frame")


def check_overrun(pair: Pair) -> None:
    frames = _first_frames(pair)
    for frame, overrun in pair.rows:
        row = frames.loc[frame]
        if (
            frame == 160
        ):  # the app expected a frame 160 and made none: upstream takes SurfaceFlinger's frame of that number
            assert row["token"] == -1
            assert row["actual_end_ns"] - overrun == 820_000_000  # the app's deadline
        else:
            assert row["overrun"] == overrun, frame
    surface = frames[frames["token"] >= 0]
    assert {frame for frame, _ in pair.rows} >= set(surface.index)


def check_vsync_delay(pair: Pair) -> None:
    frames = _first_frames(pair)
    frames = frames[frames["token"] >= 0].sort_index()
    delay = frames["actual_start_ns"] - frames["expected_start_ns"]
    assert list(zip(frames.index, delay, strict=True)) == pair.rows


def _do_frames(pair: Pair) -> pd.DataFrame:
    work = pair.slices(r"Choreographer#doFrame \d+").sort_values("start_ns", kind="stable")
    return work.assign(frame=work["name"].str.extract(r"(\d+)")[0].astype(int))


def _draws(pair: Pair) -> pd.DataFrame:
    work = pair.slices(r"DrawFrames? \d+").sort_values("start_ns", kind="stable")
    return work.assign(frame=work["name"].str.extract(r"(\d+)")[0].astype(int))


def check_do_frames(pair: Pair) -> None:
    work = _do_frames(pair)
    assert list(zip(work["frame"], work["start_ns"], strict=True)) == [(frame, ts) for _, frame, _, _, ts in pair.rows]
    assert work["tid"].nunique() == len({utid for _, _, utid, _, _ in pair.rows}) == 1
    assert work["tgid"].nunique() == len({upid for _, _, _, upid, _ in pair.rows}) == 1


def check_draw_frames(pair: Pair) -> None:
    draws = _draws(pair)
    assert draws["frame"].tolist() == [frame for _, frame, _, _ in pair.rows]
    assert draws["tid"].nunique() == len({utid for _, _, utid, _ in pair.rows}) == 1


def check_depths(pair: Pair) -> None:
    work = _do_frames(pair)
    assert list(zip(work["frame"], work["name"], work["depth"], strict=True)) == pair.rows


def check_first_after(pair: Pair) -> None:
    work = _do_frames(pair)
    assert [(int(work[work["start_ns"] > 100_000_000]["frame"].iloc[0]),)] == pair.rows


def check_frame_stats(pair: Pair) -> None:
    """Overrun, and the time on CPU: vsync delay, ui thread's slice and the draws of render thread."""
    frames, work, draws = _first_frames(pair), _do_frames(pair).set_index("frame"), _draws(pair)
    for frame, overrun, cpu, ui, jank, slow, big, huge in pair.rows:
        row = frames.loc[frame]
        own = row["token"] >= 0  # not so for 160, see check_overrun
        assert ui == work["dur"][frame]
        if not own:
            continue
        delay = row["actual_start_ns"] - row["expected_start_ns"]
        took = int(ui + draws[draws["frame"] == frame]["dur"].sum() + delay)
        assert (overrun, cpu) == (row["overrun"], took)
        assert bool(jank) == (overrun > 0)
        assert (bool(slow), bool(big), bool(huge)) == (took > 20_000_000, took > 50_000_000, took > 200_000_000)


def check_frame_timeline(pair: Pair) -> None:
    """Janks by type and how they were presented, of each process and of all; lengths of frames."""
    table = pair.trace["frame_timeline"]
    table = table[table["token"] >= 0].assign(dur=table["actual_end_ns"] - table["actual_start_ns"])
    metric = pair.message["android_frame_timeline_metric"][0]
    _compare_janks(table, metric)
    assert len(metric["process"]) == table["tgid"].nunique()
    for process in metric["process"]:
        about, own = process["process"][0], table[table["tgid"] == process["process"][0]["pid"][0]]
        threads = pair.trace["threads"].set_index("tid")
        assert threads["process"][about["pid"][0]] == about["name"][0]
        _compare_janks(own, process)
        length = own["dur"][own["jank_type"] != "Dropped Frame"]
        assert process["frame_dur_max"][0] == length.max()
        assert process["frame_dur_avg"][0] == int(length.mean())
        for percent in (50, 90, 95, 99):
            assert process[f"frame_dur_p{percent}"][0] == int(np.percentile(length, percent))


def _compare_janks(table: pd.DataFrame, told: Message) -> None:
    frames = table.groupby("token").first()
    words = frames["jank_type"].str.split(", ")
    app = words.apply(lambda all_: "App Deadline Missed" in all_)
    sf = words.apply(lambda all_: any(word.startswith("SurfaceFlinger") and "Stuffing" not in word for word in all_))
    dropped = words.apply(lambda all_: "Dropped Frame" in all_)
    found = {
        "total_frames": len(frames), "missed_app_frames": app.sum(), "dropped_frames": dropped.sum(),
        "missed_sf_frames": sf.sum(), "missed_frames": (app | sf | dropped).sum(),
    }  # fmt: skip
    for name, value in found.items():
        if name in told:
            assert told[name][0] == value, name
    for jank in told["jank_types"]:
        own = frames[words.apply(lambda all_, word=jank["type"][0]: word in all_)]
        assert jank["total_count"][0] == len(own)
        for present in ("Unspecified", "On-time", "Late", "Early", "Dropped", "Unknown"):
            field = f"present_{present.lower().replace('-', '_')}_count"
            assert jank[field][0] == (own["present_type"] == present).sum(), field
    assert {jank["type"][0] for jank in told["jank_types"]} >= set(words.explode()) - {"None"}


# --- interactions ---


def check_cuj_counters(pair: Pair) -> None:
    """What the app counted itself; an interaction's bounds are track events, which no table has."""
    counters = pair.analysis["counters"].set_index("name")["value"]
    threads = pair.trace["threads"].set_index("tid")["process"]
    tgid = pair.analysis["counters"]["tgid"].unique()
    assert len(tgid) == 1
    told = [row for row in pair.rows if row[3] is not None]
    assert len(told) == 2
    for name, process, _, *wanted, _, _, _ in told:
        assert process == threads[tgid[0]]
        assert [counters[f"{name}#{of}"] for of in ("totalFrames", "missedAppFrames", "missedSfFrames")] == wanted


def _blocking_name(name: str) -> str:
    """How the metric names a slice: its class for a message, without what differs from call to call for the others."""
    if name.startswith("android.os.Handler: kotlinx.coroutines"):
        return "CoroutineContinuation"
    if ": " in name and ("Handler" in name or ": #" in name):
        where, what = name.split(": ", 1)
        return "Handler: " + (what if where.endswith("Handler") and not what.startswith("#") else where).split("$")[0]
    for stem in (
        "Lock contention on thread list lock", "Lock contention on thread suspend count lock", "LoadApkAssetsFd",
        "Lock contention on a monitor lock", "SuspendThreadByThreadId", "monitor contention with", "relayoutWindow",
    ):  # fmt: skip
        if name.startswith(stem):
            return f"{stem} <...>"
    if name.startswith("DrawFrames"):
        return "DrawFrames"
    return "Garbage Collector" if name.startswith("GC: ") else name


def _compare_calls(told: Message, calls: pd.DataFrame) -> None:
    names = calls["name"].map(_blocking_name)
    for call in told.get("blocking_calls", ()):
        own = calls["dur"][(names == call["name"][0]).to_numpy()]
        found = {"cnt": len(own), "total_dur_ns": own.sum(), "max_dur_ns": own.max(), "min_dur_ns": own.min()}
        assert {key: call[key][0] for key in found} == found, call["name"]
        if "avg_dur_ns" in call:
            assert call["avg_dur_ns"][0] == own.sum() // len(own)


def _calls(pair: Pair) -> pd.DataFrame:
    """Slices of threads; binder's own transactions among them, once more under the name the other side gives its work."""
    table = pair.slices("")
    table = table[table["depth"] >= 0]
    if "binder_transaction" not in pair.trace.source.event_counts:
        return table
    sent, received = pair.decoded("binder_transaction"), pair.decoded("binder_transaction_received")
    rows, tgid = [], pair.trace["threads"].set_index("tid")["tgid"]
    for ask in sent[sent["reply"] == 0].itertuples():
        answer = sent[(sent["reply"] == 1) & (sent["to_thread"] == ask.tid) & (sent["ts_ns"] > ask.ts_ns)].iloc[0]
        end = received["ts_ns"][received["debug_id"] == answer["debug_id"]].iloc[0]
        work = table[(table["tid"] == ask.to_thread) & (table["start_ns"] >= ask.ts_ns) & (table["end_ns"] <= end)]
        aidl = work["name"][work["name"].str.startswith("AIDL::")].tolist()
        rows += [
            (ask.tid, tgid[ask.tid], ask.ts_ns, end, 0, name, 0, end - ask.ts_ns)
            for name in ("binder transaction", *aidl)
        ]
    return pd.concat([table, pd.DataFrame(rows, columns=table.columns)], ignore_index=True)


def check_blocking_calls(pair: Pair) -> None:
    """Number and lengths of slices of a process inside an interaction, cut to it."""
    metric = pair.message["android_blocking_calls_cuj_metric"][0]
    assert len(metric["cuj"]) > 1
    threads = pair.trace["threads"].set_index("tid")["process"]
    markers = pair.slices(r"[JL]<").set_index("name")
    for cuj in metric["cuj"]:
        process, start, end = cuj["process"][0], cuj["ts"][0], cuj["ts"][0] + cuj["dur"][0]
        assert threads[process["pid"][0]] == process["name"][0]
        if len(markers):  # else they are track events
            marked = markers.loc[f"L<{cuj['name'][0]}>"]
            assert (marked["start_ns"], marked["dur"]) == (start, cuj["dur"][0])
        calls = _calls(pair)
        calls = calls[calls["tgid"] == process["pid"][0]]
        begin, until = calls["start_ns"].clip(lower=start), calls["end_ns"].clip(upper=end)
        _compare_calls(cuj, calls.assign(dur=until - begin)[until > begin])


def check_blocking_calls_all(pair: Pair) -> None:
    for told in pair.message["android_blocking_calls_unagg"][0]["process_with_blocking_calls"]:
        calls = _calls(pair)
        _compare_calls(told, calls[calls["tgid"] == told["process"][0]["pid"][0]])


# --- startups ---


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


CHECKS: dict[str, Callable[[Pair], None]] = {
    "parser__parsing__sched_blocked_proto_sched_blocked_reason": check_blocked,
    "parser__parsing__sched_blocked_reason_symbolized_sched_blocked_reason_function": check_blocked,
    "parser__parsing__sched_blocked_systrace_sched_blocked_reason": check_blocked,
    "stdlib__sched__active_cpu_count": check_active_cpus,
    "stdlib__sched__runnable_thread_count": check_runnable,
    "parser__atrace__android_b2b_async_begin_list_slices": check_slices,
    "parser__atrace__bad_print_systrace_list_slices": check_slices,
    "parser__atrace__process_track_slices_android_async_slice": check_async_slice,
    "parser__ftrace__crop_atrace_slice_legacy_field": check_cropped_slices,
    "parser__sched__cpu_frequency_limits_from_systrace": check_frequency_limits,
    "parser__parsing__print_systrace_unsigned": check_print_unsigned,
    "parser__parsing__android_binder": check_binder,
    "parser__graphics__drm_sched_617_gpu_track": check_gpu_track,
    "parser__graphics__drm_sched_thread_track": check_thread_track,
    "tables__preserve_ftrace_buffer_without_clock": check_nothing_lost,
    "stdlib__android__android_frames_overrun": check_overrun,
    "stdlib__android__android_app_vsync_delay_per_frame": check_vsync_delay,
    "stdlib__android__android_frames_choreographer_do_frame": check_do_frames,
    "stdlib__android__android_frames_draw_frame": check_draw_frames,
    "stdlib__android__android_frames_get_frame_table_with_id": check_depths,
    "stdlib__android__android_first_frame_after": check_first_after,
    "stdlib__android__android_frame_stats": check_frame_stats,
    "metrics__frame_timeline__frame_timeline_metric": check_frame_timeline,
    "stdlib__android__android_jank_cuj_slice_summary": check_cuj_counters,
    "metrics__android__android_blocking_calls_cuj": check_blocking_calls,
    "metrics__android__android_blocking_calls_on_jank_cujs": check_blocking_calls,
    "metrics__android__android_blocking_calls_unagg": check_blocking_calls_all,
    "metrics__startup__android_startup_attribution_slow": check_startups,
    "metrics__startup__android_startup_broadcast_multiple": check_startups,
    "metrics__startup__android_startup_installd_dex2oat": check_startups,
    "metrics__startup__android_startup_installd_dex2oat_slow": check_startups,
    "metrics__startup__android_startup_lock_contention_slow": check_startups,
    "metrics__startup__android_startup_process_track": check_startups,
    "metrics__startup__android_startup_unlock": check_startups,
}
OUTSIDE = {
    "metrics__startup__android_batt_counters": "battery counters are packets of their own, not ftrace: no table has them",
    "metrics__startup__android_startup_powrails": "power rails are packets of their own, not ftrace: no table has them",
    "tables__clock_snapshot_table_multiplier": "asks for wall-clock time; the suite's tables stay on the trace's clock",
}


def _pairs(folder: Path) -> dict[str, dict[str, Any]]:
    lines = (folder / "expected.jsonl").read_text().splitlines()
    return {entry["test"]: entry for entry in map(json.loads, lines)}


def test_every_pair_is_known(shared_data: Path) -> None:
    pairs = _pairs(shared_data / "perfetto_gold")
    assert len(pairs) == 37
    assert not CHECKS.keys() & OUTSIDE.keys()
    assert pairs.keys() == CHECKS.keys() | OUTSIDE.keys()
    present = {path.name for path in (shared_data / "perfetto_gold").iterdir()}
    assert present == {entry["trace_file"] for entry in pairs.values()} | {"expected.jsonl"}


@pytest.mark.parametrize("name", CHECKS)
def test_pair(shared_data: Path, name: str) -> None:
    folder = shared_data / "perfetto_gold"
    entry = _pairs(folder)[name]
    CHECKS[name](Pair(path=folder / entry["trace_file"], expected=entry["expected"]))
