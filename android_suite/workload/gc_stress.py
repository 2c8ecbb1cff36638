"""GC stress: an app that draws 60 frames per second while its collector frees memory, and reports what it did."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from android_suite.device.android import (
    Extra,
    force_stop,
    render_component,
    render_extras,
    render_user,
    require_package,
)
from android_suite.errors import LabError, SuiteError, UsageError
from android_suite.model.launch import parse_am_start
from android_suite.workload.collector import COLLECTOR, check_collector, render_choice, render_choice_line
from android_suite.workload.our_app import PACKAGE, judge_result, result_pattern, start_app, wait_result
from android_suite.workload.runtime import HEAPS, RUNTIME_FILE, check_heap
from android_suite.workload.workload import (
    GUEST_SLACK_S,
    LOCKS,
    PROBE_VMA_LOCK,
    USER,
    Context,
    Left,
    Outcome,
    Parameters,
    check_user,
    decode_left,
    find_user,
    list_needs,
)

ACTIVITY = ".GcStressActivity"
PLANTED = ("spans_vmas", "userfaultfd", "process_madvise", "remote", "process_madvise_self", "tagged")
PROFILES = ("steady", "inversion", "vma", "churn", "large", "native")
SIZES = ("mixed", "small", "large")
LONG_EXTRAS = frozenset({"seed"})
HEAP = "heap"  # the parameter that names a heap of `HEAPS`
_START_SHARE = 3  # a guest on a busy host is slow: allow this multiple of the scenario's time
_START_SLACK_S = 60.0


def render_stress_extras(parameters: Parameters, *, seed: int, token: str) -> list[str]:
    """Arguments of ``am start`` for the parameters that differ from the app's defaults."""
    extras: dict[str, Extra] = {"token": token, "seed": seed}
    for name, value in parameters.items():
        if name in (PROBE_VMA_LOCK, LOCKS, HEAP, COLLECTOR, USER):
            continue  # of tracing, of the runtime before the app starts, and of `am`
        if name == "duration_ms" or value not in ("", -1):
            extras[name] = int(value) if isinstance(value, float) else value
    return render_extras(extras, longs=LONG_EXTRAS)


@dataclass(frozen=True, slots=True)
class GcStress:
    """See the module. ``profile`` is the default of the app, ``guest_profile`` that of a deterministic run.

    ``probe_vma_lock`` is the default of the parameter of that name: a kprobe records waits for the lock of a VMA.
    A parameter that is -1 or empty leaves the choice to the app's profile.
    """

    name: str = "gc_stress"
    profile: str = "steady"
    guest_profile: str = "inversion"
    probe_vma_lock: bool = False

    @property
    def defaults(self) -> Parameters:
        """See the protocol."""
        numbers = (
            "ui_spin",
            "ui_maps",
            "ui_map_bytes",
            "ui_alloc_bytes",
            "ui_protects",
            "render_spin",
            "binder_spin",
            "binder_phase_us",
            "binder_every",
            "gpu_us",
            "alloc_spin",
            "gc_trigger_bytes",
            "gc_calls",
            "gc_copy_bytes",
            "gc_continuous",
            "planted_per_cycle",
            "ui_slowdown_pct",
            "gc_hold_pct",
            "threads",
            "rate",
        )
        texts = {"profile": self.profile, "planted": "", "sizes": "", HEAP: "", COLLECTOR: ""}
        numbered = dict.fromkeys((*numbers, USER), -1)
        tracing: dict[str, str | bool] = {PROBE_VMA_LOCK: self.probe_vma_lock, LOCKS: "mm"}
        return {"duration_ms": 10_000, **texts, **numbered, **tracing}

    def check(self, parameters: Parameters) -> None:
        """See the protocol."""
        duration_ms = int(parameters["duration_ms"])
        if not 100 <= duration_ms <= 86_400_000:
            raise UsageError(f"duration_ms is {duration_ms}; choose 100 to 86400000 (a day).")
        if parameters["profile"] not in PROFILES:
            raise UsageError(f"profile is {parameters['profile']!r}; choose one of {', '.join(PROFILES)}.")
        for name in filter(None, str(parameters["planted"]).split(",")):
            if name not in PLANTED:
                raise UsageError(f"there is no planted fallback {name!r}; choose among {', '.join(PLANTED)}.")
        if parameters["sizes"] not in ("", *SIZES):
            raise UsageError(f"sizes is {parameters['sizes']!r}; choose one of {', '.join(SIZES)}.")
        check_user(parameters)
        check_heap(str(parameters[HEAP]))
        check_collector(str(parameters.get(COLLECTOR, "")))

    def needs(self, parameters: Parameters) -> tuple[str, ...]:
        """See the protocol."""
        return list_needs(parameters)

    def process(self, parameters: Parameters) -> str:
        """See the protocol."""
        return PACKAGE

    def package(self, parameters: Parameters) -> str | None:
        """See the protocol."""
        return PACKAGE

    def prepare(self, context: Context) -> None:
        """Ends all processes of the app, of every user, so that its heap starts the same in every iteration."""
        user = find_user(context.parameters)
        require_package(
            context.device, PACKAGE, next_step="install the workload app, or use a virtual device.", user=user
        )
        force_stop(context.device, PACKAGE)
        heap = str(context.parameters[HEAP])
        if heap and not context.device.exists([RUNTIME_FILE]):
            raise UsageError(
                f"{context.device.serial} starts no runtime of ours, so its heap cannot be chosen; leave `heap` out, or "
                "use a virtual device with --runtime art."
            )
        if heap:
            context.device.run(_render_heap(heap))
        if choice := render_choice(str(context.parameters.get(COLLECTOR, ""))):
            done = context.device.transport.run(choice)
            if done.status:
                raise LabError(f"the device refused to set the collector ({done.complaint}); see its log.")

    def run_once(self, context: Context) -> Outcome:
        """Starts the app and waits until it reports."""
        parameters = context.parameters
        extras = render_stress_extras(parameters, seed=context.seed, token=context.token)
        mark = context.log.mark()
        start_app(context, ACTIVITY, extras)
        timeout = _START_SLACK_S + _START_SHARE * int(parameters["duration_ms"]) / 1000
        return wait_result(context, mark, timeout=timeout)

    def cleanup(self, context: Context) -> None:
        """See the protocol."""
        force_stop(context.device, PACKAGE)
        if context.parameters[HEAP]:
            context.device.run(_render_heap(""))

    @property
    def guest_defaults(self) -> Parameters:
        """See the protocol."""
        return {"duration_ms": 6000, "profile": self.guest_profile}

    def guest_prepare(self, parameters: Parameters) -> str:
        """The heap and the collector, as far as they are named. The guest has just booted, so the app does not run."""
        heap = _render_heap(str(parameters[HEAP])) if parameters[HEAP] else ""
        return "\n".join(filter(None, (heap, render_choice_line(str(parameters.get(COLLECTOR, ""))))))

    def guest_script(self, parameters: Parameters, *, seed: int, token: str) -> str:
        """See the protocol."""
        extras = render_stress_extras(parameters, seed=seed, token=token)
        user = render_user(find_user(parameters))
        start = shlex.join(["am", "start", "-W", *user, "-n", render_component(PACKAGE, ACTIVITY), *extras])
        timeout = int(parameters["duration_ms"]) // 1000 + GUEST_SLACK_S
        wait = shlex.join(["logcat", "-b", "all", "-m", "1", "-e", f'"token":"{token}"', "-s", "AndroidSuite:I"])
        return f"{start} > $out/am_start.txt 2>&1\ntimeout {timeout} {wait} > $out/result.txt 2>/dev/null\n"

    def read_guest(self, left: Left, parameters: Parameters, token: str) -> tuple[Mapping[str, str], Outcome]:
        """See the protocol."""
        text = decode_left(left, "am_start.txt")
        evidence = {"am_start.txt": text}
        started = parse_am_start(text)
        if started.error or started.status != "ok":
            why = started.error or started.status or "am printed nothing"
            reason = f"the app did not start ({why})"
            if "refused the intent" in text:
                fault: SuiteError = UsageError(f"the app refused a parameter ({why}).")
                return evidence, Outcome(incomplete=reason, fault=fault)
            return evidence, Outcome(incomplete=reason, fault=LabError(f"{reason}; see the log of the run."))
        found = result_pattern(token).search(decode_left(left, "result.txt"))
        if found is None:
            return evidence, Outcome(incomplete="the app did not report in time")
        return {**evidence, "app_result.json": found.group(1) + "\n"}, judge_result(found.group(1))


def _render_heap(heap: str) -> str:
    """Shell commands that set the properties of a heap; for no heap, those that make them empty.

    ART reserves twice the size of its heap, which may be more than the guest has: Android's init allows that.
    """
    values = HEAPS[heap] if heap else dict.fromkeys(next(iter(HEAPS.values())), "")
    commands = [shlex.join(["setprop", name, value]) for name, value in values.items()]
    room = ["echo 1 > /proc/sys/vm/overcommit_memory"] if heap else []
    return " && ".join([*room, *commands])
