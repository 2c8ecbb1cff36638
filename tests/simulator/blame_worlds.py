"""Worlds in which a wait leads through several threads: kernel mutexes, futexes, Java monitors and binder calls.

Locks have numbers and are taken in ascending order, so that nothing is stuck for ever. The diary says at each instant behind
whom each thread stands. Where that is a matter of what comes (who will take a call, or wake a sleeper), the diary's entry is
completed when it comes.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass

from tests.simulator.blame_locks import Lock, Mutexes, ReaderWriters
from tests.simulator.kernel import Behind, Kernel, Program, Thread

UI, CLIENTS, SERVERS = 100, 3, 3
CLIENT_TGID, SERVER_TGID = 100, 200
LENGTH_NS = 150_000
KINDS = ("monitor", "futex", "pi", "rw", "mutex", "mutex")
FUTEX_WAIT, FUTEX_WAKE, LOCK_PI, UNLOCK_PI, PRIVATE = 0, 1, 6, 7, 128


@dataclass(slots=True)
class Request:
    """A call on its way: its number, who waits for the answer, and the diary's entry of that."""

    number: int
    client: int
    entry: Behind | None


class Actions:
    """What the threads of one world do.

    Attributes:
        releases: this kernel has lock:contended_release.
        names_anew: this ART names the owner of a monitor before each sleep.
    """

    def __init__(self, kernel: Kernel, *, releases: bool, names_anew: bool) -> None:
        self.kernel, self.releases, self.names_anew = kernel, releases, names_anew
        self.locks = {
            tgid: [Lock(kind, 0x1000 * tgid + 0x100 * n) for n, kind in enumerate(KINDS)]
            for tgid in (CLIENT_TGID, SERVER_TGID)
        }  # fmt: skip
        self.special: dict[str, Mutexes | ReaderWriters] = {"mutex": Mutexes(self), "rw": ReaderWriters(self)}
        self.inbox: deque[Request] = deque()
        self.idle: list[int] = []
        self.back: dict[int, deque[Request]] = {}  # calls into a thread that waits for an answer itself
        self.answered: set[int] = set()
        self.let_go: set[int] = set()  # whoever waits for a monitor that the named owner let go of
        self.number = 0
        self.number_of: dict[int, int] = {}  # of the answer that each thread got last

    # -- the diary

    def stand(self, t: Thread, kind: str, evidence: str, holder: int = -1, *, asleep: bool = True) -> Behind:
        entry = Behind(t.tid, kind, evidence, holder, asleep)
        self.kernel.behind.setdefault(t.tid, []).append(entry)
        self.kernel.locks_changed = True
        return entry

    def replace(self, old: Behind, holder: int, evidence: str | None = None) -> Behind:
        """From now on the thread stands behind another one."""
        own = self.kernel.behind[old.tid]
        entry = Behind(old.tid, old.kind, evidence or old.evidence, holder, old.asleep)
        own[own.index(old)] = entry
        self.kernel.locks_changed = True
        return entry

    def leave(self, entry: Behind) -> None:
        self.kernel.behind[entry.tid] = [e for e in self.kernel.behind[entry.tid] if e is not entry]
        self.kernel.locks_changed = True

    def step(self) -> None:
        self.kernel.pass_time(self.kernel.now + 1)

    def cost(self) -> int:
        return int(10 ** self.kernel.rng.uniform(1, 3.6))

    # -- locks

    def mark(self, t: Thread, text: str) -> None:
        self.kernel.emit("marker", t.tid, text)
        self.step()

    def futex(self, t: Thread, address: int, op: int) -> None:
        self.kernel.emit("syscall", t.tid, "enter", "futex", (address, op | PRIVATE), 0)
        self.step()

    def futex_ends(self, t: Thread) -> None:
        self.kernel.emit("syscall", t.tid, "exit", "futex", (), 0)
        self.step()

    def acquire(self, t: Thread, lock: Lock) -> Program:
        if lock.kind in self.special:
            yield from self.special[lock.kind].acquire(t, lock)
        elif not lock.owner:
            lock.owner = t.tid
        else:
            yield from getattr(self, f"_wait_{lock.kind}")(t, lock)

    def _wait_monitor(self, t: Thread, lock: Lock) -> Program:
        """ART names the owner of this moment, whoever has it later; some versions do so again before each further sleep."""
        name = self.kernel.threads[lock.owner].comm
        self.mark(t, f"B|{t.tgid}|monitor contention with owner {name} (7) at a.B.c(B.java:1) waiters=0")
        entry = self._name_owner(t, lock)
        lock.queue.append(t.tid)
        while lock.owner != t.tid:
            if not lock.owner and lock.queue[0] == t.tid:
                lock.owner = t.tid
                break
            yield ("S", -1)
            if self.names_anew and lock.owner and lock.owner != t.tid:
                self.leave(entry)
                self.mark(t, f"E|{t.tgid}")
                entry = self._name_owner(t, lock)
        lock.queue.remove(t.tid)
        self.let_go.discard(t.tid)
        self.leave(self.entry_of(t.tid, "monitor"))
        self.mark(t, f"E|{t.tgid}")
        self.mark(t, f"E|{t.tgid}")

    def _name_owner(self, t: Thread, lock: Lock) -> Behind:
        owner = lock.owner
        self.mark(t, f"B|{t.tgid}|Lock contention on a monitor lock (owner tid: {owner})")
        return self.stand(t, "monitor", "inferred", owner)

    def _end_monitor_sleep(self, tid: int, t: Thread) -> None:
        """Who ends a sleep had the lock until then. If that is who was named, it had it all the time."""
        if self.kernel.threads[tid].state != "sleeping":
            return
        entry = self.entry_of(tid, "monitor")
        if tid in self.let_go:
            entry.holder, entry.evidence = t.tid, "inferred"
        elif entry.holder == t.tid:
            entry.evidence = "exact"
        else:
            return
        if not self.names_anew:  # of its next sleep nothing is known before somebody ends it
            self.let_go.add(tid)
            self.replace(entry, -1, "unknown")

    def _wait_futex(self, t: Thread, lock: Lock) -> Program:
        """Each sleep is due to who ends it; whoever was woken may find the lock taken again."""
        lock.queue.append(t.tid)
        while lock.owner:
            self.futex(t, lock.address, FUTEX_WAIT)
            entry = self.stand(t, "futex", "unknown")
            yield ("S", -1)
            self.leave(entry)
            self.futex_ends(t)
            yield self.kernel.rng.randint(5, 400)
        lock.queue.remove(t.tid)
        lock.owner = t.tid

    def _wait_pi(self, t: Thread, lock: Lock) -> Program:
        self.futex(t, lock.address, LOCK_PI)
        lock.queue.append(t.tid)
        self.stand(t, "futex", "unknown")
        while lock.owner != t.tid:
            yield ("S", -1)
        self.leave(self.entry_of(t.tid, "futex"))
        self.futex_ends(t)

    def release(self, t: Thread, lock: Lock) -> Program:
        k = self.kernel
        if lock.kind in self.special:
            yield from self.special[lock.kind].release(t, lock)
        elif lock.kind == "pi":
            if lock.queue:
                following = lock.queue.pop(0)
                k.emit("syscall", t.tid, "enter", "futex", (lock.address, UNLOCK_PI | PRIVATE), 0)
                lock.owner = following
                self._due(lock, t, following)
                self.step()
                yield from self.wake(t, following)
                self.futex_ends(t)
            else:
                lock.owner = 0
        elif lock.kind == "futex":
            lock.owner = 0
            if lock.queue:
                self.futex(t, lock.address, FUTEX_WAKE)
                sleeper = k.threads[lock.queue[0]]
                if sleeper.state == "sleeping":
                    entry = self.entry_of(sleeper.tid, "futex")
                    entry.holder, entry.evidence = t.tid, "inferred"
                yield from self.wake(t, sleeper.tid)
                self.futex_ends(t)
        else:
            lock.owner = 0
            if lock.queue:
                self._end_monitor_sleep(lock.queue[0], t)
                yield from self.wake(t, lock.queue[0])
        yield 1

    def entry_of(self, tid: int, kind: str) -> Behind:
        """The diary's entry of a thread's innermost wait of that kind."""
        return next(e for e in reversed(self.kernel.behind[tid]) if e.kind == kind)

    def _due(self, lock: Lock, t: Thread, following: int) -> None:
        """Completes what the waiters stood behind until now, and begins anew for all but the next owner."""
        for tid in (*lock.queue, following):
            entry = self.entry_of(tid, "futex")
            entry.holder, entry.evidence = t.tid, "exact"
            if tid != following:
                self.replace(entry, -1, "unknown")

    def wake(self, t: Thread, tid: int) -> Program:
        self.kernel.wake(self.kernel.threads[tid], t.cpu)
        yield 1  # whoever was woken may have taken the CPU

    # -- binder

    def send(self, t: Thread, tgid: int, *, to: int = 0, reply: bool = False, one_way: bool = False) -> int:
        self.number += 1
        self.kernel.emit("binder", t.tid, "binder_transaction", self.number, tgid, to, reply, 0x10 | one_way)
        return self.number

    def call(self, t: Thread) -> Program:
        """From a client into the server; while it waits, the server may call back."""
        number = self.send(t, SERVER_TGID)
        entry = self.stand(t, "binder", "unknown")
        self.step()
        self.inbox.append(Request(number, t.tid, entry))
        if self.idle:
            yield from self.wake(t, self.idle.pop(0))
        yield from self._await(t)

    def _await(self, t: Thread) -> Program:
        back = self.back.setdefault(t.tid, deque())
        while t.tid not in self.answered:
            if not back:
                yield ("S", -1)
            while back:
                request = back.popleft()
                yield from self.serve(t, request, deep=True)
        self.answered.discard(t.tid)
        self.kernel.emit("binder", t.tid, "binder_transaction_received", self.number_of[t.tid], 0, 0, False, 0)
        self.step()
        yield 1

    def serve(self, t: Thread, request: Request, *, deep: bool) -> Program:
        k, rng = self.kernel, self.kernel.rng
        k.emit("binder", t.tid, "binder_transaction_received", request.number, 0, 0, False, 0)
        entry = request.entry
        serving = self.stand(t, "", "", asleep=False)  # while it serves, it waits for nothing that it called for before
        if entry:
            # Until now it was not known who would take the call.
            entry.holder, entry.evidence = t.tid, "inferred"
            entry = self.replace(entry, t.tid, "exact")
        self.step()
        yield self.cost()
        if rng.random() < 0.6:
            yield from self.locked(t, 0)
        if entry and not deep and rng.random() < 0.3:
            number = self.send(t, CLIENT_TGID, to=request.client)
            mine = self.stand(t, "binder", "unknown")
            self.step()
            self.back.setdefault(request.client, deque()).append(Request(number, t.tid, mine))
            yield from self.wake(t, request.client)
            yield from self._await(t)
        if rng.random() < 0.3:
            yield ("S", rng.randint(100, 9_000))
        self.leave(serving)
        if entry:
            client = self.kernel.threads[request.client]
            self.number_of[client.tid] = self.send(t, client.tgid, to=client.tid, reply=True)
            self.answered.add(client.tid)
            self.leave(entry)
            self.step()
            yield from self.wake(t, client.tid)
        yield 1

    # -- lives

    def locked(self, t: Thread, first: int) -> Program:
        """Takes a lock, and perhaps a later one inside."""
        rng, own = self.kernel.rng, self.locks[t.tgid]
        number = rng.randrange(first, len(own))
        yield from self.acquire(t, own[number])
        yield self.cost()
        if rng.random() < 0.2:
            yield (rng.choice(("S", "D")), rng.randint(100, 12_000))
        if number + 1 < len(own) and rng.random() < 0.5:
            yield from self.locked(t, number + 1)
        yield self.cost()
        yield from self.release(t, own[number])

    def client(self, t: Thread) -> Program:
        rng = self.kernel.rng
        yield self.cost()
        while True:
            pick = rng.random()
            if pick < 0.5:
                yield from self.locked(t, 0)
            elif pick < 0.85:
                yield from self.call(t)
            else:
                self.inbox.append(Request(self.send(t, SERVER_TGID, one_way=True), t.tid, None))
                self.step()
                if self.idle:
                    yield from self.wake(t, self.idle.pop(0))
            if rng.random() < 0.5:
                yield ("S", rng.randint(50, 9_000))
            yield self.cost()

    def server(self, t: Thread) -> Program:
        yield self.cost()
        while True:
            while not self.inbox:
                self.idle.append(t.tid)
                yield ("S", -1)
                if t.tid in self.idle:
                    self.idle.remove(t.tid)
            yield from self.serve(t, self.inbox.popleft(), deep=False)
            yield self.cost()


def make_blame_world(seed: int) -> Kernel:
    """The same seed makes the same world."""
    rng = random.Random(f"blame {seed}")
    kernel = Kernel(rng, rng.choice((1, 2, 2, 3)), wakeups=False)
    actions = Actions(kernel, releases=rng.random() < 0.6, names_anew=rng.random() < 0.5)
    names = {UI: "ui", UI + 1: "RenderThread", UI + 2: "HeapTaskDaemon"}
    for first, count, tgid, live in (
        (UI, CLIENTS, CLIENT_TGID, actions.client), (2 * UI, SERVERS, SERVER_TGID, actions.server),
    ):  # fmt: skip
        for tid in range(first, first + count):
            prio = rng.choice((97, 110, 120, 124, 130))
            comm, cpu = names.get(tid, f"binder:{tgid}_{tid}"), rng.randrange(len(kernel.current))
            thread = Thread(tid=tid, tgid=tgid, comm=comm, prio=prio, mm=0, cpu=cpu)
            thread.program = live(thread)
            kernel.add_thread(thread)
            kernel.at(rng.randint(2_000, 6_000), "wake", tid)
    kernel.at(3_000, "tick")
    if rng.random() < 0.5:
        kernel.at(8_000, "boost")
    if rng.random() < 0.5:
        kernel.at(7_000, "renice")
    kernel.run(LENGTH_NS)
    return kernel
