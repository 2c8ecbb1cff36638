"""May two sets of runs be compared at all: do they differ in the kernel alone?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from android_suite.errors import EvidenceError, NotComparable
from android_suite.model.conditions import (
    Conditions,
    IterationCounts,
    ScenarioConditions,
    Setting,
    SideEvidence,
    TraceDigest,
    Value,
)
from android_suite.model.run import Manifest

# What belongs to the kernel, or to one boot of a virtual device, and so may differ.
FREE_DEVICE = frozenset({"memory_kb", "page_size"})
FREE_VIRTUAL = frozenset({"serial"})
FREE_PARAMETERS = frozenset({"seed", "token", "locks"})  # locks: the trace set-up tells it
_SHOWN = 8  # differences named in the message; the rest is counted


def check_comparable(baseline: Sequence[Manifest], candidate: Sequence[Manifest]) -> None:
    """Returns if both sides differ in nothing but the kernel, and each side is of one kernel.

    Compared are mode, device, build, overlays, refresh rate and scenarios, and of each scenario that both completed the
    app's process, the parameters and the trace set-up of every complete iteration.

    Raises:
        NotComparable: with every difference, both values.
        EvidenceError: a side has nothing that could be compared.
    """
    for name, side in (("baseline", baseline), ("candidate", candidate)):
        kernels = sorted({_kernel_name(manifest) for manifest in side})
        if len(kernels) > 1:
            raise NotComparable(
                f"the {name} holds runs of {len(kernels)} kernels: {'; '.join(kernels)}; separate them."
            )
    for name, side in (("baseline", baseline), ("candidate", candidate)):
        if not _completed(side) and not _crashed(side):
            raise EvidenceError(f"no iteration of the {name} is complete, and nothing crashed; record it again.")
    both = _completed(baseline) & _completed(candidate)
    facts = _facts(baseline, both), _facts(candidate, both)
    if _crashed(baseline) or _crashed(candidate):
        for of in facts:
            of.pop("scenarios", None)  # what came after the crash was never begun
    differences = list(_differences(*facts))
    if differences:
        more = f"; and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
        error = NotComparable(
            f"the runs differ in more than the kernel: {'; '.join(differences[:_SHOWN])}{more}; "
            "record both kernels again with the same plan."
        )
        for difference in differences[_SHOWN:]:
            error.add_note(difference)
        raise error


def describe_conditions(baseline: Sequence[Manifest], candidate: Sequence[Manifest]) -> Conditions:
    """What both sides have in common."""
    first = baseline[0]
    done = [i for m in (*baseline, *candidate) for i in m.iterations if i.status == "complete"]
    scenarios: dict[str, ScenarioConditions] = {}
    for iteration in done:
        if iteration.scenario not in scenarios:
            scenarios[iteration.scenario] = ScenarioConditions(
                process=iteration.process,
                parameters={k: _setting(v) for k, v in iteration.parameters.items() if k not in FREE_PARAMETERS},
                trace_setup={k: _setting(v) for k, v in iteration.trace_setup.items() if iteration.traced},
            )
    lines = [m[0].kernel.cmdline if m[0].kernel else "" for m in (baseline, candidate)]
    return Conditions(
        suite=first.suite,
        mode=first.mode,
        device=first.device,
        scenarios=scenarios,
        seeds=tuple(sorted({i.seed for i in done if i.seed is not None})),
        cmdline_differs=lines[0] != lines[1],
    )


def summarize_evidence(manifests: Sequence[Manifest]) -> SideEvidence:
    """How far one side's recording can be trusted."""
    iterations = [iteration for manifest in manifests for iteration in manifest.iterations]
    lost = [i.lost_events for i in iterations if i.traced and i.status == "complete"]
    crashes = [i.crash for i in iterations if i.crash] + [m.crash for m in manifests if m.crash]
    statuses = Counter(iteration.status for iteration in iterations)
    return SideEvidence(
        runs=len(manifests),
        boots=len({iteration.boot for iteration in iterations}),
        iterations=IterationCounts(
            complete=statuses["complete"], incomplete=statuses["incomplete"], discarded=statuses["discarded"]
        ),
        reasons=tuple(sorted({i.reason for i in iterations if i.status != "complete" and i.reason})),
        lost_events=None if any(count is None for count in lost) else sum(count or 0 for count in lost),
        crashes=tuple(crashes),
        notes=tuple(sorted({note for manifest in manifests for note in manifest.notes})),
        digests=tuple(
            TraceDigest(
                scenario=i.scenario,
                seed=i.seed,
                boot=i.boot,
                traced=i.traced,
                lost_events=i.lost_events,
                trace_digest=i.trace_digest,
            )
            for i in iterations
            if i.status == "complete"
        ),
    )


def _setting(value: object) -> Setting:
    """As a comparison holds it: a list is a tuple. What lies deeper than that, in no manifest of ours, is its text."""
    if isinstance(value, Mapping):
        return {str(key): _value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return tuple(map(_value, value))
    return None if value is None else _value(value)


def _value(value: object) -> Value:
    return value if isinstance(value, bool | int | float | str) else str(value)


def _kernel_name(manifest: Manifest) -> str:
    kernel = manifest.kernel
    if kernel is None:
        return "unknown (no device answered)"
    proof = kernel.build_id or kernel.config_sha256 or ""
    return " ".join(part for part in (kernel.release, kernel.version, proof[:16]) if part)


def _completed(side: Sequence[Manifest]) -> set[str]:
    return {item.scenario for manifest in side for item in manifest.iterations if item.status == "complete"}


def _crashed(side: Sequence[Manifest]) -> bool:
    return any(manifest.crash or any(item.crash for item in manifest.iterations) for manifest in side)


def _facts(side: Sequence[Manifest], scenarios: Collection[str]) -> dict[str, set[str]]:
    """Every fact that has to agree, with all values found for it; of the settings of ``scenarios`` alone.

    A scenario that came to its end on one side only was asked of both: a kernel that crashes in it has a verdict.
    """
    facts: dict[str, set[str]] = {}

    def note(key: str, value: object) -> None:
        facts.setdefault(key, set()).add(_text(value))

    for manifest in side:
        note("mode", manifest.mode)
        # Their order counts: a later one replaces files of an earlier one.
        note("overlays", ", ".join(digest[:16] for digest in manifest.overlays) or "none")
        if manifest.device is not None:
            device = asdict(manifest.device)
            free = FREE_DEVICE | (FREE_VIRTUAL if manifest.device.virtual else frozenset())
            for key in device.keys() - free:
                note(f"device.{key}", device[key])
        for iteration in manifest.iterations:
            name = iteration.scenario
            note("scenarios", name)
            if iteration.status != "complete" or name not in scenarios:
                continue
            note(f"{name}.process", iteration.process)
            for key, value in _flatten(iteration.parameters):
                if key.split(".")[0] not in FREE_PARAMETERS:
                    note(f"{name}.parameters.{key}", value)
            if iteration.traced:
                for key, value in _flatten(iteration.trace_setup):
                    note(f"{name}.trace_setup.{key}", value)
    return facts


def _differences(baseline: Mapping[str, set[str]], candidate: Mapping[str, set[str]]) -> Iterator[str]:
    for key in sorted(baseline.keys() | candidate.keys()):
        left, right = baseline.get(key, set()), candidate.get(key, set())
        if left != right:
            yield f"{key} is {_join(left)} against {_join(right)}"


def _join(values: set[str]) -> str:
    return " and ".join(sorted(values)) or "not recorded"


def _flatten(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _flatten(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner


def _text(value: object) -> str:
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ", ".join(sorted(map(str, value))) + "]"
    return repr(value) if isinstance(value, str) else str(value)
