"""The exact answer, read off the diary instant by instant, with no knowledge of events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tests.simulator.kernel import Hold, Moment, VmaWait, Wait
from tests.simulator.vma_lock import Reading

if TYPE_CHECKING:
    from tests.simulator.world import World


class Stretch(NamedTuple):
    """A thread in one state on one CPU with one priority."""

    start: int
    end: int
    state: str
    cpu: int
    prio: int


@dataclass(slots=True)
class Inversion:
    """An inverted interval of one wait with one thread to blame."""

    wait: Wait | VmaWait
    hold: Hold | Reading
    kind: str
    via: int
    start: int
    end: int
    waiter_prio: int
    holder_prio: int
    states: Counter[str] = field(default_factory=Counter)
    intruders: Counter[int] = field(default_factory=Counter)
    holders: int = 1


@dataclass(frozen=True, slots=True)
class Suspect:
    """A thread that stands in front at one instant: it holds mmap_lock, or reads the VMA that is waited for."""

    hold: Hold | Reading
    kind: str
    via: int


def holders_at(moment: Moment, wait: Wait | VmaWait, told: Collection[int]) -> list[Suspect]:
    """Everybody who keeps this waiter out at this instant.

    Args:
        moment: the instant.
        wait: the waiter's.
        told: id() of the waits for a VMA that the form of the trace can tell; the others are left out.
    """
    if isinstance(wait, VmaWait):
        return [Suspect(wait.reading, "direct", -1)] if wait.reading and id(wait) in told else []
    asleep = {id(w.hold): w.reading for w in moment.vma_waits if w.reading and id(w) in told}
    found = []
    for hold in moment.holds:
        if hold.mm != wait.mm or hold.tid == wait.tid:
            continue
        writes = hold.write and id(hold) not in moment.downgraded
        if wait.write or writes:
            found.append(Suspect(hold, "direct", -1))
            reading = asleep.get(id(hold))
            if reading and reading.tid != wait.tid:
                found.append(Suspect(reading, "chained", hold.tid))
            continue
        ahead = writers_ahead(moment, wait)
        if ahead:
            found.append(Suspect(hold, "chained", ahead[0].tid))
    return found


def writers_ahead(moment: Moment, wait: Wait) -> list[Wait]:
    """The writers that queue in front of a wait, the first one first."""
    ahead = [w for w in moment.waits if w.mm == wait.mm and w.write and w.start < wait.start]
    return sorted(ahead, key=lambda w: w.start)


def suspects_at(moment: Moment, wait: Wait | VmaWait, told: Collection[int]) -> list[Suspect]:
    """Those of them who are weaker."""
    own_prio = moment.threads[wait.tid][2]
    return [s for s in holders_at(moment, wait, told) if moment.threads[s.hold.tid][2] > own_prio]


@dataclass(slots=True)
class Blocked:
    """A stretch of a wait with one hold in front of it; ``via`` is the thread of the writer between them, -1 none."""

    wait: Wait | VmaWait
    hold: Hold | Reading
    via: int
    start: int
    end: int


def find_blockers(world: World, told: Collection[int]) -> list[Blocked]:
    """Who waited for whom, whatever their priorities."""
    out: list[Blocked] = []
    last: dict[tuple[int, int, int], Blocked] = {}
    for moment in world.kernel.diary:
        for wait in (*moment.waits, *moment.vma_waits) if moment.end > moment.start else ():
            for s in holders_at(moment, wait, told):
                name = id(wait), id(s.hold), s.via
                known = last.get(name)
                if known is None or known.end != moment.start:
                    known = last[name] = Blocked(wait, s.hold, s.via, moment.start, moment.end)
                    out.append(known)
                known.end = moment.end
    return out


def find_inversions(world: World, told: Collection[int]) -> list[Inversion]:
    """All inversions, by wait and time."""
    out: list[Inversion] = []
    last: dict[int, Inversion] = {}
    for moment in world.kernel.diary:
        for wait in (*moment.waits, *moment.vma_waits):
            suspects = suspects_at(moment, wait, told)
            if not suspects:
                continue
            blamed = max(suspects, key=lambda s: _blame(moment, world.end, s))
            state, cpu, prio = moment.threads[blamed.hold.tid]
            known = last.get(id(wait))
            if known is None or known.hold is not blamed.hold or known.kind != blamed.kind or known.end != moment.start:
                known = Inversion(
                    wait,
                    blamed.hold,
                    blamed.kind,
                    blamed.via,
                    moment.start,
                    moment.end,
                    moment.threads[wait.tid][2],
                    prio,
                )
                last[id(wait)] = known
                out.append(known)
            known.end = moment.end
            length = moment.end - moment.start
            known.holders = max(known.holders, len(suspects))
            known.states[state if state in ("running", "runnable") else "blocked"] += length
            ran = moment.on_cpu[cpu]
            if state == "runnable" and ran not in (0, wait.tid, blamed.hold.tid):
                known.intruders[ran] += length
    return sorted(out, key=lambda i: (isinstance(i.wait, VmaWait), i.wait.order, i.start))


def _blame(moment: Moment, end: int, suspect: Suspect) -> tuple[int, int, int]:
    hold = suspect.hold
    return (end if hold.end < 0 else hold.end, moment.threads[hold.tid][2], -hold.tid)


def state_changes(diary: Sequence[Moment]) -> dict[int, list[Stretch]]:
    """Stretches of constant state, CPU and priority of each thread."""
    out: dict[int, list[Stretch]] = {}
    begun: dict[int, tuple[int, tuple[str, int, int]]] = {}
    last: dict[int, tuple[str, int, int]] = {}
    for moment in diary:
        if moment.threads is last:
            continue
        last = moment.threads
        for tid, now in last.items():
            if tid not in begun:
                begun[tid] = moment.start, now
            elif begun[tid][1] != now:
                start, before = begun[tid]
                out.setdefault(tid, []).append(Stretch(start, moment.start, *before))
                begun[tid] = moment.start, now
    for tid, (start, now) in begun.items():
        out.setdefault(tid, []).append(Stretch(start, diary[-1].end, *now))
    return out
