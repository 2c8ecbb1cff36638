"""Compares the analysis of a whole trace with the truth of the worlds in it; every difference is a sentence."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

import numpy as np

from android_suite.analysis.pipeline import Analysis
from android_suite.tables.derived import HOW, INVERSION_KINDS, OUTCOMES, PATHS, REASONS, STATES
from android_suite.tables.trace import Trace
from tests.simulator.asked import Asked, Mine, analyze_worlds
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
            *_same_locks(world, mine, at, asked), *_same_blockers(world, mine, at, asked),
            *_same_inversions(world, mine, at, asked),
            *_same_madvise(world, mine, at, asked), *states_true(world, analysis, at, asked, whole=True),
        ]  # fmt: skip
        found += [f"world {world.seed}: {p}" for p in problems]
    if analysis["other_waits"].shape[0]:
        found.append(f"worlds {worlds[0].seed}..: {len(analysis['other_waits'])} waits of no lock")
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


def _same_blockers(world: World, mine: Mine, at: Place, asked: Asked) -> Iterator[str]:
    true, found = {}, {}
    for b in find_blockers(world):
        via = b.via + at.tid if b.via >= 0 else -1
        name = b.start, b.end, b.wait.tid + at.tid, b.wait.start, b.hold.tid + at.tid, b.hold.start, via
        true[name] = b.wait.write, b.hold.write and not 0 <= b.hold.downgrade <= b.start, b.hold.operation
    for r in mine.blockers:
        wait, hold = mine.waits[r["wait"]], mine.holds[r["hold"]]
        name = r["start_ns"], r["end_ns"], r["waiter_tid"], wait[3], r["holder_tid"], hold[3], r["via_tid"]
        found[name] = r["waiter_write"], r["holder_write"], r["operation"]
    asked.counts["blockers"] += len(true)
    yield from _differ("blockers", set(found), set(true))
    for name in found.keys() & true.keys():
        *modes, operation = found[name]
        if modes != [*true[name][:2]] or operation not in asked.operations(true[name][2], whole=True):
            yield f"blocker {name}: found {found[name]}, true {true[name]}"


def _same_inversions(world: World, mine: Mine, at: Place, asked: Asked) -> Iterator[str]:
    true = {}
    for i in find_inversions(world):
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
            r["start_ns"], r["end_ns"], mine.waits[r["wait"]][3], r["waiter_tid"], mine.holds[r["hold"]][3], r["holder_tid"],
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
    asked.counts["madvise"] += len(true)
    found = {(m["tid"], m["start_ns"], m["remote_call"]): m for m in mine.madvise}
    yield from _differ("madvise", set(found), set(true))
    for name in found.keys() & true.keys():
        path, reason = PATHS[found[name]["path"]], REASONS[found[name]["reason"]]
        true_path, true_reason = true[name]
        if path == "unknown" and not (asked.recording.tells_tgids and tgid[name[0]] in sure):
            continue  # whose mm that is remains a guess
        if path != true_path or reason not in asked.reasons(true_reason, whole=True):
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
        seen = 0
        for start, end, state, cpu, prio in zip(*(c[rows].tolist() for c in columns), strict=True):
            end = min(end, world.end + at.ts)
            if start >= end:
                continue
            seen += end - start
            asked.counts["states"] += 1
            for stretch in true[max(bisect_right(begins, start) - 1, 0) :]:
                if stretch.start + at.ts >= end:
                    break
                if (stretch.state, stretch.cpu) != (STATES[state], cpu - at.cpu) or prio not in (-1, stretch.prio):
                    yield f"state of {tid}: claimed {(start, end, STATES[state], cpu - at.cpu, prio)}, true {stretch}"
                    return
        first = next((t.start for t in true if t.state != "sleeping"), world.end)
        dead = sum(t.end - t.start for t in true if t.state == "dead")
        if whole and seen + dead < world.end - first:
            yield f"state of {tid}: {world.end - first - seen} ns are not told"
