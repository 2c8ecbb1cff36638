"""An app in the foreground, under a stress of its own and with something beside it: our app, or any other by its name."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from android_suite.device.android import (
    force_stop,
    render_component,
    render_user,
    require_package,
    start_activity,
)
from android_suite.device.native_program import build_native
from android_suite.errors import LabError, Unsupported, UsageError
from android_suite.model.identity import CrashRecord
from android_suite.model.launch import parse_am_start
from android_suite.workload.gc_stress import ACTIVITY, GcStress
from android_suite.workload.loops import Beside, Loop, Said, count_done, find_complaint, render_loop, run_loop
from android_suite.workload.our_app import PACKAGE
from android_suite.workload.workload import Context, Left, Outcome, Parameters, decode_left, find_user

UFFD = "gc_uffd"
_UFFD_PROPERTIES = (
    "ro.dalvik.vm.enable_uffd_gc",
    "persist.device_config.runtime_native_boot.enable_uffd_gc",
    "persist.device_config.runtime_native_boot.enable_uffd_gc_2",
)
_BESIDE = "beside.txt"
_STOP = "/data/local/tmp/android-suite/beside.stop"
_NATIVE = Path(__file__).parent / "native"
_GUEST_PROGRAMS = "/etc/android-suite/run"  # where a guest that runs alone has them


@dataclass(frozen=True, slots=True)
class Foreground:
    """See the module.

    Attributes:
        stress: what our app does.
        preset: parameters of our app that it adds to those of ``stress``, or whose defaults it changes.
        beside: what goes on beside the app.
    """

    name: str
    stress: GcStress
    preset: Parameters = field(default_factory=dict)
    beside: Beside | None = None

    @property
    def defaults(self) -> Parameters:
        """See the protocol."""
        loop = self.beside.defaults if self.beside else {}
        return {"package": PACKAGE, "activity": ACTIVITY, **self.stress.defaults, **self.preset, **loop}

    def check(self, parameters: Parameters) -> None:
        """See the protocol."""
        render_component(str(parameters["package"]), str(parameters["activity"]))
        self.stress.check(self._of_app(parameters))
        if parameters["package"] != PACKAGE and parameters["activity"] == ACTIVITY:
            raise UsageError(f"name an activity of {parameters['package']}, too: --set activity=.MainActivity.")
        if self.beside:
            self.beside.check(parameters)

    def needs(self, parameters: Parameters) -> tuple[str, ...]:
        """See the protocol."""
        return self.stress.needs(parameters)

    def process(self, parameters: Parameters) -> str:
        """See the protocol."""
        return str(parameters["package"])

    def package(self, parameters: Parameters) -> str | None:
        """See the protocol."""
        return str(parameters["package"])

    def prepare(self, context: Context) -> None:
        """Ends all processes of the app."""
        if context.parameters["package"] == PACKAGE:
            self.stress.prepare(self._of_stress(context))
            return
        package = str(context.parameters["package"])
        user = find_user(context.parameters)
        require_package(context.device, package, next_step="install it or choose another with `package`.", user=user)
        force_stop(context.device, package)

    def run_once(self, context: Context) -> Outcome:
        """Runs the app for its time, with the loop beside it."""
        loop = self._make_loop(self.beside, context) if self.beside else None
        running = run_loop(context.device, loop, context.token) if loop else None
        with running or nullcontext(Said()) as said:
            if context.parameters["package"] == PACKAGE:
                outcome = self.stress.run_once(self._of_stress(context))
            else:
                outcome = _run_any(context)
        if self.beside:
            context.out.write(_BESIDE, said.text)
        if context.parameters.get(UFFD) == 1 and (refused := _refuse_uffd(_read_result(context))):
            properties = context.device.read_properties()
            if not any(properties.get(name) == "true" for name in _UFFD_PROPERTIES):
                return refused
        return self._judge(outcome, said.text)

    def cleanup(self, context: Context) -> None:
        """See the protocol."""
        if context.parameters["package"] == PACKAGE:
            self.stress.cleanup(self._of_stress(context))
        else:
            force_stop(context.device, str(context.parameters["package"]))

    @property
    def guest_defaults(self) -> Parameters:
        """See the protocol."""
        return self.stress.guest_defaults

    def guest_prepare(self, parameters: Parameters) -> str:
        """See the protocol."""
        return self.stress.guest_prepare(self._of_app(parameters))

    def guest_script(self, parameters: Parameters, *, seed: int, token: str) -> str:
        """See the protocol."""
        if parameters["package"] == PACKAGE:
            work = self.stress.guest_script(self._of_app(parameters), seed=seed, token=token)
        else:
            package = str(parameters["package"])
            component = render_component(package, str(parameters["activity"]))
            start = shlex.join(["am", "start", "-W", *render_user(find_user(parameters)), "-n", component])
            work = (
                f"{start} > $out/am_start.txt 2>&1\nsleep {int(parameters['duration_ms']) / 1000:.3f}\n"
                f"pidof {shlex.quote(package)} > $out/pid.txt || true\n"
            )
        if self.beside is None:
            return work
        beside = _with_program(self.beside.make(parameters), f"{_GUEST_PROGRAMS}/{self.beside.program}")
        loop = render_loop(beside, _STOP)
        return f"(\n{loop}) > $out/{_BESIDE} 2>&1 &\nbeside=$!\n{work}touch {_STOP}\nwait $beside\nrm -f {_STOP}\n"

    def guest_files(self, machine: str, cache: Path) -> Mapping[str, bytes]:
        """The program that runs beside the app, which a guest that runs alone cannot be sent."""
        if self.beside is None or not self.beside.program:
            return {}
        name = self.beside.program
        return {f"{_GUEST_PROGRAMS}/{name}": build_native(_NATIVE / f"{name}.c", machine, cache=cache)}

    def read_guest(self, left: Left, parameters: Parameters, token: str) -> tuple[Mapping[str, str], Outcome]:
        """See the protocol."""
        if parameters["package"] == PACKAGE:
            evidence, outcome = self.stress.read_guest(left, self._of_app(parameters), token)
        else:
            evidence = {"am_start.txt": decode_left(left, "am_start.txt")}
            started = parse_am_start(evidence["am_start.txt"])
            alive = bool(left.get("pid.txt", b"").strip())
            outcome = Outcome(incomplete=started.error or ("" if alive else "the app under test died"))
        said = decode_left(left, _BESIDE)
        if self.beside:
            evidence = {**evidence, _BESIDE: said}
        if parameters.get(UFFD) == 1 and (refused := _refuse_uffd(evidence.get("app_result.json", ""))):
            return evidence, refused
        return evidence, self._judge(outcome, said)

    def _make_loop(self, beside: Beside, context: Context) -> Loop:
        """The loop beside the app, whose program is on the device."""
        loop, name = beside.make(context.parameters), beside.program
        if not name:
            return loop
        machine = context.device.run(["uname", "-m"]).text.strip()
        program = build_native(_NATIVE / f"{name}.c", machine, cache=context.cache)
        return _with_program(loop, context.device.push_program(program, name))

    def _of_app(self, parameters: Parameters) -> Parameters:
        """What our app is asked for."""
        known = {*self.stress.defaults, *self.preset}
        return {name: value for name, value in parameters.items() if name in known or name == "processes"}

    def _of_stress(self, context: Context) -> Context:
        return replace(context, parameters=self._of_app(context.parameters))

    def _judge(self, outcome: Outcome, said: str) -> Outcome:
        """The outcome, with a fault if what should have gone on beside the app did not."""
        if self.beside is None or outcome.incomplete or outcome.crash or count_done(said):
            return outcome
        why = find_complaint(said) or "it printed nothing"
        reason = f"nothing went on beside the app ({why})"
        return Outcome(incomplete=reason, fault=LabError(f"{reason}; {self.beside.next_step}"))


def _with_program(loop: Loop, path: str) -> Loop:
    return replace(loop, before=f"program={shlex.quote(path)}\n{loop.before}".rstrip())


def _run_any(context: Context) -> Outcome:
    """Starts an app that reports nothing and leaves it in the foreground for the time asked."""
    device, parameters = context.device, context.parameters
    package = str(parameters["package"])
    component = render_component(package, str(parameters["activity"]))
    started, text = start_activity(device, component, user=find_user(parameters))
    context.out.write("am_start.txt", text)
    if started.error or started.status != "ok":
        raise LabError(
            f"{device.serial}: {package} did not start ({started.error or started.status}); check `activity`."
        )
    time.sleep(int(parameters["duration_ms"]) / 1000)
    if device.pidof(package):
        return Outcome()
    crash = CrashRecord(kind="app_crash", summary=f"the process of {package} has ended", console=text)
    return Outcome(incomplete="the app under test died", crash=crash)


def _read_result(context: Context) -> str:
    try:
        return (context.out.folder / "app_result.json").read_text(encoding="utf-8")
    except OSError:
        return ""


def _refuse_uffd(result: str) -> Outcome | None:
    """The outcome where the app could not arm its heap, None where it did or where there is no result to tell."""
    try:
        told = json.loads(result)
    except (ValueError, RecursionError):
        return None
    if isinstance(told, dict) and isinstance(told.get("uffd"), dict):
        return None
    why = "this kernel has no userfaultfd" if "uffd" in told else "this runtime does not collect with userfaultfd"
    return Outcome(incomplete=why, fault=Unsupported(f"{why}; choose another kernel, or another scenario."))
