"""Markers to slices and counters."""

from __future__ import annotations

from android_suite.analysis.alive import find_ends
from android_suite.analysis.lives import Lives
from android_suite.analysis.loss import Losses
from android_suite.analysis.slices import measure_slices
from tests.analysis.build import APP, GC, TraceBuilder


def slices_of(b: TraceBuilder, **more: int) -> list[tuple[object, ...]]:
    trace = b.trace(**more)  # type: ignore[arg-type]
    table, _ = measure_slices(trace, Losses.of(trace["lost"]), find_ends(trace, Lives()))
    return [*table[["tid", "name", "start_ns", "end_ns", "depth", "cut"]].itertuples(index=False, name=None)]


def test_nested_slices_of_two_threads() -> None:
    b = TraceBuilder().mark(1, APP, "B|100|a").mark(2, GC, "B|100|g").mark(3, APP, "B|100|b|c").mark(4, APP, "E|100")
    b.mark(5, GC, "E").mark(6, APP, "E|100")
    assert slices_of(b) == [(APP, "a", 1, 6, 0, 0), (GC, "g", 2, 5, 0, 0), (APP, "b|c", 3, 4, 1, 0)]


def test_an_end_before_any_begin_and_a_begin_without_an_end() -> None:
    b = (
        TraceBuilder()
        .mark(1, APP, "E|100")
        .mark(2, APP, "E|100")
        .mark(3, APP, "B|100|open")
        .mark(4, APP, "B|100|in")
        .mark(5, APP, "E")
    )
    assert slices_of(b, end=9) == [(APP, "open", 3, 9, 0, 2), (APP, "in", 4, 5, 1, 0)]


def test_a_gap_cuts_what_is_open_and_nothing_crosses_it() -> None:
    b = (
        TraceBuilder()
        .mark(1, APP, "B|100|a")
        .lose(0, 3, 6)
        .mark(8, APP, "E|100")
        .mark(9, APP, "B|100|b")
        .mark(10, APP, "E|100")
    )
    assert slices_of(b) == [(APP, "a", 1, 3, 0, 2), (APP, "b", 9, 10, 0, 0)]


def test_what_begins_in_a_gap_is_not_ended_by_another_end_after_it() -> None:
    """`a` ends in the gap, unseen; the end at 8 is that of a slice whose begin is lost."""
    b = TraceBuilder().mark(2, APP, "B|100|before").mark(4, APP, "B|100|a").lose(1, 3, 6).mark(8, APP, "E|100")
    b.mark(9, APP, "B|100|b").mark(10, APP, "E|100").mark(4, GC, "B|200|whole").mark(5, GC, "E|200")
    assert slices_of(b) == [
        (APP, "before", 2, 3, 0, 2),
        (APP, "a", 4, 4, 0, 2),
        (GC, "whole", 4, 5, 0, 0),
        (APP, "b", 9, 10, 0, 0),
    ]


def test_the_ends_of_a_gap_were_seen() -> None:
    b = TraceBuilder().mark(1, APP, "B|100|a").mark(3, APP, "E|100").lose(0, 3, 6).mark(6, APP, "B|100|b")
    b.mark(7, APP, "E|100")
    assert slices_of(b) == [(APP, "a", 1, 3, 0, 0), (APP, "b", 6, 7, 0, 0)]


def test_no_asynchronous_slice_crosses_a_gap() -> None:
    """The first launch ends in the gap, and the second begins in it: what is left is a begin and an end of two launches."""
    b = TraceBuilder().mark(1, APP, "S|100|launch|7").lose(0, 3, 6).mark(9, APP, "F|100|launch|7")
    b.mark(2, APP, "S|100|again|1").mark(7, APP, "S|100|again|1").mark(8, APP, "F|100|again|1")
    b.mark(4, GC, "S|100|inside|1").mark(8, GC, "F|100|inside|1")
    assert slices_of(b) == [
        (APP, "launch", 1, 3, -1, 2), (APP, "again", 2, 3, -1, 2), (GC, "inside", 4, 4, -1, 2), (APP, "again", 7, 8, -1, 0),
    ]  # fmt: skip


def test_asynchronous_slices_go_by_process_name_and_cookie() -> None:
    b = TraceBuilder().mark(1, APP, "F|100|launch|1").mark(2, APP, "S|100|launch|7").mark(3, GC, "S|100|launch|8")
    b.mark(5, GC, "F|100|launch|7").mark(6, GC, "S|200|launch|8")
    assert slices_of(b, end=9) == [
        (APP, "launch", 2, 5, -1, 0), (GC, "launch", 3, 9, -1, 2), (GC, "launch", 6, 9, -1, 2),
    ]  # fmt: skip


def test_a_slice_ends_with_its_thread() -> None:
    b = (
        TraceBuilder()
        .mark(1, APP, "B|100|done")
        .mark(2, APP, "E|100")
        .mark(3, APP, "B|100|cut")
        .mark(4, GC, "B|100|on")
    )
    b.mark(4, APP, "S|100|of the process|7")
    assert slices_of(b.switch(9, APP, "X", 0), end=5000) == [
        (APP, "done", 1, 2, 0, 0), (APP, "cut", 3, 9, 0, 2), (GC, "on", 4, 5000, 0, 2),
        (APP, "of the process", 4, 5000, -1, 2),
    ]  # fmt: skip


def test_counters_and_other_text() -> None:
    b = TraceBuilder().mark(1, APP, "C|100|Heap size (KB)|2048").mark(2, APP, "C|100|x|-5").mark(3, APP, "C|100|bad|y")
    b.mark(4, APP, "hello").mark(5, APP, "").mark(6, APP, "B").mark(7, APP, "trace_event_clock_sync: parent_ts=1.0")
    trace = b.trace()
    _, counters = measure_slices(trace, Losses.of(trace["lost"]), find_ends(trace, Lives()))
    assert counters[["name", "value"]].to_numpy().tolist() == [["Heap size (KB)", 2048], ["x", -5]]


def test_a_very_deep_stack() -> None:
    b = TraceBuilder()
    for ts in range(600):
        b.mark(1 + ts, APP, f"B|100|{ts}")
    for ts in range(600):
        b.mark(1001 + ts, APP, "E|100")
    found = slices_of(b)
    assert len(found) == 512
    assert found[0] == (APP, "0", 1, 1600, 0, 0)
