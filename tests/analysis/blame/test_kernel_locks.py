"""Chains through locks of the kernel, and who gave them back."""

from __future__ import annotations

import pytest

from android_suite.analysis.pipeline import analyze_trace
from android_suite.tables.derived import WHO_EVIDENCE
from tests.analysis.blame.blaming import MUTEX, OTHER, STRONG, WEAK, WRITE, build, chains, runs
from tests.analysis.build import APP, BINDER, GC, MM, TraceBuilder


def test_a_contended_release_names_the_holders_in_turn() -> None:
    b = runs(build(), APP, 0, 10, 100, "D", prio=STRONG).contend(90, APP, 0x100, MUTEX)
    b = runs(b, GC, 1, 50, 400, prio=WEAK).release(200, GC, 0x100).release(250, OTHER, 0x200).release(300, OTHER, 0x100)
    b.wake(310, APP, waker=OTHER, prio=STRONG).switch(320, 0, "R", APP, prio=(120, STRONG)).contend(
        330, APP, 0x100, None
    )
    analysis = analyze_trace(b.trace(end=400))
    assert chains(analysis) == [
        (90, 200, f"mutex:{GC}:exact", "exact", 110),
        (200, 300, f"mutex:{OTHER}:inferred", "inferred", 0),  # nothing shows when it took it
        (300, 330, "mutex:-1:unknown", "unknown", 0),
    ]  # fmt: skip
    other = analysis["other_waits"].iloc[0]
    assert (other["holder_tid"], WHO_EVIDENCE[other["holder_evidence"]]) == (OTHER, "exact")


SPIN = 1


SPUN, ASLEEP = (60, 90, GC, "inferred"), (90, 200, GC, "exact")
FREE = (200, 230, -1, "unknown")


@pytest.mark.parametrize(
    ("queued", "took", "wanted"),
    [
        (90, None, [SPUN, ASLEEP, (200, 300, OTHER, "inferred")]),
        (90, (70, 230), [SPUN, ASLEEP, (200, 300, OTHER, "exact")]),  # it was in front
        (90, (210, 230), [SPUN, ASLEEP, FREE, (230, 300, OTHER, "exact")]),
        (250, (210, 230), [(60, 200, GC, "inferred"), FREE, (230, 250, OTHER, "inferred"), (250, 300, OTHER, "exact")]),
        (None, None, [(60, 200, GC, "inferred"), (200, 300, OTHER, "inferred")]),
    ],
)
def test_a_release_proves_an_owner_only_while_the_waiter_is_queued(
    queued: int | None, took: tuple[int, int] | None, wanted: list[tuple[int, int, int, str]]
) -> None:
    """The UI thread spins from 60 on and is queued later, or never; RenderThread spins, too, and may be queued at 70."""
    b = runs(runs(build(), APP, 0, 10, 400), GC, 1, 20, 400).contend(60, APP, 0x100, MUTEX | SPIN)
    if queued:
        b.contend(queued, APP, 0x100, MUTEX)
    if took:
        b.contend(65 if took[0] == 70 else took[0], OTHER, 0x100, MUTEX | SPIN)
        if took[0] == 70:
            b.contend(70, OTHER, 0x100, MUTEX)
        b.contend(took[1], OTHER, 0x100, None)
    b.release(200, GC, 0x100).release(300, OTHER, 0x100).contend(330, APP, 0x100, None)
    analysis = analyze_trace(b.trace(end=500))
    mine = [row for row, tid in zip(chains(analysis), analysis["blame"]["waiter_tid"], strict=True) if tid == APP]
    rest = (300, 330, -1, "unknown")
    assert [row[:3] for row in mine] == [(s, e, f"mutex:{who}:{how}") for s, e, who, how in [*wanted, rest]]
    other = analysis["other_waits"].query(f"tid == {APP}").iloc[0]
    assert (other["queued_ns"], other["holder_tid"]) == (queued or -1, OTHER)
    assert WHO_EVIDENCE[other["holder_evidence"]] == ("exact" if queued else "inferred")


def test_who_gave_up_is_not_taken_for_the_next_owner() -> None:
    """RenderThread leaves the queue at 230 with an error, and gets the lock later by a trylock."""
    b = (
        runs(runs(build(), APP, 0, 10, 400), GC, 1, 20, 400)
        .contend(50, OTHER, 0x100, MUTEX)
        .contend(60, APP, 0x100, MUTEX)
    )
    b.release(200, GC, 0x100).contend(230, OTHER, 0x100, None, ret=-4).release(300, OTHER, 0x100)
    analysis = analyze_trace(b.contend(330, APP, 0x100, None).trace(end=500))
    mine = [row[:3] for row, tid in zip(chains(analysis), analysis["blame"]["waiter_tid"], strict=True) if tid == APP]
    assert mine[1] == (200, 300, f"mutex:{OTHER}:inferred")


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


@pytest.mark.parametrize(("links", "steps", "cut"), [(7, 7, False), (8, 8, False), (9, 8, True)])
def test_a_chain_of_eight_that_ends_is_not_cut(links: int, steps: int, cut: bool) -> None:
    """The UI thread waits for a mutex whose owner waits for the next one, and so on."""
    b = build()
    row = [APP, *range(400, 400 + links)]
    for n, tid in enumerate(row[:-1]):
        runs(b.contend(20 + n, tid, 0x100 * (n + 1), MUTEX), tid, n, 10, 50, "D")
    runs(b, row[-1], links, 10, 350)  # the owner of the last one waits for nobody
    for n, tid in enumerate(row[1:]):
        b.release(300 - n, tid, 0x100 * (n + 1))
    for n, tid in enumerate(row[:-1]):
        b.contend(310 + n, tid, 0x100 * (n + 1), None)
    analysis = analyze_trace(b.trace(end=400))
    (held,) = analysis["blame"].query("start_ns <= 150 < end_ns and waiter_tid == 100").to_dict("records")
    assert (held["links"], held["end_tid"], held["cut"]) == (steps, 400 + steps - 1, cut)
    # From when all wait until the last one of the chain gives its lock back.
    assert (held["start_ns"], held["end_ns"]) == (20 + links - 1, 300 - steps + 1)
    assert analysis["blame"]["cut"].sum() == int(cut)
