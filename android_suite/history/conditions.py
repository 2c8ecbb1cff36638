"""The conditions of a measurement: everything but the kernel that must agree for two values to stand in one series."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from android_suite.compare.comparability import FREE_DEVICE, FREE_PARAMETERS, FREE_VIRTUAL
from android_suite.history.runs import StoredRun
from android_suite.model.run import IterationRecord

_LONGEST = 400  # characters of a value that are kept


def describe_conditions(run: StoredRun, iteration: IterationRecord) -> dict[str, str]:
    """Mode, device, runtime, parameters, trace set-up and plan of one iteration, as text by name.

    What belongs to the kernel or to one boot is left out, as in a comparison. A phone's serial counts: phones of one
    model differ by more than kernels do.
    """
    manifest = run.manifest
    told: dict[str, str] = {"mode": manifest.mode}
    told["overlays"] = ", ".join(digest[:16] for digest in manifest.overlays) or "none"
    if manifest.device is not None:
        free = FREE_DEVICE | (FREE_VIRTUAL if manifest.device.virtual else frozenset())
        device = asdict(manifest.device)
        told |= {f"device.{name}": _text(value) for name, value in device.items() if name not in free}
    told["process"] = iteration.process or "all"
    told["traced"] = "yes" if iteration.traced else "no"
    told |= _flatten("parameters", {k: v for k, v in iteration.parameters.items() if k not in FREE_PARAMETERS})
    if iteration.traced:
        told |= _flatten("trace", iteration.trace_setup)
    return told | _describe_plan(run.plan, manifest.mode)


def name_conditions(conditions: Mapping[str, str]) -> str:
    """A short name that is the same for equal conditions only."""
    return hashlib.sha256(json.dumps(conditions, sort_keys=True).encode()).hexdigest()[:8]


def _describe_plan(plan: Mapping[str, Any] | None, mode: str) -> dict[str, str]:
    """What a plan does to a measurement: not its name, kernels, seeds or gates.

    In real time a boot runs all scenarios of the plan one after the other, so all of them are conditions of each; a
    deterministic boot runs one.
    """
    if plan is None:
        return {"plan": "none"}
    told = {
        "plan": "yes",
        "plan.image": _text(plan.get("image")),
        "plan.runtime": _text(plan.get("runtime") or "model"),
    }
    if mode != "deterministic":
        told["plan.scenarios"] = _text(json.dumps(plan.get("scenarios"), sort_keys=True))
    return told


def _flatten(prefix: str, values: Mapping[str, Any]) -> dict[str, str]:
    told: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            told |= _flatten(f"{prefix}.{key}", value)
        else:
            told[f"{prefix}.{key}"] = _text(value)
    return told


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        value = "[" + ", ".join(sorted(map(str, value))) + "]"
    text = str(value)
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}... (SHA-256 {hashlib.sha256(text.encode(errors='replace')).hexdigest()[:16]})"
