"""Frames of the three sources, and what the late ones lost their time to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from android_suite.analysis.metrics.frames import least_overrun
from android_suite.analysis.metrics.listing import list_metrics
from android_suite.analysis.pipeline import Analysis, Evidence, analyze_trace
from android_suite.analysis.summary import summarize_analysis
from android_suite.tables.derived import SPLIT_CAUSES
from android_suite.tables.evidence import FRAMESTATS
from android_suite.tables.schema import make_frame
from android_suite.trace.perfetto.reader import read_perfetto
from android_suite.trace.perfetto.write.writer import write_perfetto
from tests.analysis.build import APP, GC, TraceBuilder

MS = 1_000_000
RENDER = 104


def framestats(*rows: dict[str, int]) -> pd.DataFrame:
    plain = {n: -1 if d == "int64" else 0 if d == "int32" else "" for n, d in FRAMESTATS.dtypes.items()}
    rows = tuple({**plain, "pid": APP, "flags": 0, **row} for row in rows)
    return make_frame(FRAMESTATS, {n: [row[n] for row in rows] for n in FRAMESTATS.dtypes})


def split(analysis: Analysis, row: int = 0, side: str = "ui") -> dict[str, int]:
    one = analysis["frames"].iloc[row]
    return {c: int(one[f"{side}_{c}_ns"]) for c in SPLIT_CAUSES if one[f"{side}_{c}_ns"]}


def busy() -> TraceBuilder:
    """Ui thread 0..30 ms: runs, waits 10 ms for the lock behind GC, is runnable 2 ms, sleeps in a monitor and in binder."""
    b = TraceBuilder().switch(0, 0, "R", APP, prio=(120, 110)).switch(1, 0, "R", GC, prio=(120, 124), cpu=1)
    b.enter(1 * MS, GC, "madvise", 0, 4096, 4, cpu=1).hold(2 * MS, 14 * MS, GC)
    b.lock(4 * MS, APP, "start", write=True).switch(4 * MS + 1, APP, "D", 0, prio=(110, 120))
    b.wake(14 * MS + 1, APP, prio=110).switch(16 * MS + 1, 0, "R", APP, prio=(120, 110)).lock(
        17 * MS, APP, "acquired", write=True
    )
    b.lock(18 * MS, APP, "released", write=True).mark(19 * MS, APP, "B|100|monitor contention with owner x (5)")
    b.switch(19 * MS, APP, "S", 0, prio=(110, 120)).wake(22 * MS, APP, prio=110).switch(
        22 * MS, 0, "R", APP, prio=(120, 110)
    )
    b.mark(23 * MS, APP, "E|100").enter(24 * MS, APP, "ioctl", 3, 0xC0306201).switch(
        24 * MS, APP, "S", 0, prio=(110, 120)
    )
    b.wake(25 * MS, APP, prio=110).switch(25 * MS, 0, "R", APP, prio=(120, 110)).leave(26 * MS, APP, "ioctl")
    b.switch(27 * MS, APP, "D", 0, prio=(110, 120)).wake(28 * MS, APP, prio=110).reason(
        28 * MS, APP, "io_schedule+0x1", io=True
    )
    return b.switch(28 * MS, 0, "R", APP, prio=(120, 110)).leave(30 * MS, GC, "madvise", cpu=1)


def test_a_late_frame_is_split_to_the_nanosecond() -> None:
    analysis = analyze_trace(busy().frame(7, (0, 16 * MS), (0, 26 * MS), "App Deadline Missed").trace())
    (frame,) = analysis["frames"].to_dict("records")
    assert (frame["overrun_ns"], frame["late"], frame["janky"], frame["source"]) == (
        10 * MS,
        True,
        True,
        "frametimeline",
    )
    assert split(analysis) == {
        "running": 12 * MS + 1 - 2 * MS + 0, "runnable": 2 * MS, "mmap_lock": 10 * MS, "monitor": 3 * MS, "binder": 1 * MS,
    } | {"running": 26 * MS - (2 + 10 + 3 + 1) * MS}  # fmt: skip
    assert frame["inverted_ns"] == 10 * MS
    assert frame["from_inversion"]
    assert frame["waited_for"] == "HeapTaskDaemon in madvise(MADV_DONTNEED)"


def test_io_is_io_and_a_sleep_of_no_known_cause_is_unknown() -> None:
    b = busy().frame(7, (0, 16 * MS), (26 * MS, 29 * MS), "App Deadline Missed")
    assert split(analyze_trace(b.trace())) == {"running": 2 * MS, "io": 1 * MS}
    b.rows["blocked_reason"] = []
    assert split(analyze_trace(b.trace())) == {"running": 2 * MS, "unknown": 1 * MS}


def test_a_frame_that_would_be_late_anyway_is_not_the_inversions_fault() -> None:
    analysis = analyze_trace(busy().frame(7, (0, 15 * MS), (0, 26 * MS), "App Deadline Missed").trace())
    assert not analysis["frames"]["from_inversion"].any()


def test_surfaceflingers_words() -> None:
    b = TraceBuilder()
    words = ("None", "Buffer Stuffing", "App Deadline Missed, Buffer Stuffing", "Non Animating", "Dropped Frame")
    for n, jank in enumerate(words):
        b.frame(n, (20 * n, 20 * n + 10), (20 * n, 20 * n + 12), jank)
    table = analyze_trace(b.mark(1, APP, "x").trace())["frames"]
    assert table["janky"].tolist() == [False, False, True, False, True]
    assert table["late"].all()


def test_layers_of_one_token_are_one_frame_and_an_open_end_is_unknown() -> None:
    b = (
        TraceBuilder()
        .frame(1, (0, 10), (0, 12), "None", "A")
        .frame(1, (0, 10), (0, 15), "None", "B")
        .frame(2, (20, 30), (20, -1), "None")
    )
    b.frame(-1, (0, 10), (0, 99), "None")
    table = analyze_trace(b.mark(1, APP, "x").trace())["frames"]
    assert table[["frame_id", "overrun_ns", "quality"]].to_numpy().tolist() == [[1, 5, 0], [2, 0, 2]]


def test_framestats() -> None:
    rows = [
        {
            "intended_vsync_ns": n * 16 * MS,
            "completed_ns": n * 16 * MS + d * MS,
            "deadline_ns": (n + 1) * 16 * MS,
            "vsync_id": n,
        }
        for n, d in enumerate((8, 20, 12))
    ]
    stats = framestats(
        *rows, {"flags": 1, "intended_vsync_ns": 99 * MS, "completed_ns": 200 * MS, "deadline_ns": 100 * MS}
    )
    analysis = analyze_trace(busy().trace(), evidence=Evidence(framestats=stats))
    assert (analysis["frames"]["overrun_ns"] // MS).tolist() == [-8, 4, -4]
    assert sum(split(analysis, 1).values()) == 20 * MS
    other_clock = analyze_trace(busy().trace(clock="boot"), evidence=Evidence(framestats=stats))
    assert (other_clock["frames"]["overrun_ns"] // MS).tolist() == [-8, 4, -4]
    assert split(other_clock, 1) == {}


def test_framestats_before_android_12_have_no_deadline() -> None:
    stats = framestats(
        *(
            {"intended_vsync_ns": n * 10 * MS, "completed_ns": n * 10 * MS + (12 if n == 3 else 5) * MS}
            for n in range(6)
        )
    )
    table = analyze_trace(TraceBuilder().mark(1, APP, "x").trace(), evidence=Evidence(framestats=stats))["frames"]
    assert (table["overrun_ns"] // MS).tolist() == [-5, -5, -5, 2, -5, -5]


def choreographer(
    count: int = 12, period: int = 10 * MS, *, wakes: bool = True, long: int = 5, drawn: int = 13
) -> TraceBuilder:
    b = TraceBuilder().thread(RENDER, APP, "RenderThread", "com.example")
    for n in range(count):
        at = 1000 + n * period
        if wakes:
            b.wake(at, APP, prio=110).switch(at + 2 * MS, 0, "R", APP, prio=(120, 110))
        b.mark(at + 2 * MS + 10, APP, f"B|100|Choreographer#doFrame {n}").mark(at + 4 * MS, APP, "E|100")
        b.mark(at + 4 * MS + 1, RENDER, f"B|100|DrawFrames {n}").mark(
            at + (drawn if n == long else 6) * MS, RENDER, "E|100"
        )
        if wakes:
            b.switch(at + 4 * MS + 2, APP, "S", 0, prio=(110, 120))
    return b


def test_choreographer_frames_begin_at_the_wake_up_and_end_with_the_drawing() -> None:
    table = analyze_trace(choreographer().trace())["frames"]
    assert table["source"].unique().tolist() == ["choreographer"]
    assert (table["overrun_ns"] // MS).tolist() == [-7 if n == 0 else 3 if n == 5 else -4 for n in range(12)]
    assert set(table["quality"]) == {1}  # the vsync was before the wake-up, and the display shows what is drawn later


def inverted_choreographer() -> TraceBuilder:
    """Frames of 10 ms, the sixth drawn 1 ms too late, after the ui thread waited 1.4 ms behind HeapTaskDaemon."""
    b, at = choreographer(drawn=11), 1000 + 50 * MS
    b.switch(1, 0, "R", GC, prio=(120, 124), cpu=1).hold(at, at + 3_400_000, GC)
    b.lock(at + 2 * MS + 20, APP, "start", write=True).switch(at + 2 * MS + 20, APP, "D", 0, prio=(110, 120))
    b.wake(at + 3_400_020, APP, prio=110).switch(at + 3_400_020, 0, "R", APP, prio=(120, 110))
    return b.lock(at + 3_500_000, APP, "acquired", write=True).lock(at + 3_600_000, APP, "released", write=True)


def run_stats() -> pd.DataFrame:
    """What hwui says of the same frames: the vsync was 0.5 ms before the wake-up, the GPU was done 1 ms after the drawing."""
    times = ((1000 + n * 10 * MS - 500_000, 12 if n == 5 else 7) for n in range(12))
    return framestats(
        *(
            {
                "intended_vsync_ns": at,
                "deadline_ns": at + 10 * MS,
                "completed_ns": at + 500_000 + took * MS,
                "vsync_id": n,
            }
            for n, (at, took) in enumerate(times)
        )
    )


def test_an_exported_trace_never_says_more_than_the_run(tmp_path: Path) -> None:
    trace = inverted_choreographer().trace()
    write_perfetto(trace, {}, tmp_path / "exported.pftrace")
    run = analyze_trace(trace, evidence=Evidence(framestats=run_stats()))
    exported = analyze_trace(read_perfetto(tmp_path / "exported.pftrace"))
    assert exported["inversions"]["start_ns"].tolist() == run["inversions"]["start_ns"].tolist() != []
    (truth, told) = ({m.name: m for m in list_metrics(analysis)} for analysis in (run, exported))
    assert (truth["jankyFromInversionCount"].value, truth["jankyFromInversionCount"].quality) == (0, "exact")
    assert (told["jankyFromInversionCount"].value, told["jankyFromInversionCount"].quality) == (None, "unknown")
    assert "only from the app" in (told["jankyFromInversionCount"].reason or "")
    assert not exported["frames"]["from_inversion"].any()
    frames = summarize_analysis(exported)["frames"]
    assert (frames["late"], frames["janky_from_inversion"]) == (1, None)
    assert [(late["inverted_ns"] > 0, late["from_inversion"]) for late in frames["worst"]] == [(True, None)]
    for name in ("jankyFramesPct", *(f"frameOverrunMs_p{p}" for p in (50, 90, 95, 99))):
        assert told[name].quality == "lower_bound", name
        assert truth[name].quality == "exact", name
        assert (told[name].value or 0) <= (truth[name].value or 0), name


def test_frames_on_another_clock_than_the_trace_are_not_laid_to_inversions() -> None:
    analysis = analyze_trace(inverted_choreographer().trace(clock="boot"), evidence=Evidence(framestats=run_stats()))
    (found,) = (m for m in list_metrics(analysis) if m.name == "jankyFromInversionCount")
    assert (found.value, found.reason) == (
        None, "framestats do not use the clock of the trace (boot); record with clock mono"
    )  # fmt: skip


def test_frames_that_cannot_be_judged_stand_below_all_others() -> None:
    b = busy()
    for n, overrun in enumerate((-4, -2, 1, 3, None)):
        end = -1 if overrun is None else (20 * n + 10 + overrun) * MS
        b.frame(n, (20 * n * MS, (20 * n + 10) * MS), (20 * n * MS, end), "None" if overrun == -4 else "Dropped Frame")
    analysis = analyze_trace(b.trace())
    found = {m.name: (m.value, m.quality) for m in list_metrics(analysis)}
    # Whatever the fifth was, the truth is not less.
    assert found["jankyFramesPct"] == (60.0, "lower_bound")
    assert found["frameOverrunMs_p50"] == (-2.0, "lower_bound")
    assert found["frameOverrunMs_p99"] == (pytest.approx(2.92), "lower_bound")
    frames = analysis["frames"]
    assert least_overrun(frames, 25) == -4.0
    assert least_overrun(frames, 24) is None
    assert least_overrun(frames, 50, hidden=2) == -4.0


def test_without_wake_ups_lateness_is_a_lower_bound_and_few_frames_have_no_deadline() -> None:
    table = analyze_trace(choreographer(wakes=False).trace())["frames"]
    assert set(table["quality"]) == {1}
    few = analyze_trace(choreographer(4).trace())
    assert set(few["frames"]["quality"]) == {2}
    assert summarize_analysis(few)["frames"]["janky"] is None
    known = analyze_trace(choreographer(4).trace(), evidence=Evidence(refresh_hz=100.0))["frames"]
    assert (known["overrun_ns"] // MS).tolist()[1:] == [-4, -4, -4]


@pytest.mark.parametrize("seen", [True, False])
def test_percentiles_and_what_is_not_known(seen: bool) -> None:
    summary = summarize_analysis(analyze_trace((choreographer() if seen else TraceBuilder().mark(1, APP, "x")).trace()))
    frames = summary["frames"]
    if seen:
        assert (frames["count"], frames["late"], frames["janky"]) == (12, 1, 1)
        assert frames["overrun_ms"]["p50"] == pytest.approx(-4)
        assert frames["janky_from_inversion"] is None  # no lock events: nobody knows
    else:
        # A marker that is no slice tells nothing of frames.
        assert (frames["count"], frames["janky"], frames["overrun_ms"]["p50"]) == (None, None, None)
    assert all(v is None or np.isfinite(v) for v in frames["overrun_ms"].values())


def test_frames_of_a_main_thread_that_is_not_known_are_not_zero() -> None:
    """Text without processes, from a container: the markers tell the process's number in its pid namespace."""
    b = TraceBuilder()
    b.rows["threads"] = []
    b.thread(1000, -1, "com.app")
    for nth in range(5):
        b.mark((1 + 16 * nth) * MS, 1000, "B|7|Choreographer#doFrame").mark((5 + 16 * nth) * MS, 1000, "E|7")
    summary = summarize_analysis(analyze_trace(b.trace()))
    assert summary["frames"]["count"] is None
    (count,) = (m for m in summary["metrics"] if m["name"] == "frameCount")
    assert (count["value"], count["quality"]) == (None, "unknown")
    assert "record-tgid" in count["reason"]
