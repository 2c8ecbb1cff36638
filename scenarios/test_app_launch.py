"""App launch: cold, warm and hot. Run with `pytest scenarios --serial S`."""

from __future__ import annotations


def test_launches_reach_the_state_that_was_asked_for(record) -> None:
    result = record("app_launch")
    assert {launch["got"] for launch in result.launches} == {"cold", "warm", "hot"}


def test_no_launch_fails(record) -> None:
    result = record("app_launch")
    assert result.metric("launchFailedPct") == 0.0, "a launch timed out, crashed or ended in another app"


def test_the_ui_thread_is_not_held_up_by_weaker_threads(real_time, record) -> None:
    result = record("app_launch")
    assert result.metric("invertedMs") < 16.7, "a launch waited longer than a frame for a weaker thread"
