"""Plays small scenes of an Android device, on lanes of two CPUs, until there are enough events for a capture.

Every scene begins and ends with its CPUs idle and nothing held. So it can be repeated at later times and stays
consistent: every thread sleeps before it is woken, every lock is free before it is taken.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

SLEEPS, BLOCKED, PREEMPTED = 1, 2, 256  # prev_state
READ, WRITE = 2, 4  # flags of contention_begin
_DONTNEED = 4
_LOCK_OFFSET = 0x78  # of mmap_lock within its mm
_RANGE_BYTES = (4096, 4096, 16384, 262144, 262144, 1 << 20, 8 << 20)
_CPUS_A_LANE = 2


class Thread(NamedTuple):
    """A thread that runs."""

    tid: int
    comm: str
    prio: int


class Event(NamedTuple):
    """One event; ``values`` are the event's own fields in their order."""

    ts_ns: int
    cpu: int
    name: str
    tid: int
    values: tuple[object, ...]


@dataclass(slots=True, kw_only=True)
class Lane:
    """Two CPUs with one app of their own; their events are emitted in order of time."""

    number: int
    rng: random.Random
    now_ns: int
    events: list[Event] = field(default_factory=list)
    _running: dict[int, Thread] = field(default_factory=dict)

    @property
    def tgid(self) -> int:
        return 2000 + 100 * self.number

    @property
    def mm(self) -> int:
        return 0xFFFF_0000_8000_0000 + 0x1400 * self.number

    @property
    def cpus(self) -> tuple[int, int]:
        return _CPUS_A_LANE * self.number, _CPUS_A_LANE * self.number + 1

    def thread(self, place: int) -> Thread:
        """The app's threads by their place in the process; 0 is the main thread."""
        return Thread(self.tgid + place, *_THREADS[place])

    def emit(self, cpu: int, name: str, *values: object, after_ns: int = 600) -> None:
        """One event of the thread that runs on ``cpu``, some time after the last."""
        self.now_ns += self.rng.randint(after_ns // 2, after_ns * 2)
        self.events.append(Event(self.now_ns, cpu, name, self.running(cpu).tid, values))

    def running(self, cpu: int) -> Thread:
        return self._running.get(cpu, Thread(0, f"swapper/{cpu}", 120))

    def wake(self, cpu: int, thread: Thread, target: int) -> None:
        self.emit(cpu, "sched_waking", thread.comm, thread.tid, thread.prio, target)

    def switch(self, cpu: int, to: Thread | None, state: int = 0) -> None:
        """Switches to another thread, or to the idle one; the thread that ran goes to ``state``."""
        old = self.running(cpu)
        new = to or Thread(0, f"swapper/{cpu}", 120)
        self.emit(cpu, "sched_switch", old.comm, old.tid, old.prio, state, new.comm, new.tid, new.prio, after_ns=2500)
        self._running[cpu] = new

    def start(self, cpu: int, place: int) -> None:
        """Wakes one of the app's threads onto an idle CPU."""
        self.wake(cpu, self.thread(place), cpu)
        self.switch(cpu, self.thread(place))

    def mark(self, cpu: int, name: str = "") -> None:
        """Begins a slice, or ends one if there is no name."""
        self.emit(cpu, "print", 0xFFFF_8000_0812_3450, f"B|{self.tgid}|{name}\n" if name else f"E|{self.tgid}\n")

    def lock(self, cpu: int, write: bool, *, waits: bool = True) -> None:
        """Takes mmap_lock at once; a trylock, as of a page fault, has no start event."""
        if waits:
            self.emit(cpu, "mmap_lock_start_locking", self.mm, 1, write, after_ns=300)
        self.acquired(cpu, write)

    def acquired(self, cpu: int, write: bool) -> None:
        self.emit(cpu, "mmap_lock_acquire_returned", self.mm, 1, write, True, after_ns=300)

    def release(self, cpu: int, write: bool) -> None:
        self.emit(cpu, "mmap_lock_released", self.mm, 1, write, after_ns=1500)

    def contend(self, cpu: int, write: bool) -> None:
        """Asks for the lock and has to wait."""
        self.emit(cpu, "mmap_lock_start_locking", self.mm, 1, write)
        self.emit(cpu, "contention_begin", self.mm + _LOCK_OFFSET, WRITE if write else READ)

    def get(self, cpu: int, write: bool) -> None:
        """Gets the lock after :meth:`contend`."""
        self.emit(cpu, "contention_end", self.mm + _LOCK_OFFSET, 0)
        self.acquired(cpu, write)

    def enter_madvise(self, cpu: int) -> None:
        start = 0x1200_0000 + 4096 * self.rng.randrange(60_000)
        self.emit(cpu, "sys_enter_madvise", 233, start, self.rng.choice(_RANGE_BYTES), _DONTNEED, after_ns=900)

    def leave(self, cpu: int, call: str) -> None:
        number, ret = {"madvise": (233, 0), "mmap": (222, 0x7000_0000), "munmap": (215, 0)}[call]
        self.emit(cpu, f"sys_exit_{call}", number, ret)


UI, RENDER, GC, JIT, BINDER, BINDER_2 = 0, 1, 2, 3, 4, 5
_THREADS = (
    ("android.app", 110), ("RenderThread", 110), ("HeapTaskDaemon", 124), ("Jit thread pool", 129),
    ("binder:app_1", 120), ("binder:app_2", 120),
)  # fmt: skip


def play_gc(lane: Lane) -> None:
    """HeapTaskDaemon frees a few dozen ranges, each with mmap_lock held for read."""
    cpu = lane.cpus[0]
    lane.start(cpu, GC)
    lane.mark(cpu, "young concurrent copying GC")
    for _ in range(lane.rng.randint(15, 45)):
        lane.enter_madvise(cpu)
        lane.lock(cpu, False)
        lane.release(cpu, False)
        lane.leave(cpu, "madvise")
    lane.mark(cpu)
    lane.switch(cpu, None, SLEEPS)


def play_frame(lane: Lane) -> None:
    """vsync wakes the main thread: it faults, maps, and hands over to RenderThread."""
    left, right = lane.cpus
    lane.start(right, UI)
    lane.mark(right, f"Choreographer#doFrame {lane.rng.randrange(90_000)}")
    for _ in range(lane.rng.randint(1, 4)):
        lane.lock(right, False, waits=False)
        lane.release(right, False)
    lane.emit(right, "sys_enter_mmap", 222, 0, 1 << 20, 3, 0x22, (1 << 64) - 1, 0)
    lane.lock(right, True)
    lane.release(right, True)
    lane.leave(right, "mmap")
    lane.wake(right, lane.thread(RENDER), left)
    lane.switch(left, lane.thread(RENDER))
    lane.mark(right)
    lane.switch(right, None, SLEEPS)
    lane.mark(left, "DrawFrames")
    lane.lock(left, False, waits=False)
    lane.release(left, False)
    lane.mark(left)
    lane.switch(left, None, SLEEPS)


def play_inversion(lane: Lane) -> None:
    """The main thread waits for HeapTaskDaemon, which binder preempts while it holds the lock."""
    left, right = lane.cpus
    lane.start(left, GC)
    lane.start(right, UI)
    lane.enter_madvise(left)
    lane.lock(left, False)
    lane.emit(right, "sys_enter_munmap", 215, 0x7000_0000, 1 << 20)
    lane.contend(right, True)
    lane.switch(right, None, BLOCKED)
    lane.wake(right, lane.thread(BINDER), left)
    lane.switch(left, lane.thread(BINDER), PREEMPTED)
    lane.now_ns += lane.rng.randint(20_000, 900_000)
    lane.switch(left, lane.thread(GC), SLEEPS)
    lane.release(left, False)
    lane.wake(left, lane.thread(UI), right)
    lane.switch(right, lane.thread(UI))
    lane.get(right, True)
    lane.leave(left, "madvise")
    lane.release(right, True)
    lane.leave(right, "munmap")
    lane.switch(left, None, SLEEPS)
    lane.switch(right, None, SLEEPS)


def play_chain(lane: Lane) -> None:
    """The main thread's fault queues behind a writer, and the writer behind HeapTaskDaemon."""
    left, right = lane.cpus
    lane.start(left, GC)
    lane.enter_madvise(left)
    lane.lock(left, False)
    lane.start(right, JIT)
    lane.emit(right, "sys_enter_mmap", 222, 0, 1 << 16, 5, 0x22, (1 << 64) - 1, 0)
    lane.contend(right, True)
    lane.wake(left, lane.thread(UI), right)
    lane.switch(right, lane.thread(UI), BLOCKED)
    lane.contend(right, False)
    lane.switch(right, None, BLOCKED)
    lane.now_ns += lane.rng.randint(5_000, 200_000)
    lane.release(left, False)
    lane.wake(left, lane.thread(JIT), right)
    lane.switch(right, lane.thread(JIT))
    lane.get(right, True)
    lane.release(right, True)
    lane.wake(right, lane.thread(UI), right)
    lane.switch(right, lane.thread(UI), PREEMPTED)
    lane.get(right, False)
    lane.release(right, False)
    lane.switch(right, lane.thread(JIT), SLEEPS)
    lane.leave(right, "mmap")
    lane.switch(right, None, SLEEPS)
    lane.leave(left, "madvise")
    lane.switch(left, None, SLEEPS)


def play_chatter(lane: Lane) -> None:
    """Two binder threads answer each other: nothing but the scheduler's events."""
    left, right = lane.cpus
    lane.start(left, BINDER)
    for _ in range(lane.rng.randint(5, 30)):
        lane.wake(left, lane.thread(BINDER_2), right)
        lane.switch(right, lane.thread(BINDER_2))
        lane.switch(left, None, SLEEPS)
        lane.wake(right, lane.thread(BINDER), left)
        lane.switch(left, lane.thread(BINDER))
        lane.switch(right, None, SLEEPS)
    lane.switch(left, None, SLEEPS)


_SCENES: tuple[tuple[Callable[[Lane], None], int], ...] = (
    (play_gc, 20), (play_frame, 40), (play_inversion, 12), (play_chain, 8), (play_chatter, 20),
)  # fmt: skip


def play(*, events: int, lanes: int, start_ns: int, seed: int) -> list[Lane]:
    """Plays scenes on all lanes side by side until there are ``events`` of them, or a few more."""
    rng = random.Random(seed)
    all_lanes = [Lane(number=n, rng=random.Random(rng.random()), now_ns=start_ns) for n in range(lanes)]
    scenes, weights = zip(*_SCENES, strict=True)
    while sum(len(lane.events) for lane in all_lanes) < events:
        lane = min(all_lanes, key=lambda one: one.now_ns)
        lane.rng.choices(scenes, weights)[0](lane)
        lane.now_ns += lane.rng.randint(2_000, 60_000)
    return all_lanes
