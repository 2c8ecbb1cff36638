"""The short form of ``python -m tests.simulator``, and proof that it would notice."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from tests.simulator import truth
from tests.simulator.asked import Asked
from tests.simulator.check import check_whole
from tests.simulator.check_partial import check_partial
from tests.simulator.files import read_through_file
from tests.simulator.layout import Row, drop_events, list_events, make_trace
from tests.simulator.memory import Patch
from tests.simulator.recording import FORMATS, Recording, draw_recording, keep_recorded
from tests.simulator.world import World, make_world
from tests.simulator.worlds import check_batch, make_batch

PATCH = Patch(dontneed=True, free=False)
PLAIN = Recording(format="tables", all_calls=True)


@pytest.mark.parametrize("batch", range(len(FORMATS)))
def test_the_analysis_tells_the_truth(batch: int) -> None:
    """One batch a format, through tables and through the file."""
    counts: Counter[str] = Counter()
    assert [*check_batch(batch, counts, size=4)] == []
    form = draw_recording(batch).format
    assert form == FORMATS[batch]
    assert [counts[f"{f} {shape}"] for f in (form, "tables") for shape in ("whole", "cut", "lossy")] == [4] * 6


def whole(worlds: Sequence[World]) -> list[str]:
    rows = list_events(worlds, apart=False)
    return check_whole(worlds, make_trace(worlds, rows, all_calls=True), Asked.of(PLAIN, rows, Counter()))


def test_a_world_is_the_same_every_time() -> None:
    one, two = make_world(7, PATCH), make_world(7, PATCH)
    assert one.kernel.rows == two.kernel.rows
    assert one.kernel.rows != make_world(9, PATCH).kernel.rows


def test_the_worlds_hold_what_they_are_for() -> None:
    worlds = [w for n in range(4) for w in make_batch(n, 10)]
    found = [i for w in worlds for i in truth.find_inversions(w, {id(x) for x in w.record.vma_waits})]
    holds = [h for w in worlds for h in w.record.holds]
    calls = [c for w in worlds for c in w.record.calls]
    assert {i.kind for i in found} == {"direct", "chained"}
    assert {s for i in found for s in i.states} == {"running", "runnable", "blocked"}
    assert any(i.holders > 1 for i in found)
    assert sum(len(i.intruders) for i in found) > 50
    assert {h.how for h in holds} == {"lock", "trylock"}
    assert any(h.downgrade >= 0 for h in holds)
    assert {"failed", "acquired", "cut"} == {w.outcome for x in worlds for w in x.record.waits}
    operations = {i.hold.operation.split("(")[0] for i in found}
    assert operations >= {"madvise", "process_madvise", "mmap", "munmap", "mprotect", "clone", "fault", "read"}
    reasons = {"remote", "spans_vmas", "userfaultfd", "vma_lock_busy", "advice", "unpatched"}
    assert {c.reason for c in calls if c.locked} >= reasons
    assert any(c.call == "madvise" and not c.locked for c in calls)
    stretches = [s for w in worlds for own in w.states.values() for s in own]
    assert any(s.state == "dead" for s in stretches)
    assert any(t.tgid == t.tid for w in worlds for t in w.kernel.threads.values() if t.tid >= 108)
    # A holder, a waiter, one who spins: priorities change while they wait, and locks are stolen.
    assert any(len({s.prio for s in w.states[x.tid] if s.start < x.end and s.end > x.start}) > 1
               for w in worlds for x in w.record.waits)  # fmt: skip
    assert any(overtaken(w) for w in worlds)


def overtaken(world: World) -> bool:
    """Whether a writer got a lock before another who queued earlier."""
    done = [w for w in world.record.waits if w.write and w.outcome == "acquired"]
    return any(a.mm == b.mm and a.start < b.start and b.end < a.end for a in done for b in done)


def test_a_wrong_blame_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds = make_batch(0, 6)
    assert whole(worlds) == []
    original = truth.suspects_at
    monkeypatch.setattr(truth, "suspects_at", lambda m, w, t: [s for s in original(m, w, t) if s.kind == "direct"])
    problems = whole(worlds)
    assert problems
    assert all("inversions" in p for p in problems)


def test_a_holder_that_is_left_out_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds = make_batch(0, 6)
    together = [(m, w) for x in worlds for m in x.kernel.diary for w in m.waits if len(truth.holders_at(m, w, ())) > 1]
    assert together
    original = truth.holders_at
    monkeypatch.setattr(truth, "holders_at", lambda m, w, t: original(m, w, t)[:1])
    assert any("blockers" in p for p in whole(worlds))


def test_a_shifted_event_is_noticed() -> None:
    worlds = make_batch(1, 6)
    world = next(w for w in worlds if any(h.end > 0 for h in w.record.holds))
    at = next(i for i, h in enumerate(world.record.holds) if h.end > 0)
    world.record.holds[at] = dataclasses.replace(world.record.holds[at], end=world.record.holds[at].end + 1)
    assert any("holds" in p for p in whole(worlds))


def later(rows: list[Row]) -> list[Row]:
    """A release is written a nanosecond too late."""
    at = next(i for i, r in enumerate(rows) if r[2] == "mmap_lock" and r[3][1] == 2)
    return [*rows[:at], (rows[at][0] + 1, *rows[at][1:]), *rows[at + 1 :]]


def stronger(rows: list[Row]) -> list[Row]:
    """A thread comes to its CPU with another priority than its own."""
    at = next(i for i, r in enumerate(rows) if r[2] == "sched_switch" and r[3][3] and i > len(rows) // 3)
    ts, cpu, table, values = rows[at]
    return [*rows[:at], (ts, cpu, table, (*values[:4], int(str(values[4])) - 1)), *rows[at + 1 :]]


def other_mm(rows: list[Row]) -> list[Row]:
    """A wait begins for another lock than it ends for."""
    at = next(i for i, r in enumerate(rows) if r[2] == "mmap_lock" and r[3][1] == 0)
    ts, cpu, table, values = rows[at]
    return [*rows[:at], (ts, cpu, table, (*values[:2], int(str(values[2])) + 64, *values[3:])), *rows[at + 1 :]]


@pytest.fixture(scope="module")
def some_worlds() -> list[World]:
    return [make_world(i, PATCH) for i in range(3)]


@pytest.mark.parametrize(("number", "mistake"), [*enumerate((later, stronger, other_mm, later, other_mm))])
def test_a_mistake_in_a_file_is_noticed(
    number: int, mistake: Callable[[list[Row]], list[Row]], some_worlds: list[World]
) -> None:
    recording = draw_recording(number)
    rows = keep_recorded(list_events(some_worlds, apart=False), recording)
    trace = read_through_file(some_worlds, mistake(rows), [], recording, lossy=False)
    assert check_whole(some_worlds, trace, Asked.of(recording, rows, Counter()))


@pytest.mark.parametrize("number", range(len(FORMATS)))
def test_losses_that_a_file_keeps_quiet_are_noticed(number: int, some_worlds: list[World]) -> None:
    """Each format's way to tell of lost events is needed: without it the analysis claims what is not true."""
    recording = replace(draw_recording(number), loss="marks", faults=False)
    rows = list_events(some_worlds, apart=False)
    left, gaps = drop_events(keep_recorded(rows, recording), random.Random(3), 30, 20_000, ends_told=False)

    trace = read_through_file(some_worlds, left, [], recording, lossy=False)
    assert gaps
    assert check_partial(some_worlds, trace, Asked.of(recording, left, Counter()), apart=False)
