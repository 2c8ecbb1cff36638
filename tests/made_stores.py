"""Stores of runs whose every number is known: manifests and samples, in memory or on disk, no device and no trace."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from android_suite.analyze.run import _VERSION, _made_by
from android_suite.history.runs import StoredRun
from android_suite.model.document import to_plain
from android_suite.model.identity import CrashRecord, DeviceIdentity, KernelIdentity
from android_suite.model.metrics import find_metric
from android_suite.model.run import IterationRecord, Manifest
from android_suite.store.run import open_run, write_json
from android_suite.tables.samples import SAMPLES
from android_suite.tables.schema import make_frame
from tests.made_runs import DEVICE

Sample = float | tuple[float, str] | None  # exact; with its quality; unknown


@dataclass(frozen=True, kw_only=True)
class MadeBoot:
    """One run of one boot: ``values`` by metric, one sample an iteration."""

    kernel: str
    values: Mapping[str, Sequence[Sample]]
    boot: str = "b"
    at: str = "2026-11-01T10:00:00+00:00"
    version: str = "#1 SMP"
    build_id: str | None = None
    label: str = "k"
    scenario: str = "gc_stress"
    mode: str = "realtime"
    seed: int | None = None
    device: DeviceIdentity = DEVICE
    parameters: Mapping[str, Any] | None = None
    overlays: tuple[str, ...] = ()
    crash: CrashRecord | None = None
    status: str = "complete"


def made_run(made: MadeBoot) -> tuple[Manifest, pd.DataFrame]:
    """The manifest of a boot and its samples."""
    count = max(len(values) for values in made.values.values())
    records = tuple(
        IterationRecord(
            index=index, scenario=made.scenario, seed=made.seed, boot=made.boot, status=made.status,  # type: ignore[arg-type]
            reason="" if made.status == "complete" else "the device was lost", directory=f"{index:03d}-x",
            started_at=made.at, traced=False, lost_events=None, trace_digest=None, process="com.example",
            parameters=dict(made.parameters or {"duration_ms": 6000, "seed": made.seed}), crash=made.crash,
        )
        for index in range(count)
    )  # fmt: skip
    kernel = KernelIdentity(release=made.kernel, version=made.version, build_id=made.build_id, machine="aarch64")
    manifest = Manifest(
        suite="0.1.0", label=made.label, mode=made.mode, created_at=made.at, sealed=True, kernel=kernel,  # type: ignore[arg-type]
        device=made.device, overlays=made.overlays, iterations=records,
    )  # fmt: skip
    rows = []
    for name, values in made.values.items() if made.status == "complete" else ():
        metric = find_metric(name)
        for index, sample in enumerate(values):
            value, quality = (
                sample if isinstance(sample, tuple) else (sample, "exact" if sample is not None else "unknown")
            )
            rows.append(
                {
                    "label": made.label, "kernel": made.kernel, "boot": made.boot,
                    "seed": -1 if made.seed is None else made.seed, "scenario": made.scenario, "iteration": index,
                    "sample": 0, "traced": False, "metric": name, "unit": metric.unit, "better": metric.better,
                    "value": float("nan") if value is None else value,
                    "quality": "exact" if quality == "failed" else quality,
                    "reason": "" if quality in ("exact", "failed") else "events were not enabled",
                    "censored": quality == "failed",
                }
            )  # fmt: skip
    frame = make_frame(SAMPLES, {c.name: [row[c.name] for row in rows] for c in SAMPLES.columns})
    return manifest, frame


def stored(*boots: MadeBoot, plan: dict[str, Any] | None = None) -> list[StoredRun]:
    """The boots as runs that were read from a store."""
    runs = []
    for number, made in enumerate(boots):
        manifest, samples = made_run(made)
        runs.append(StoredRun(path=f"run{number:04d}", manifest=manifest, samples=samples, plan=plan))
    return runs


def write_run(path: Path, made: MadeBoot) -> Path:
    """The boot as a sealed run directory that was analyzed."""
    manifest, samples = made_run(made)
    write_json(path / "manifest.json", to_plain(manifest))
    run = open_run(path)
    (path / "derived").mkdir()
    samples.to_parquet(path / "derived" / "samples.parquet")
    write_json(path / "derived" / _VERSION, _made_by(run))
    return path


def series_of(kernels: Sequence[str], levels: Sequence[float], boots: int, rng: Any, **more: Any) -> list[MadeBoot]:
    """``boots`` boots of each kernel, of mmapLockWaitMs_ui around its level with a standard deviation of 1."""
    return [
        MadeBoot(
            kernel=kernel, boot=f"{kernel}-{boot}", at=f"2026-11-{1 + day:02d}T1{boot}:00:00+00:00",
            values={"mmapLockWaitMs_ui": [level + rng.normal()]}, **more,
        )
        for day, (kernel, level) in enumerate(zip(kernels, levels, strict=True))
        for boot in range(boots)
    ]  # fmt: skip


def renamed(made: MadeBoot, **changes: Any) -> MadeBoot:
    return replace(made, **changes)


def plan_line(**plan: Any) -> str:
    return json.dumps({"event": "plan", "at": "2026-11-01T09:00:00+00:00", "plan": plan}) + "\n"
