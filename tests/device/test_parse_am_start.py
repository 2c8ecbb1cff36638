"""Answers of `am start -W`."""

from __future__ import annotations

from pathlib import Path

from android_suite.device.parse_am_start import parse_am_start


def test_a_cold_start() -> None:
    found = parse_am_start(
        "Starting: Intent { cmp=a.b/.C }\nStatus: ok\nLaunchState: COLD\nActivity: a.b/.C\nTotalTime: 232\n"
        "WaitTime: 249\nComplete\n"
    )
    assert (found.status, found.launch_state, found.total_ms, found.wait_ms) == ("ok", "COLD", 232, 249)
    assert found.error is None
    assert found.warnings == ()


def test_what_is_no_launch() -> None:
    text = (
        "Warning: Activity not started, intent has been delivered to currently running top-most instance.\n"
        "Status: ok\nLaunchState: UNKNOWN (0)\nActivity: a.b/.C\nTotalTime: 0\nWaitTime: 4\nComplete\n"
    )
    found = parse_am_start(text)
    assert found.warnings[0].startswith("Activity not started")
    assert found.launch_state == "UNKNOWN (0)"


def test_what_does_not_exist() -> None:
    found = parse_am_start("Starting: Intent { }\nError type 3\nError: Activity class {a.b/a.b.X} does not exist.\n")
    assert found.error is not None
    assert found.status is None


def test_every_recorded_answer_is_read(shared_data: Path) -> None:
    text = (shared_data / "dumpsys" / "am_start_W_samples.txt").read_text()
    answers = [part for part in text.split("Starting:") if "Status:" in part]
    assert answers
    for answer in answers:
        found = parse_am_start("Starting:" + answer)
        assert found.status in ("ok", "timeout")
        assert found.activity
