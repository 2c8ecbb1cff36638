"""Perfetto's questions on frames and interactions, answered by the suite's tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tests.trace.gold import Message, Pair


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
