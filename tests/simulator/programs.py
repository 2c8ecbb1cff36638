"""What the simulated threads do: madvise on either path, mmap, munmap, mprotect, page faults, fork, remote reads, exit."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.simulator import memory
from tests.simulator.kernel import Hold, Kernel, Program, Thread, VmaWait, Wait
from tests.simulator.rwsem import Rwsems
from tests.simulator.vma_lock import VmaLocks

LOCK_OFFSET = 0x98
_MOST_THREADS = 9


@dataclass(slots=True)
class Call:
    """A system call as it was made; ``reason`` is why a madvise took mmap_lock."""

    tid: int
    call: str
    start: int
    end: int = -1
    locked: bool = False
    reason: str = ""


@dataclass(slots=True)
class Record:
    """What happened, in order: the other half of the truth, beside the kernel's diary."""

    waits: list[Wait] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    vma_waits: list[VmaWait] = field(default_factory=list)


class Actions:
    """The system calls of one world, as generators that a thread's program delegates to."""

    def __init__(
        self, kernel: Kernel, rwsems: Rwsems, vmas: VmaLocks, patch: memory.Patch, mms: list[int], *, mortal: bool
    ) -> None:
        self.kernel, self.rwsems, self.vmas, self.patch, self.mms, self.mortal = (
            kernel,
            rwsems,
            vmas,
            patch,
            mms,
            mortal,
        )
        self.record = Record(vma_waits=vmas.waits)
        self.in_call: dict[int, Call] = {}
        self.private_mm = 0x7000_0000

    def cost(self) -> int:
        """CPU time of a step: mostly short, sometimes long enough to be preempted in."""
        rng = self.kernel.rng
        return int(10 ** rng.uniform(0.5, 4.3 if rng.random() < 0.25 else 2.7))

    # -- system calls and the lock, each with its events

    def enter(self, t: Thread, call: str, *args: int, operation: str = "") -> Call:
        k = self.kernel
        k.emit("syscall", t.tid, "enter", call, args, 0)
        made = self.in_call[t.tid] = Call(t.tid, call, k.now)
        self.record.calls.append(made)
        t.operation = operation or call
        k.pass_time(k.now + 1)
        return made

    def leave(self, t: Thread, call: str, ret: int = 0) -> None:
        k = self.kernel
        k.emit("syscall", t.tid, "exit", call, (), ret)
        self.in_call.pop(t.tid).end = k.now
        t.operation = "fault"
        k.pass_time(k.now + 1)

    def lock(self, t: Thread, mm: int, *, write: bool) -> Program:
        """start_locking, perhaps a wait, acquire_returned. Leaves t.killed set if it was killed meanwhile."""
        k = self.kernel
        k.emit("mmap_lock", t.tid, "mmap_lock_start_locking", mm, write, True)
        wait = k.waiting[t.tid] = Wait(t.tid, mm, write, k.now, order=len(self.record.waits))
        k.locks_changed = True
        self.record.waits.append(wait)
        if t.tid in self.in_call:
            self.in_call[t.tid].locked = True
        k.pass_time(k.now + 1)
        yield k.rng.randint(1, 60)
        lock = self.rwsems.of[mm]
        if not self.rwsems.try_take(t, mm, write=write):
            yield from self.rwsems.steal(t, mm, write=write)
            if not lock.held_by(t.tid):
                k.emit("contention", t.tid, "contention_begin", mm + LOCK_OFFSET, 4 if write else 2, 0)
                k.pass_time(k.now + 1)
                yield from self.rwsems.queue_up(t, mm, write=write)
                k.emit("contention", t.tid, "contention_end", mm + LOCK_OFFSET, 0, -4 if t.killed else 0)
                k.pass_time(k.now + 1)
        yield k.rng.randint(1, 60)
        wait.end, wait.outcome = k.now, "failed" if t.killed else "acquired"
        del k.waiting[t.tid]
        self._acquired(t, mm, not t.killed, "lock", write=write)

    def _acquired(self, t: Thread, mm: int, success: bool, how: str, *, write: bool) -> None:
        k = self.kernel
        k.emit("mmap_lock", t.tid, "mmap_lock_acquire_returned", mm, write, success)
        if success:
            hold = k.holding[t.tid, mm] = Hold(t.tid, mm, write, k.now, how, t.operation)
            self.record.holds.append(hold)
        k.locks_changed = True
        k.pass_time(k.now + 1)

    def unlock(self, t: Thread, mm: int) -> Program:
        """released, and a moment later the unlock itself: the thread may be preempted in between."""
        k = self.kernel
        hold = k.holding.pop((t.tid, mm))
        hold.end = k.now
        k.locks_changed = True
        k.emit("mmap_lock", t.tid, "mmap_lock_released", mm, hold.write and id(hold) not in k.downgraded, True)
        k.pass_time(k.now + 1)
        if hold.write:
            self.vmas.end_write(mm)
        yield k.rng.randint(1, 40)
        self.rwsems.drop(t, mm)
        yield 1  # whoever was woken may have taken the CPU

    def downgrade(self, t: Thread, mm: int) -> None:
        k = self.kernel
        hold = k.holding[t.tid, mm]
        k.emit("mmap_lock", t.tid, "mmap_lock_acquire_returned", mm, False, True)
        hold.downgrade = k.now
        k.downgraded.add(id(hold))
        k.locks_changed = True
        self.vmas.end_write(mm)
        self.rwsems.downgrade(t, mm)
        k.pass_time(k.now + 1)
        self.rwsems.hand_over(mm, t.cpu)

    # -- what a thread does

    def work(self, *, may_sleep: bool) -> Program:
        """Some CPU time inside a hold, and sometimes a sleep with the lock held."""
        rng = self.kernel.rng
        yield self.cost()
        if may_sleep and rng.random() < 0.12:
            yield (rng.choice(("D", "S")), rng.randint(100, 20_000))
            yield self.cost()

    def holding(self, t: Thread, mm: int, *, write: bool, downgrade: bool = False) -> Program:
        yield from self.lock(t, mm, write=write)
        if t.killed:
            t.killed = False
            return
        yield from self.work(may_sleep=True)
        if write and mm == t.mm:
            yield from self.write_vmas(t)
        if downgrade:
            self.downgrade(t, mm)
            yield from self.work(may_sleep=False)
        yield from self.unlock(t, mm)

    def write_vmas(self, t: Thread) -> Program:
        """Locks one or both of the plain VMAs for write, one after the other."""
        rng = self.kernel.rng
        for vma in rng.sample(memory.PLAIN, rng.choice((1, 1, 2))):
            yield from self.vmas.start_write(t, t.mm, vma)
            yield self.cost()

    def madvise(self, t: Thread) -> Program:
        """Under the VMA's lock where the kernel can, unless a writer is at work; else under mmap_lock."""
        rng = self.kernel.rng
        a = memory.pick_range(rng, self.patch)
        operation = f"madvise({memory.ADVICE_NAMES[a.advice]})"
        made = self.enter(t, "madvise", a.address, a.length, a.advice, operation=operation)
        writer = self.rwsems.of[t.mm].writer
        busy = writer and (writer, t.mm) in self.kernel.holding and rng.random() < 0.7
        easy = not a.obstacle and not busy and self.vmas.try_read(t, a.vma)
        made.reason = a.obstacle or ("" if easy else "vma_lock_busy")
        yield self.cost()
        if made.reason:
            yield from self.holding(t, t.mm, write=False)
        else:
            yield self.cost()
            self.vmas.leave(t, a.vma)
            yield 1  # whoever was woken may have taken the CPU
        yield self.cost()
        self.leave(t, "madvise")

    def process_madvise(self, t: Thread, mm: int) -> Program:
        operation = f"process_madvise({memory.ADVICE_NAMES[memory.COLD]})"
        made = self.enter(t, "process_madvise", 5, 0x2000, 1, memory.COLD, operation=operation)
        made.reason = "remote"
        yield self.cost()
        yield from self.holding(t, mm, write=False)
        self.leave(t, "process_madvise", 4096)

    def change_map(self, t: Thread, call: str) -> Program:
        self.enter(t, call, 0x70_3000_0000, 65536, 3)
        yield self.cost()
        downgrade = call == "munmap" and self.kernel.rng.random() < 0.6
        yield from self.holding(t, t.mm, write=True, downgrade=downgrade)
        yield self.cost()
        self.leave(t, call)

    def fault(self, t: Thread) -> Program:
        """Under the VMA's lock, or a trylock first, as lock_mm_and_find_vma does; if that fails, the real thing."""
        k = self.kernel
        k.emit("page_fault", t.tid, 0x70_1234_5000, 0x55_0000_4000, 6)
        k.pass_time(k.now + 1)
        yield self.cost()
        vma = k.rng.choice(memory.PLAIN)
        if k.rng.random() < 0.5 and self.vmas.try_read(t, vma):
            yield self.cost()
            self.vmas.leave(t, vma)
            yield 1
        elif self.rwsems.try_take(t, t.mm, write=False):
            self._acquired(t, t.mm, True, "trylock", write=False)
            yield from self.work(may_sleep=True)
            yield from self.unlock(t, t.mm)
        else:
            self._acquired(t, t.mm, False, "trylock", write=False)
            yield k.rng.randint(1, 50)
            yield from self.holding(t, t.mm, write=False)

    def fork(self, t: Thread) -> Program:
        """Takes its own mm and, inside, a new one that nobody else knows; then the child comes to life."""
        self.private_mm += 0x400
        child = self.private_mm
        self.enter(t, "clone", 0x120_0011, 0, 0, 0, 0x70_6000_00D0)
        yield self.cost()
        yield from self.lock(t, t.mm, write=True)
        if t.killed:
            t.killed = False
        else:
            yield from self.holding(t, child, write=True)
            yield from self.write_vmas(t)
            yield from self.unlock(t, t.mm)
            self.give_birth(t, child, process=True)
            yield 1
        self.leave(t, "clone")

    def new_thread(self, t: Thread) -> Program:
        """A thread of the same process: no lock is taken."""
        self.enter(t, "clone", 0x3D_0F00, 0x70_7000_1000)
        yield self.cost()
        self.give_birth(t, t.mm, process=False)
        yield 1
        self.leave(t, "clone")

    def give_birth(self, t: Thread, mm: int, *, process: bool) -> None:
        k = self.kernel
        if len(k.threads) >= _MOST_THREADS:
            return
        tid = max(k.threads) + 1
        child = Thread(tid=tid, tgid=tid if process else t.tgid, comm=t.comm, prio=t.prio, mm=mm, cpu=t.cpu)
        child.program = self.live(child)
        k.add_thread(child)
        k.emit("task", t.tid, "newtask", tid, not process, child.comm)
        k.pass_time(k.now + 1)
        k.wake(child, t.cpu)

    def read_remote(self, t: Thread, mm: int) -> Program:
        """/proc/PID/maps of another process."""
        self.enter(t, "read", 7, 0x70_5000_0000, 4096)
        yield self.cost()
        yield from self.holding(t, mm, write=False)
        self.leave(t, "read", 4096)

    def die(self, t: Thread) -> None:
        k = self.kernel
        k.emit("task", t.tid, "exit", t.tid, False, t.comm)
        k.pass_time(k.now + 1)

    def live(self, t: Thread) -> Program:
        """A thread's life: things to do, with sleeps between."""
        rng = self.kernel.rng
        others = [mm for mm in self.mms if mm != t.mm]
        yield self.cost()
        while not (self.mortal and rng.random() < 0.04):
            pick = rng.random()
            if pick < 0.35:
                yield from self.madvise(t)
            elif pick < 0.6:
                yield from self.change_map(t, rng.choice(("mmap", "munmap", "mprotect")))
            elif pick < 0.8:
                yield from self.fault(t)
            elif pick < 0.84:
                yield from self.fork(t)
            elif pick < 0.86:
                yield from self.new_thread(t)
            elif pick < 0.94 and others:
                act = self.process_madvise if rng.random() < 0.5 else self.read_remote
                yield from act(t, rng.choice(others))
            else:
                yield self.cost() * 3
            if rng.random() < 0.5:
                yield ("S", rng.randint(50, 15_000))
            yield self.cost()
        self.die(t)
        yield self.cost()
