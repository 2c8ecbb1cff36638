"""Judges the analysis of a trace that is cut or has lost events: nothing may be wrong, but much may be unknown."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from android_suite.tables.derived import HOW, INVERSION_KINDS, LOCKS, OUTCOMES, PATHS, REASONS, UNKNOWN
from android_suite.tables.trace import Trace
from tests.simulator.asked import Asked, Mine, analyze_worlds
from tests.simulator.check import false_vma_waits, states_true
from tests.simulator.kernel import Moment, VmaWait, Wait
from tests.simulator.layout import NUMBERS, Place, place
from tests.simulator.truth import holders_at, suspects_at, writers_ahead
from tests.simulator.world import World


def check_partial(worlds: Sequence[World], trace: Trace, asked: Asked, *, apart: bool) -> list[str]:
    """Every claim must be true, except those marked unknown; a lower bound must not be above the truth.

    Args:
        worlds: all of the trace.
        trace: what is left of it.
        asked: what its form can tell.
        apart: how the worlds lie in it, see layout.place.
    """
    analysis, parts = analyze_worlds(worlds, trace, asked)
    found: list[str] = []
    for number, (world, mine) in enumerate(zip(worlds, parts, strict=True)):
        at = place(number, apart=apart)
        problems = [
            *_locks_true(world, mine, at, asked), *false_vma_waits(world, mine, at, asked, whole=False),
            *_blockers_true(world, mine, at, asked),
            *_inversions_true(world, mine, at, asked),
            *_madvise_true(world, mine, at, asked), *states_true(world, analysis, at, asked, whole=False),
        ]  # fmt: skip
        found += [f"world {world.seed}: {p}" for p in problems]
    return found


def _locks_true(world: World, mine: Mine, at: Place, asked: Asked) -> Iterator[str]:
    exact = {(w.tid + at.tid, w.mm + at.mm, w.write, w.start + at.ts): w for w in world.record.waits}
    for tid, mm, write, start, end, outcome, quality, _ in mine.waits.values():
        if quality == UNKNOWN:
            continue
        asked.counts["waits"] += 1
        true = exact.get((tid, mm, write, start))
        if true is None:
            yield f"wait of {tid} at {start} is not true"
        elif quality == 0 and (true.end + at.ts != end or true.outcome != OUTCOMES[outcome]):
            yield f"wait of {tid} at {start}: claimed end {end} {OUTCOMES[outcome]}, true {true}"
        elif quality == 1 and 0 <= true.end < min(end - at.ts, world.end):
            yield f"wait of {tid} at {start}: claimed at least to {end}, true {true}"
    by_start = {(h.tid + at.tid, h.mm + at.mm, h.start + at.ts): h for h in world.record.holds}
    by_end = {(h.tid + at.tid, h.mm + at.mm, h.end + at.ts): h for h in world.record.holds if h.end >= 0}
    for tid, mm, write, start, end, how, quality, down in mine.holds.values():
        if quality == UNKNOWN:
            continue
        asked.counts["holds"] += 1
        name = HOW[how]
        true_hold = by_end.get((tid, mm, end)) if name == "cut" else by_start.get((tid, mm, start))
        if true_hold is None:
            # A downgrade whose first half is before the trace looks like an acquire; that it holds from then on is true.
            true_hold = next(
                (
                    h
                    for h in world.record.holds
                    if (h.tid + at.tid, h.mm + at.mm, h.downgrade + at.ts) == (tid, mm, start)
                ),
                None,
            )
            if true_hold is None or name != "unknown":
                yield f"hold of {tid} at {start} ({name}) is not true"
                continue
            write, down = true_hold.write, true_hold.downgrade + at.ts
        if name == "cut" and true_hold.start + at.ts > start:
            yield f"hold of {tid} claimed from {start}, true {true_hold}"
        if name in ("lock", "trylock") and true_hold.how != name:
            yield f"hold of {tid} at {start}: claimed {name}, true {true_hold}"
        if quality == 0 and true_hold.end + at.ts != end:
            yield f"hold of {tid} at {start}: claimed end {end}, true {true_hold}"
        if name != "cut" and write != true_hold.write:
            yield f"hold of {tid} at {start}: claimed write={write}, true {true_hold}"
        if name != "cut" and down >= 0 and down != true_hold.downgrade + at.ts:
            yield f"hold of {tid} at {start}: claimed downgrade {down}, true {true_hold}"


def _moments(world: World, begins: Sequence[int], at: Place, start: int, end: int) -> Iterator[tuple[Moment, int, int]]:
    """The moments between two times of the trace, each with the part of it that lies between them."""
    for moment in world.kernel.diary[max(bisect_right(begins, start) - 1, 0) :]:
        low, high = max(moment.start + at.ts, start), min(moment.end + at.ts, end)
        if low >= high:
            return
        yield moment, low, high


def _all_told(world: World) -> set[int]:
    return {id(w) for w in world.record.vma_waits}


def _find_wait(moment: Moment, at: Place, claim: Mapping[str, object]) -> Wait | VmaWait | None:
    """The wait that a row of blockers or inversions is about; None: that thread does not wait for that lock."""
    waits = moment.vma_waits if LOCKS[claim["lock"]] == "vma_lock" else moment.waits
    return next((w for w in waits if (w.tid + at.tid, w.mm + at.mm) == (claim["waiter_tid"], claim["mm"])), None)


def _blockers_true(world: World, mine: Mine, at: Place, asked: Asked) -> Iterator[str]:
    """Who is said to have stood in front of a wait did so all the time; who is not said may have, too."""
    begins, told = [m.start + at.ts for m in world.kernel.diary], _all_told(world)
    for r in mine.blockers:
        asked.counts["blockers"] += 1
        start, end = r["start_ns"], min(r["end_ns"], world.end + at.ts)
        for moment, low, _ in _moments(world, begins, at, start, end):
            wait = _find_wait(moment, at, r)
            true = [
                s for s in (holders_at(moment, wait, told) if wait else ()) if s.hold.tid + at.tid == r["holder_tid"]
            ]
            # The first writer of the queue may have come before the trace; then the first that shows is named.
            across = LOCKS[r["lock"]] != LOCKS[r["holder_lock"]]
            ahead = {w.tid + at.tid for w in writers_ahead(moment, wait)} if wait and not across else set()
            ahead |= {s.via + at.tid for s in true if s.kind == "chained" and across}
            via_true = r["via_tid"] in ahead if r["via_tid"] >= 0 else bool(true) and true[0].kind == "direct"
            if not true or not via_true or wait.write != r["waiter_write"]:
                yield (
                    f"{r['waiter_tid']} is said to wait for {r['holder_tid']} behind {r['via_tid']} from {start} to {end}, "
                    f"which is not true at {low}"
                )
                return
            operation = true[0].hold.operation
            if r["operation"] not in asked.operations(operation, whole=False) | _number_of(operation):
                yield f"blocker at {start}: claimed {r['operation']}, true {operation}"
                return


def _inversions_true(world: World, mine: Mine, at: Place, asked: Asked) -> Iterator[str]:
    begins, told = [m.start + at.ts for m in world.kernel.diary], _all_told(world)
    for r in mine.inversions:
        asked.counts[INVERSION_KINDS[r["kind"]]] += 1
        asked.counts["intruders"] += len(r["intruders"])
        start, end = r["start_ns"], min(r["end_ns"], world.end + at.ts)
        states, ran = defaultdict(int), defaultdict(int)
        of_vma = LOCKS[r["holder_lock"]] == "vma_lock"
        hold_end = mine.vma_waits[r["hold"]]["end_ns"] if of_vma else mine.holds[r["hold"]][4]
        for moment, low, high in _moments(world, begins, at, start, end):
            wait = _find_wait(moment, at, r)
            suspects = suspects_at(moment, wait, told) if wait else []
            blamed = [s for s in suspects if s.hold.tid + at.tid == r["holder_tid"]]
            if not blamed or blamed[0].kind != INVERSION_KINDS[r["kind"]]:
                yield f"inversion {start}..{end} of {r['waiter_tid']} by {r['holder_tid']} is not true at {low}"
                return
            state, cpu, _ = moment.threads[blamed[0].hold.tid]
            states[state if state in ("running", "runnable") else "blocked"] += high - low
            on_cpu = moment.on_cpu[cpu]
            if state == "runnable" and on_cpu not in (0, wait.tid, blamed[0].hold.tid):
                ran[on_cpu + at.tid] += high - low
            operation = blamed[0].hold.operation
            if r["operation"] not in asked.operations(operation, whole=False) | _number_of(operation):
                yield f"inversion at {start}: claimed {r['operation']}, true {operation}"
                return
        spent = (r["running_ns"], r["runnable_ns"], r["blocked_ns"])
        whole = r["end_ns"] <= world.end + at.ts and hold_end <= world.end + at.ts
        if whole and spent != (states["running"], states["runnable"], states["blocked"]):
            yield f"inversion at {start}: claimed states {spent}, true {dict(states)}"
        complete = r["intruders"] == ran if r["quality"] == 0 else r["intruders"].items() <= ran.items()
        if whole and not complete:
            yield f"inversion at {start}: claimed intruders {r['intruders']}, true {dict(ran)}"


def _number_of(operation: str) -> set[str]:
    """Text does not name calls by itself, and too few of them do not show the architecture."""
    number = NUMBERS.get(operation.split("(")[0])
    return {f"syscall {number}"} if number else set()


def _madvise_true(world: World, mine: Mine, at: Place, asked: Asked) -> Iterator[str]:
    true = {(c.tid + at.tid, c.start + at.ts): c for c in world.record.calls}
    for m in mine.madvise:
        path, reason = PATHS[m["path"]], REASONS[m["reason"]]
        if path == "unknown":
            continue
        asked.counts["madvise"] += 1
        call = true.get((m["tid"], m["start_ns"]))
        if call is None or call.end != m["end_ns"] - at.ts or path != ("mmap_lock" if call.locked else "per_vma"):
            yield f"madvise of {m['tid']} at {m['start_ns']}: claimed {path}, true {call}"
        elif path == "mmap_lock" and reason not in asked.reasons(call.reason, whole=False):
            yield f"madvise of {m['tid']} at {m['start_ns']}: claimed {reason}, true {call}"
