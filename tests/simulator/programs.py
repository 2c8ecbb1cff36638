"""What the simulated threads do: madvise on either path, mmap, munmap, mprotect, page faults, fork, remote reads."""

from __future__ import annotations

from tests.simulator.kernel import LOCK_OFFSET, Hold, Kernel, Program, Thread, Wait

MADV_DONTNEED = 4


class Actions:
    """The system calls of one world, as generators that a thread's program delegates to."""

    def __init__(self, kernel: Kernel, *, patched: bool, all_calls: bool) -> None:
        self.kernel, self.patched, self.all_calls = kernel, patched, all_calls
        self.private_mm = 0x7000_0000

    def cost(self) -> int:
        """CPU time of a step: mostly short, sometimes long enough to be preempted in."""
        rng = self.kernel.rng
        return int(10 ** rng.uniform(0.5, 4.3 if rng.random() < 0.25 else 2.7))

    def enter(self, t: Thread, call: str, *args: int) -> None:
        k = self.kernel
        k.emit("syscall", t.tid, "enter", call, args, 0)
        record: dict[str, object] = {"tid": t.tid, "call": call, "start": k.now, "end": -1, "locked": False}
        k.calls.append(record)
        k.in_call[t.tid] = record
        advice = args[3] if call == "process_madvise" else args[2] if call == "madvise" else -1
        names = {4: "MADV_DONTNEED", 20: "MADV_COLD"}
        t.operation = f"{call}({names[advice]})" if advice in names else ("syscall 63" if call == "other" else call)
        k.pass_time(k.now + 1)

    def leave(self, t: Thread, call: str, ret: int = 0) -> None:
        k = self.kernel
        k.emit("syscall", t.tid, "exit", call, (), ret)
        k.in_call.pop(t.tid)["end"] = k.now
        t.operation = "fault" if self.all_calls else "untraced"
        k.pass_time(k.now + 1)

    def lock(self, t: Thread, mm: int, write: bool) -> Program:
        """start_locking, perhaps a wait, acquire_returned. Leaves t.killed set if it was killed meanwhile."""
        k = self.kernel
        k.emit("mmap_lock", t.tid, "mmap_lock_start_locking", mm, write, True)
        wait = Wait(t.tid, mm, write, k.now, order=len(k.waits))
        k.waits.append(wait)
        k.waiting[t.tid] = wait
        if t.tid in k.in_call:
            k.in_call[t.tid]["locked"] = True
        k.pass_time(k.now + 1)
        yield self.kernel.rng.randint(1, 60)
        if not k.take(t, mm, write, wait=True):
            k.emit("contention", t.tid, "contention_begin", mm + LOCK_OFFSET, 4 if write else 2, 0)
            k.pass_time(k.now + 1)
            yield ("D", -1)
            k.emit("contention", t.tid, "contention_end", mm + LOCK_OFFSET, 0, -4 if t.killed else 0)
            k.pass_time(k.now + 1)
        yield self.kernel.rng.randint(1, 60)
        wait.end, wait.outcome = k.now, "failed" if t.killed else "acquired"
        del k.waiting[t.tid]
        self._acquired(t, mm, write, not t.killed, "lock")

    def _acquired(self, t: Thread, mm: int, write: bool, success: bool, how: str) -> None:
        k = self.kernel
        k.emit("mmap_lock", t.tid, "mmap_lock_acquire_returned", mm, write, success)
        if success:
            hold = Hold(t.tid, mm, write, k.now, how, t.operation)
            k.holds.append(hold)
            k.holding[t.tid, mm] = hold
        k.pass_time(k.now + 1)

    def unlock(self, t: Thread, mm: int) -> Program:
        """released, and a moment later the unlock itself: the thread may be preempted in between."""
        k = self.kernel
        hold = k.holding.pop((t.tid, mm))
        hold.end = k.now
        k.emit("mmap_lock", t.tid, "mmap_lock_released", mm, hold.write and id(hold) not in k.downgraded, True)
        k.pass_time(k.now + 1)
        yield k.rng.randint(1, 40)
        k.drop(t, mm)
        yield 1  # whoever was woken may have taken the CPU

    def downgrade(self, t: Thread, mm: int) -> None:
        k = self.kernel
        hold = k.holding[t.tid, mm]
        k.emit("mmap_lock", t.tid, "mmap_lock_acquire_returned", mm, False, True)
        hold.downgrade = k.now
        k.downgraded.add(id(hold))
        lock = k.locks[mm]
        lock.writer = 0
        lock.readers.add(t.tid)
        k.pass_time(k.now + 1)
        k.hand_over(mm, t.cpu)

    def work(self, *, may_sleep: bool) -> Program:
        """Some CPU time inside a hold, and sometimes a sleep with the lock held."""
        rng = self.kernel.rng
        yield self.cost()
        if may_sleep and rng.random() < 0.12:
            yield (rng.choice(("D", "S")), rng.randint(100, 20_000))
            yield self.cost()

    def holding(self, t: Thread, mm: int, write: bool, *, downgrade: bool = False) -> Program:
        yield from self.lock(t, mm, write)
        if t.killed:
            t.killed = False
            return
        yield from self.work(may_sleep=True)
        if downgrade:
            self.downgrade(t, mm)
            yield from self.work(may_sleep=False)
        yield from self.unlock(t, mm)

    def madvise(self, t: Thread) -> Program:
        self.enter(t, "madvise", 0x1000_0000 + 4096 * self.kernel.rng.randint(0, 999), 4096, MADV_DONTNEED)
        yield self.cost()
        if self.patched and self.kernel.rng.random() < 0.7:
            yield self.cost()
        else:
            yield from self.holding(t, t.mm, write=False)
        yield self.cost()
        self.leave(t, "madvise")

    def process_madvise(self, t: Thread, mm: int) -> Program:
        self.enter(t, "process_madvise", 5, 0x2000, 1, 20)
        yield self.cost()
        yield from self.holding(t, mm, write=False)
        self.leave(t, "process_madvise", 4096)

    def change_map(self, t: Thread, call: str) -> Program:
        self.enter(t, call, 0x3000_0000, 65536, 3)
        yield self.cost()
        downgrade = call == "munmap" and self.kernel.rng.random() < 0.6
        yield from self.holding(t, t.mm, write=True, downgrade=downgrade)
        yield self.cost()
        self.leave(t, call)

    def fault(self, t: Thread) -> Program:
        """A trylock first, as lock_mm_and_find_vma does; if that fails, the real thing."""
        k = self.kernel
        yield self.cost()
        if k.take(t, t.mm, False, wait=False):
            self._acquired(t, t.mm, False, True, "trylock")
            yield from self.work(may_sleep=True)
            yield from self.unlock(t, t.mm)
        else:
            self._acquired(t, t.mm, False, False, "trylock")
            yield k.rng.randint(1, 50)
            yield from self.holding(t, t.mm, write=False)

    def fork(self, t: Thread) -> Program:
        """Takes its own mm and, inside, a new one that nobody else knows."""
        self.private_mm += 0x400
        child = self.private_mm
        self.enter(t, "clone", 0)
        yield self.cost()
        yield from self.lock(t, t.mm, True)
        if t.killed:
            t.killed = False
        else:
            yield from self.holding(t, child, write=True)
            yield from self.unlock(t, t.mm)
        self.leave(t, "clone")

    def read_remote(self, t: Thread, mm: int) -> Program:
        """/proc/PID/maps of another process."""
        if self.all_calls:
            self.enter(t, "other")
        yield self.cost()
        yield from self.holding(t, mm, write=False)
        if self.all_calls:
            self.leave(t, "other")

    def live(self, t: Thread, others: list[int]) -> Program:
        """A thread's life: things to do, with sleeps between."""
        rng = self.kernel.rng
        yield self.cost()
        while True:
            pick = rng.random()
            if pick < 0.35:
                yield from self.madvise(t)
            elif pick < 0.6:
                yield from self.change_map(t, rng.choice(("mmap", "munmap", "mprotect")))
            elif pick < 0.8:
                yield from self.fault(t)
            elif pick < 0.84:
                yield from self.fork(t)
            elif pick < 0.92 and others:
                act = self.process_madvise if rng.random() < 0.5 else self.read_remote
                yield from act(t, rng.choice(others))
            else:
                yield self.cost() * 3
            if rng.random() < 0.5:
                yield ("S", rng.randint(50, 15_000))
            yield self.cost()
