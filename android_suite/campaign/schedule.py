"""Turns a plan into jobs. A job is one boot of one kernel and gives one run directory; its name tells its content."""

from __future__ import annotations

import hashlib
import heapq
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import PurePath
from statistics import median
from typing import Any

from android_suite.model.boots import BootKeys, BootKind, boot_kind
from android_suite.model.plan import CaptureWay, KernelEntry, Parameter, Plan, ScenarioEntry
from android_suite.model.readiness import ReadyOptions
from android_suite.model.run import Mode

IMAGE = "virtual device"  # its key among the digests

# Assumed seconds if nothing was measured yet: a boot with set-up and pull of the results, and the analysis.
_DEFAULT_BOOT_S = {"realtime": 15.0, "deterministic": 25.0}
_DEFAULT_SCENARIO_S = 10.0
# Virtual time runs slower than host time, because one core emulates all instructions in sequence.
_SLOWDOWN = {"realtime": 1.0, "deterministic": 2.5}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobScenario:
    """One scenario within a boot. ``first`` is the number of its first iteration; seeds count from there."""

    name: str
    iterations: int
    traced: bool
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    first: int = 0


@dataclass(frozen=True, kw_only=True)
class Job:
    """One boot: ``kernel`` is a name or a path, ``kernel_sha256`` is given for a path.

    It has no slots: names are asked for all the time, and are computed once.
    """

    block: int
    label: str
    kernel: str
    kernel_sha256: str | None
    mode: Mode
    arch: str
    seed: int
    scenarios: tuple[JobScenario, ...]
    overlay: tuple[str, ...] = ()
    overlay_sha256: tuple[str, ...] = ()
    image_sha256: str | None = None  # digest of the virtual device's files
    boot: BootKeys = field(default_factory=BootKeys)
    boot_sha256: Mapping[str, str] = field(default_factory=dict)  # of the files in `boot`, by path
    ready: ReadyOptions = field(default_factory=ReadyOptions)
    capture: CaptureWay = "auto"

    @property
    def boot_kind(self) -> BootKind:
        """How the kernel is booted."""
        return boot_kind(self.kernel, self.boot.boot)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that determines the job's result. Files count by content, not by path."""
        content = asdict(self) | {"kernel": PurePath(self.kernel).name, "overlay": ()}
        del content["boot"], content["boot_sha256"], content["ready"], content["capture"]
        content |= _describe_device(self.ready, self.capture)
        if told := self.boot.describe(self.boot_sha256):
            content["boot"] = told
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @cached_property
    def name(self) -> str:
        """Folder name: readable and unique to the content."""
        what = f"-{self.scenarios[0].name}" if len(self.scenarios) == 1 else ""
        if len(self.scenarios) == 1 and not self.scenarios[0].traced:
            what += "-untraced"
        return f"{self.block:03d}-{self.label}-seed{self.seed}{what}-{self.digest[:10]}"

    @cached_property
    def kind(self) -> str:
        """Jobs of one kind take about the same time."""
        parts = [f"{self.mode} {self.arch}", *(digest[:8] for digest in self.overlay_sha256)]
        for item in self.scenarios:
            parameters = ",".join(f"{key}={value}" for key, value in sorted(item.parameters.items()))
            parts.append(f"{item.name}({parameters})x{item.iterations}{'' if item.traced else ' untraced'}")
        return " ".join(parts)


def plan_jobs(plan: Plan, digests: Mapping[str, str]) -> tuple[Job, ...]:
    """The jobs of a plan, in the order in which they should start.

    Each block has every kernel once, in an order drawn from the plan's random seed, so that any drift of the host or
    the device affects all kernels alike. In block n every kernel has the plan's n-th seed, which pairs the boots. A
    deterministic boot runs exactly one scenario, so it needs one job per scenario.

    Args:
        plan: the plan.
        digests: SHA-256 by path of the files in the plan, and of the virtual device under `IMAGE`.
    """
    draw = random.Random(plan.random_seed)
    jobs = []
    for block, seed in enumerate(plan.seeds):
        order = list(plan.kernels)
        if plan.interleave == "blocks":
            draw.shuffle(order)
        jobs += [job for kernel in order for job in _boot(plan, kernel, block, seed, digests)]
    if plan.interleave == "none":
        rank = {kernel.label: index for index, kernel in enumerate(plan.kernels)}
        jobs.sort(key=lambda job: rank[job.label])
    return tuple(jobs)


def _boot(plan: Plan, kernel: KernelEntry, block: int, seed: int, digests: Mapping[str, str]) -> list[Job]:
    scenarios = tuple(part for item in plan.scenarios for part in _split_scenario(plan, item, block))
    job = Job(
        block=block,
        label=kernel.label,
        kernel=kernel.kernel,
        kernel_sha256=digests.get(kernel.kernel),
        mode=plan.mode,
        arch=plan.arch,
        seed=seed,
        scenarios=scenarios,
        overlay=plan.overlay,
        overlay_sha256=tuple(digests[path] for path in plan.overlay),
        image_sha256=digests.get(IMAGE),
        boot=BootKeys(**{each.name: getattr(kernel, each.name) for each in fields(BootKeys)}),
        boot_sha256={path: digests[path] for path in kernel.files.values()},
        ready=plan.ready,
        capture=plan.capture,
    )
    if plan.mode == "deterministic":
        return [replace(job, scenarios=(scenario,)) for scenario in scenarios]
    return [job]


def _split_scenario(plan: Plan, item: ScenarioEntry, block: int) -> Iterator[JobScenario]:
    """One part per kind of tracing. In real time, traced and untraced iterations alternate, in random order per pair.

    So any drift within a boot affects both alike. All kernels of a block have the same order.
    """
    alternates = plan.mode == "realtime" and len(item.tracings) > 1
    draw = random.Random(f"{plan.random_seed} {block} {item.name}")
    for first in range(item.iterations if alternates else 1):
        order = list(item.tracings)
        if alternates:
            draw.shuffle(order)
        for traced in order:
            iterations = 1 if alternates else item.iterations
            yield JobScenario(
                name=item.name, iterations=iterations, traced=traced, parameters=dict(item.parameters), first=first
            )


def plan_against_itself(plan: Plan) -> Plan:
    """The A/A plan: the baseline against itself, everything else equal. Any difference is a false alarm."""
    again = replace(plan.baseline, label=f"{plan.baseline.label}-again", role="candidate")
    return replace(plan, name=f"{plan.name}-aa", kernels=(plan.baseline, again))


def describe_plan(plan: Plan, digests: Mapping[str, str]) -> dict[str, Any]:
    """The plan as JSON, for the journal. Files count by content. The budget is left out, as it changes no result."""
    plain = asdict(plan)
    del plain["budget_s"], plain["warnings"], plain["ready"], plain["capture"]
    data: dict[str, Any] = json.loads(json.dumps(plain)) | _describe_device(plan.ready, plan.capture)
    data["image"] = digests.get(IMAGE)
    for kernel, entry in zip(data["kernels"], plan.kernels, strict=True):
        for each in fields(BootKeys):
            del kernel[each.name]
        kernel |= entry.describe(digests)
        if (digest := digests.get(kernel["kernel"])) is not None:
            kernel["kernel"] = f"{PurePath(kernel['kernel']).name} (sha256 {digest})"
    data["android"] = plan.android and PurePath(plan.android).name  # its content is in the first overlay
    data["overlay"] = [f"{PurePath(path).name} (sha256 {digests[path]})" for path in plan.overlay]
    return data


def _describe_device(ready: ReadyOptions, capture: CaptureWay) -> dict[str, Any]:
    """What a plan asks of its device beyond the defaults, so that earlier campaigns keep their names."""
    return {
        name: value for name, value in (("ready", ready.changes()), ("capture", capture)) if value not in ({}, "auto")
    }


def compare_plans(old: Any, new: Any, where: str = "") -> list[str]:
    """One line per difference between two described plans, such as ``scenarios[0].iterations was 5, is 10``."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        inside = [compare_plans(old.get(key), new.get(key), f"{where}.{key}" if where else str(key)) for key in keys]
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        inside = [compare_plans(a, b, f"{where}[{i}]") for i, (a, b) in enumerate(zip(old, new, strict=True))]
    else:
        return [] if old == new else [f"{where} was {json.dumps(old)}, is {json.dumps(new)}"]
    return [line for lines in inside for line in lines]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The cost of a schedule. The durations of ``measured`` jobs are measured, the others assumed."""

    wall_s: float
    job_s: Mapping[str, float]  # by job name
    measured: int


def estimate_cost(jobs: Sequence[Job], durations_s: Mapping[str, Sequence[float]], *, workers: int) -> Cost:
    """Wall time of ``jobs`` on ``workers``; each job starts when a worker is free.

    Args:
        jobs: jobs in start order.
        durations_s: measured durations by `Job.kind`.
        workers: number of parallel jobs.
    """
    job_s: dict[str, float] = {}
    measured = 0
    free = [0.0] * max(1, workers)
    for job in jobs:
        past = durations_s.get(job.kind)
        measured += bool(past)
        job_s[job.name] = cost = median(past) if past else _assume_s(job)
        heapq.heapreplace(free, free[0] + cost)
    return Cost(wall_s=max(free), job_s=job_s, measured=measured)


def _assume_s(job: Job) -> float:
    run_s = 0.0
    for item in job.scenarios:
        asked = item.parameters.get("duration_ms")
        one = float(asked) / 1000 if isinstance(asked, int | float) else _DEFAULT_SCENARIO_S
        run_s += item.iterations * (one + 3.0)
    return _DEFAULT_BOOT_S[job.mode] + run_s * _SLOWDOWN[job.mode]
