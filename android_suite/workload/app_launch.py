"""App launch, cold, warm and hot: the state that was asked for against the state that was got."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from android_suite.device.android import (
    drop_caches,
    force_stop,
    press_key,
    render_component,
    render_extras,
    require_package,
    start_activity,
)
from android_suite.device.parse_am_start import AmStart, parse_am_start
from android_suite.errors import LabError, NotReady, UsageError
from android_suite.store.run import now_iso
from android_suite.workload.workload import (
    ALL_NEEDS,
    GUEST_SLACK_S,
    Context,
    Left,
    Outcome,
    Parameters,
    decode_left,
)

STATES = ("cold", "warm", "hot")
_FULLY_DRAWN_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class AppLaunch:
    """See the module. Launches go cold, warm, hot, and again: each state finds the device as the one before left it."""

    name: str = "app_launch"
    needs: tuple[str, ...] = ALL_NEEDS

    @property
    def defaults(self) -> Parameters:
        """See the protocol."""
        return {
            "launches": 3,
            "states": ",".join(STATES),
            "package": "com.androidsuite.workload",
            "activity": ".LaunchActivity",
            "settle_ms": 300,
        }

    def check(self, parameters: Parameters) -> None:
        """See the protocol."""
        render_component(str(parameters["package"]), str(parameters["activity"]))
        if not 1 <= int(parameters["launches"]) <= 1000:
            raise UsageError(f"launches is {parameters['launches']}; choose 1 to 1000.")
        if not 0 <= int(parameters["settle_ms"]) <= 60_000:
            raise UsageError(f"settle_ms is {parameters['settle_ms']}; choose 0 to 60000.")
        states = str(parameters["states"]).split(",")
        if unknown := [state for state in states if state not in STATES]:
            raise UsageError(f"there is no launch state {unknown[0]!r}; choose among {', '.join(STATES)}.")

    def process(self, parameters: Parameters) -> str:
        """See the protocol."""
        return str(parameters["package"])

    def package(self, parameters: Parameters) -> str | None:
        """See the protocol."""
        return str(parameters["package"])

    def prepare(self, context: Context) -> None:
        """One launch before the measured ones, so that the first of these is not the first after an installation."""
        package = str(context.parameters["package"])
        require_package(context.device, package, next_step="install it or choose another with `package`.")
        force_stop(context.device, package)
        start_activity(context.device, render_component(package, str(context.parameters["activity"])))

    def run_once(self, context: Context) -> Outcome:
        """All launches; each is a sample of its own, and one that got another state than asked is discarded."""
        rows: list[dict[str, object]] = []
        states = _list_asked(context.parameters)
        for index, asked in enumerate(states):
            context.say(f"{asked} launch, {index + 1} of {len(states)}")
            rows.append(self._launch(context, asked, index))
            context.out.write("launches.json", json.dumps(rows, indent=1) + "\n")
        return judge_launches(rows)

    def _launch(self, context: Context, asked: str, index: int) -> dict[str, object]:
        device, parameters = context.device, context.parameters
        package = str(parameters["package"])
        component = render_component(package, str(parameters["activity"]))
        if asked == "cold":
            force_stop(device, package)
            if device.is_root():
                drop_caches(device)
        else:
            press_key(device, "BACK" if asked == "warm" else "HOME")
        time.sleep(int(parameters["settle_ms"]) / 1000)
        token = f"{context.token}-{index}"
        at, mark = now_iso(), context.log.mark()
        started, text = start_activity(device, component, extras=render_extras({"token": token}))
        if started.error:
            raise LabError(f"{device.serial}: {component} did not start ({started.error}); check `activity`.")
        return describe_launch(
            index,
            asked,
            started,
            component=component,
            fully_drawn=self._wait_fully_drawn(context, component, mark),
            started_at=at,
            output=text,
        )

    def _wait_fully_drawn(self, context: Context, component: str, mark: int) -> str | None:
        """The activity's own report, as printed (``+1s234ms``); None where it makes none."""
        pattern = re.compile(rf"Fully drawn {re.escape(component)}:? (\+\S+)")
        try:
            return context.log.wait_line(
                pattern, timeout=_FULLY_DRAWN_TIMEOUT_S, what="`Fully drawn` line", since=mark
            ).group(1)
        except NotReady:
            return None

    def cleanup(self, context: Context) -> None:
        """See the protocol."""
        force_stop(context.device, str(context.parameters["package"]))

    @property
    def guest_defaults(self) -> Parameters:
        """See the protocol."""
        return {"launches": 1}

    def guest_prepare(self, parameters: Parameters) -> str:
        """One launch before the measured ones, as in :meth:`prepare`."""
        component = render_component(str(parameters["package"]), str(parameters["activity"]))
        return f"am start -W -n {shlex.quote(component)} > /dev/null 2>&1\n{_render_wait_drawn(1)} > /dev/null\n"

    def guest_script(self, parameters: Parameters, *, seed: int, token: str) -> str:
        """See the protocol."""
        package = str(parameters["package"])
        component = render_component(package, str(parameters["activity"]))
        settle = f"sleep {int(parameters['settle_ms']) / 1000:.3f}\n"
        lines = []
        for index, asked in enumerate(_list_asked(parameters)):
            if asked == "cold":
                lines.append(f"am force-stop {package}\nsync\necho 3 > /proc/sys/vm/drop_caches\n")
            else:
                lines.append(f"input keyevent {4 if asked == 'warm' else 3}\n")
            extras = shlex.join(render_extras({"token": f"{token}-{index}"}))
            lines.append(
                f"{settle}am start -W -n {shlex.quote(component)} {extras} > $out/launch-{index}.txt 2>&1\n"
                f"{_render_wait_drawn(index + 2)} | tail -n 1 > $out/drawn-{index}.txt\n"
            )
        return "".join(lines)

    def read_guest(self, left: Left, parameters: Parameters, token: str) -> tuple[Mapping[str, str], Outcome]:
        """See the protocol."""
        component = render_component(str(parameters["package"]), str(parameters["activity"]))
        rows = []
        for index, asked in enumerate(_list_asked(parameters)):
            text = decode_left(left, f"launch-{index}.txt")
            drawn = re.search(r"Fully drawn \S+ (\+\S+)", decode_left(left, f"drawn-{index}.txt"))
            rows.append(
                describe_launch(
                    index,
                    asked,
                    parse_am_start(text),
                    component=component,
                    fully_drawn=drawn.group(1) if drawn else None,
                    started_at=None,
                    output=text,
                )
            )
        return {"launches.json": json.dumps(rows, indent=1) + "\n"}, judge_launches(rows)


def _list_asked(parameters: Parameters) -> list[str]:
    """The states of all launches, in order."""
    return str(parameters["states"]).split(",") * int(parameters["launches"])


def _render_wait_drawn(count: int) -> str:
    """Waits until the log has that many `Fully drawn` lines, and prints them."""
    return f"timeout {GUEST_SLACK_S} logcat -b all -m {count} -e 'Fully drawn' -s ActivityTaskManager:I 2>/dev/null"


def describe_launch(
    index: int,
    asked: str,
    started: AmStart,
    *,
    component: str,
    fully_drawn: str | None,
    started_at: str | None,
    output: str,
) -> dict[str, object]:
    """One launch as ``launches.json`` has it.

    Args:
        index: of the launch in its iteration.
        asked: state that was asked for.
        started: what ``am start`` said.
        component: that was started.
        fully_drawn: the activity's own report, as printed; None where it makes none.
        started_at: host time; None in virtual time.
        output: of ``am start``, as printed.
    """
    return {
        "index": index,
        "asked": asked,
        "got": started.launch_state,
        "discarded": started.error or judge_launch(asked, started),
        "component": component,
        "total_ms": started.total_ms,
        "wait_ms": started.wait_ms,
        "fully_drawn": fully_drawn,
        "started_at": started_at,
        "output": output,
    }


def judge_launches(rows: Sequence[Mapping[str, object]]) -> Outcome:
    """The outcome of an iteration: discarded if none of its launches is a sample."""
    if all(row["discarded"] for row in rows):
        return Outcome(discarded=f"no launch got the state asked for (first: {rows[0]['discarded']})")
    return Outcome()


def judge_launch(asked: str, started: AmStart) -> str:
    """Why a launch is no sample of the state that was asked for; empty if it is one."""
    if started.status != "ok":
        return f"am start says {started.status or 'nothing'}"
    if started.warnings:
        return started.warnings[0]
    if started.launch_state is None:
        return ""  # before Android 10 nothing is told
    if started.launch_state.split(" ")[0].lower() != asked:
        return f"asked {asked}, got {started.launch_state}"
    return ""
