"""Launches as `AppLaunch` makes them, with a preset: a trampoline, or another app that collects in the background."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Final

from android_suite.device.android import (
    force_stop,
    press_key,
    render_component,
    render_extras,
    render_user,
    require_package,
    start_activity,
)
from android_suite.errors import LabError, UsageError
from android_suite.workload.app_launch import AppLaunch
from android_suite.workload.gc_stress import ACTIVITY
from android_suite.workload.loops import Loop, Said, run_loop
from android_suite.workload.our_app import BACKGROUND_PACKAGE, PACKAGE
from android_suite.workload.workload import Context, Left, Outcome, Parameters, find_user

_ACTIVITY: Final = f"{PACKAGE}{ACTIVITY}"  # the second app has the first one's classes
# It never rests and goes on behind the screen, until it is stopped.
_EXTRAS: Final[Mapping[str, str | int | bool]] = {
    "token": "background", "profile": "inversion", "background": 1, "duration_ms": 86_400_000,
}  # fmt: skip
_COLLECT_PERIOD_MS = 300
_COLLECT_TURNS = 10_000


@dataclass(frozen=True, slots=True)
class LaunchVariant:
    """See the module.

    Attributes:
        preset: defaults that differ from those of ``launch``.
        background: another app collects in the background meanwhile.
    """

    name: str
    launch: AppLaunch = field(default_factory=AppLaunch)
    preset: Parameters = field(default_factory=dict)
    background: bool = False

    @property
    def defaults(self) -> Parameters:
        """See the protocol."""
        further = (
            {"background_package": BACKGROUND_PACKAGE, "background_activity": _ACTIVITY} if self.background else {}
        )
        return {**self.launch.defaults, **self.preset, **further}

    def check(self, parameters: Parameters) -> None:
        """See the protocol."""
        self.launch.check(self._of_launch(parameters))
        if self.background:
            _render_background(parameters)
            if parameters["background_package"] == parameters["package"]:
                raise UsageError("background_package and package are the same app; choose two.")

    def needs(self, parameters: Parameters) -> tuple[str, ...]:
        """See the protocol."""
        return self.launch.needs(parameters)

    def process(self, parameters: Parameters) -> str:
        """See the protocol."""
        return self.launch.process(parameters)

    def package(self, parameters: Parameters) -> str | None:
        """See the protocol."""
        return self.launch.package(parameters)

    def prepare(self, context: Context) -> None:
        """Starts the app of the background and leaves it by HOME, then prepares the launches."""
        if self.background:
            _start_background(context)
        self.launch.prepare(self._of_context(context))

    def run_once(self, context: Context) -> Outcome:
        """See the protocol."""
        loop = _collect_loop(context.parameters) if self.background and not _is_ours(context.parameters) else None
        running = run_loop(context.device, loop, context.token) if loop else nullcontext(Said())
        with running as said:
            outcome = self.launch.run_once(self._of_context(context))
        if loop:
            context.out.write("beside.txt", said.text)
        package = str(context.parameters.get("background_package", ""))
        if self.background and not context.device.pidof(package):
            reason = f"{package}, which should collect in the background, has ended"
            return Outcome(incomplete=reason, fault=LabError(f"{reason}; see the log of the run."))
        return outcome

    def cleanup(self, context: Context) -> None:
        """See the protocol."""
        if self.background:
            force_stop(context.device, str(context.parameters["background_package"]))
        self.launch.cleanup(self._of_context(context))

    @property
    def guest_defaults(self) -> Parameters:
        """See the protocol."""
        return self.launch.guest_defaults

    def guest_prepare(self, parameters: Parameters) -> str:
        """See the protocol."""
        text = self.launch.guest_prepare(self._of_launch(parameters))
        if not self.background:
            return text
        user = render_user(find_user(parameters))
        words = ["am", "start", "-W", *user, "-n", _render_background(parameters), *_render_extras(parameters)]
        start = shlex.join(words)
        return f"{start} > /dev/null 2>&1\ninput keyevent 3\n{text}"

    def guest_script(self, parameters: Parameters, *, seed: int, token: str) -> str:
        """See the protocol."""
        text = self.launch.guest_script(self._of_launch(parameters), seed=seed, token=token)
        if not self.background:
            return text
        return f"{text}pidof {shlex.quote(str(parameters['background_package']))} > $out/background.txt || true\n"

    def read_guest(self, left: Left, parameters: Parameters, token: str) -> tuple[Mapping[str, str], Outcome]:
        """See the protocol."""
        evidence, outcome = self.launch.read_guest(left, self._of_launch(parameters), token)
        if self.background and not left.get("background.txt", b"").strip():
            reason = "the app that should collect in the background has ended"
            return evidence, Outcome(incomplete=reason, fault=LabError(f"{reason}; see the log of the run."))
        return evidence, outcome

    def _of_launch(self, parameters: Parameters) -> Parameters:
        return {name: value for name, value in parameters.items() if name in self.launch.defaults}

    def _of_context(self, context: Context) -> Context:
        return replace(context, parameters=self._of_launch(context.parameters))


def _is_ours(parameters: Parameters) -> bool:
    return parameters["background_package"] in (PACKAGE, BACKGROUND_PACKAGE)


def _render_background(parameters: Parameters) -> str:
    return render_component(str(parameters["background_package"]), str(parameters["background_activity"]))


def _render_extras(parameters: Parameters) -> list[str]:
    """Another app knows none of our extras."""
    return render_extras(_EXTRAS) if _is_ours(parameters) else []


def _start_background(context: Context) -> None:
    device, package = context.device, str(context.parameters["background_package"])
    user = find_user(context.parameters)
    require_package(device, package, next_step="install it or choose another with `background_package`.", user=user)
    force_stop(device, package)
    component = _render_background(context.parameters)
    started, _ = start_activity(device, component, extras=_render_extras(context.parameters), user=user)
    if started.error or started.status != "ok":
        raise LabError(
            f"{device.serial}: {component} did not start ({started.error or started.status}); check its name."
        )
    press_key(device, "HOME")


def _collect_loop(parameters: Parameters) -> Loop:
    """SIGUSR1 makes ART collect at once, in any app; sending it needs root."""
    package = shlex.quote(str(parameters["background_package"]))
    return Loop(
        turn=f"pid=$(pidof {package}) && kill -10 ${{pid%% *}} && echo 'did collect'",
        turns=_COLLECT_TURNS,
        period_ms=_COLLECT_PERIOD_MS,
        process=str(parameters["background_package"]),
    )
