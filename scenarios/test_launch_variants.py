"""Launches through a trampoline, and while another app collects. Run with `pytest scenarios --serial S`."""

from __future__ import annotations


def test_a_trampoline_ends_on_the_activity_that_it_starts(record) -> None:
    result = record("trampoline_launch", launches=1)
    assert [launch["got"] for launch in result.launches] == ["cold", "warm", "hot"]
    assert result.metric("launchFailedPct") == 0.0, "a launch timed out, crashed or ended in another app"
    assert all(launch["timeToFullDisplayMs"] for launch in result.launches), "a launch did not report fully drawn"


def test_launches_succeed_while_another_app_collects(record) -> None:
    result = record("launch_background_gc", launches=1)
    assert [launch["got"] for launch in result.launches] == ["cold", "warm", "hot"]
    assert result.metric("launchFailedPct") == 0.0, "a launch timed out, crashed or ended in another app"
