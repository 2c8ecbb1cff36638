"""An app in the foreground with something beside it: swipes, a monitor. Run with `pytest scenarios --serial S`."""

from __future__ import annotations

SHORT = {"duration_ms": 5000}


def count_lines(texts: list[str], start: str) -> int:
    return sum(line.startswith(start) for text in texts for line in text.splitlines())


def test_a_list_scrolls_while_the_app_churns(record) -> None:
    result = record("scroll_churn", **SHORT)
    assert count_lines(result.evidence("beside.txt"), "did swipe") > 0
    assert result.madvise(role="gc").calls > 0, "no GC ran: nothing was measured"
    assert result.metric("frameCount") > 0


def test_no_frame_of_a_scroll_is_lost_to_priority_inversion(real_time, record) -> None:
    result = record("scroll_churn", **SHORT)
    assert result.metric("jankyFromInversionCount") == 0


def test_a_monitor_reads_the_app_all_the_time(record) -> None:
    result = record("smaps_monitor", **SHORT)
    assert count_lines(result.evidence("beside.txt"), "did read") > 0
    assert result.metric("frameCount") > 0


def test_a_monitor_takes_no_frame_from_the_app(real_time, record) -> None:
    result = record("smaps_monitor", **SHORT)
    assert result.metric("jankyFromInversionCount") == 0, "the UI thread waited for the monitor"
