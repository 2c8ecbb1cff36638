"""Reads a plan file and the files in it. Their paths are relative to the plan and they are identified by content."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from android_suite.errors import UsageError
from android_suite.model.plan import KernelEntry, Plan, parse_plan
from android_suite.model.toml_source import KeyPath, TomlSource, parse_toml


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
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"cannot read the plan {path}: {reason}; give a TOML file.") from error
    source = parse_toml(text, path)
    plan = parse_plan(source, scenarios=scenarios)
    digests: dict[str, str] = {}
    kernels = []
    for index, kernel in enumerate(plan.kernels):
        if kernel.is_path:
            file = _resolve(source, ("kernel", index, "kernel"), kernel.kernel, digests)
            kernel = KernelEntry(label=kernel.label, kernel=file, role=kernel.role)
        kernels.append(kernel)
    overlay = tuple(_resolve(source, ("plan", "overlay"), name, digests) for name in plan.overlay)
    images = [kernel.kernel for kernel in kernels if kernel.is_path]
    if len({digests[image] for image in images}) < len(images):
        raise source.fault(("kernel",), "kernels that differ (for A/A use `qualify --aa`)", "the same image twice")
    return PlanFile(source=source, plan=replace(plan, kernels=tuple(kernels), overlay=overlay), digests=digests)


def add_runtime(file: PlanFile, path: str, sha256: str) -> PlanFile:
    """The plan with the overlay of its Android runtime, before the overlays that it names."""
    plan = replace(file.plan, overlay=(path, *file.plan.overlay))
    return replace(file, plan=plan, digests={**file.digests, path: sha256})


def _resolve(source: TomlSource, key: KeyPath, name: str, digests: dict[str, str]) -> str:
    file = source.file.resolve().parent / Path(name).expanduser()
    if not file.is_file():
        raise source.fault(key, "a file", f"{name!r}, which does not exist")
    with file.open("rb") as data:
        digests[str(file)] = hashlib.file_digest(data, "sha256").hexdigest()
    return str(file)
