"""The simulated kernel: CPUs with run queues, threads as generators, and a rwsem with direct hand-off.

It writes event rows and, apart from them, a diary of its own state. The truth (tests.simulator.truth) is taken from the
diary alone, instant by instant, by a method that has nothing in common with the analysis.

Every step takes at least a nanosecond, so no two events of a world share a time stamp.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Generator
from dataclasses import dataclass, field

LOCK_OFFSET = 0x98
QUIET_NS = 5_000
Program = Generator[int | tuple[str, int], None, None]


@dataclass(slots=True)
class Thread:
    tid: int
    tgid: int
    comm: str
    prio: int
    mm: int
    program: Program | None = None
    state: str = "sleeping"  # running, runnable, sleeping, disk, dead
    cpu: int = 0  # of whose queue it is
    left: int = 0  # ns of CPU it needs before its program goes on
    killed: bool = False
    epoch: int = 0  # counts its sleeps, so that a timer of an older one wakes nobody
    operation: str = "untraced"


@dataclass(slots=True)
class Wait:
    """A wait as the events show it: from start_locking to acquire_returned."""

    tid: int
    mm: int
    write: bool
    start: int
    end: int = -1
    outcome: str = "cut"
    order: int = 0


@dataclass(slots=True)
class Hold:
    """A hold as the events show it: from acquire_returned to released."""

    tid: int
    mm: int
    write: bool
    start: int
    how: str
    operation: str
    end: int = -1
    downgrade: int = -1


@dataclass(slots=True)
class Rwsem:
    """The lock itself, which is taken a moment before the event says so and dropped a moment after."""

    writer: int = 0
    readers: set[int] = field(default_factory=set)
    queue: list[tuple[int, bool]] = field(default_factory=list)


@dataclass(slots=True)
class Moment:
    """The diary: the visible state of everything between two instants."""

    start: int
    end: int
    threads: dict[int, tuple[str, int, int]]  # tid -> state, cpu, prio
    on_cpu: tuple[int, ...]
    waits: tuple[Wait, ...]
    holds: tuple[Hold, ...]
    downgraded: frozenset[int]  # id() of holds that are for read by now


class Kernel:
    def __init__(self, rng: random.Random, cpus: int, *, wakeups: bool, fair_readers: bool) -> None:
        self.rng, self.now, self.wakeups, self.fair_readers = rng, 1_000, wakeups, fair_readers
        self.threads: dict[int, Thread] = {}
        self.current = [0] * cpus
        self.ready: list[list[int]] = [[] for _ in range(cpus)]
        self.since = [0] * cpus  # when the current thread was put on the CPU
        self.locks: dict[int, Rwsem] = {}
        self.timers: list[tuple[int, int, str, int, int]] = []
        self.rows: dict[str, list[tuple[object, ...]]] = {}
        self.diary: list[Moment] = []
        self.waits: list[Wait] = []
        self.holds: list[Hold] = []
        self.calls: list[dict[str, object]] = []
        self.waiting: dict[int, Wait] = {}  # by tid
        self.holding: dict[tuple[int, int], Hold] = {}
        self.downgraded: set[int] = set()
        self.in_call: dict[int, dict[str, object]] = {}
        self._timer_number = 0

    # -- time and diary

    def pass_time(self, until: int) -> None:
        """Moves the clock and writes down what was true meanwhile."""
        if until <= self.now:
            until = self.now + 1
        self.diary.append(
            Moment(
                self.now, until, {t.tid: (t.state, t.cpu, t.prio) for t in self.threads.values()}, tuple(self.current),
                tuple(self.waiting.values()), tuple(self.holding.values()), frozenset(self.downgraded),
            )
        )  # fmt: skip
        for cpu, tid in enumerate(self.current):
            if tid:
                self.threads[tid].left -= until - max(self.now, self.since[cpu])
        self.now = until

    def write(self, table: str, *values: object) -> None:
        """Writes one event and lets a nanosecond pass, so that the next one is later."""
        self.rows.setdefault(table, []).append((self.now, *values))

    def emit(self, table: str, tid: int, *values: object) -> None:
        """An event of the thread ``tid``, on the CPU it runs on."""
        self.write(table, self.threads[tid].cpu, tid, *values)

    # -- scheduling

    def _switch(self, cpu: int, letter: str) -> None:
        """Puts the next thread on the CPU; the current one leaves in the given state."""
        old = self.current[cpu]
        queue = self.ready[cpu]
        if not old and not queue:
            return
        if queue:
            strongest = min(queue, key=lambda tid: (self.threads[tid].prio, self.rng.random()))
            new = strongest if self.rng.random() < 0.8 else self.rng.choice(queue)
            queue.remove(new)
        else:
            new = 0
        if old:
            state = {"R": "runnable", "R+": "runnable", "S": "sleeping", "D": "disk", "X": "dead"}[letter]
            self.threads[old].state = state
            if state == "runnable":
                queue.append(old)
        if new:
            self.threads[new].state, self.threads[new].cpu = "running", cpu
        self.current[cpu], self.since[cpu] = new, self.now
        prio = self.threads[old].prio if old else 120
        self.write("sched_switch", cpu, old, prio, letter if old else "R", new, self.threads[new].prio if new else 120)
        self.pass_time(self.now + 1)

    def preempt(self, cpu: int) -> None:
        """Takes the current thread off the CPU though it would run on."""
        if self.current[cpu] and self.ready[cpu]:
            self._switch(cpu, self.rng.choice(("R", "R+")))

    def block(self, thread: Thread, letter: str) -> None:
        """Puts a running thread to sleep."""
        thread.epoch += 1
        self._switch(thread.cpu, letter)

    def wake(self, thread: Thread, waker_cpu: int) -> None:
        """Makes a sleeping thread runnable, perhaps on another CPU, and perhaps at once running."""
        if thread.state not in ("sleeping", "disk"):
            return
        thread.state = "runnable"
        target = self.rng.randrange(len(self.current)) if self.rng.random() < 0.4 else thread.cpu
        waker = self.current[waker_cpu]
        if not self.wakeups:
            thread.cpu = target
        kind = "sched_waking" if thread.epoch else "sched_wakeup_new"  # a thread's first is its birth
        self.write("sched_wake", waker_cpu, waker, kind, thread.tid, thread.prio, thread.cpu)
        if self.wakeups:
            self.pass_time(self.now + self.rng.randint(1, 200))
            thread.cpu = target
            self.write("sched_wake", waker_cpu, waker, "sched_wakeup", thread.tid, thread.prio, target)
        self.ready[target].append(thread.tid)
        self.pass_time(self.now + 1)
        running = self.current[target]
        if not running or (self.threads[running].prio > thread.prio and self.rng.random() < 0.85):
            self._switch(target, self.rng.choice(("R", "R+")))

    def set_prio(self, thread: Thread, prio: int, cpu: int) -> None:
        """A boost or its end, as sched_pi_setprio tells it."""
        if prio != thread.prio and thread.state != "dead":
            self.write("pi_setprio", cpu, self.current[cpu], thread.tid, thread.prio, prio)
            thread.prio = prio
            self.pass_time(self.now + 1)

    # -- the lock

    def take(self, thread: Thread, mm: int, write: bool, *, wait: bool) -> bool:
        """Takes the lock at once if it is free for that and nobody queues; else queues up, if ``wait``."""
        lock = self.locks.setdefault(mm, Rwsem())
        free = not lock.writer and (not lock.readers or not write) and not lock.queue
        if free:
            if write:
                lock.writer = thread.tid
            else:
                lock.readers.add(thread.tid)
        elif wait:
            lock.queue.append((thread.tid, write))
        return free

    def drop(self, thread: Thread, mm: int) -> None:
        """Gives the lock back and hands it to whoever is first in the queue."""
        lock = self.locks[mm]
        if lock.writer == thread.tid:
            lock.writer = 0
        lock.readers.discard(thread.tid)
        self.hand_over(mm, thread.cpu)

    def hand_over(self, mm: int, cpu: int) -> None:
        lock = self.locks[mm]
        woken: list[int] = []
        if lock.queue and not lock.writer:
            first, write = lock.queue[0]
            if write and not lock.readers:
                lock.queue.pop(0)
                lock.writer = first
                woken.append(first)
            elif not write:
                # The kernel grants the lock to all queued readers; a fairer one would stop at the first writer.
                stop = next((i for i, (_, w) in enumerate(lock.queue) if w), len(lock.queue))
                chosen = [q for i, q in enumerate(lock.queue) if not q[1] and (i < stop or not self.fair_readers)]
                lock.queue = [q for q in lock.queue if q not in chosen]
                lock.readers.update(tid for tid, _ in chosen)
                woken = [tid for tid, _ in chosen]
        for tid in woken:
            self.wake(self.threads[tid], cpu)

    def give_up(self, thread: Thread, mm: int) -> bool:
        """A killed waiter leaves the queue; False if it has the lock already."""
        lock = self.locks[mm]
        before = len(lock.queue)
        lock.queue = [q for q in lock.queue if q[0] != thread.tid]
        return len(lock.queue) < before

    # -- running

    def at(self, when: int, what: str, tid: int, epoch: int = 0) -> None:
        self._timer_number += 1
        heapq.heappush(self.timers, (when, self._timer_number, what, tid, epoch))

    def run(self, until: int) -> None:
        """Runs the world up to ``until``."""
        while True:
            due = [(self.now + max(self.threads[t].left, 0), cpu) for cpu, t in enumerate(self.current) if t]
            when, cpu = min(due, default=(until, -1))
            if self.timers and self.timers[0][0] <= when:
                timer = heapq.heappop(self.timers)
                if timer[0] >= until:
                    break
                self.pass_time(timer[0])
                self._on_timer(timer[2], timer[3], timer[4])
                continue
            if when >= until:
                break
            self.pass_time(when)
            tid = self.current[cpu]
            if tid and self.threads[tid].left <= 0:
                self._resume(self.threads[tid])
        self.pass_time(until + QUIET_NS)  # the last step may have gone past the end: all worlds stop at one instant

    def _on_timer(self, what: str, tid: int, epoch: int) -> None:
        rng = self.rng
        cpu = rng.randrange(len(self.current))
        if what == "wake":
            thread = self.threads[tid]
            if thread.epoch == epoch:
                self.wake(thread, cpu)
        elif what == "tick":
            self.preempt(cpu)
            self.at(self.now + rng.randint(200, 20_000), "tick", 0)
        elif what == "boost":
            thread = self.threads[rng.choice(sorted(self.threads))]
            self.set_prio(thread, rng.choice((98, 100, 110, 115, 120, 124, 130, 139)), cpu)
            self.at(self.now + rng.randint(5_000, 60_000), "boost", 0)
        elif what == "kill":
            for thread in self.threads.values():
                wait = self.waiting.get(thread.tid)
                if wait and thread.state == "disk" and self.give_up(thread, wait.mm):
                    thread.killed = True
                    self.wake(thread, cpu)
                    self.hand_over(wait.mm, cpu)
                    break
            self.at(self.now + rng.randint(20_000, 100_000), "kill", 0)

    def _resume(self, thread: Thread) -> None:
        """Lets a program go on to its next need of the CPU or of sleep."""
        assert thread.program is not None
        try:
            need = next(thread.program)
        except StopIteration:
            self.block(thread, "X")
            return
        if isinstance(need, int):
            thread.left = max(need, 1)
        else:
            letter, sleep = need
            thread.left = 1
            if sleep >= 0:
                self.at(self.now + sleep, "wake", thread.tid, thread.epoch + 1)
            self.block(thread, letter)
