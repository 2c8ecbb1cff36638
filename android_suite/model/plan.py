"""The plan of an experiment: kernels, scenarios, boots, gates, margins, budget. Reads TOML text into frozen data.

::

    [plan]
    name = "seed-patch"
    mode = "deterministic"        # or "realtime"
    seeds = [1, 2, 3, 4]          # deterministic: one boot per kernel and seed; realtime: boots = 8
    budget = "90 min"

    [[kernel]]
    label = "before"
    kernel = "6.16.12"            # a Debian version, a path to an image, or "attached"; `boots.py` has further keys
    role = "baseline"

    [[scenario]]
    name = "gc_stress"
    traced = "pairs"              # true, false, or both in every boot, to measure the cost of tracing
    parameters = { duration_ms = 6000 }

    [[gate]]                      # the same form as in a gate file
    metric = "frameOverrunMs_p95"
    margin = "0.5 ms"

    [margin]                      # equivalence margins that replace those of the catalogue
    invertedMs = "2 ms"

    [ready]                       # realtime: the state of the device; `readiness.py` has all keys
    governor = "performance"
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from android_suite.model.boots import ATTACHED, BootKeys, BootKind, boot_kind, check_boot, check_one_device
from android_suite.model.gate import Gate, GateTable, read_gates, read_margin
from android_suite.model.metrics import CATALOGUE, Margin, find_metric
from android_suite.model.readiness import ReadyOptions, ReadyTable, parse_duration_s, read_ready
from android_suite.model.run import Mode
from android_suite.model.toml_source import STRICT, KeyPath, TomlSource, expected_name, validate_source

Role = Literal["baseline", "candidate"]
Arch = Literal["arm64", "amd64"]
Runtime = Literal["art"]
CaptureWay = Literal["auto", "tracefs", "perfetto", "both"]
MODEL_NOTE = "the app, its heap and its collector are the model's: a C program of this suite that behaves like ART 14"
Parameter = bool | int | float | str
MIN_BOOTS = 4  # per kernel; with fewer the statistics decide nothing

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelEntry(BootKeys):
    """``[[kernel]]``: one kernel under a label, and how it is booted."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    label: str
    kernel: str
    role: Role

    @property
    def is_path(self) -> bool:
        """True if ``kernel`` names a file."""
        return "/" in self.kernel

    @property
    def kind(self) -> BootKind:
        """How the kernel is booted."""
        return boot_kind(self.kernel, self.boot)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioEntry:
    """``[[scenario]]``: one workload with its parameters, run ``iterations`` times per boot."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    name: str
    iterations: int = 1
    traced: bool | Literal["pairs"] = True
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    @property
    def tracings(self) -> tuple[bool, ...]:
        """Whether each boot records traced, untraced, or both kinds of iterations."""
        return (True, False) if self.traced == "pairs" else (bool(self.traced),)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTable:
    """``[plan]``: settings of the whole experiment."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    name: str
    mode: Mode
    boots: int | None = None
    seeds: tuple[int, ...] | None = None
    interleave: Literal["blocks", "none"] = "blocks"
    random_seed: int = 1
    budget: str | None = None
    arch: Arch = "arm64"
    overlay: tuple[str, ...] = ()
    runtime: Runtime | None = None
    android: str | None = None
    capture: CaptureWay = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDocument:
    """The tables of a plan file."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    plan: PlanTable
    kernel: tuple[KernelEntry, ...]
    scenario: tuple[ScenarioEntry, ...]
    gate: tuple[GateTable, ...] = ()
    margin: Mapping[str, Any] = field(default_factory=dict)
    ready: ReadyTable = field(default_factory=ReadyTable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A valid plan. Whether its kernels and files exist is checked when it runs."""

    name: str
    mode: Mode
    boots: int  # per kernel
    seeds: tuple[int, ...]  # deterministic: one per boot; realtime: the same for every kernel, so that boots compare
    interleave: Literal["blocks", "none"]
    random_seed: int
    budget_s: float | None
    arch: Arch
    overlay: tuple[str, ...]
    runtime: Runtime | None  # a real Android runtime for the app of virtual devices; None: the model
    android: str | None  # the Android system that the runtime is taken from; None: Debian's ART
    kernels: tuple[KernelEntry, ...]
    scenarios: tuple[ScenarioEntry, ...]
    gates: tuple[Gate, ...]
    margins: Mapping[str, Margin]
    ready: ReadyOptions = field(default_factory=ReadyOptions)
    capture: CaptureWay = "auto"  # who records the kernel's events
    warnings: tuple[str, ...] = ()

    @property
    def baseline(self) -> KernelEntry:
        """The kernel that all others are compared with."""
        return next(kernel for kernel in self.kernels if kernel.role == "baseline")

    @property
    def candidates(self) -> tuple[KernelEntry, ...]:
        """Every other kernel."""
        return tuple(kernel for kernel in self.kernels if kernel.role == "candidate")


def describe_app(plan: Plan) -> str | None:
    """Whose heap the numbers of a plan are about; None on other than virtual devices, or if no scenario runs the app."""
    if any(kernel.kind != "virtual" for kernel in plan.kernels) or {s.name for s in plan.scenarios} == {"command"}:
        return None
    return describe_runtime(plan.android) if plan.runtime else MODEL_NOTE


def parse_plan(source: TomlSource, *, scenarios: Collection[str]) -> Plan:
    """Reads a plan.

    Args:
        source: the TOML file.
        scenarios: the scenarios that the suite knows.

    Raises:
        ConfigError: the plan is invalid; names the file, line, key, and what was expected and found.
    """
    document = validate_source(source, PlanDocument)
    _check_kernels(source, document)
    _check_scenarios(source, document, scenarios)
    _check_device(source, document)
    seeds = _seeds(source, document.plan)
    budget_s = None
    if document.plan.budget is not None:
        budget_s = parse_duration_s(document.plan.budget)
        if budget_s is None:
            raise source.fault(
                ("plan", "budget"), "a duration with its unit, such as '90 min'", repr(document.plan.budget)
            )
    gates = read_gates(source, document.gate)
    _check_gates(source, document, gates)
    return Plan(
        name=document.plan.name,
        mode=document.plan.mode,
        boots=len(seeds),
        seeds=seeds,
        interleave=document.plan.interleave,
        random_seed=document.plan.random_seed,
        budget_s=budget_s,
        arch=document.plan.arch,
        overlay=document.plan.overlay,
        runtime=document.plan.runtime,
        android=document.plan.android,
        kernels=document.kernel,
        scenarios=document.scenario,
        gates=gates,
        margins=_margins(source, document),
        ready=read_ready(source, document.ready),
        capture=document.plan.capture,
        warnings=_check_power(source, document, gates, len(seeds)),
    )


def describe_runtime(android: str | None) -> str:
    """What goes with every number from a real runtime: that of an Android system (its path), or None for Debian's."""
    which = f"of the Android system {Path(android).name}" if android else "(ART 14)"
    return f"the app's heap and collector are a real Android runtime's {which}, not the model's"


def _check_kernels(source: TomlSource, document: PlanDocument) -> None:
    if document.plan.android is not None and document.plan.runtime is None:
        raise source.fault(("plan", "android"), "plan.runtime = 'art' beside it", "no plan.runtime")
    labels: dict[str, int] = {}
    named: dict[object, str] = {}
    for index, kernel in enumerate(document.kernel):
        path = ("kernel", index)
        if not _LABEL.fullmatch(kernel.label):
            expected = "a short name of letters, digits and ._+- that can be part of a file name"
            raise source.fault((*path, "label"), expected, repr(kernel.label))
        if kernel.label in labels:
            raise source.fault((*path, "label"), "a unique label", f"{kernel.label!r} a second time")
        same = (kernel.kernel, *sorted(kernel.files.items()))
        if same in named:
            expected = f"a kernel other than {named[same]!r} has (for A/A use `qualify --aa`)"
            raise source.fault((*path, "kernel"), expected, f"{kernel.kernel!r} a second time")
        check_boot(source, path, kernel.kernel, kernel, deterministic=document.plan.mode == "deterministic")
        if kernel.kind != "virtual" and document.plan.runtime is not None:
            found = repr(ATTACHED if kernel.kernel == ATTACHED else kernel.kind)
            raise source.fault((*path, "kernel"), "a kernel to boot: plan.runtime is for virtual devices", found)
        labels[kernel.label], named[same] = index, kernel.label
    check_one_device(source, [kernel.kind for kernel in document.kernel])
    for role, fewest, most in (("baseline", 1, 1), ("candidate", 1, 99)):
        count = sum(kernel.role == role for kernel in document.kernel)
        if not fewest <= count <= most:
            expected = "exactly one kernel with role 'baseline'" if most == 1 else "a kernel with role 'candidate'"
            raise source.fault(("kernel",), expected, f"{count}")


def _check_scenarios(source: TomlSource, document: PlanDocument, known: Collection[str]) -> None:
    if not document.scenario:
        raise source.fault(("scenario",), "at least one [[scenario]]", "none")
    seen: set[str] = set()
    for index, scenario in enumerate(document.scenario):
        path = ("scenario", index)
        if scenario.name not in known:
            raise source.fault((*path, "name"), expected_name(scenario.name, known), repr(scenario.name))
        if scenario.name in seen:
            raise source.fault((*path, "name"), "each scenario once", f"{scenario.name!r} a second time")
        if scenario.iterations < 1:
            raise source.fault((*path, "iterations"), "1 or more", scenario.iterations)
        if document.plan.mode == "deterministic" and scenario.iterations != 1:
            expected = "1 in deterministic mode (a repetition with the same seed gives the same numbers; add seeds)"
            raise source.fault((*path, "iterations"), expected, scenario.iterations)
        seen.add(scenario.name)


def _check_device(source: TomlSource, document: PlanDocument) -> None:
    """Refuses what only a device that a host drives has."""
    if document.plan.mode != "deterministic":
        return
    if "ready" in source.data:
        raise source.fault(("ready",), "no [ready] in a deterministic plan: no host looks after its guests", "a table")
    if document.plan.capture in ("perfetto", "both"):
        expected = "'auto' or 'tracefs': a deterministic guest has one trace, from tracefs"
        raise source.fault(("plan", "capture"), expected, repr(document.plan.capture))


def _seeds(source: TomlSource, plan: PlanTable) -> tuple[int, ...]:
    if plan.seeds is not None:
        if len(set(plan.seeds)) != len(plan.seeds) or not plan.seeds:
            raise source.fault(("plan", "seeds"), "different seeds, at least one", list(plan.seeds))
        if any(not 0 <= seed < 2**31 for seed in plan.seeds):
            raise source.fault(("plan", "seeds"), "numbers from 0 to 2147483647", list(plan.seeds))
        if plan.boots not in (None, len(plan.seeds)):
            raise source.fault(("plan", "boots"), f"{len(plan.seeds)}, one boot per seed, or no boots", plan.boots)
        return plan.seeds
    if plan.mode == "deterministic":
        raise source.fault(("plan", "seeds"), "the seeds of a deterministic plan, such as [1, 2, 3, 4]", "nothing")
    if plan.boots is None or not 1 <= plan.boots <= 1000:
        found = "nothing" if plan.boots is None else plan.boots
        raise source.fault(("plan", "boots"), "the number of boots per kernel, 1 to 1000", found)
    return tuple(range(1, plan.boots + 1))


def _check_gates(source: TomlSource, document: PlanDocument, gates: tuple[Gate, ...]) -> None:
    names = {scenario.name for scenario in document.scenario}
    for index, gate in enumerate(gates):
        _check_metric(source, ("gate", index, "metric"), gate.metric)
        if gate.scenario is not None and gate.scenario not in names:
            expected = f"a scenario of this plan ({', '.join(sorted(names))})"
            raise source.fault(("gate", index, "scenario"), expected, repr(gate.scenario))


def _check_metric(source: TomlSource, path: KeyPath, name: str) -> None:
    """Refuses a name that looks like a misspelt metric. Any other name may belong to a user's scenario."""
    known = [metric.name for metric in CATALOGUE]
    if name not in known and difflib.get_close_matches(name, known, n=1, cutoff=0.8):
        raise source.fault(path, expected_name(name, known), repr(name))


def _margins(source: TomlSource, document: PlanDocument) -> dict[str, Margin]:
    margins = {}
    for name, text in document.margin.items():
        _check_metric(source, ("margin", name), name)
        metric = find_metric(name)
        margins[name] = read_margin(source, ("margin", name), text, metric.unit)
    return margins


def _check_power(source: TomlSource, document: PlanDocument, gates: tuple[Gate, ...], boots: int) -> tuple[str, ...]:
    """Refuses a number of boots with which no gate can pass; warns of a number that decides nothing."""
    key = ("plan", "seeds" if document.plan.seeds is not None else "boots")
    if boots < MIN_BOOTS and any(gate.undecided == "fail" for gate in gates):
        expected = f"at least {MIN_BOOTS} boots per kernel: with fewer, every verdict is UNDECIDED and every gate fails"
        raise source.fault(key, expected, boots)
    where = f"{source.file.name}:{source.line(key)}"  # without the folder: results must not depend on it
    if boots < MIN_BOOTS:
        return (f"{where}: with {boots} boots per kernel every verdict will be UNDECIDED; use at least {MIN_BOOTS}.",)
    return ()
