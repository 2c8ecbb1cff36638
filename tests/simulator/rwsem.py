"""The simulated rwsem: a queue, hand-over to readers and writers, optimistic spinning, stealing, and the handoff that ends it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from tests.simulator.kernel import Kernel, Program, Thread

_MOST_SPINS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How this kernel's rwsems behave.

    Attributes:
        fair_readers: a hand-over to readers stops at the first queued writer; else all queued readers get the lock.
        spinning: writers spin while the owner runs, and steal the lock from those who queue.
        stealing: a free lock is left to whoever comes first, until a waiter that lost it once asks for a handoff.
    """

    fair_readers: bool
    spinning: bool
    stealing: bool


@dataclass(slots=True)
class Rwsem:
    """The lock itself, which is taken a moment before the event says so and dropped a moment after."""

    writer: int = 0
    readers: set[int] = field(default_factory=set)
    queue: list[tuple[int, bool]] = field(default_factory=list)
    handoff: bool = False

    def held_by(self, tid: int) -> bool:
        return self.writer == tid or tid in self.readers

    def is_free(self, *, write: bool) -> bool:
        """Whether nobody who holds it stands in the way."""
        return not self.writer and not (write and self.readers)

    def give(self, tid: int, *, write: bool) -> None:
        if write:
            self.writer = tid
        else:
            self.readers.add(tid)


class Rwsems:
    """All rwsems of a world, by mm."""

    def __init__(self, kernel: Kernel, manners: Manners) -> None:
        self.kernel, self.manners = kernel, manners
        self.of: dict[int, Rwsem] = defaultdict(Rwsem)
        kernel.timer_actions["kill"] = self._kill

    def try_take(self, thread: Thread, mm: int, *, write: bool) -> bool:
        """The fast path: takes the lock if it is free for that and nobody queues."""
        lock = self.of[mm]
        free = lock.is_free(write=write) and not lock.queue
        if free:
            lock.give(thread.tid, write=write)
        return free

    def steal(self, thread: Thread, mm: int, *, write: bool) -> Program:
        """What comes before the queue: a reader may take a lock that only waiters want, a writer spins for one."""
        lock, manners = self.of[mm], self.manners
        if not write:
            if manners.stealing and not lock.writer and not lock.readers and not lock.handoff:
                lock.give(thread.tid, write=False)
            return
        for _ in range(_MOST_SPINS if manners.spinning else 0):
            if lock.is_free(write=True) and not lock.handoff:
                lock.give(thread.tid, write=True)
                return
            owner = self.kernel.threads.get(lock.writer)
            if owner is None or owner.state != "running" or self._outrun(thread):
                return
            yield self.kernel.rng.randint(10, 250)

    def _outrun(self, thread: Thread) -> bool:
        ready = self.kernel.ready[thread.cpu]
        return any(self.kernel.threads[tid].prio < thread.prio for tid in ready)

    def queue_up(self, thread: Thread, mm: int, *, write: bool) -> Program:
        """Sleeps until the lock is the thread's, or it is killed; it may be woken in vain."""
        lock = self.of[mm]
        lock.queue.append((thread.tid, write))
        while not lock.held_by(thread.tid) and not thread.killed:
            if lock.queue[0][0] == thread.tid and lock.is_free(write=write):
                lock.queue.pop(0)
                lock.handoff = False
                lock.give(thread.tid, write=write)
                return
            yield ("D", -1)
            if lock.queue and lock.queue[0][0] == thread.tid and not lock.is_free(write=write):
                lock.handoff = True  # somebody was faster

    def drop(self, thread: Thread, mm: int) -> None:
        """Gives the lock back and wakes whoever is first in the queue."""
        lock = self.of[mm]
        if lock.writer == thread.tid:
            lock.writer = 0
        lock.readers.discard(thread.tid)
        self.hand_over(mm, thread.cpu)

    def downgrade(self, thread: Thread, mm: int) -> None:
        lock = self.of[mm]
        lock.writer = 0
        lock.readers.add(thread.tid)

    def hand_over(self, mm: int, cpu: int) -> None:
        """Gives a free lock to the first in the queue, or only wakes a writer, who then has to be fast enough."""
        lock = self.of[mm]
        woken: list[int] = []
        if lock.queue and not lock.writer:
            first, write = lock.queue[0]
            if write and not lock.readers:
                if lock.handoff or not self.manners.stealing:
                    lock.queue.pop(0)
                    lock.writer, lock.handoff = first, False
                woken.append(first)
            elif not write:
                # The kernel grants the lock to all queued readers; a fairer one would stop at the first writer.
                stop = next((i for i, (_, w) in enumerate(lock.queue) if w), len(lock.queue))
                fair = self.manners.fair_readers
                chosen = [q for i, q in enumerate(lock.queue) if not q[1] and (i < stop or not fair)]
                lock.queue = [q for q in lock.queue if q not in chosen]
                lock.readers.update(tid for tid, _ in chosen)
                lock.handoff = False
                woken = [tid for tid, _ in chosen]
        for tid in woken:
            self.kernel.wake(self.kernel.threads[tid], cpu)

    def _kill(self, *_: int) -> None:
        """Kills one of those who sleep in a queue."""
        kernel = self.kernel
        cpu = kernel.rng.randrange(len(kernel.current))
        for thread in kernel.threads.values():
            wait = kernel.waiting.get(thread.tid)
            if wait and thread.state == "disk" and self._leave(thread, wait.mm):
                thread.killed = True
                kernel.wake(thread, cpu)
                self.hand_over(wait.mm, cpu)
                break
        kernel.at(kernel.now + kernel.rng.randint(20_000, 100_000), "kill")

    def _leave(self, thread: Thread, mm: int) -> bool:
        """A killed waiter leaves the queue; False if it has the lock already."""
        lock = self.of[mm]
        if lock.queue and lock.queue[0][0] == thread.tid:
            lock.handoff = False
        before = len(lock.queue)
        lock.queue = [q for q in lock.queue if q[0] != thread.tid]
        return len(lock.queue) < before
