"""App launch: cold, warm and hot. Compares the requested state with the state that Android reports.

As in androidx.benchmark, a cold launch follows a force-stop and a hot launch follows HOME. A warm launch follows HOME
and starts with NEW_TASK and CLEAR_TASK. (From Android 12 on, BACK does not lead to a warm launch: it moves a root
activity to the back.)
"""

from __future__ import annotations

import hashlib
import json
import math
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
    render_user,
    require_package,
    start_activity,
)
from android_suite.errors import AdbTimeout, LabError, NotReady, UsageError
from android_suite.model.launch import STATES, AmStart, judge_launch, parse_am_start
from android_suite.store.run import now_iso
from android_suite.workload.our_app import PACKAGE
from android_suite.workload.workload import (
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

_CLEAR_TASK = ["-f", "0x10008000"]  # FLAG_ACTIVITY_NEW_TASK | FLAG_ACTIVITY_CLEAR_TASK
_ANSWER_TIMEOUT_S = 60.0  # am gives up after 10 s, times ro.hw_timeout_multiplier
_CRASH_LINE_S = 1.0  # the line about a crash may come after the reply of am
_VSYNC_US = 16_667


@dataclass(frozen=True, slots=True)
class AppLaunch:
    """See the module. Launches cycle through cold, warm and hot; each starts from where the one before ended."""

    name: str = "app_launch"

    @property
    def defaults(self) -> Parameters:
        """See the protocol."""
        return {
            "launches": 3,
            "states": ",".join(STATES),
            "package": PACKAGE,
            "activity": ".LaunchActivity",
            "settle_ms": 300,
            "fully_drawn_timeout_ms": 10_000,
            USER: -1,
            PROBE_VMA_LOCK: False,
            LOCKS: "mm",
        }

    def check(self, parameters: Parameters) -> None:
        """See the protocol."""
        render_component(str(parameters["package"]), str(parameters["activity"]))
        if not 1 <= int(parameters["launches"]) <= 1000:
            raise UsageError(f"launches is {parameters['launches']}; choose 1 to 1000.")
        if not 0 <= int(parameters["settle_ms"]) <= 60_000:
            raise UsageError(f"settle_ms is {parameters['settle_ms']}; choose 0 to 60000.")
        if not 0 <= int(parameters["fully_drawn_timeout_ms"]) <= 600_000:
            raise UsageError(f"fully_drawn_timeout_ms is {parameters['fully_drawn_timeout_ms']}; choose 0 to 600000.")
        check_user(parameters)
        states = str(parameters["states"]).split(",")
        if unknown := [state for state in states if state not in STATES]:
            raise UsageError(f"there is no launch state {unknown[0]!r}; choose among {', '.join(STATES)}.")

    def needs(self, parameters: Parameters) -> tuple[str, ...]:
        """See the protocol."""
        return list_needs(parameters)

    def process(self, parameters: Parameters) -> str:
        """See the protocol."""
        return str(parameters["package"])

    def package(self, parameters: Parameters) -> str | None:
        """See the protocol."""
        return str(parameters["package"])

    def prepare(self, context: Context) -> None:
        """One launch before the measured ones, so that no measured launch is the first after an installation.

        The app of every user is ended: a trace knows processes by their names.
        """
        device, package, user = context.device, str(context.parameters["package"]), find_user(context.parameters)
        require_package(device, package, next_step="install it or choose another with `package`.", user=user)
        force_stop(device, package)
        start_activity(device, render_component(package, str(context.parameters["activity"])), user=user)

    def run_once(self, context: Context) -> Outcome:
        """Runs all launches. Each is a sample; a failed launch is an outcome, not an error."""
        rows: list[dict[str, object]] = []
        states = _list_asked(context.parameters)
        for index, asked in enumerate(states):
            context.say(f"{asked} launch, {index + 1} of {len(states)}")
            rows.append(self._launch(context, asked, index))
            context.out.write("launches.json", json.dumps(rows, indent=1) + "\n")
        return judge_launches(rows)

    def _launch(self, context: Context, asked: str, index: int) -> dict[str, object]:
        device, parameters = context.device, context.parameters
        package, user = str(parameters["package"]), find_user(parameters)
        component = render_component(package, str(parameters["activity"]))
        if asked == "cold":
            force_stop(device, package, user=user)
            if device.is_root():
                drop_caches(device)
        else:
            press_key(device, "HOME")
        time.sleep(_settle_s(parameters, context.seed, index))
        at, mark = now_iso(), context.log.mark()
        no_answer_ms = None
        try:
            arguments = _render_arguments(asked, f"{context.token}-{index}", context.seed, index)
            started, text = start_activity(device, component, extras=arguments, user=user, timeout=_ANSWER_TIMEOUT_S)
        except AdbTimeout:
            started, text, no_answer_ms = parse_am_start(""), "", round(_ANSWER_TIMEOUT_S * 1000)
        if started.error:
            raise LabError(f"{device.serial}: {component} did not start ({started.error}); check `activity`.")
        fully_drawn, crash = self._follow(context, package, mark, drawn=started.total_ms is not None)
        if not crash and started.total_ms is None and not device.pidof(package):
            crash = f"the process of {package} has ended"
        return describe_launch(
            index,
            asked,
            started,
            component=component,
            fully_drawn=fully_drawn,
            started_at=at,
            output=text,
            crash=crash,
            no_answer_ms=no_answer_ms,
        )

    def _follow(self, context: Context, package: str, mark: int, *, drawn: bool) -> tuple[str | None, str]:
        """The log of a launch: the app's `Fully drawn` line, else None, and how it crashed, else ''.

        Any activity of the package may report (a trampoline ends on another one). After one full timeout, the run does
        not wait for this app again.
        """
        name = re.escape(package)
        pattern = re.compile(rf"Fully drawn {name}/|{_render_crash(name)}")
        silent = f"{package} reports no fully drawn"
        wait_s = int(context.parameters["fully_drawn_timeout_ms"]) / 1000 if drawn else _CRASH_LINE_S
        if silent in context.learnt:
            wait_s = min(wait_s, 0.0 if drawn else _CRASH_LINE_S)
        try:
            found = context.log.wait_line(pattern, timeout=wait_s, what="`Fully drawn` line", since=mark)
        except NotReady:
            if drawn:
                context.learnt.add(silent)
            return None, ""
        if not found.group(0).startswith("Fully drawn"):
            return None, _tell_crash(found.string)
        reported = found.string[found.start() :].partition(": ")[2].partition(" ")[0]
        return reported or None, ""

    def cleanup(self, context: Context) -> None:
        """See the protocol."""
        force_stop(context.device, str(context.parameters["package"]), user=find_user(context.parameters))

    @property
    def guest_defaults(self) -> Parameters:
        """See the protocol."""
        return {"launches": 1}

    def guest_prepare(self, parameters: Parameters) -> str:
        """One launch before the measured ones, as in :meth:`prepare`."""
        component = render_component(str(parameters["package"]), str(parameters["activity"]))
        start = f"{_render_start(parameters)} -n {shlex.quote(component)} > /dev/null 2>&1"
        return f"{_COUNT_DRAWN}\n{start}\n{_render_wait_drawn(parameters)} > /dev/null\n"

    def guest_script(self, parameters: Parameters, *, seed: int, token: str) -> str:
        """See the protocol."""
        package = str(parameters["package"])
        component = shlex.quote(render_component(package, str(parameters["activity"])))
        lines = []
        for index, asked in enumerate(_list_asked(parameters)):
            if asked == "cold":
                lines.append(f"am force-stop {package}\nsync\necho 3 > /proc/sys/vm/drop_caches\n")
            else:
                lines.append("input keyevent 3\n")
            arguments = shlex.join(_render_arguments(asked, f"{token}-{index}", seed, index))
            lines.append(
                f"sleep {_settle_s(parameters, seed, index):.6f}\n{_COUNT_DRAWN}\n"
                f"{_render_start(parameters)} -n {component} {arguments} > $out/launch-{index}.txt 2>&1\n"
                f"{_render_wait_drawn(parameters)} > $out/drawn-{index}.txt\n"
                f"pidof {package} > $out/pid-{index}.txt || true\n"
            )
        return "".join(lines)

    def read_guest(self, left: Left, parameters: Parameters, token: str) -> tuple[Mapping[str, str], Outcome]:
        """See the protocol."""
        package = str(parameters["package"])
        component = render_component(package, str(parameters["activity"]))
        rows = []
        for index, asked in enumerate(_list_asked(parameters)):
            text = decode_left(left, f"launch-{index}.txt")
            drawn = re.search(r"Fully drawn \S+(?: for user \d+)?: (\+\S+)", decode_left(left, f"drawn-{index}.txt"))
            gone = f"pid-{index}.txt" in left and not left[f"pid-{index}.txt"].strip()
            rows.append(
                describe_launch(
                    index,
                    asked,
                    parse_am_start(text),
                    component=component,
                    fully_drawn=drawn.group(1) if drawn else None,
                    started_at=None,
                    output=text,
                    crash=f"the process of {package} has ended" if gone else "",
                )
            )
        return {"launches.json": json.dumps(rows, indent=1) + "\n"}, judge_launches(rows)


def _render_start(parameters: Parameters) -> str:
    return shlex.join(["am", "start", "-W", *render_user(find_user(parameters))])


def _list_asked(parameters: Parameters) -> list[str]:
    """The states of all launches, in order."""
    return str(parameters["states"]).split(",") * int(parameters["launches"])


def _number_of(seed: int, index: int) -> int:
    """A 48-bit number from seed and launch; the same on every kernel and in every Python."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{index}".encode()).digest()[:6], "little")


def _settle_s(parameters: Parameters, seed: int, index: int) -> float:
    """The pause before a launch: ``settle_ms`` plus a part of a refresh period from the seed.

    So a launch starts at any point between two vsyncs and two ticks, like the tap of a finger.
    """
    return int(parameters["settle_ms"]) / 1000 + _number_of(seed, index) % _VSYNC_US / 1e6


def _render_arguments(asked: str, token: str, seed: int, index: int) -> list[str]:
    """The arguments of ``am start`` after the component: flags of the state, and the extras."""
    extras = render_extras({"token": token, "seed": _number_of(seed, index)}, longs=frozenset({"seed"}))
    return [*(_CLEAR_TASK if asked == "warm" else ()), *extras]


_DRAWN_LINES = "logcat -b all -e 'Fully drawn' -s ActivityTaskManager:I"
_COUNT_DRAWN = f"drawn=$({_DRAWN_LINES} -d 2>/dev/null | grep -c 'Fully drawn')"


def _render_wait_drawn(parameters: Parameters) -> str:
    """Waits for one more `Fully drawn` line than `_COUNT_DRAWN` found and prints it; prints nothing on a timeout."""
    timeout_s = max(1, math.ceil(int(parameters["fully_drawn_timeout_ms"]) / 1000))  # `timeout 0` would wait for ever
    wait = f"timeout {timeout_s} {_DRAWN_LINES} -m $((drawn + 1)) 2>/dev/null"
    return f"{wait} | grep 'Fully drawn' | sed -n \"$((drawn + 1))p\""


def _render_crash(package: str) -> str:
    """A pattern for the log lines about the death of a process: Java crash, native crash, ANR, or just its end."""
    process = rf"{package}(?::[\w.]+)?"
    return (
        rf"\bProcess: {process}, PID: \d+|>>> {process} <<<|\bANR in {process}(?![\w.])"
        rf"|\bProcess {process} \(pid \d+\) has died"
    )


def _tell_crash(line: str) -> str:
    """A log line without its prefix of time, pid and tag."""
    return re.sub(r"^.*?\b[VDIWEF][ /][^:]*: ", "", line).strip()


def describe_launch(
    index: int,
    asked: str,
    started: AmStart,
    *,
    component: str,
    fully_drawn: str | None,
    started_at: str | None,
    output: str,
    crash: str = "",
    no_answer_ms: int | None = None,
) -> dict[str, object]:
    """One row of ``launches.json``.

    Args:
        index: index of the launch in its iteration.
        asked: the requested state.
        started: the reply of ``am start``.
        component: the started component.
        fully_drawn: the activity's report, as printed (``+1s234ms``); None without one.
        started_at: host time; None in virtual time.
        output: output of ``am start``.
        crash: how the app died; empty if it did not.
        no_answer_ms: how long the recorder waited for am in vain; None if am replied.
    """
    verdict = judge_launch(asked, started, component=component, crash=crash, no_answer_ms=no_answer_ms)
    return {
        "index": index,
        "asked": asked,
        "got": started.launch_state,
        "outcome": verdict.outcome,
        "discarded": verdict.reason,
        "component": component,
        "total_ms": started.total_ms,
        "wait_ms": started.wait_ms,
        "fully_drawn": fully_drawn,
        "crash": crash,
        "no_answer_ms": no_answer_ms,
        "started_at": started_at,
        "output": output,
    }


def judge_launches(rows: Sequence[Mapping[str, object]]) -> Outcome:
    """The outcome of an iteration: discarded if no requested launch took place. Failed launches are samples."""
    if all(row["outcome"] == "wrong_state" for row in rows):
        return Outcome(discarded=f"no launch had the requested state (first: {rows[0]['discarded']})")
    return Outcome()
