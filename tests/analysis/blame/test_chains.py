"""Chains from the UI thread to whoever is to blame: through locks, monitors, futexes and binder calls."""

from __future__ import annotations

import pytest

from android_suite.analysis.pipeline import Analysis, analyze_trace
from android_suite.analysis.summary import summarize
from android_suite.tables.blame import LINKS
from android_suite.tables.derived import (
    WHO_EVIDENCE,
)
from tests.analysis.build import APP, BINDER, GC, MM, TraceBuilder

SERVER, WORKER, OTHER = 201, 202, 301
STRONG, WEAK = 110, 130
MUTEX, WRITE = 32, 4
Row = tuple[object, ...]


def build() -> TraceBuilder:
    """The UI thread on CPU 0 with a strong priority, and a server and a worker of another process."""
    b = TraceBuilder().thread(200, 200, "system_server", "system_server").thread(SERVER, 200, "binder:200_1")
    b.thread(WORKER, 200, "android.bg").thread(OTHER, APP, "RenderThread")
    return b.mark(0, APP, "B|100|Choreographer#doFrame 1").mark(0, APP, "E|100")


def runs(b: TraceBuilder, tid: int, cpu: int, start: int, end: int, state: str = "S", prio: int = 120) -> TraceBuilder:
    """The thread on a CPU, which is idle before and after."""
    b.switch(start, 0, "R", tid, prio=(120, prio), cpu=cpu)
    return b.switch(end, tid, state, 0, prio=(prio, 120), cpu=cpu)


def chains(analysis: Analysis) -> list[Row]:
    """Start, end, the chain as kind:holder:evidence, evidence of the whole, and inverted time."""
    links = analysis["blame_links"]
    out = []
    for number, row in enumerate(analysis["blame"].to_dict("records")):
        own = links[links["blame"] == number]
        assert own["position"].tolist() == [*range(row["links"])]
        assert own["tid"].tolist() == [row["waiter_tid"], *own["holder_tid"][:-1]]
        columns = (own[c].tolist() for c in ("kind", "holder_tid", "evidence"))
        path = " ".join(f"{LINKS[k]}:{h}:{WHO_EVIDENCE[e]}" for k, h, e in zip(*columns, strict=True))
        assert row["end_tid"] == own["holder_tid"].iloc[-1]
        told = row["running_ns"] + row["runnable_ns"] + row["blocked_ns"]
        assert told <= row["end_ns"] - row["start_ns"]
        out.append((row["start_ns"], row["end_ns"], path, WHO_EVIDENCE[row["evidence"]], row["inverted_ns"]))
    return out


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


def futex(
    b: TraceBuilder, tid: int, start: int, end: int, op: int, *, ret: int = 0, addr: int = 0x7000
) -> TraceBuilder:
    return b.enter(start, tid, "futex", addr, op).leave(end, tid, "futex", ret)


WAIT, WAKE, LOCK_PI, UNLOCK_PI, PRIVATE = 0, 1, 6, 7, 128


def test_a_futex_is_due_to_the_thread_that_wakes() -> None:
    b = futex(runs(build(), APP, 0, 10, 100, prio=STRONG), APP, 95, 310, WAIT | PRIVATE)
    b = runs(b, GC, 1, 50, 400, prio=WEAK)
    futex(b, GC, 295, 305, WAKE | PRIVATE).wake(300, APP, waker=GC, prio=STRONG)
    b.switch(306, 0, "R", APP, prio=(120, STRONG))
    analysis = analyze_trace(b.trace(end=500))
    assert chains(analysis) == [(100, 300, f"futex:{GC}:inferred", "inferred", 200)]
    wait = analysis["futex_waits"].iloc[0]
    assert wait[["tid", "start_ns", "end_ns", "slept_ns", "address", "operation", "holder_tid"]].tolist() == [
        APP, 95, 310, 200, 0x7000, "FUTEX_WAIT", GC,
    ]  # fmt: skip


@pytest.mark.parametrize(("addr", "op"), [(0x7008, WAKE | PRIVATE), (0x7000, WAIT | PRIVATE), (0x7000, WAKE)])
def test_another_futex_or_an_interrupt_names_nobody(addr: int, op: int) -> None:
    """Woken by a thread in a call on another address, in no waking call, or in one for a futex that processes share."""
    b = futex(runs(build(), APP, 0, 10, 100), APP, 95, 310, WAIT | PRIVATE)
    futex(runs(b, GC, 1, 50, 400), GC, 295, 305, op, addr=addr).wake(300, APP, waker=GC).switch(306, 0, "R", APP)
    assert chains(analyze_trace(b.trace(end=500))) == [(100, 300, "futex:-1:unknown", "unknown", 0)]


def test_a_futex_that_inherits_has_its_owners_exactly() -> None:
    """GC gives the lock back to RenderThread, which gives it back to the UI thread."""
    b = futex(runs(build(), APP, 0, 10, 100, prio=STRONG), APP, 95, 410, LOCK_PI | PRIVATE)
    b = futex(runs(b, GC, 1, 50, 400, prio=WEAK), GC, 200, 210, UNLOCK_PI | PRIVATE)
    b.wake(205, OTHER, waker=GC, cpu=2)
    b = futex(runs(b, OTHER, 2, 207, 500), OTHER, 395, 405, UNLOCK_PI | PRIVATE).wake(
        400, APP, waker=OTHER, prio=STRONG
    )
    b.switch(406, 0, "R", APP, prio=(120, STRONG))
    assert chains(analyze_trace(b.trace(end=600))) == [
        (100, 200, f"futex:{GC}:exact", "exact", 100),
        (200, 400, f"futex:{OTHER}:exact", "exact", 195),  # its priority is not known before its first event
    ]


@pytest.mark.parametrize(
    ("owner", "flag", "ret", "first"),
    [
        (GC, 0, 0, [(100, 200, f"futex:{GC}:exact", "exact", 0)]),
        (
            WORKER,
            0,
            0,
            [(100, 200, f"futex:{WORKER}:inferred", "inferred", 0)],
        ),  # perhaps another futex at that address
        (WORKER, PRIVATE, 0, []),
        (GC, PRIVATE, -1, []),  # it is not the owner
    ],
)
def test_whose_release_of_an_inherited_futex_is_certain(owner: int, flag: int, ret: int, first: list[Row]) -> None:
    """Somebody gives a lock at that address back at 200; the one who wakes the UI thread at 400 does so for certain."""
    b = futex(runs(build(), APP, 0, 10, 100), APP, 95, 410, LOCK_PI | flag)
    b = futex(runs(b, owner, 1, 50, 300), owner, 200, 210, UNLOCK_PI | flag, ret=ret)
    b = futex(runs(b, OTHER, 2, 207, 500), OTHER, 395, 405, UNLOCK_PI | flag).wake(400, APP, waker=OTHER)
    b.switch(406, 0, "R", APP)
    since = 200 if first else 100
    last = (since, 400, f"futex:{OTHER}:exact", "exact", 0)
    assert chains(analyze_trace(b.trace(end=600))) == [*first, last]


def test_what_no_release_explains_has_an_unknown_owner() -> None:
    b = futex(runs(build(), APP, 0, 10, 100), APP, 95, 410, LOCK_PI | PRIVATE, ret=-110)
    b = futex(runs(b, GC, 1, 50, 400), GC, 200, 210, UNLOCK_PI | PRIVATE).wake(400, APP)
    b.switch(406, 0, "R", APP)
    assert chains(analyze_trace(b.trace(end=600))) == [
        (100, 200, f"futex:{GC}:exact", "exact", 0),
        (200, 400, "futex:-1:unknown", "unknown", 0),
    ]


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


def test_a_contended_release_names_the_holders_in_turn() -> None:
    b = runs(build(), APP, 0, 10, 100, "D", prio=STRONG).contend(90, APP, 0x100, MUTEX)
    b = runs(b, GC, 1, 50, 400, prio=WEAK).release(200, GC, 0x100).release(250, OTHER, 0x200).release(300, OTHER, 0x100)
    b.wake(310, APP, waker=OTHER, prio=STRONG).switch(320, 0, "R", APP, prio=(120, STRONG)).contend(
        330, APP, 0x100, None
    )
    analysis = analyze_trace(b.trace(end=400))
    assert chains(analysis) == [
        (90, 200, f"mutex:{GC}:exact", "exact", 110),
        (200, 300, f"mutex:{OTHER}:exact", "exact", 0),
        (300, 330, "mutex:-1:unknown", "unknown", 0),
    ]  # fmt: skip
    other = analysis["other_waits"].iloc[0]
    assert (other["holder_tid"], WHO_EVIDENCE[other["holder_evidence"]]) == (OTHER, "exact")


def test_without_it_the_waker_is_taken_for_the_holder() -> None:
    b = runs(build(), APP, 0, 10, 100, "D", prio=STRONG).contend(90, APP, 0x100, MUTEX)
    runs(b, GC, 1, 50, 400, prio=WEAK).wake(310, APP, waker=GC, prio=STRONG)
    b.switch(320, 0, "R", APP, prio=(120, STRONG)).contend(330, APP, 0x100, None)
    analysis = analyze_trace(b.trace(end=400))
    assert chains(analysis) == [(90, 330, f"mutex:{GC}:inferred", "inferred", 240)]


def test_a_reader_behind_a_writer_behind_the_collector() -> None:
    """The chain of three that a detector of one hop misses, with the releases that confirm it."""
    b = build().lock(20, GC, "start").lock(21, GC, "acquired")
    b = runs(b, GC, 1, 15, 420, prio=WEAK)
    b = runs(b, OTHER, 2, 30, 50, "D").lock(40, OTHER, "start", write=True).contend(45, OTHER, MM + 8, WRITE)
    b = runs(b, APP, 0, 60, 80, "D", prio=STRONG).lock(70, APP, "start").contend(75, APP, MM + 8, 2)
    b.lock(300, GC, "released").release(301, GC, MM + 8).wake(302, OTHER, waker=GC, cpu=2)
    b.switch(310, 0, "R", OTHER, cpu=2).contend(312, OTHER, MM + 8, None).lock(315, OTHER, "acquired", write=True)
    b.lock(350, OTHER, "released", write=True).release(351, OTHER, MM + 8).wake(352, APP, waker=OTHER, prio=STRONG)
    b.switch(360, 0, "R", APP, prio=(120, STRONG)).contend(362, APP, MM + 8, None).lock(365, APP, "acquired")
    b.lock(380, APP, "released")
    analysis = analyze_trace(b.trace(end=500))
    of_ui = [row for row, tid in zip(chains(analysis), analysis["blame"]["waiter_tid"], strict=True) if tid == APP]
    assert of_ui[0] == (70, 300, f"mmap_lock:{OTHER}:exact mmap_lock:{GC}:exact", "exact", 230)
    assert (315, 350, f"mmap_lock:{OTHER}:exact", "exact", 35) in of_ui
    assert analysis.releases == (2, 0, 0)  # both waits end at the thread that the kernel names


def test_a_release_that_differs_is_counted() -> None:
    b = build().lock(20, GC, "start").lock(21, GC, "acquired", write=True)
    b = runs(b, APP, 0, 60, 80, "D").lock(70, APP, "start", write=True).contend(75, APP, MM + 8, WRITE)
    b.lock(300, GC, "released", write=True).release(301, OTHER, MM + 8).wake(302, APP, waker=GC)
    b.switch(310, 0, "R", APP).contend(312, APP, MM + 8, None).lock(315, APP, "acquired", write=True)
    assert analyze_trace(b.trace(end=500)).releases == (0, 1, 0)
    assert analyze_trace(TraceBuilder().trace()).releases is None
    assert analyze_trace(build().trace(enabled={"lock:contended_release"})).releases == (0, 0, 0)


def test_names_of_rwsems_and_folios() -> None:
    b = build()
    for n, (caller, io) in enumerate(
        (
            ("anon_vma_clone+0x4/0x8", False), ("rmap_walk_file+0x1/0x2", False), ("rwsem_down_write_slowpath+0x1/0x2", False),
            ("folio_wait_bit_common+0x1/0x2", True), ("folio_wait_writeback+0x1/0x2", True), ("vma_prepare+0x1/0x2", False),
        )
    ):  # fmt: skip
        b = runs(b, APP, 0, 100 * n + 10, 100 * n + 20, "D").wake(100 * n + 60, APP, waker=GC)
        b.reason(100 * n + 61, APP, caller, io=io)
    table = analyze_trace(b.trace(end=700))["other_waits"]
    assert [*zip(table["kind"], table["name"], table["write"], table["holder_tid"], strict=True)] == [
        ("rwsem", "anon_vma", True, GC), ("rwsem", "i_mmap", False, GC), ("rwsem", "", True, GC),
        ("folio", "", True, -1), ("writeback", "", False, -1),
    ]  # fmt: skip


def test_a_name_goes_with_the_address_unless_two_were_told() -> None:
    b = build()
    told = (
        (0x100, "unlink_anon_vmas+0x1"),
        (0x100, ""),
        (0x200, "anon_vma_fork+0x1"),
        (0x200, "vma_link+0x1"),
        (0x200, ""),
    )
    for n, (addr, caller) in enumerate(told):
        at = 100 * n
        b = runs(b.contend(at + 15, BINDER, addr, WRITE), BINDER, 0, at + 10, at + 20, "D").wake(
            at + 60, BINDER, waker=GC
        )
        if caller:
            b.reason(at + 61, BINDER, caller)
        b.switch(at + 65, 0, "R", BINDER).contend(at + 70, BINDER, addr, None).switch(at + 80, BINDER, "S", 0)
    table = analyze_trace(b.trace(end=700))["other_waits"]
    assert [*zip(table["name"], (WHO_EVIDENCE[e] for e in table["name_evidence"]), strict=True)] == [
        ("anon_vma", "exact"), ("anon_vma", "inferred"), ("anon_vma", "exact"), ("i_mmap", "exact"), ("", "unknown"),
    ]  # fmt: skip
