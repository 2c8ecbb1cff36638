"""The registry of scenarios."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from android_suite.errors import UsageError
from android_suite.model.run import Mode
from android_suite.workload.app_launch import AppLaunch
from android_suite.workload.command import Command
from android_suite.workload.gc_stress import GcStress
from android_suite.workload.workload import Parameters, Workload, complete_parameters

WORKLOADS: Final[tuple[Workload, ...]] = (
    AppLaunch(),
    GcStress(),
    GcStress(name="vma_stress", profile="vma", guest_profile="vma", probe_vma_lock=True),
    Command(),
)


def scenario_names() -> tuple[str, ...]:
    """Names of all scenarios."""
    return tuple(workload.name for workload in WORKLOADS)


def find_workload(name: str) -> Workload:
    """The workload of a scenario.

    Raises:
        UsageError: there is no such scenario; the message lists the scenarios.
    """
    for workload in WORKLOADS:
        if workload.name == name:
            return workload
    near = difflib.get_close_matches(name, scenario_names(), n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UsageError(f"there is no scenario {name!r}; {hint}choose among {', '.join(scenario_names())}.")


def find_workloads(names: Sequence[str]) -> tuple[Workload, ...]:
    """The workloads of several scenarios, in order.

    Raises:
        UsageError: no name is given, or one is unknown.
    """
    if not names:
        raise UsageError(f"name a scenario; choose among {', '.join(scenario_names())}.")
    return tuple(find_workload(name) for name in names)


def plan_scenarios(
    names: Sequence[str], parameters: Mapping[str, Any], *, mode: Mode
) -> tuple[tuple[Workload, Parameters], ...]:
    """Each scenario with all its parameters. Call it before any device is touched.

    Args:
        names: names of scenarios.
        parameters: each is passed to the scenarios that know it.
        mode: a deterministic run has different defaults.

    Raises:
        UsageError: a scenario is unknown, no scenario knows a parameter, or a value is invalid.
    """
    workloads = find_workloads(names)
    known = {name for workload in workloads for name in workload.defaults}
    planned = []
    for workload in workloads:
        own = {name: value for name, value in parameters.items() if name in workload.defaults or name not in known}
        defaults = workload.guest_defaults if mode == "deterministic" else {}
        planned.append((workload, complete_parameters(workload, {**defaults, **own})))
    return tuple(planned)
