"""Runs of two kernels as a recording would leave them, drawn from a seed: manifests and samples, no device."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from android_suite.compare import RunSet
from android_suite.model.comparison import MadvisePaths
from android_suite.model.identity import CrashRecord, DeviceIdentity, KernelIdentity
from android_suite.model.metrics import find_metric
from android_suite.model.run import IterationRecord, Manifest
from android_suite.tables.samples import SAMPLES
from android_suite.tables.schema import make_frame

DEVICE = DeviceIdentity(
    serial="127.0.0.1:5555",
    model="android-suite virtual device",
    abi="arm64-v8a",
    fingerprint="android-suite/virtual/arm64:15/1",
    sdk=35,
    virtual=True,
    cpus=2,
    memory_kb=1015808,
    page_size=4096,
    refresh_rate_hz=60.0,
    accel="tcg",
)
BEFORE = KernelIdentity(
    release="6.16.12+deb13-cloud-arm64",
    version="#1 SMP PREEMPT Debian 6.16.12-1~bpo13+1 (2025-10-14)",
    build_id="5f2f7cf8a3b1c04a3a35a8c9c1d5b1f7f4a0b7e1",
    config_sha256="8f" * 32,
    machine="aarch64",
    cmdline="console=ttyAMA0 transparent_hugepage=never preempt=full",
)
AFTER = KernelIdentity(
    release="6.17.13+deb13-cloud-arm64",
    version="#1 SMP PREEMPT Debian 6.17.13-1~bpo13+1 (2026-01-09)",
    build_id="0b1de1b0b6a3cf2ab7c3d3b60d4b1c5c0e9c2f60",
    config_sha256="3c" * 32,
    machine="aarch64",
    cmdline="console=ttyAMA0 transparent_hugepage=never preempt=full",
)

# metric -> (level of the baseline, spread between boots, spread within a boot), in the metric's unit
GC_STRESS = {
    "frameCount": (472.0, 2.0, 2.0),
    "jankyFramesPct": (7.4, 1.2, 1.0),
    "frameOverrunMs_p50": (-7.1, 0.2, 0.2),
    "frameOverrunMs_p90": (-2.0, 0.4, 0.4),
    "frameOverrunMs_p95": (3.1, 0.8, 0.6),
    "frameOverrunMs_p99": (9.8, 1.6, 1.5),
    "jankyFromInversionCount": (14.0, 3.0, 2.0),
    "mmapLockWaitMs_ui": (118.0, 14.0, 10.0),
    "mmapLockWaitMaxMs_ui": (9.1, 2.0, 1.5),
    "mmapLockWaitMs_render": (34.0, 5.0, 4.0),
    "mmapLockWaitMs_gc": (51.0, 8.0, 6.0),
    "invertedMs": (96.0, 12.0, 9.0),
    "invertedCount": (41.0, 6.0, 4.0),
    "invertedLongestMs": (8.7, 2.0, 1.5),
    "invertedMs_gcMadvise": (91.0, 12.0, 9.0),
    "gcCount": (12.0, 0.5, 0.5),
    "gcDurationMs_p50": (412.0, 14.0, 12.0),
    "madviseMmapLockPct_gc": (100.0, 0.0, 0.0),
}
APP_LAUNCH = {
    "timeToInitialDisplayMs_cold": (384.0, 6.0, 9.0),
    "timeToFullDisplayMs_cold": (611.0, 9.0, 12.0),
    "frameOverrunMs_p95": (6.1, 1.0, 1.1),
    "mmapLockWaitMs_ui": (18.0, 2.5, 2.0),
}
# with a kernel whose VMAs have locks of their own; drawn apart, so that the other numbers stay
VMA_LOCKS = {
    "invertedMs_mmapLock": (94.0, 12.0, 9.0),
    "invertedMs_vmaLock": (0.6, 0.1, 0.1),
}
MOVED = {"invertedMs_mmapLock": 0.03, "invertedMs_vmaLock": 60.0}
# what the patch does: metric -> factor on the baseline's level
PATCHED = {
    "jankyFramesPct": 0.28,
    "jankyFromInversionCount": 0.05,
    "mmapLockWaitMs_ui": 0.06,
    "mmapLockWaitMaxMs_ui": 0.1,
    "mmapLockWaitMs_render": 0.3,
    "mmapLockWaitMs_gc": 0.1,
    "invertedMs": 0.03,
    "invertedCount": 0.08,
    "invertedLongestMs": 0.1,
    "invertedMs_gcMadvise": 0.0,
    "frameOverrunMs_p95": 0.1,
    "frameOverrunMs_p99": 0.4,
    "madviseMmapLockPct_gc": 0.002,
}


@dataclass(frozen=True, kw_only=True)
class World:
    """What is drawn."""

    boots: int = 8
    iterations: int = 3
    seeded: bool = True
    effects: dict[str, float] = field(default_factory=dict)
    process: str = "com.androidsuite.workload"
    untraced: bool = False
    crash: CrashRecord | None = None
    device: DeviceIdentity = DEVICE
    mode: str = "realtime"
    vma_locks: bool = False


def made_side(label: str, kernel: KernelIdentity, world: World, *, draw: int, effects: dict[str, float]) -> RunSet:
    """One kernel's runs; ``effects`` are factors on the baseline's levels."""
    rng = np.random.default_rng(draw)
    rows: list[dict[str, Any]] = []
    records = []
    for boot in range(world.boots):
        seed = boot + 1 if world.seeded else -1
        shift = {name: rng.normal() for name in GC_STRESS}
        stress = GC_STRESS | VMA_LOCKS if world.vma_locks else GC_STRESS
        for scenario, levels in (("app_launch", APP_LAUNCH), ("gc_stress", stress)):
            for repeat in range(world.iterations * (1 + world.untraced)):
                traced = repeat < world.iterations
                index = len(records)
                records.append(_record(index, scenario, seed, f"{label}-boot{boot}", world, traced))
                for name, (level, between, within) in levels.items():
                    metric = find_metric(name)
                    factor = effects.get(name, 1.0)
                    noise = (shift.get(name, 0.0) * between + rng.normal() * within) * max(factor, 0.1) * (level != 0)
                    value = level * factor + noise
                    if not name.startswith("frameOverrun"):
                        value = max(value, 0.0)
                    if metric.unit == "count":
                        value = float(round(value))
                    rows.append(
                        {
                            "label": label,
                            "kernel": kernel.release,
                            "boot": f"{label}-boot{boot}",
                            "seed": seed,
                            "scenario": scenario,
                            "iteration": index,
                            "sample": 0,
                            "traced": traced,
                            "metric": name,
                            "unit": metric.unit,
                            "better": metric.better,
                            "value": value * (1.0 if traced else 0.97),
                            "quality": "exact",
                            "reason": "",
                            "censored": False,
                        }
                    )
    if world.crash and label == "after":
        records.append(
            IterationRecord(
                index=len(records),
                scenario="gc_stress",
                seed=99,
                boot="after-boot99",
                status="incomplete",
                reason="the kernel panicked",
                directory="099-gc_stress",
                started_at="2026-11-23T10:00:00+00:00",
                traced=True,
                lost_events=None,
                trace_digest=None,
                crash=world.crash,
            )
        )
    manifest = Manifest(
        suite="0.1.0",
        label=label,
        mode=world.mode,  # type: ignore[arg-type]
        created_at="2026-11-23T09:00:00+00:00",
        sealed=True,
        kernel=kernel,
        device=world.device,
        iterations=tuple(records),
    )
    columns = pd.DataFrame(rows)
    samples = make_frame(SAMPLES, {name: columns[name] for name in SAMPLES.dtypes})
    patched = effects.get("madviseMmapLockPct_gc", 1.0) < 0.5
    calls = 1612 * world.boots
    paths = (
        MadvisePaths(
            per_vma=calls, mmap_lock=9, unknown=0, bytes=calls * 900_000, reasons={"spans_vmas": 6, "remote": 3}
        )
        if patched
        else MadvisePaths(per_vma=0, mmap_lock=calls, unknown=0, bytes=calls * 900_000, reasons={"unpatched": calls})
    )
    return RunSet(manifests=(manifest,), samples=samples, paths=paths)


def _record(index: int, scenario: str, seed: int, boot: str, world: World, traced: bool) -> IterationRecord:
    return IterationRecord(
        index=index,
        scenario=scenario,
        seed=seed if seed >= 0 else None,
        boot=boot,
        status="complete",
        reason="",
        directory=f"{index:03d}-{scenario}",
        started_at="2026-11-23T09:30:00+00:00",
        traced=traced,
        lost_events=0 if traced else None,
        trace_digest=f"{index:064x}" if traced else None,
        process=world.process,
        parameters={"duration_ms": 6000, "seed": seed} if scenario == "gc_stress" else {"state": "cold"},
        trace_setup={"events": ["sched/sched_switch", "mmap_lock"], "clock": "mono"} if traced else {},
    )


def made_pair(world: World | None = None, *, draw: int = 1, **effects: float) -> tuple[RunSet, RunSet]:
    """Baseline and candidate of a world; without effects the candidate's draws differ by chance alone."""
    world = world or World()
    return (
        made_side("before", BEFORE, world, draw=2 * draw, effects={}),
        made_side("after", AFTER, world, draw=2 * draw + 1, effects={**world.effects, **effects}),
    )
