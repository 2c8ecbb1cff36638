"""A lab whose every answer is known: recorder and analyzer for campaigns without devices (they run in the jobs).

The numbers are drawn from kernel and seed, so a job that is done again gives the same evidence, as deterministic
devices do. What goes wrong is told by files in a folder that every process sees.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from android_suite.campaign.schedule import Job
from android_suite.errors import EvidenceError, LabError, Unsupported
from android_suite.model.identity import CrashRecord, DeviceIdentity, KernelIdentity
from android_suite.store.run import create_run, open_run, write_json

DEVICE = DeviceIdentity(
    serial="127.0.0.1:5555", model="scripted", abi="arm64-v8a", fingerprint="f", sdk=35, virtual=True,
    cpus=1, memory_kb=1 << 20, page_size=4096, refresh_rate_hz=60.0, accel="tcg",
)  # fmt: skip
LEVELS = {"6.16.12": 120.0, "6.17.13": 4.0}


@dataclass(frozen=True)
class ScriptedRecorder:
    """Records in ``seconds``; appends a line to ``faults/recorded`` for each job that it begins.

    A file ``faults/KIND-LABEL-seedN`` makes that job fail once (``lab``) or always (``dead``, ``unsupported``), end
    with a crash of the kernel (``crash``), or kill its own process (``killed``, once).
    """

    faults: Path
    seconds: float = 0.0

    def __call__(self, job: Job, path: Path, say: Callable[[str], None]) -> None:
        where = f"{job.label}-seed{job.seed}"
        if (self.faults / f"unsupported-{where}").exists():
            self._note(job)
            raise Unsupported("the kernel has no mmap_lock events; build it with CONFIG_TRACING.")
        draw = random.Random(f"{job.kernel} {job.seed}")
        run = create_run(path, label=job.label, mode=job.mode)
        self._note(job)  # once there is a folder: whoever is killed between the two leaves one that is set aside
        run.set_identity(KernelIdentity(release=job.kernel, version="#1", build_id="ab" * 20), DEVICE)
        for scenario in job.scenarios:
            for _ in range(scenario.iterations):
                iteration = run.begin_iteration(
                    scenario.name,
                    seed=job.seed,
                    boot=f"seed-{job.seed}",
                    traced=scenario.traced,
                    parameters=scenario.parameters,
                )
                say(f"running {scenario.name}")
                iteration.write("ftrace/cpu0.raw", draw.randbytes(4096))
                time.sleep(self.seconds)
                for kind in ("lab", "killed"):
                    if (self.faults / f"{kind}-{where}").exists():
                        (self.faults / f"{kind}-{where}").unlink()
                        if kind == "killed":
                            os._exit(9)
                        raise LabError("the cable fell out; plug it in.")
                if (self.faults / f"dead-{where}").exists():
                    raise LabError("the device does not boot; look at its console.")
                if (self.faults / f"crash-{where}").exists():
                    crash = CrashRecord(kind="panic", summary="Kernel panic - not syncing: x", console="x")
                    iteration.seal("incomplete", "the kernel panicked", crash=crash)
                    break
                value = max(0.0, LEVELS.get(job.kernel, 50.0) + draw.gauss(0, 2))
                iteration.write("value.txt", f"{value!r}")
                iteration.note(lost_events=0)
                iteration.seal("complete")
        run.seal()

    def _note(self, job: Job) -> None:
        with (self.faults / "recorded").open("a") as log:
            log.write(f"{job.name}\n")


@dataclass(frozen=True)
class ScriptedAnalyzer:
    """Turns ``value.txt`` into ``derived/NNN/value.json``; ``faults/untrusted`` names a job that it distrusts."""

    faults: Path
    seconds: float = 0.0

    def __call__(self, path: Path) -> None:
        with (self.faults / "analyzed").open("a") as log:
            log.write(f"{path.name}\n")
        if (self.faults / "untrusted").exists() and (self.faults / "untrusted").read_text() in path.name:
            raise EvidenceError("events were lost; record with a larger buffer.")
        run = open_run(path)
        time.sleep(self.seconds)
        for iteration in run.manifest.iterations:
            if iteration.status == "complete":
                value = float((run.raw(iteration) / "value.txt").read_text())
                write_json(run.derived(iteration) / "value.json", {"invertedMs": value})
