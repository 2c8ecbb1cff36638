"""The simulated locks of VMAs: readers that are turned away while a writer is there, and a writer that sleeps until they left."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from tests.simulator.kernel import Hold, Kernel, Program, Thread, VmaWait

_LOCK_ADDRESS = 0x40_0000  # from an mm to the lock of its first VMA, where that is an rw_semaphore


@dataclass(slots=True)
class Reading:
    """A reader as those see it who wait for it: like a hold of mmap_lock, until the writer that it kept lets go of that."""

    tid: int
    start: int
    operation: str
    behind: Hold
    write: bool = False
    downgrade: int = -1

    @property
    def end(self) -> int:
        return self.behind.end


class VmaLocks:
    """The locks of all VMAs of a world, by mm and number of the VMA.

    Attributes:
        rwsem: the kernel is of the time when they were rw_semaphores (6.4 to 6.14), whose contention events show.
    """

    def __init__(self, kernel: Kernel, *, rwsem: bool) -> None:
        self.kernel, self.rwsem = kernel, rwsem
        self.readers: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
        self.written: dict[tuple[int, int], int] = {}  # tid of the writer
        self.waits: list[VmaWait] = []

    def try_read(self, t: Thread, vma: int) -> bool:
        """A reader never waits: it gets the lock, or it has to take mmap_lock instead."""
        if (t.mm, vma) in self.written:
            return False
        self.readers[t.mm, vma].add(t.tid)
        return True

    def leave(self, t: Thread, vma: int) -> None:
        """The last reader wakes the writer."""
        k, here = self.kernel, self.readers[t.mm, vma]
        here.discard(t.tid)
        wait = k.vma_waiting.get(self.written.get((t.mm, vma), -1))
        if here or wait is None:
            return
        wait.end = k.now
        wait.reading = Reading(t.tid, wait.start, t.operation, wait.hold)
        del k.vma_waiting[wait.tid]
        k.locks_changed = True
        k.wake(k.threads[wait.tid], t.cpu)

    def start_write(self, t: Thread, mm: int, vma: int) -> Program:
        """Turns later readers away and sleeps until those who are there have left. The thread holds mmap_lock for write."""
        k = self.kernel
        self.written[mm, vma] = t.tid
        if not self.readers[mm, vma]:
            return
        address = mm + _LOCK_ADDRESS + 0x100 * vma
        if self.rwsem:
            k.emit("contention", t.tid, "contention_begin", address, 4, 0)
            k.pass_time(k.now + 1)
        wait = k.vma_waiting[t.tid] = VmaWait(t.tid, mm, k.now, k.holding[t.tid, mm], order=len(self.waits))
        self.waits.append(wait)
        k.locks_changed = True
        yield ("D", -1)
        if self.rwsem:
            k.emit("contention", t.tid, "contention_end", address, 0, 0)
            k.pass_time(k.now + 1)

    def end_write(self, mm: int) -> None:
        """All at once, when mmap_lock is released or downgraded."""
        for key in [key for key in self.written if key[0] == mm]:
            del self.written[key]
