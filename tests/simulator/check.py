"""Compares the analysis of a whole trace with the truth of the worlds in it; every difference is a sentence."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from android_suite.analysis.pipeline import Analysis
from android_suite.tables.derived import HOW, INVERSION_KINDS, LOCKS, OUTCOMES, PATHS, REASONS, STATES, UNKNOWN
from android_suite.tables.trace import Trace
from tests.simulator.asked import Asked, Mine, analyze_worlds
from tests.simulator.kernel import VmaWait
from tests.simulator.layout import Place, list_threads, place
from tests.simulator.truth import find_blockers, find_inversions
from tests.simulator.world import World

OWN_MM_CALLS = ("mmap", "munmap", "mprotect")  # they show whose mm it is that they lock


def check_whole(worlds: Sequence[World], trace: Trace, asked: Asked) -> list[str]:
    """A trace in which nothing is missing: everything must be equal, as far as its form tells it.

    Args:
        worlds: all of the trace, at the same time.
        trace: of these worlds.
        asked: what its form can tell.
    """
    analysis, parts = analyze_worlds(worlds, trace, asked)
    found = [f"worlds {worlds[0].seed}..: {p}" for p in _same_threads(worlds, trace, asked)]
    for number, (world, mine) in enumerate(zip(worlds, parts, strict=True)):
        at = place(number, apart=False)
        problems = [
            *_same_locks(world, mine, at, asked), *_same_vma_waits(world, mine, at, asked),
            *_same_blockers(world, mine, at, asked),
            *_same_inversions(world, mine, at, asked),
            *_same_madvise(world, mine, at, asked), *states_true(world, analysis, at, asked, whole=True),
        ]  # fmt: skip
        found += [f"world {world.seed}: {p}" for p in problems]
    # Contention on an rw_semaphore of a VMA that nothing else explains stays a wait for some rwsem.
    left = sum(len(w.record.vma_waits) - len(told_vma_waits(w, mine, place(n, apart=False)))
               for n, (w, mine) in enumerate(zip(worlds, parts, strict=True)) if w.rwsem_vmas)  # fmt: skip
    if analysis["other_waits"].shape[0] != left:
        found.append(f"worlds {worlds[0].seed}..: {len(analysis['other_waits'])} waits for other locks, true {left}")
    if trace.source.lost_events:
        found.append(f"worlds {worlds[0].seed}..: {trace.source.lost_events} events are said to be lost")
    return found


def _same_threads(worlds: Sequence[World], trace: Trace, asked: Asked) -> Iterator[str]:
    """Names and processes, of threads that the file must know."""
    known = list_threads(worlds)
    seen = trace["threads"].set_index("tid")
    tgids = asked.recording.tells_tgids
    for tid, tgid, comm in zip(known["tid"], known["tgid"], known["comm"], strict=True):
        if tid not in seen.index or seen.at[tid, "comm"] != comm or (tgids and seen.at[tid, "tgid"] != tgid):
            yield f"thread {tid} of {tgid}, {comm}: {seen.loc[[tid]].to_dict('records') if tid in seen.index else None}"
            return


def wait_begins(mine: Mine, row: Mapping[str, Any]) -> int:
    """When the wait of a row of blockers or inversions began."""
    of_vma = LOCKS[row["lock"]] == "vma_lock"
    return mine.vma_waits[row["wait"]]["start_ns"] if of_vma else mine.waits[row["wait"]][3]


def hold_begins(mine: Mine, row: Mapping[str, Any]) -> int:
    """When the hold of such a row began; of the reader of a VMA when the wait for it did."""
    of_vma = LOCKS[row["holder_lock"]] == "vma_lock"
    return mine.vma_waits[row["hold"]]["start_ns"] if of_vma else mine.holds[row["hold"]][3]


def _differ(what: str, mine: set[object], true: set[object]) -> Iterator[str]:
    if mine != true:
        extra, missing = sorted(mine - true, key=str)[:2], sorted(true - mine, key=str)[:2]
        yield f"{what}: found {extra}, missed {missing}"


def _same_locks(world: World, mine: Mine, at: Place, asked: Asked) -> Iterator[str]:
    outcome, how = OUTCOMES.index, HOW.index
    asked.counts["waits"] += len(world.record.waits)
    asked.counts["holds"] += len(world.record.holds)
    end = world.end
    true_waits = {
        (
            w.tid + at.tid,
            w.mm + at.mm,
            w.write,
            w.start,
            w.end if w.end >= 0 else end,
            outcome(w.outcome),
            int(w.end < 0),
        )
        for w in world.record.waits
    }
    yield from _differ("waits", {v[:7] for v in mine.waits.values()}, true_waits)
    true_holds = {
        (
            h.tid + at.tid,
            h.mm + at.mm,
            h.write,
            h.start,
            h.end if h.end >= 0 else end,
            how(h.how),
            int(h.end < 0),
            h.downgrade,
        )
        for h in world.record.holds
    }
    yield from _differ("holds", set(mine.holds.values()), true_holds)


def told_vma_waits(world: World, mine: Mine, at: Place) -> set[int]:
    """id() of the waits for a VMA that the analysis tells of; that they are true is checked apart."""
    found = {(r["tid"], r["start_ns"]) for r in mine.vma_waits.values() if r["quality"] != UNKNOWN}
    return {id(w) for w in world.record.vma_waits if (w.tid + at.tid, w.start + at.ts) in found}


def false_vma_waits(world: World, mine: Mine, at: Place, asked: Asked, *, whole: bool) -> Iterator[str]:
    """What is told of a wait for a VMA must be so: whose it is, from when to when, behind whom, and doing what."""
    true = {(w.tid + at.tid, w.start + at.ts): w for w in world.record.vma_waits}
    for r in mine.vma_waits.values():
        if r["quality"] == UNKNOWN:
            continue
        asked.counts["vma waits"] += 1
        w = true.get((r["tid"], r["start_ns"]))
        reading = w.reading if w else None
        same = w is not None and (w.end + at.ts, w.mm + at.mm) == (r["end_ns"], r["mm"])
        same = same and reading is not None and reading.tid + at.tid == r["holder_tid"]
        if not same or reading is None or r["operation"] not in asked.operations(reading.operation, whole=whole):
            yield f"wait for a VMA: claimed {r}, true {w}"


def _same_vma_waits(world: World, mine: Mine, at: Place, asked: Asked) -> Iterator[str]:
    yield from false_vma_waits(world, mine, at, asked, whole=True)
    told = told_vma_waits(world, mine, at)
    shown = {(r["tid"], r["start_ns"]) for r in mine.vma_waits.values()}
    for w in world.record.vma_waits:
        if (w.tid + at.tid, w.start) not in shown:
            yield f"wait for a VMA {w} is not even unknown"
        elif id(w) not in told and _can_be_told(world, w, asked):
            yield f"wait for a VMA {w} is not told"


def _can_be_told(world: World, wait: VmaWait, asked: Asked) -> bool:
    """Whether the trace shows what the last reader was in: a whole madvise call, or a fault."""
    if wait.end < 0 or not wait.reading or not asked.recording.tells_tgids:
        return False
    own = [c for c in world.record.calls if c.tid == wait.reading.tid]
    if wait.reading.operation != "fault":
        return any(c.start < wait.end < c.end for c in own)
    return asked.recording.faults or (asked.every_call and any(0 <= c.end < wait.end for c in own))


def _same_blockers(world: World, mine: Mine, at: Place, asked: Asked) -> Iterator[str]:
    true, found = {}, {}
    for b in find_blockers(world, told_vma_waits(world, mine, at)):
        via = b.via + at.tid if b.via >= 0 else -1
        name = b.start, b.end, b.wait.tid + at.tid, b.wait.start, b.hold.tid + at.tid, b.hold.start, via
        true[name] = b.wait.write, b.hold.write and not 0 <= b.hold.downgrade <= b.start, b.hold.operation
    for r in mine.blockers:
        name = (
            r["start_ns"],
            r["end_ns"],
            r["waiter_tid"],
            wait_begins(mine, r),
            r["holder_tid"],
            hold_begins(mine, r),
            r["via_tid"],
        )
        found[name] = r["waiter_write"], r["holder_write"], r["operation"]
    asked.counts["blockers"] += len(true)
    yield from _differ("blockers", set(found), set(true))
    for name in found.keys() & true.keys():
        *modes, operation = found[name]
        if modes != [*true[name][:2]] or operation not in asked.operations(true[name][2], whole=True):
            yield f"blocker {name}: found {found[name]}, true {true[name]}"


def _same_inversions(world: World, mine: Mine, at: Place, asked: Asked) -> Iterator[str]:
    true = {}
    for i in find_inversions(world, told_vma_waits(world, mine, at)):
        via = i.via + at.tid if i.via >= 0 else -1
        name = i.start, i.end, i.wait.start, i.wait.tid + at.tid, i.hold.start, i.hold.tid + at.tid, i.kind, via
        true[name] = (
            i.waiter_prio, i.holder_prio, i.states["running"], i.states["runnable"], i.states["blocked"], i.holders,
            {tid + at.tid: ns for tid, ns in i.intruders.items()}, asked.operations(i.hold.operation, whole=True),
        )  # fmt: skip
        asked.counts[i.kind] += 1
        asked.counts["intruders"] += len(i.intruders)
    found = {}
    for r in mine.inversions:
        name = (
            r["start_ns"], r["end_ns"], wait_begins(mine, r), r["waiter_tid"], hold_begins(mine, r), r["holder_tid"],
            INVERSION_KINDS[r["kind"]], r["via_tid"],
        )  # fmt: skip
        found[name] = (
            r["waiter_prio"], r["holder_prio"], r["running_ns"], r["runnable_ns"], r["blocked_ns"], r["holders"],
            r["intruders"], r["operation"],
        )  # fmt: skip
    yield from _differ("inversions", set(found), set(true))
    for name in found.keys() & true.keys():
        if found[name][:-1] != true[name][:-1] or found[name][-1] not in true[name][-1]:
            yield f"inversion {name}: found {found[name]}, true {true[name]}"


def _same_madvise(world: World, mine: Mine, at: Place, asked: Asked) -> Iterator[str]:
    true = {}
    for c in world.record.calls:
        if c.call in ("madvise", "process_madvise"):
            path = "unknown" if c.end == -1 else "mmap_lock" if c.locked else "per_vma"
            true[c.tid + at.tid, c.start, c.call == "process_madvise"] = path, c.reason if path == "mmap_lock" else ""
    tgid = {t.tid + at.tid: t.tgid for t in world.kernel.threads.values()}
    sure = {tgid[c.tid + at.tid] for c in world.record.calls if c.call in OWN_MM_CALLS and c.locked}
    # A process_madvise may be for the caller's own process. It is seen to be for another one if a call that only ever
    # locks its caller's own mm shows whose either mm is.
    local = [c.tid for c in world.record.calls if c.call in (*OWN_MM_CALLS, "madvise") and c.locked]
    told_process, told_mm = {tgid[tid + at.tid] for tid in local}, {world.kernel.threads[tid].mm for tid in local}
    guess = {
        (c.tid + at.tid, c.start, True)
        for c in world.record.calls
        if c.call == "process_madvise" and tgid[c.tid + at.tid] not in told_process
        and not told_mm & {h.mm for h in world.record.holds if h.tid == c.tid and c.start <= h.start <= c.end}
    }  # fmt: skip
    asked.counts["madvise"] += len(true)
    found = {(m["tid"], m["start_ns"], m["remote_call"]): m for m in mine.madvise}
    yield from _differ("madvise", set(found), set(true))
    for name in found.keys() & true.keys():
        path, reason = PATHS[found[name]["path"]], REASONS[found[name]["reason"]]
        true_path, true_reason = true[name]
        if path == "unknown" and not (asked.recording.tells_tgids and tgid[name[0]] in sure):
            continue  # whose mm that is remains a guess
        allowed = asked.reasons(true_reason, whole=True) | ({"unknown"} if name in guess else set())
        if path != true_path or reason not in allowed:
            yield f"madvise {name}: found {path} {reason}, true {true_path} {true_reason}"


def states_true(world: World, analysis: Analysis, at: Place, asked: Asked, *, whole: bool) -> Iterator[str]:
    """Every stretch the analysis claims lies within one true stretch of that state, CPU and priority."""
    line = analysis.timeline
    tids = [*world.kernel.threads]
    numbers = line.index.number(np.array(tids, np.int32) + np.int32(at.tid)).tolist()
    for tid, k in zip(tids, numbers, strict=True):
        true = world.states[tid]
        begins = [t.start + at.ts for t in true]
        rows = slice(int(line.starts[k]), int(line.starts[k + 1])) if k >= 0 else slice(0, 0)
        columns = (line.start_ns, line.end_ns, line.state, line.cpu, line.prio)
        first = next((t.start for t in true if t.state != "sleeping"), world.end)
        seen = 0
        for start, end, state, cpu, prio in zip(*(c[rows].tolist() for c in columns), strict=True):
            end = min(end, world.end + at.ts)
            if start >= end:
                continue
            seen += end - start
            asked.counts["states"] += 1
            untold = () if whole and start > first + at.ts else (-1,)
            for stretch in true[max(bisect_right(begins, start) - 1, 0) :]:
                if stretch.start + at.ts >= end:
                    break
                if (stretch.state, stretch.cpu) != (STATES[state], cpu - at.cpu) or prio not in (*untold, stretch.prio):
                    yield f"state of {tid}: claimed {(start, end, STATES[state], cpu - at.cpu, prio)}, true {stretch}"
                    return
        dead = sum(t.end - t.start for t in true if t.state == "dead")
        if whole and seen + dead < world.end - first:
            yield f"state of {tid}: {world.end - first - seen} ns are not told"
