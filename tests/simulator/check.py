"""Compares the analysis of a trace with the truth of the worlds in it; every difference is a sentence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from android_suite.analysis.pipeline import Analysis, analyze_trace
from android_suite.tables.derived import HOW, INVERSION_KINDS, OUTCOMES, PATHS, STATES, UNKNOWN
from android_suite.tables.trace import Trace
from tests.simulator.layout import Gap, Place, Row, list_events, make_trace, place
from tests.simulator.truth import find_inversions, state_changes, suspects_at
from tests.simulator.world import END_NS, World


def check_whole(worlds: Sequence[World], trace: Trace | None = None) -> list[str]:
    """A trace in which nothing is missing: everything must be equal.

    Args:
        worlds: all of the trace, at the same time.
        trace: of these worlds, if it is not to be made here.
    """
    if trace is None:
        trace = make_trace(worlds, list_events(worlds, apart=False), start_ns=0, end_ns=END_NS)
    analysis = analyze_trace(trace)
    found: list[str] = []
    for number, (world, mine) in enumerate(zip(worlds, _by_world(analysis, len(worlds)), strict=True)):
        at = place(number, apart=False)
        problems = [*_same_locks(world, mine, at), *_same_inversions(world, mine, at), *_same_madvise(world, mine, at)]
        problems += _states_true(world, analysis, at, whole=True)
        found += [f"world {world.seed}: {p}" for p in problems]
    if analysis["other_waits"].shape[0]:
        found.append(f"worlds {worlds[0].seed}..: {len(analysis['other_waits'])} waits of no lock")
    return found


class Mine:
    """The part of an analysis that belongs to one world: rows as tuples, with their row numbers."""

    def __init__(self) -> None:
        self.waits: dict[int, tuple[int, ...]] = {}
        self.holds: dict[int, tuple[int, ...]] = {}
        self.inversions: list[dict[str, object]] = []
        self.madvise: list[dict[str, object]] = []


def _by_world(analysis: Analysis, count: int) -> list[Mine]:
    out = [Mine() for _ in range(count)]
    for name in ("waits", "holds"):
        table = analysis[f"lock_{name}"]
        last = "outcome" if name == "waits" else "how"
        extra = "start_seq" if name == "waits" else "downgrade_ns"
        columns = ("tid", "mm", "write", "start_ns", "end_ns", last, "quality", extra)
        for row, values in enumerate(zip(*(table[c].tolist() for c in columns), strict=True)):
            getattr(out[values[0] // 1000], name)[row] = values
    ran = defaultdict(dict)
    for inversion, tid, ns in analysis["intruders"].itertuples(index=False):
        ran[inversion][tid] = ns
    for row, values in enumerate(analysis["inversions"].to_dict("records")):
        out[values["waiter_tid"] // 1000].inversions.append({**values, "intruders": ran[row]})
    for values in analysis["madvise"].to_dict("records"):
        out[values["tid"] // 1000].madvise.append(values)
    return out


def _differ(what: str, mine: set[object], true: set[object]) -> Iterator[str]:
    if mine != true:
        extra, missing = sorted(mine - true, key=str)[:2], sorted(true - mine, key=str)[:2]
        yield f"{what}: found {extra}, missed {missing}"


def _same_locks(world: World, mine: Mine, at: Place) -> Iterator[str]:
    outcome, how = OUTCOMES.index, HOW.index
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
        for w in world.kernel.waits
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
        for h in world.kernel.holds
    }
    yield from _differ("holds", set(mine.holds.values()), true_holds)


def _same_inversions(world: World, mine: Mine, at: Place) -> Iterator[str]:
    def key(start, end, wait_start, waiter, hold_start, holder, kind, via):  # type: ignore[no-untyped-def]
        return (start, end, wait_start, waiter, hold_start, holder, kind, via)

    true = {}
    for i in find_inversions(world):
        via = i.via + at.tid if i.via >= 0 else -1
        name = key(i.start, i.end, i.wait.start, i.wait.tid + at.tid, i.hold.start, i.hold.tid + at.tid, i.kind, via)
        true[name] = (
            i.waiter_prio, i.holder_prio, i.states["running"], i.states["runnable"], i.states["blocked"], i.hold.operation,
            i.holders, {tid + at.tid: ns for tid, ns in i.intruders.items()},
        )  # fmt: skip
    found = {}
    for r in mine.inversions:
        name = key(
            r["start_ns"], r["end_ns"], mine.waits[r["wait"]][3], r["waiter_tid"], mine.holds[r["hold"]][3], r["holder_tid"],
            INVERSION_KINDS[r["kind"]], r["via_tid"],
        )  # fmt: skip
        found[name] = (
            r["waiter_prio"], r["holder_prio"], r["running_ns"], r["runnable_ns"], r["blocked_ns"], r["operation"],
            r["holders"], r["intruders"],
        )  # fmt: skip
    yield from _differ("inversions", set(found), set(true))
    for name in found.keys() & true.keys():
        if found[name] != true[name]:
            yield f"inversion {name}: found {found[name]}, true {true[name]}"


def _same_madvise(world: World, mine: Mine, at: Place) -> Iterator[str]:
    true = set()
    for c in world.kernel.calls:
        if c["call"] in ("madvise", "process_madvise"):
            path = "unknown" if c["end"] == -1 else "mmap_lock" if c["locked"] else "per_vma"
            true.add((int(c["tid"]) + at.tid, c["start"], c["call"] == "process_madvise", PATHS.index(path)))
    found = {(m["tid"], m["start_ns"], m["remote_call"], m["path"]) for m in mine.madvise}
    yield from _differ("madvise", found, true)


def _states_true(world: World, analysis: Analysis, at: Place, *, whole: bool) -> Iterator[str]:
    """Every stretch the analysis claims lies within one true stretch of that state, CPU and priority."""
    line = analysis.timeline
    for tid in world.kernel.threads:
        k = int(line.index.number(np.array([tid + at.tid], np.int32))[0])
        true = state_changes(world, tid)
        begins = [t[0] + at.ts for t in true]
        seen = 0
        for row in range(int(line.starts[k]), int(line.starts[k + 1])) if k >= 0 else ():
            start, end = int(line.start_ns[row]), min(int(line.end_ns[row]), world.end + at.ts)
            if start >= end:
                continue
            seen += end - start
            state, cpu, prio = STATES[line.state[row]], int(line.cpu[row]) - at.cpu, int(line.prio[row])
            for stretch in true[max(int(np.searchsorted(begins, start, side="right")) - 1, 0) :]:
                if stretch[0] + at.ts >= end:
                    break
                if stretch[2] != state or stretch[3] != cpu or prio not in (-1, stretch[4]):
                    yield f"state of {tid}: claimed {(start, end, state, cpu, prio)}, true {stretch}"
                    return
        first = next((t[0] for t in true if t[2] != "sleeping"), world.end)
        dead = sum(t[1] - t[0] for t in true if t[2] == "dead")
        if whole and seen + dead < world.end - first:
            yield f"state of {tid}: {world.end - first - seen} ns are not told"


def check_partial(
    worlds: Sequence[World], rows: Sequence[Row], gaps: Sequence[Gap], window: tuple[int, int], *, apart: bool
) -> list[str]:
    """A trace that is cut or has lost events: nothing may be wrong, but much may be unknown."""
    analysis = analyze_trace(make_trace(worlds, rows, gaps=gaps, start_ns=window[0], end_ns=window[1]))
    found: list[str] = []
    for number, (world, mine) in enumerate(zip(worlds, _by_world(analysis, len(worlds)), strict=True)):
        at = place(number, apart=apart)
        problems = [
            *_locks_true(world, mine, at, window),
            *_inversions_true(world, mine, at),
            *_madvise_true(world, mine, at),
        ]
        problems += _states_true(world, analysis, at, whole=False)
        found += [f"world {world.seed}: {p}" for p in problems]
    return found


def _locks_true(world: World, mine: Mine, at: Place, window: tuple[int, int]) -> Iterator[str]:
    exact = {(w.tid + at.tid, w.mm + at.mm, w.write, w.start + at.ts): w for w in world.kernel.waits}
    for tid, mm, write, start, end, outcome, quality, _ in mine.waits.values():
        if quality == UNKNOWN:
            continue
        true = exact.get((tid, mm, write, start))
        if true is None:
            yield f"wait of {tid} at {start} is not true"
        elif quality == 0 and (true.end + at.ts != end or true.outcome != OUTCOMES[outcome]):
            yield f"wait of {tid} at {start}: claimed end {end} {OUTCOMES[outcome]}, true {true}"
        elif quality == 1 and 0 <= true.end < min(end - at.ts, world.end):
            yield f"wait of {tid} at {start}: claimed at least to {end}, true {true}"
    by_start = {(h.tid + at.tid, h.mm + at.mm, h.start + at.ts): h for h in world.kernel.holds}
    by_end = {(h.tid + at.tid, h.mm + at.mm, h.end + at.ts): h for h in world.kernel.holds if h.end >= 0}
    for tid, mm, write, start, end, how, quality, down in mine.holds.values():
        if quality == UNKNOWN:
            continue
        name = HOW[how]
        true_hold = by_end.get((tid, mm, end)) if name == "cut" else by_start.get((tid, mm, start))
        if true_hold is None:
            # A downgrade whose first half is before the trace looks like an acquire; that it holds from then on is true.
            true_hold = next(
                (
                    h
                    for h in world.kernel.holds
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


def _inversions_true(world: World, mine: Mine, at: Place) -> Iterator[str]:
    diary = world.kernel.diary
    begins = np.array([m.start for m in diary]) + at.ts
    for r in mine.inversions:
        start, end = r["start_ns"], min(r["end_ns"], world.end + at.ts)
        states, ran = defaultdict(int), defaultdict(int)
        hold_end = mine.holds[r["hold"]][4]
        for moment in diary[max(int(np.searchsorted(begins, start, side="right")) - 1, 0) :]:
            low, high = max(moment.start + at.ts, start), min(moment.end + at.ts, end)
            if low >= high:
                break
            wait = next(
                (w for w in moment.waits if w.tid + at.tid == r["waiter_tid"] and w.mm + at.mm == r["mm"]), None
            )
            suspects = suspects_at(moment, wait) if wait else []
            blamed = [s for s in suspects if s.hold.tid + at.tid == r["holder_tid"]]
            if not blamed or blamed[0].kind != INVERSION_KINDS[r["kind"]]:
                yield f"inversion {start}..{end} of {r['waiter_tid']} by {r['holder_tid']} is not true at {low}"
                return
            state, cpu, _ = moment.threads[blamed[0].hold.tid]
            states[state if state in ("running", "runnable") else "blocked"] += high - low
            on_cpu = moment.on_cpu[cpu]
            if state == "runnable" and on_cpu not in (0, wait.tid, blamed[0].hold.tid):
                ran[on_cpu + at.tid] += high - low
            true = blamed[0].hold.operation  # of a call that began before the trace only the name is known
            if r["operation"] not in (true, true.split("(")[0], "unknown", "untraced"):
                yield f"inversion at {start}: claimed {r['operation']}, true {blamed[0].hold.operation}"
                return
        told = (r["running_ns"], r["runnable_ns"], r["blocked_ns"])
        whole = r["end_ns"] <= world.end + at.ts and hold_end <= world.end + at.ts
        if whole and told != (states["running"], states["runnable"], states["blocked"]):
            yield f"inversion at {start}: claimed states {told}, true {dict(states)}"
        complete = r["intruders"] == ran if r["quality"] == 0 else r["intruders"].items() <= ran.items()
        if whole and not complete:
            yield f"inversion at {start}: claimed intruders {r['intruders']}, true {dict(ran)}"


def _madvise_true(world: World, mine: Mine, at: Place) -> Iterator[str]:
    true = {(int(c["tid"]) + at.tid, int(c["start"]) + at.ts): c for c in world.kernel.calls}
    for m in mine.madvise:
        path = PATHS[m["path"]]
        if path == "unknown":
            continue
        call = true.get((m["tid"], m["start_ns"]))
        if call is None or call["end"] != m["end_ns"] - at.ts or path != ("mmap_lock" if call["locked"] else "per_vma"):
            yield f"madvise of {m['tid']} at {m['start_ns']}: claimed {path}, true {call}"
