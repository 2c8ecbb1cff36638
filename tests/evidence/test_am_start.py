from pathlib import Path

from android_suite.evidence.am_start import parse_am_starts


def test_three_shapes(shared_data: Path) -> None:
    rows = parse_am_starts((shared_data / "dumpsys/am_start_W_samples.txt").read_text())
    assert rows[["this_ms", "total_ms", "wait_ms"]].values.tolist() == [
        [1131, 4171, 4190],
        [-1, 1479, 1482],
        [-1, -1, 11639],
    ]
    assert rows["status"].tolist() == ["ok", "ok", "timeout"]
    assert rows["launch_state"].tolist() == ["", "COLD", "UNKNOWN"]
    assert rows["intent"].tolist()[1] != rows["activity"].tolist()[1]


def test_no_launch_says_why() -> None:
    text = "Starting: Intent { cmp=a.b/.C }\nWarning: Activity not started, its current task has been brought to the front\n"
    assert "brought to the front" in parse_am_starts(text)["complaint"].tolist()[0]
