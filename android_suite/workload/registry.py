"""The registry of scenarios."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from android_suite.errors import UsageError
from android_suite.model.run import Mode
from android_suite.workload.app_launch import AppLaunch
from android_suite.workload.command import Command
from android_suite.workload.foreground import Foreground
from android_suite.workload.gc_stress import GcStress
from android_suite.workload.launches import LaunchVariant
from android_suite.workload.loops import ManyTrims, Monitor, Reader, Swipes, Trims
from android_suite.workload.madvise_safety import MadviseSafety
from android_suite.workload.page_faults import PageFaults
from android_suite.workload.ui_scroll import UiScroll
from android_suite.workload.workload import Parameters, Workload, complete_parameters

_CHURN: Final = GcStress(profile="churn", guest_profile="churn")
_NATIVE: Final = GcStress(profile="native", guest_profile="native")
WORKLOADS: Final[tuple[Workload, ...]] = (
    AppLaunch(),
    LaunchVariant("trampoline_launch", preset={"activity": ".TrampolineActivity"}),
    LaunchVariant("launch_background_gc", background=True),
    GcStress(),
    GcStress(name="gc_steady", profile="steady", guest_profile="steady"),
    GcStress(name="vma_stress", profile="vma", guest_profile="vma", probe_vma_lock=True),
    Foreground("scroll_churn", _CHURN, {"ui_alloc_bytes": 2 << 20}, Swipes()),
    Foreground("large_objects", GcStress(profile="large", guest_profile="large"), {"sizes": "large"}),
    Foreground("native_trim", _NATIVE, {"native_bytes": 1 << 20}, Trims()),
    Foreground("trim_many", _NATIVE, {"native_bytes": 1 << 20}, ManyTrims()),
    Foreground("uffd_heap", GcStress(), {"gc_uffd": 1}),
    Foreground("smaps_monitor", GcStress(), beside=Monitor()),
    MadviseSafety(),
    Foreground("proc_reader", GcStress(), beside=Reader()),
    PageFaults(),
    UiScroll(),
    Command(),
)
SUMMARIES: Final[Mapping[str, str]] = {
    "app_launch": "cold, warm and hot launches of our app or any other",
    "trampoline_launch": "the same, of an activity that only starts another",
    "launch_background_gc": "launches while another app collects in the background",
    "gc_stress": "an app that draws while its collector frees memory",
    "gc_steady": "the same, with a collector that rests between collections also in virtual time",
    "vma_stress": "the same as gc_stress; the UI thread writes to the VMA that the collector frees from",
    "scroll_churn": "a list that is scrolled by swipes in an app that allocates fast",
    "large_objects": "bitmaps and arrays, each freed by a madvise of its own",
    "native_trim": "native allocations, trimmed by `am send-trim-memory`",
    "trim_many": "many processes trimmed at once beside the app on the screen",
    "uffd_heap": "a heap armed with userfaultfd while the collector frees",
    "smaps_monitor": "a monitor that reads /proc/PID/smaps of the app all the time",
    "madvise_safety": "races of madvise against all that changes memory; checks what must hold",
    "proc_reader": "a weak monitor that reads /proc/PID/maps and smaps of the app; each reading is timed",
    "page_faults": "what a page fault costs, of five kinds; no app and no trace",
    "ui_scroll": "our app's list, fields and dialog, driven by uiautomator2 (host only)",
    "command": "any shell command, given with --run",
}


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
