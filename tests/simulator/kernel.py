"""The simulated kernel: CPUs with run queues, priorities, preemption, threads as generators.

It writes event rows and, apart from them, a diary of its own state. The truth (tests.simulator.truth) is taken from the
diary alone, instant by instant, by a method that has nothing in common with the analysis.

Every step takes at least a nanosecond, so no two events of a world share a time stamp.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulator.vma_lock import Reading

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
    silent: bool = False  # its priority is not the one that an event showed last,
    shown: int = 0  # at this time
    epoch: int = 0  # counts its sleeps, so that a timer of an older one wakes nobody
    operation: str = "fault"


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
class VmaWait:
    """A writer's sleep for the readers of a VMA: from the switch-out to the waking by the last of them (``reading``)."""

    tid: int
    mm: int
    start: int
    hold: Hold
    end: int = -1
    order: int = 0
    reading: Reading | None = None
    write: bool = True


@dataclass(slots=True)
class Behind:
    """A thread that stands behind another one, which may only show later (``holder`` -1 until then); see blame_worlds.py.

    ``asleep``: it does so only while it sleeps. ``holder`` is what the events tell; ``truth`` who has the lock, or is next in
    line while nobody has it (-1: the thread itself); None where the world does not keep it apart.
    """

    tid: int
    kind: str
    evidence: str
    holder: int = -1
    asleep: bool = True
    truth: int | None = None


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
    vma_waits: tuple[VmaWait, ...] = ()
    behind: tuple[Behind, ...] = ()


class Kernel:
    def __init__(self, rng: random.Random, cpus: int, *, wakeups: bool) -> None:
        self.rng, self.now, self.wakeups = rng, 1_000, wakeups
        self.threads: dict[int, Thread] = {}
        self.current = [0] * cpus
        self.ready: list[list[int]] = [[] for _ in range(cpus)]
        self.since = [0] * cpus  # when the current thread was put on the CPU
        self.timers: list[tuple[int, int, str, int, int]] = []
        self.rows: dict[str, list[tuple[object, ...]]] = {}
        self.diary: list[Moment] = []
        self.waiting: dict[int, Wait] = {}  # by tid
        self.holding: dict[tuple[int, int], Hold] = {}
        self.vma_waiting: dict[int, VmaWait] = {}  # by tid
        self.downgraded: set[int] = set()
        self.behind: dict[int, list[Behind]] = {}  # by tid: the innermost last
        self.threads_changed = self.locks_changed = True  # since the last entry of the diary
        self.timer_actions = {
            "wake": self._wake_sleeper,
            "tick": self._tick,
            "boost": self._boost,
            "renice": self._renice,
        }
        self._timer_number = 0

    # -- time and diary

    def pass_time(self, until: int) -> None:
        """Moves the clock and writes down what was true meanwhile."""
        if until <= self.now:
            until = self.now + 1
        if self.threads_changed or self.locks_changed:
            self.diary.append(self._look(until))
            self.threads_changed = self.locks_changed = False
        else:
            self.diary[-1].end = until
        for cpu, tid in enumerate(self.current):
            if tid:
                self.threads[tid].left -= until - max(self.now, self.since[cpu])
        self.now = until

    def _look(self, until: int) -> Moment:
        last = self.diary[-1] if self.diary else None
        if last is None or self.threads_changed:
            threads = {t.tid: (t.state, t.cpu, t.prio) for t in self.threads.values()}
            on_cpu = tuple(self.current)
        else:
            threads, on_cpu = last.threads, last.on_cpu
        if last is None or self.locks_changed:
            waits, holds = tuple(self.waiting.values()), tuple(self.holding.values())
            down, vma_waits = frozenset(self.downgraded), tuple(self.vma_waiting.values())
            behind = tuple(own[-1] for own in self.behind.values() if own)
        else:
            waits, holds, down, vma_waits = last.waits, last.holds, last.downgraded, last.vma_waits
            behind = last.behind
        return Moment(self.now, until, threads, on_cpu, waits, holds, down, vma_waits, behind)

    def write(self, table: str, *values: object) -> None:
        """Writes one event; whoever does lets a nanosecond pass, so that the next one is later."""
        self.rows.setdefault(table, []).append((self.now, *values))

    def emit(self, table: str, tid: int, *values: object) -> None:
        """An event of the thread ``tid``, on the CPU it runs on."""
        self.write(table, self.threads[tid].cpu, tid, *values)

    # -- scheduling

    def add_thread(self, thread: Thread) -> None:
        """A thread that its first wake-up will bring to life."""
        thread.left = 1
        self.threads[thread.tid] = thread
        self.threads_changed = True

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
        self.threads_changed = True
        prio = self.threads[old].prio if old else 120
        for tid in (old, new):
            if tid:
                self.threads[tid].silent, self.threads[tid].shown = False, self.now
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
        thread.state, thread.silent, thread.shown = "runnable", False, self.now
        self.threads_changed = True
        target = self.rng.randrange(len(self.current)) if self.rng.random() < 0.4 else thread.cpu
        waker, born = self.current[waker_cpu], not thread.epoch
        if born or not self.wakeups:
            thread.cpu = target
        kind = "sched_wakeup_new" if born else "sched_waking"
        self.write("sched_wake", waker_cpu, waker, kind, thread.tid, thread.prio, thread.cpu)
        if self.wakeups and not born:
            self.pass_time(self.now + self.rng.randint(1, 200))
            thread.cpu = target
            self.threads_changed = True
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
            thread.prio, thread.silent, thread.shown = prio, False, self.now
            self.threads_changed = True
            self.pass_time(self.now + 1)

    # -- running

    def at(self, when: int, what: str, tid: int = 0, epoch: int = 0) -> None:
        """Plans one of ``timer_actions``."""
        self._timer_number += 1
        heapq.heappush(self.timers, (when, self._timer_number, what, tid, epoch))

    def run(self, until: int) -> None:
        """Runs the world up to ``until``."""
        while True:
            when, cpu = until, -1
            for number, tid in enumerate(self.current):
                if tid and (due := self.now + max(self.threads[tid].left, 0)) < when:
                    when, cpu = due, number
            if self.timers and self.timers[0][0] <= when:
                timer = heapq.heappop(self.timers)
                if timer[0] >= until:
                    break
                self.pass_time(timer[0])
                self.timer_actions[timer[2]](timer[3], timer[4])
                continue
            if when >= until:
                break
            self.pass_time(when)
            tid = self.current[cpu]
            if tid and self.threads[tid].left <= 0:
                self._resume(self.threads[tid])
        self.pass_time(until + QUIET_NS)  # the last step may have gone past the end: all worlds stop at one instant

    def _wake_sleeper(self, tid: int, epoch: int) -> None:
        """From an interrupt: on any CPU for a thread in S. Who is in D is woken by a disk, not by its own process."""
        thread = self.threads[tid]
        if thread.epoch != epoch:
            return
        cpus = [*range(len(self.current))]
        if thread.state == "disk":
            cpus = [c for c in cpus if not self.current[c] or self.threads[self.current[c]].tgid != thread.tgid]
        if cpus:
            self.wake(thread, self.rng.choice(cpus))
        else:
            self.at(self.now + 777, "wake", tid, epoch)

    def _tick(self, *_: int) -> None:
        self.preempt(self.rng.randrange(len(self.current)))
        self.at(self.now + self.rng.randint(200, 20_000), "tick")

    def _boost(self, *_: int) -> None:
        thread = self.threads[self.rng.choice(sorted(self.threads))]
        prio = self.rng.choice((98, 100, 110, 115, 120, 124, 130, 139))
        self.set_prio(thread, prio, self.rng.randrange(len(self.current)))
        self.at(self.now + self.rng.randint(5_000, 60_000), "boost")

    def _renice(self, *_: int) -> None:
        """setpriority: no event tells of it. A change back before the first was seen could not be noticed, so none is made."""
        thread = self.threads[self.rng.choice(sorted(self.threads))]
        if not thread.silent and thread.state != "dead":
            thread.prio = self.rng.choice([p for p in (100, 110, 120, 125, 139) if p != thread.prio])
            thread.silent = self.threads_changed = True
        self.at(self.now + self.rng.randint(2_000, 30_000), "renice")

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
