"""A random world: some processes and threads, run for a while."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property

from tests.simulator.kernel import QUIET_NS, Kernel, Thread
from tests.simulator.memory import Patch
from tests.simulator.programs import Actions, Record
from tests.simulator.rwsem import Manners, Rwsems
from tests.simulator.truth import Stretch, state_changes
from tests.simulator.vma_lock import VmaLocks

LENGTH_NS = 220_000
END_NS = LENGTH_NS + QUIET_NS
_NAMES = ("ui", "HeapTaskDaemon", "RenderThread", "Binder:1", "worker")


@dataclass(frozen=True, kw_only=True)
class World:
    seed: int
    kernel: Kernel
    record: Record
    rwsem_vmas: bool

    @property
    def end(self) -> int:
        return self.kernel.now

    @cached_property
    def states(self) -> dict[int, list[Stretch]]:
        """Stretches of constant state, CPU and priority of every thread."""
        return state_changes(self.kernel.diary)


def make_world(seed: int, patch: Patch) -> World:
    """The same seed and patch make the same world."""
    rng = random.Random(seed)
    cpus = rng.choice((1, 1, 2, 2, 3))
    kernel = Kernel(rng, cpus, wakeups=rng.random() < 0.5)
    manners = Manners(
        fair_readers=rng.random() < 0.5, spinning=rng.random() < 0.5, stealing=rng.random() < 0.5
    )  # fmt: skip
    rwsems = Rwsems(kernel, manners)
    mms = [0x1_0000, 0x2_0000, 0x3_0000][: rng.choice((1, 2, 2, 3))]
    vmas = VmaLocks(kernel, rwsem=rng.random() < 0.4)
    actions = Actions(kernel, rwsems, vmas, patch, mms, mortal=rng.random() < 0.4)
    for number in range(rng.randint(2, 7)):
        process = number % len(mms)
        comm, prio = _NAMES[min(number // len(mms), 4)], rng.choice((97, 110, 110, 120, 120, 124, 130))
        thread = Thread(
            tid=100 + number, tgid=100 + process, comm=comm, prio=prio, mm=mms[process], cpu=rng.randrange(cpus)
        )
        thread.program = actions.live(thread)
        kernel.add_thread(thread)
        kernel.at(rng.randint(2_000, 9_000), "wake", thread.tid)
    kernel.at(3_000, "tick")
    if rng.random() < 0.5:
        kernel.at(10_000, "boost")
    if rng.random() < 0.3:
        kernel.at(30_000, "kill")
    kernel.run(LENGTH_NS)
    return World(seed=seed, kernel=kernel, record=actions.record, rwsem_vmas=vmas.rwsem)
