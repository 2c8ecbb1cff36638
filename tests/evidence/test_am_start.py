from pathlib import Path

from android_suite.evidence.am_start import parse_am_start_answers, parse_launches


def test_three_shapes(shared_data: Path) -> None:
    rows = parse_am_start_answers((shared_data / "dumpsys/am_start_W_samples.txt").read_text())
    assert rows[["this_ms", "total_ms", "wait_ms"]].values.tolist() == [
        [1131, 4171, 4190],
        [-1, 1479, 1482],
        [-1, -1, 11639],
    ]
    assert rows["status"].tolist() == ["ok", "ok", "timeout"]
    assert rows["launch_state"].tolist() == ["", "cold", "unknown"]
    assert rows["outcome"].tolist() == ["ok", "elsewhere", "timeout"]
    assert rows["intent"].tolist()[1] != rows["activity"].tolist()[1]


def launch(asked: str, output: str, **more: object) -> dict[str, object]:
    return {"asked": asked, "component": "com.ex.app/com.ex.app.Main", "fully_drawn": None, "output": output, **more}


def test_what_the_recorder_noted() -> None:
    ok = "Starting: Intent { cmp=com.ex.app/.Main }\nStatus: ok\nLaunchState: COLD\nActivity: com.ex.app/.Main\nTotalTime: 9\n"
    rows = parse_launches(
        [
            launch("cold", ok, fully_drawn="+1s20ms"),
            launch("cold", ok, crash="Process: com.ex.app, PID: 5"),
            launch("cold", "", no_answer_ms=60_000),
            launch("warm", ok),  # of version 0.1.0, without crash and no_answer_ms
        ]
    )
    assert rows["outcome"].tolist() == ["ok", "crash", "timeout", "wrong_state"]
    assert rows["fully_drawn_ms"].tolist() == [1020, -1, -1, -1]
    assert rows["intent"].unique().tolist() == ["com.ex.app/.Main"]
    assert rows["wait_ms"].tolist() == [-1, -1, 60_000, -1]
