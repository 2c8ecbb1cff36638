"""Reads a plan file and the files in it. Their paths are relative to the plan and they are identified by content."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from android_suite.model.plan import KernelEntry, Plan, parse_plan
from android_suite.model.toml_source import KeyPath, TomlSource, expand_home, read_toml

# The kernels of a plan whose reader brings its own: every plan has a pair.
ANY_PAIR: Final = """\
[[kernel]]
label = "first"
kernel = "first"
role = "baseline"

[[kernel]]
label = "last"
kernel = "last"
role = "candidate"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFile:
    """A plan, its file, and the SHA-256 of every file in it (by the resolved path)."""

    source: TomlSource
    plan: Plan
    digests: Mapping[str, str]


def read_plan(path: Path, *, scenarios: Collection[str]) -> PlanFile:
    """Reads and checks a plan.

    Args:
        path: the TOML file.
        scenarios: the scenarios that the suite knows.

    Raises:
        UsageError: the file cannot be read.
        ConfigError: the plan is invalid, or a file in it does not exist.
    """
    source = read_toml(path, "the plan", "give a TOML file")
    plan = parse_plan(source, scenarios=scenarios)
    digests: dict[str, str] = {}
    kernels = []
    for index, kernel in enumerate(plan.kernels):
        kernels.append(_resolve_kernel(source, index, kernel, digests))
    overlay = tuple(_resolve(source, ("plan", "overlay"), name, digests) for name in plan.overlay)
    android = plan.android
    if android is not None:
        system = source.file.resolve().parent / expand_home(android)
        if not system.exists():
            raise source.fault(("plan", "android"), "a system image or a folder", f"{android!r}, which does not exist")
        android = str(system)
    images = [
        (digests[kernel.kernel], *(digests[path] for path in kernel.files.values()))
        for kernel in kernels
        if kernel.is_path
    ]
    if len(set(images)) < len(images):
        raise source.fault(("kernel",), "kernels that differ (for A/A use `qualify --aa`)", "the same image twice")
    plan = replace(plan, kernels=tuple(kernels), overlay=overlay, android=android)
    return PlanFile(source=source, plan=plan, digests=digests)


def add_overlay(file: PlanFile, path: str, sha256: str) -> PlanFile:
    """The plan with an overlay that the suite built (an Android runtime, Perfetto), before the overlays that it names."""
    plan = replace(file.plan, overlay=(path, *file.plan.overlay))
    return replace(file, plan=plan, digests={**file.digests, path: sha256})


def _resolve_kernel(source: TomlSource, index: int, kernel: KernelEntry, digests: dict[str, str]) -> KernelEntry:
    """The kernel with the full paths of its files."""
    changes: dict[str, Any] = {}
    if kernel.is_path:
        changes["kernel"] = _resolve(source, ("kernel", index, "kernel"), kernel.kernel, digests)
    if kernel.ramdisk is not None:
        changes["ramdisk"] = _resolve(source, ("kernel", index, "ramdisk"), kernel.ramdisk, digests)
    if kernel.flash is not None:
        changes["flash"] = {
            partition: _resolve(source, ("kernel", index, "flash", partition), image, digests)
            for partition, image in kernel.flash.items()
        }
    if kernel.host_package is not None:
        changes["host_package"] = str(source.file.resolve().parent / expand_home(kernel.host_package))
    return replace(kernel, **changes)


def _resolve(source: TomlSource, key: KeyPath, name: str, digests: dict[str, str]) -> str:
    file = source.file.resolve().parent / expand_home(name)
    if not file.is_file():
        raise source.fault(key, "a file", f"{name!r}, which does not exist")
    with file.open("rb") as data:
        digests[str(file)] = hashlib.file_digest(data, "sha256").hexdigest()
    return str(file)
