from pathlib import Path

import numpy as np
import pandas as pd

from android_suite.evidence.framestats import merge_framestats, parse_framestats, parse_framestats_polls
from android_suite.evidence.gfxinfo import parse_gfxinfo
from android_suite.tables.evidence import FRAMESTATS
from android_suite.tables.schema import check_frame, make_frame

HEADER = "Flags,FrameTimelineVsyncId,IntendedVsync,Vsync,FrameDeadline,FrameInterval,FrameStartTime,FrameCompleted,"


def block(ids: range) -> str:
    rows = "\n".join(f"0,{i},{i * 16_000_000},{i * 16_000_000},{i * 16_000_000 + 16_000_000},5,6,7," for i in ids)
    return f"---PROFILEDATA---\n{HEADER}\n{rows}\n---PROFILEDATA---\n"


def test_android_12_header_is_swapped(shared_data: Path) -> None:
    frames = parse_framestats((shared_data / "dumpsys/solox249_framestats_android12_phoneA.txt").read_text())
    check_frame(FRAMESTATS, frames)
    assert frames["interval_ns"].tolist()[0] == 16656453
    assert frames["frame_start_ns"].tolist()[0] == 255188826099
    assert frames["vsync_id"].tolist() == [53499, 53514, 53529]


def test_a_header_that_is_right_stays() -> None:
    text = f"---PROFILEDATA---\n{HEADER}\n0,1,2,3,4,16666666,255188826099,9,\n---PROFILEDATA---\n"
    frames = parse_framestats(text)
    assert (frames["interval_ns"][0], frames["frame_start_ns"][0]) == (16666666, 255188826099)


def test_several_windows_and_17_columns(shared_data: Path) -> None:
    frames = parse_framestats((shared_data / "dumpsys/sailfish_gfxinfo_android10.txt").read_text())
    assert len(frames) == 125
    sizes = frames.groupby(["process", "window"]).size()
    assert sizes["com.android.systemui", "StatusBar"] == 120
    assert (frames["vsync_id"] == -1).all()
    assert (frames["deadline_ns"] == -1).all()


def test_sentinel_is_unknown(shared_data: Path) -> None:
    frames = parse_framestats((shared_data / "dumpsys/AndroidViewClient_dumpsystests2.py").read_text())
    assert len(frames) == 3
    assert frames["flags"].tolist()[2] == 1
    assert (frames.select_dtypes("int64") < np.iinfo(np.int64).max).all().all()


def test_polls_are_joined_and_gaps_found() -> None:
    polls = [parse_framestats(block(ids)) for ids in (range(80), range(40, 160), range(200, 320))]
    frames, gaps = merge_framestats(polls)
    assert len(frames) == 280
    assert frames["vsync_id"].is_unique
    assert gaps[["from_ns", "to_ns"]].values.tolist() == [[159 * 16_000_000, 200 * 16_000_000]]


def test_a_ring_that_is_full_when_it_is_first_read_may_have_overrun() -> None:
    answer = (
        "Applications Graphics Acceleration Info:\nUptime: {} Realtime: 9\n\n** Graphics info for pid {} [a.b] **\n"
    )
    seen, early, late = answer.format(1000, 7), answer.format(1500, 7), answer.format(2000, 8)
    # The app was started again between two polls, and drew more than the ring holds before the second one.
    frames, gaps = parse_framestats_polls(seen + block(range(60, 80)) + early + late + block(range(200, 320)))
    assert len(frames) == 140
    assert gaps[["pid", "from_ns", "to_ns"]].values.tolist() == [[8, 1_500_000_000, 200 * 16_000_000]]
    # The first poll of all came too late; nothing tells when the ring was cleared.
    _, gaps = parse_framestats_polls(late + block(range(200, 320)))
    assert gaps[["pid", "from_ns", "to_ns"]].values.tolist() == [[8, 0, 200 * 16_000_000]]
    assert parse_framestats_polls(late + block(range(200, 319)))[1].empty
    # It drew no more than the ring holds: nothing is missing.
    for total, found in ((120, 0), (121, 1)):
        whole = f"{late}\nTotal frames rendered: {total}\n\n{block(range(200, 320))}"
        assert len(parse_framestats_polls(whole)[1]) == found


def test_a_text_of_several_answers() -> None:
    answer = "Applications Graphics Acceleration Info:\n** Graphics info for pid 7 [a.b] **\n"
    frames, gaps = parse_framestats_polls(answer + block(range(5)) + answer + block(range(3, 9)))
    assert frames["vsync_id"].tolist() == list(range(9))
    assert gaps.empty
    nothing, _ = parse_framestats_polls("")
    pd.testing.assert_frame_equal(nothing, make_frame(FRAMESTATS))


def test_gfxinfo_aggregate(shared_data: Path) -> None:
    rows = parse_gfxinfo((shared_data / "dumpsys/sailfish_gfxinfo_android10.txt").read_text())
    launcher = rows[rows["process"] == "com.android.launcher3"].iloc[0]
    assert (launcher["frames"], launcher["janky"], launcher["p50_ms"], launcher["p90_ms"]) == (3, 2, 53, 105)


def test_gfxinfo_of_older_androids(shared_data: Path) -> None:
    rows = parse_gfxinfo((shared_data / "dumpsys/droid-monitor_gfxinfo_test.rb").read_text())
    assert rows["frames"].tolist() == [3, 24, 43]
    assert rows["janky"].tolist() == [2, 14, 7]


def test_a_present_time_beyond_the_frame_is_unknown(shared_root: Path) -> None:
    text = (shared_root / "cases/device/11-present-time.txt").read_text()
    (row,) = parse_framestats(text).to_dict("records")
    assert (row["present_ns"], row["completed_ns"]) == (-1, 28091272000000)
    for present, read in (
        ("0", -1), ("-7", -1), ("28091262000000", -1), ("28091263000000", 28091263000000),
        ("28091290000000", 28091290000000), ("28131263000001", -1), ("9223372036854775807", -1),
    ):  # fmt: skip
        frames = parse_framestats(text.replace("7599383958533334121", present))
        assert frames["present_ns"].tolist() == [read], present


def test_rows_whose_header_was_cut_off(shared_data: Path) -> None:
    """Frames of a real Android 12 phone, under AOSP's header, in which two columns stand the wrong way round."""
    rows = (shared_data / "dumpsys" / "solox249_framestats_android12_rows_nohdr.txt").read_text().splitlines()
    header = (shared_data / "dumpsys" / "solox249_framestats_android12_phoneA.txt").read_text().splitlines()
    (columns,) = {line for line in header if line.startswith("Flags,FrameTimelineVsyncId")}
    assert parse_framestats("---PROFILEDATA---\n" + "\n".join(rows) + "\n---PROFILEDATA---\n").empty  # never by place
    frames = parse_framestats("\n".join(["---PROFILEDATA---", columns, *rows, "---PROFILEDATA---"]))
    whole = [row for row in rows if row.count(",") == columns.count(",")]
    assert len(frames) == len(whole) > 0
    assert frames["interval_ns"].between(16_000_000, 17_000_000).all()
