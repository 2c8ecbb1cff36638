"""Chains from the UI thread through binder calls to whoever is to blame."""

from __future__ import annotations

import pytest

from android_suite.analysis.pipeline import analyze_trace
from android_suite.analysis.summary import summarize
from tests.analysis.blame.blaming import SERVER, STRONG, WEAK, WORKER, build, chains, runs
from tests.analysis.build import APP


def test_a_binder_call_ends_at_who_keeps_the_server_waiting() -> None:
    """UI -> binder -> server -> monitor -> worker, which is weak."""
    b = runs(build(), APP, 0, 10, 100, prio=STRONG)
    b.send(90, APP, 1, 200).wake(92, SERVER, waker=APP, cpu=1)
    b.switch(95, 0, "R", SERVER, cpu=1).receive(110, SERVER, 1)
    b.mark(
        120,
        SERVER,
        "B|200|monitor contention with owner android.bg (9) at void a.B.c(int)(B.java:5) waiters=0 blocking",
    )
    b.mark(121, SERVER, "B|200|Lock contention on a monitor lock (owner tid: 202)")
    b.switch(150, SERVER, "S", WORKER, prio=(120, WEAK), cpu=1)
    b.switch(400, WORKER, "S", 0, prio=(WEAK, 120), cpu=1).wake(390, SERVER, waker=WORKER, cpu=1)
    b.switch(401, 0, "R", SERVER, cpu=1).mark(410, SERVER, "E|200").mark(411, SERVER, "E|200")
    b.send(450, SERVER, 2, APP, to=APP, reply=True).wake(455, APP, prio=STRONG, waker=SERVER)
    b.switch(460, 0, "R", APP, prio=(120, STRONG)).receive(470, APP, 2)
    analysis = analyze_trace(b.trace(end=500))
    assert chains(analysis) == [
        (100, 110, "binder:201:inferred", "inferred", 10),
        (110, 150, "binder:201:exact", "exact", 40),
        (150, 390, "binder:201:exact monitor:202:exact", "exact", 240),
        (390, 450, "binder:201:exact", "exact", 60),
    ]
    worst = analysis["blame"].iloc[2]
    assert (worst["waiter_prio"], worst["end_prio"], worst["running_ns"]) == (STRONG, WEAK, 240)
    assert analysis["blame_links"]["name"].tolist()[3] == "void a.B.c(int)(B.java:5)"
    call = analysis["binder_calls"].iloc[0]
    assert call[["tid", "start_ns", "end_ns", "to_tgid", "server_tid", "received_ns", "replied_ns", "quality"]].tolist() == [
        APP, 90, 470, 200, SERVER, 110, 450, 0,
    ]  # fmt: skip


def test_a_weak_server_is_no_inversion_while_it_inherits() -> None:
    b = runs(build(), APP, 0, 10, 100, prio=STRONG)
    b.send(90, APP, 1, 200).wake(91, SERVER, waker=APP, cpu=1).boost(92, SERVER, 120, STRONG)
    b.switch(95, 0, "R", SERVER, prio=(120, STRONG), cpu=1).receive(99, SERVER, 1).boost(300, SERVER, STRONG, 125)
    b.send(450, SERVER, 2, APP, to=APP, reply=True).wake(455, APP, prio=STRONG, waker=SERVER)
    b.switch(460, 0, "R", APP, prio=(120, STRONG)).receive(470, APP, 2)
    assert chains(analyze_trace(b.trace(end=500))) == [(100, 450, "binder:201:exact", "exact", 150)]


def test_a_call_back_into_the_caller_is_no_wait_and_no_circle() -> None:
    """The server calls the UI thread, which sleeps for the worker while it serves that."""
    b = runs(build(), APP, 0, 10, 100, prio=STRONG)
    b.send(90, APP, 1, 200).wake(92, SERVER, waker=APP, cpu=1)
    b.switch(95, 0, "R", SERVER, cpu=1).receive(98, SERVER, 1)
    b.send(150, SERVER, 2, APP, to=APP).wake(152, APP, waker=SERVER, prio=STRONG).switch(155, SERVER, "S", 0, cpu=1)
    b.switch(160, 0, "R", APP, prio=(120, STRONG)).receive(165, APP, 2).switch(200, APP, "S", 0, prio=(STRONG, 120))
    b.wake(250, APP, prio=STRONG).switch(255, 0, "R", APP, prio=(120, STRONG)).send(
        260, APP, 3, 200, to=SERVER, reply=True
    )
    b.wake(262, SERVER, waker=APP, cpu=1).switch(264, APP, "S", 0, prio=(STRONG, 120))
    b.switch(265, 0, "R", SERVER, cpu=1).receive(270, SERVER, 3)
    b.send(350, SERVER, 4, APP, to=APP, reply=True).wake(355, APP, prio=STRONG, waker=SERVER)
    b.switch(360, 0, "R", APP, prio=(120, STRONG)).receive(370, APP, 4)
    assert chains(analyze_trace(b.trace(end=500))) == [
        (100, 152, "binder:201:exact", "exact", 52),
        (264, 350, "binder:201:exact", "exact", 86),
    ]


def test_a_call_that_began_before_the_trace_is_a_lower_bound() -> None:
    """The UI thread serves a call meanwhile, so that the trace shows it asleep twice in the same call of its own."""
    b = runs(build(), SERVER, 1, 5, 400).send(10, SERVER, 8, APP, to=APP).wake(12, APP, waker=SERVER)
    b.switch(20, 0, "R", APP).receive(25, APP, 8).send(40, APP, 9, 200, to=SERVER, reply=True).switch(50, APP, "S", 0)
    b.receive(60, SERVER, 9).send(300, SERVER, 2, APP, to=APP, reply=True).wake(305, APP, waker=SERVER)
    analysis = analyze_trace(b.switch(310, 0, "R", APP).receive(320, APP, 2).trace(start=0, end=500))
    columns = ["tid", "start_ns", "end_ns", "server_tid", "replied_ns", "quality"]
    assert analysis["binder_calls"][columns].values.tolist() == [
        [APP, 0, 320, SERVER, 300, 1], [SERVER, 10, 60, APP, 40, 0],
    ]  # fmt: skip
    assert chains(analysis) == [(50, 300, f"binder:{SERVER}:inferred", "inferred", 0)]
    (found,) = [each for each in summarize(analysis).metrics if each.name == "binderWaitMs_ui"]
    assert (found.value, found.quality) == (250e-6, "lower_bound")


def test_a_call_that_fails_blames_nobody() -> None:
    b = runs(build(), APP, 0, 10, 100).send(90, APP, 1, 200)
    b.wake(150, APP).switch(155, 0, "R", APP).send(160, APP, 2, 200, one_way=True).send(170, APP, 3, 200)
    b.switch(180, APP, "S", 0)
    analysis = analyze_trace(b.trace(end=300))
    assert analysis["binder_calls"][["start_ns", "end_ns", "quality"]].values.tolist() == [[90, 170, 2], [170, 300, 1]]
    assert chains(analysis) == [(180, 300, "binder:-1:unknown", "unknown", 0)]


@pytest.mark.parametrize("taken", [True, False], ids=["the server dies", "the process is frozen"])
def test_a_call_without_an_answer_ends_where_its_caller_sleeps_again(taken: bool) -> None:
    """The kernel gives the caller an error, which no event shows; what it waits for afterwards is no binder call."""
    b = runs(build(), APP, 0, 10, 100).send(90, APP, 1, 200)
    if taken:
        runs(b.receive(110, SERVER, 1), SERVER, 1, 105, 150, "X")
    b.wake(155, APP).switch(160, 0, "R", APP).switch(200, APP, "S", 0)
    analysis = analyze_trace(b.wake(900, APP).switch(905, 0, "R", APP).trace(end=1000))
    assert analysis["binder_calls"][["start_ns", "end_ns", "quality"]].values.tolist() == [[90, 155, 2]]
    assert chains(analysis) == []


def test_a_call_whose_caller_serves_others_meanwhile_is_open_at_the_end() -> None:
    """While it waits, the UI thread serves a call in which it sleeps twice for the worker; then it waits on."""
    b = runs(build(), APP, 0, 10, 100).send(90, APP, 1, 200).receive(98, SERVER, 1)
    b.send(150, SERVER, 2, APP, to=APP).wake(152, APP, waker=SERVER).switch(160, 0, "R", APP).receive(165, APP, 2)
    for at in (200, 300):
        b.switch(at, APP, "S", 0).wake(at + 50, APP).switch(at + 55, 0, "R", APP)
    b.send(400, APP, 3, 200, to=SERVER, reply=True).switch(402, APP, "S", 0).receive(405, SERVER, 3)
    b.boost(500, APP, 120, STRONG)
    analysis = analyze_trace(b.trace(end=700))
    assert analysis["binder_calls"][["start_ns", "end_ns", "quality"]].values.tolist() == [[90, 700, 1], [150, 405, 0]]
    assert chains(analysis) == [
        (100, 152, "binder:201:exact", "exact", 0),
        (402, 700, "binder:201:exact", "exact", 0),
    ]


def test_a_loss_makes_a_call_unknown() -> None:
    b = runs(build(), APP, 0, 10, 100).send(90, APP, 1, 200).receive(110, SERVER, 1).lose(1, 120, 130)
    b.send(150, SERVER, 2, APP, to=APP, reply=True).receive(170, APP, 2)
    analysis = analyze_trace(b.trace(end=300))
    assert analysis["binder_calls"]["quality"].tolist() == [2]
    assert chains(analysis) == []
