"""Records jobs on phones of a crowd: it uses the phone for a while, and writes the numbers of the scripted lab."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from android_suite.campaign.schedule import Job
from android_suite.config import Config
from android_suite.device.connect import open_plain
from android_suite.errors import AdbError
from android_suite.model.identity import KernelIdentity
from android_suite.store.run import create_run
from tests.campaign.scripted import DEVICE, LEVELS


@dataclass(frozen=True)
class CrowdRecorder:
    """Uses the phone for ``seconds``. Pairs of boots are told apart by the level of their phone, which differs."""

    config: Config
    serial: str
    seconds: float

    def __call__(self, job: Job, path: Path, say: Callable[[str], None]) -> None:
        name = f"{job.block}-{job.label}-{os.getpid()}"
        self._tell(f"use {name}")
        draw = random.Random(f"{job.kernel} {job.seed}")
        run = create_run(path, label=job.label, mode=job.mode)
        device = replace(DEVICE, serial=self.serial, virtual=False)
        run.set_identity(KernelIdentity(release=job.kernel, version="#1", build_id="ab" * 20), device)
        (scenario,) = job.scenarios
        iteration = run.begin_iteration(
            scenario.name, seed=job.seed, boot=f"{self.serial} {job.seed} {job.label}", traced=False, parameters={}
        )
        time.sleep(self.seconds)
        level = random.Random(self.serial).uniform(0, 1000)
        iteration.write("value.txt", f"{level + LEVELS[job.kernel] + draw.gauss(0, 2)!r}")
        iteration.note(lost_events=0)
        iteration.seal("complete")
        self._tell(f"done {name}")
        run.seal()

    def _tell(self, command: str) -> None:
        done = open_plain(self.config, self.serial).run(command, timeout=120)
        if done.status:
            raise AdbError(f"{self.serial}: {done.complaint}; look at the phone.", serial=self.serial)
