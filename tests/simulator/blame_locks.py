"""Locks of the worlds of blame that several threads may get in more than one way: the kernel's mutex, ART's reader/writer lock.

The diary keeps who really has a mutex apart from what its events tell: fast paths and trylocks have no event.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.simulator.kernel import Behind, Program, Thread

if TYPE_CHECKING:
    from tests.simulator.blame_worlds import Actions

SPINS, SLEEPS = 33, 32  # flags of contention_begin: MUTEX with SPIN, and without
NO_WRITER = (1 << 64) - 1  # -1, as ART prints it


@dataclass(slots=True)
class Lock:
    """One lock of any kind: the owner, who waits, in order, and who reads."""

    kind: str
    address: int
    owner: int = 0
    queue: list[int] = field(default_factory=list)
    readers: set[int] = field(default_factory=set)
    handoff: int = 0  # who must be given it next
    contenders: list[Contender] = field(default_factory=list)


@dataclass(slots=True)
class Contender:
    """A thread in the slow path of a mutex.

    Attributes:
        entry: of the diary, now.
        parts: entries since the last release that an event told, and whether the thread was queued then.
        place: its number in the queue; 0: it only spins.
        fresh: no release was told since it is queued.
        takes: who took the lock with an event since that release: at which part, and whether it was in front in the queue.
    """

    tid: int
    entry: Behind
    parts: list[tuple[Behind, bool]] = field(default_factory=list)
    place: int = 0
    fresh: bool = False
    takes: dict[int, tuple[int, bool]] = field(default_factory=dict)


class Mutexes:
    """The kernel's mutex: fast paths, spinning, a queue, stealing, and the handoff that ends stealing."""

    def __init__(self, actions: Actions) -> None:
        self.actions, self.kernel = actions, actions.kernel
        self.places = 0

    def acquire(self, t: Thread, lock: Lock) -> Program:
        rng = self.kernel.rng
        if not lock.owner and (not lock.queue or rng.random() < 0.4):  # the fast path, or a trylock
            lock.owner = t.tid
            self._look(lock)
            return
        self.kernel.emit("contention", t.tid, "contention_begin", lock.address, SPINS, 0)
        me = Contender(t.tid, self.actions.stand(t, "mutex", "unknown", asleep=False))
        lock.contenders.append(me)
        self._look(lock)
        self.actions.step()
        yield from self._spin(lock)
        if lock.owner:
            yield from self._queue(t, lock, me)
        self._take(t, lock, me)

    def _spin(self, lock: Lock) -> Program:
        """As long as the owner runs, on another CPU."""
        rng = self.kernel.rng
        for _ in range(rng.randint(0, 8)):
            if not lock.owner or self.kernel.threads[lock.owner].state != "running":
                return
            yield rng.randint(10, 400)

    def _queue(self, t: Thread, lock: Lock, me: Contender) -> Program:
        lock.queue.append(t.tid)
        self.places += 1
        me.place, me.fresh = self.places, True
        self.kernel.emit("contention", t.tid, "contention_begin", lock.address, SLEEPS, 0)
        self._look(lock)
        self.actions.step()
        handoff = False
        while lock.owner not in (0, t.tid):
            if not self.actions.releases:
                me.entry.holder, me.entry.evidence = -1, "unknown"  # who ended an earlier sleep did not end the wait
            yield ("D", -1)
            if lock.owner in (0, t.tid):
                break
            if lock.queue[0] == t.tid and not handoff:
                self.kernel.emit("contention", t.tid, "contention_begin", lock.address, SPINS, 0)
                self.actions.step()
                yield from self._spin(lock)
                if lock.owner in (0, t.tid):
                    break
                handoff = self.kernel.rng.random() < 0.5
                lock.handoff = t.tid if handoff else 0
                self.kernel.emit("contention", t.tid, "contention_begin", lock.address, SLEEPS, 0)
                self.actions.step()
        lock.queue.remove(t.tid)
        lock.handoff = 0 if lock.handoff == t.tid else lock.handoff

    def _take(self, t: Thread, lock: Lock, me: Contender) -> None:
        lock.owner = t.tid
        lock.contenders = [c for c in lock.contenders if c is not me]
        for other in lock.contenders:
            other.takes[t.tid] = len(other.parts), me.place > 0 and not 0 < other.place < me.place
        self.actions.leave(me.entry)
        self._look(lock)
        self.kernel.emit("contention", t.tid, "contention_end", lock.address, 0, 0)
        self.actions.step()

    def release(self, t: Thread, lock: Lock) -> Program:
        first = lock.queue[0] if lock.queue else 0
        if first and self.actions.releases:
            self._tell(t, lock)
        lock.owner = first if first and first == lock.handoff else 0
        self._look(lock)
        if first and self.actions.releases:
            self.kernel.emit("contended_release", t.tid, lock.address)
            self.actions.step()
        if first:
            sleeper = self.kernel.threads[first]
            if not self.actions.releases and sleeper.state == "disk":
                # Without the event: who ends the last sleep counts for the whole wait.
                entry = next(c.entry for c in lock.contenders if c.tid == first)
                entry.holder, entry.evidence = t.tid, "inferred"
            yield from self.actions.wake(t, first)
        yield 1

    def _tell(self, t: Thread, lock: Lock) -> None:
        """Completes what the contenders stood behind since the last release that was told."""
        for c in lock.contenders:
            border, ahead = c.takes.get(t.tid, (0, True))
            for number, (entry, queued) in enumerate(c.parts):
                if number < border and not ahead:
                    continue  # nobody had the lock, or nothing tells who
                entry.holder = t.tid
                entry.evidence = "exact" if queued and (t.tid in c.takes or c.fresh) else "inferred"
            c.parts, c.takes = [], {}
            c.fresh = c.fresh and not c.place

    def _look(self, lock: Lock) -> None:
        """A new entry of each contender for what is true from now on."""
        if not self.actions.releases:
            return
        for c in lock.contenders:
            first = lock.queue[0] if c.place else c.tid
            c.entry = self.actions.replace(c.entry, -1, "unknown")
            c.entry.truth = lock.owner or (first if first != c.tid else -1)
            c.parts.append((c.entry, c.place > 0))


class ReaderWriters:
    """ART's ReaderWriterMutex: before each sleep it names the owner that writes, whom readers have not."""

    def __init__(self, actions: Actions) -> None:
        self.actions = actions

    def acquire(self, t: Thread, lock: Lock) -> Program:
        write = self.actions.kernel.rng.random() < 0.5
        while lock.owner or (write and lock.readers):
            owner = lock.owner or NO_WRITER
            self.actions.mark(t, f"B|{t.tgid}|Lock contention on mutator lock (owner tid: {owner})")
            how, holder = ("inferred", lock.owner) if lock.owner else ("unknown", -1)
            entry = self.actions.stand(t, "art_lock", how, holder)
            lock.queue.append(t.tid)
            yield ("S", -1)
            lock.queue = [tid for tid in lock.queue if tid != t.tid]
            self.actions.leave(entry)
            self.actions.mark(t, f"E|{t.tgid}")
        if write:
            lock.owner = t.tid
        else:
            lock.readers.add(t.tid)

    def release(self, t: Thread, lock: Lock) -> Program:
        """Who leaves it free wakes everybody."""
        lock.readers.discard(t.tid)
        if lock.owner == t.tid:
            lock.owner = 0
        if not lock.owner and not lock.readers:
            for tid in list(lock.queue):
                if self.actions.kernel.threads[tid].state == "sleeping":
                    entry = self.actions.entry_of(tid, "art_lock")
                    if entry.holder == t.tid:
                        entry.evidence = "exact"
                yield from self.actions.wake(t, tid)
        yield 1
