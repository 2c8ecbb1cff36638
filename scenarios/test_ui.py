"""A user's minute with the app, driven through uiautomator2. Run with `pytest scenarios --serial S`."""

from __future__ import annotations


def test_the_app_answers_to_fingers_while_it_collects(record) -> None:
    result = record("ui_scroll", swipes=4, swipe_steps=10, wait_s=120)
    assert result.metric("frameCount") > 0, "nothing was drawn: the list did not move"
    assert result.madvise(role="gc").calls > 0, "no GC ran while the list scrolled"


def test_a_dialog_that_is_refused_changes_nothing(record) -> None:
    result = record("ui_scroll", swipes=1, swipe_steps=10, answer="deny", wait_s=120)
    assert result.metric("frameCount") > 0


def test_no_frame_is_lost_to_priority_inversion(real_time, record) -> None:
    result = record("ui_scroll")
    assert result.metric("jankyFromInversionCount") == 0
