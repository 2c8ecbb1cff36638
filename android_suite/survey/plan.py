"""Which kernels a survey has, and what runs on each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from android_suite.campaign.lab import check_parameters
from android_suite.campaign.plan_file import ANY_PAIR, PlanFile, read_plan
from android_suite.config import Config
from android_suite.errors import UsageError
from android_suite.model.plan import Arch, parse_plan
from android_suite.model.toml_source import parse_toml
from android_suite.virtual.kernels import check_kernel, find_newest, list_kernels, name_series
from android_suite.workload.registry import scenario_names

STANDARD: Final = f"""\
[plan]
name = "survey"
mode = "deterministic"
seeds = [1, 2, 3, 4]

{ANY_PAIR}
[[scenario]]
name = "gc_stress"
parameters = {{ duration_ms = 1000, profile = "inversion" }}

[[scenario]]
name = "vma_stress"
parameters = {{ duration_ms = 1000 }}

[[scenario]]
name = "proc_reader"
parameters = {{ duration_ms = 1000, profile = "inversion" }}

[[scenario]]
name = "app_launch"
parameters = {{ launches = 1, states = "cold,warm" }}
"""


def choose_plan(plan: Path | None, arch: Arch | None, seeds: int | None, scenarios: Sequence[str] = ()) -> PlanFile:
    """The plan of a survey: its scenarios and seeds; its kernels do not count.

    Args:
        plan: a plan file; None: the standard plan.
        arch: in place of the plan's.
        seeds: how many of its seeds; None: all.
        scenarios: only these of it; empty: all.

    Raises:
        UsageError: the plan is not deterministic, has fewer seeds, or lacks a scenario.
    """
    names = scenario_names()
    if plan is None:
        source = parse_toml(STANDARD, Path("the standard plan"))
        file = PlanFile(source=source, plan=parse_plan(source, scenarios=names), digests={})
    else:
        file = read_plan(plan, scenarios=names)
    own = file.plan
    if own.mode != "deterministic":
        raise UsageError("a survey needs a deterministic plan: in real time the kernels would differ by chance, too.")
    if seeds is not None and seeds > len(own.seeds):
        raise UsageError(f"--seeds is {seeds}, and the plan has {len(own.seeds)}; give it more seeds with --plan.")
    have = [each.name for each in own.scenarios]
    if missing := [name for name in scenarios if name not in have]:
        raise UsageError(f"the plan has no scenario {missing[0]!r}; choose among {', '.join(have)}.")
    chosen = own.seeds[:seeds]
    file = replace(
        file,
        plan=replace(
            own,
            arch=arch or own.arch,
            seeds=chosen,
            boots=len(chosen),
            gates=(),
            scenarios=tuple(
                replace(each, traced=True) for each in own.scenarios if not scenarios or each.name in scenarios
            ),
        ),
    )
    check_parameters(file)
    return file


def choose_kernels(text: str | None, arch: str, config: Config) -> tuple[str, ...]:
    """The names of the kernels, oldest first; images and built pairs come last, as they were named.

    Args:
        text: ``6.12,6.16.12`` names them (a series, such as 6.12, stands for its newest); ``6.12..7.3`` is the newest of
            every series in between; ``all`` is every kernel; None is the newest of every series.
        arch: of the kernels.
        config: gives the cache and the Debian mirror.

    Raises:
        UsageError: there is no such kernel.
        MachineError: the package index cannot be read.
    """
    known = list_kernels(arch, config=config)
    newest = find_newest(known)
    if text is None:
        return tuple(newest.values())
    if text == "all":
        return tuple(choice.name for choice in known)
    if ".." in text:
        low, _, high = text.partition("..")
        ends = [_find_series(end, newest) for end in (low, high)]
        series = list(newest)
        chosen = series[series.index(ends[0]) : series.index(ends[1]) + 1]
        if not chosen:
            raise UsageError(f"{text!r} holds no kernel; give the older one first.")
        return tuple(newest[each] for each in chosen)
    names = [newest.get(name.strip(), name.strip()) for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("--kernels names no kernel; see `android-suite kernels list`.")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"--kernels has {twice} twice.")
    for name in names:  # before an hour of others has run
        check_kernel(name, arch, config=config)
    ages = {choice.name: age for age, choice in enumerate(known)}
    return tuple(sorted(names, key=lambda name: ages.get(name, len(ages))))


def _find_series(name: str, newest: dict[str, str]) -> str:
    series = name_series(name)
    if series not in newest:
        raise UsageError(f"there is no kernel of the series {name!r}; there are {', '.join(newest)}.")
    return series
