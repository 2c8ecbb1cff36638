"""Chains through Java monitors and locks of ART, whose owners ART names."""

from __future__ import annotations

import pytest

from android_suite.analysis.pipeline import analyze_trace
from tests.analysis.blame.blaming import OTHER, build, chains, runs
from tests.analysis.build import APP, GC


@pytest.mark.parametrize(
    ("text", "holder", "evidence"),
    [
        ("Lock contention on a monitor lock (owner tid: 101)", GC, "exact"),
        ("Lock contention on thread list lock (owner tid: 101)", GC, "exact"),
        ("Lock contention on thread list lock (owner tid: 0)", -1, "unknown"),
        ("Lock contention on thread list lock (owner tid: 18446744073709551615)", -1, "unknown"),  # readers: -1, unsigned
        ("Lock contention on thread list lock (owner tid: 202)", -1, "unknown"),  # of another process: a pid namespace
        ("monitor contention with owner HeapTaskDaemon (101) at x waiters=0", GC, "exact"),
        ("monitor contention with owner HeapTaskDaemon (7) at x waiters=0", GC, "inferred"),  # ART's own number
        ("monitor contention with owner main (102) at x waiters=0", -1, "unknown"),  # another thread's number
        ("monitor contention with something else", None, ""),
    ],
)  # fmt: skip
def test_owners_that_art_names(text: str, holder: int | None, evidence: str) -> None:
    b = runs(build(), APP, 0, 10, 100).mark(95, APP, f"B|100|{text}").wake(300, APP, waker=GC).switch(305, 0, "R", APP)
    b.mark(310, APP, "E|100")
    kind = "art_lock" if "thread list" in text else "monitor"
    found = chains(analyze_trace(b.trace(end=400)))
    assert found == ([] if holder is None else [(100, 300, f"{kind}:{holder}:{evidence}", evidence, 0)])


LOCK = "B|100|Lock contention on a monitor lock (owner tid: {})"


@pytest.mark.parametrize(
    ("wakers", "chain"),
    [
        ((GC,), [(100, 200, GC, "exact")]),
        ((OTHER,), [(100, 200, GC, "inferred")]),  # it was handed on; nothing tells when
        ((0,), [(100, 200, GC, "inferred")]),  # an interrupt of an idle CPU ended the sleep
        ((OTHER, GC), [(100, 200, GC, "exact"), (210, 300, GC, "exact")]),  # a sleep that was disturbed
        ((GC, OTHER), [(100, 200, GC, "exact"), (210, 300, OTHER, "inferred")]),  # somebody else was faster
        ((GC, 0), [(100, 200, GC, "exact"), (210, 300, -1, "unknown")]),
        ((), [(100, 400, GC, "inferred")]),  # it sleeps when the trace ends
    ],
)
def test_the_owner_that_is_named_is_certain_only_if_it_ends_the_sleep(
    wakers: tuple[int, ...], chain: list[tuple[int, int, int, str]]
) -> None:
    b = runs(build(), APP, 0, 10, 100).mark(95, APP, LOCK.format(GC))
    for number, waker in enumerate(wakers):
        b.wake(200 + 100 * number, APP, waker=waker).switch(205 + 100 * number, 0, "R", APP)
        if number + 1 < len(wakers):
            b.switch(210, APP, "S", 0)
    if wakers:
        b.mark(350, APP, "E|100")
    wanted = [(start, end, f"monitor:{holder}:{how}", how, 0) for start, end, holder, how in chain]
    assert chains(analyze_trace(b.trace(end=400))) == wanted


def test_a_thread_that_finds_its_monitor_taken_again_names_the_owner_anew() -> None:
    b = runs(build(), APP, 0, 10, 100)
    b.mark(90, APP, "B|100|monitor contention with owner HeapTaskDaemon (7) at x waiters=1").mark(
        91, APP, LOCK.format(GC)
    )
    b.wake(200, APP, waker=GC).switch(205, 0, "R", APP).mark(206, APP, "E|100").mark(207, APP, LOCK.format(OTHER))
    b.switch(210, APP, "S", 0).wake(300, APP, waker=OTHER).switch(305, 0, "R", APP)
    analysis = analyze_trace(b.mark(310, APP, "E|100").mark(311, APP, "E|100").trace(end=400))
    assert chains(analysis) == [
        (100, 200, f"monitor:{GC}:exact", "exact", 0),
        (210, 300, f"monitor:{OTHER}:exact", "exact", 0),
    ]
    (wait,) = analysis["monitor_waits"].to_dict("records")
    assert (wait["start_ns"], wait["end_ns"], wait["holder_tid"]) == (90, 311, GC)  # as of its beginning
