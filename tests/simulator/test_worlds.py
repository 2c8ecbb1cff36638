"""The short form of ``python -m tests.simulator``, and proof that it would notice."""

from __future__ import annotations

import dataclasses

import pytest

from android_suite.trace.text import read_text
from tests.simulator import check, truth
from tests.simulator.check import check_whole
from tests.simulator.layout import list_events, make_trace
from tests.simulator.text import render_text
from tests.simulator.world import END_NS, make_world
from tests.simulator.worlds import check_batch, make_batch


@pytest.mark.parametrize("batch", range(4))
def test_the_analysis_tells_the_truth(batch: int) -> None:
    assert [*check_batch(batch)] == []


@pytest.mark.parametrize("batch", [0, 1])
def test_the_same_worlds_read_from_text(batch: int) -> None:
    worlds = make_batch(batch)
    read = read_text(render_text(list_events(worlds, apart=False)).encode())
    named = make_trace(worlds, list_events(worlds, apart=False))["threads"]  # the text has no tgid column
    assert read.source.lost_events == 0
    source = dataclasses.replace(
        read.source, start_ns=0, end_ns=END_NS, enabled_events=frozenset({"mmap_lock:mmap_lock_start_locking"} | (
            {"raw_syscalls:sys_enter"} if worlds[0].all_calls else set()
        )),
    )  # fmt: skip
    assert check_whole(worlds, dataclasses.replace(read, source=source, tables={**read.tables, "threads": named})) == []


def test_a_world_is_the_same_every_time() -> None:
    one, two = make_world(7), make_world(7)
    assert one.kernel.rows == two.kernel.rows
    assert one.kernel.rows != make_world(9).kernel.rows


def test_the_worlds_hold_what_they_are_for() -> None:
    """Direct and chained inversions, several holders, all holder states, intruders, downgrades, trylocks, kills."""
    worlds = [w for n in range(4) for w in make_batch(n)]
    found = [i for w in worlds for i in truth.find_inversions(w)]
    holds = [h for w in worlds for h in w.kernel.holds]
    assert {i.kind for i in found} == {"direct", "chained"}
    assert {s for i in found for s in i.states} == {"running", "runnable", "blocked"}
    assert any(i.holders > 1 for i in found)
    assert sum(len(i.intruders) for i in found) > 50
    assert {h.how for h in holds} == {"lock", "trylock"}
    assert any(h.downgrade >= 0 for h in holds)
    assert {"failed", "acquired", "cut"} == {w.outcome for x in worlds for w in x.kernel.waits}


def test_a_wrong_blame_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds = make_batch(0)
    assert check_whole(worlds) == []

    original = truth.suspects_at
    monkeypatch.setattr(truth, "suspects_at", lambda m, w: [s for s in original(m, w) if s.kind == "direct"])
    problems = check.check_whole(worlds)
    assert problems
    assert all("inversions" in p for p in problems)


def test_a_shifted_event_is_noticed() -> None:
    worlds = make_batch(1)
    hold = next(h for w in worlds for h in w.kernel.holds if h.end > 0)
    moved = dataclasses.replace(hold, end=hold.end + 1)
    world = next(w for w in worlds if any(h is hold for h in w.kernel.holds))
    world.kernel.holds[world.kernel.holds.index(hold)] = moved
    assert any("holds" in p for p in check_whole(worlds))
