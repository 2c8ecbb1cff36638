"""A random world: some processes and threads, run for a while."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.simulator.kernel import QUIET_NS, Kernel, Thread
from tests.simulator.programs import Actions

LENGTH_NS = 220_000
END_NS = LENGTH_NS + QUIET_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    seed: int
    kernel: Kernel
    all_calls: bool
    patched: bool

    @property
    def end(self) -> int:
        return self.kernel.now


def make_world(seed: int) -> World:
    """The same seed makes the same world."""
    rng = random.Random(seed)
    cpus = rng.choice((1, 1, 2, 2, 3))
    kernel = Kernel(rng, cpus, wakeups=rng.random() < 0.5, fair_readers=rng.random() < 0.5)
    patched, all_calls = rng.random() < 0.5, seed % 2 == 0
    actions = Actions(kernel, patched=patched, all_calls=all_calls)
    mms = [0x1_0000, 0x2_0000][: rng.choice((1, 2))]
    for number in range(rng.randint(2, 7)):
        process = number % len(mms)
        comm = ("ui", "HeapTaskDaemon", "RenderThread", "Binder:1", "worker")[min(number // len(mms), 4)]
        prio = rng.choice((97, 110, 110, 120, 120, 124, 130))
        thread = Thread(
            tid=100 + number, tgid=100 + process, comm=comm, prio=prio, mm=mms[process], cpu=rng.randrange(cpus),
            operation="fault" if all_calls else "untraced",
        )  # fmt: skip
        thread.program = actions.live(thread, [mm for mm in mms if mm != thread.mm])
        thread.left = 1
        kernel.threads[thread.tid] = thread
        kernel.at(rng.randint(2_000, 9_000), "wake", thread.tid)
    kernel.at(3_000, "tick", 0)
    if rng.random() < 0.5:
        kernel.at(10_000, "boost", 0)
    if rng.random() < 0.3:
        kernel.at(30_000, "kill", 0)
    kernel.run(LENGTH_NS)
    return World(seed=seed, kernel=kernel, all_calls=all_calls, patched=patched)
