"""A scenario as a shell script that the device runs by itself, for runs that nothing from outside may touch.

The script gets its folder for results as ``$out`` and leaves there what :class:`GuestResult` reads.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from android_suite.device.android import render_component, render_extras
from android_suite.device.parse_am_start import parse_am_start
from android_suite.errors import UsageError
from android_suite.workload.app_launch import judge_launch
from android_suite.workload.gc_stress import ACTIVITY, PACKAGE, render_stress_extras, result_pattern
from android_suite.workload.workload import Outcome, Parameters, Workload

# Virtual seconds: a frozen guest would otherwise stay until the host gives up.
_SLACK_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestScript:
    """How a scenario runs without a host.

    Attributes:
        defaults: what differs from the scenario's own defaults: no run is longer than it has to be, since virtual
            time costs many times its length.
        prepare: parameters to what comes before the trace starts.
        render: parameters, seed and token to the script.
        read: the files that it left in ``$out`` (name to content) to evidence files and the outcome.
    """

    defaults: Mapping[str, Any]
    prepare: Callable[[Parameters], str]
    render: Callable[[Parameters, int, str], str]
    read: Callable[[Mapping[str, bytes], Parameters, str], tuple[Mapping[str, str], Outcome]]


def find_guest_script(workload: Workload) -> GuestScript:
    """The script of a scenario.

    Raises:
        UsageError: the scenario has none.
    """
    if workload.name not in _SCRIPTS:
        known = ", ".join(_SCRIPTS)
        raise UsageError(f"{workload.name} cannot be recorded with --deterministic; choose among {known}.")
    return _SCRIPTS[workload.name]


def _render_gc_stress(parameters: Parameters, seed: int, token: str) -> str:
    extras = render_stress_extras(parameters, seed=seed, token=token)
    start = shlex.join(["am", "start", "-W", "-n", render_component(PACKAGE, ACTIVITY), *extras])
    timeout = int(parameters["duration_ms"]) // 1000 + _SLACK_S
    wait = shlex.join(["logcat", "-b", "all", "-m", "1", "-e", f'"token":"{token}"', "-s", "AndroidSuite:I"])
    return f"{start} > $out/am_start.txt 2>&1\ntimeout {timeout} {wait} > $out/result.txt 2>/dev/null\n"


def _read_gc_stress(
    files: Mapping[str, bytes], parameters: Parameters, token: str
) -> tuple[Mapping[str, str], Outcome]:
    started = _text(files, "am_start.txt")
    evidence = {"am_start.txt": started}
    am = parse_am_start(started)
    if am.error or am.status != "ok":
        return evidence, Outcome(incomplete=f"the app did not start ({am.error or am.status or 'am said nothing'})")
    found = result_pattern(token).search(_text(files, "result.txt"))
    if found is None:
        return evidence, Outcome(incomplete="the app did not report in time")
    evidence["app_result.json"] = found.group(1) + "\n"
    try:
        complete = json.loads(found.group(1)).get("complete") is True
    except (ValueError, AttributeError):
        return evidence, Outcome(incomplete="the app's result line is no JSON")
    return evidence, Outcome(incomplete="" if complete else "the app says that it was interrupted")


def _prepare_app_launch(parameters: Parameters) -> str:
    """One launch that is nobody's sample: the first after an installation."""
    component = render_component(str(parameters["package"]), str(parameters["activity"]))
    return f"am start -W -n {shlex.quote(component)} > /dev/null 2>&1\n{_wait_drawn(1)} > /dev/null\n"


def _wait_drawn(count: int) -> str:
    """Waits until the log has that many `Fully drawn` lines, and prints them."""
    return f"timeout {_SLACK_S} logcat -b all -m {count} -e 'Fully drawn' -s ActivityTaskManager:I 2>/dev/null"


def _prepare_nothing(parameters: Parameters) -> str:
    return ""


def _render_app_launch(parameters: Parameters, seed: int, token: str) -> str:
    package = str(parameters["package"])
    component = render_component(package, str(parameters["activity"]))
    settle = f"sleep {int(parameters['settle_ms']) / 1000:.3f}\n"
    lines = []
    index = 0
    for _ in range(int(parameters["launches"])):
        for state in str(parameters["states"]).split(","):
            if state == "cold":
                lines.append(f"am force-stop {package}\nsync\necho 3 > /proc/sys/vm/drop_caches\n")
            else:
                lines.append(f"input keyevent {4 if state == 'warm' else 3}\n")
            extras = shlex.join(render_extras({"token": f"{token}-{index}"}))
            lines.append(
                f"{settle}am start -W -n {shlex.quote(component)} {extras} > $out/launch-{index}.txt 2>&1\n"
                f"{_wait_drawn(index + 2)} | tail -n 1 > $out/drawn-{index}.txt\n"
            )
            index += 1
    return "".join(lines)


def _read_app_launch(
    files: Mapping[str, bytes], parameters: Parameters, token: str
) -> tuple[Mapping[str, str], Outcome]:
    rows: list[dict[str, object]] = []
    component = render_component(str(parameters["package"]), str(parameters["activity"]))
    for _ in range(int(parameters["launches"])):
        for asked in str(parameters["states"]).split(","):
            index = len(rows)
            text = _text(files, f"launch-{index}.txt")
            started = parse_am_start(text)
            drawn = re.search(r"Fully drawn \S+ (\+\S+)", _text(files, f"drawn-{index}.txt"))
            rows.append(
                {
                    "index": index,
                    "asked": asked,
                    "got": started.launch_state,
                    "discarded": started.error or judge_launch(asked, started),
                    "component": component,
                    "total_ms": started.total_ms,
                    "wait_ms": started.wait_ms,
                    "fully_drawn": drawn.group(1) if drawn else None,
                    "started_at": None,
                    "output": text,
                }
            )
    discarded = ""
    if all(row["discarded"] for row in rows):
        discarded = f"no launch got the state asked for (first: {rows[0]['discarded']})"
    return {"launches.json": json.dumps(rows, indent=1) + "\n"}, Outcome(discarded=discarded)


def _render_command(parameters: Parameters, seed: int, token: str) -> str:
    timeout = float(parameters["timeout_s"])
    command = shlex.quote(str(parameters["run"]))
    return (
        f"timeout {timeout:.0f} sh -c {command} > $out/command_stdout.txt 2> $out/command_stderr.txt < /dev/null\n"
        "echo $? > $out/command_status.txt\n"
    )


def _read_command(files: Mapping[str, bytes], parameters: Parameters, token: str) -> tuple[Mapping[str, str], Outcome]:
    said = _text(files, "command_status.txt").strip()
    status = int(said) if said.isdigit() else None
    told = {"command": str(parameters["run"]), "status": status, "host_duration_ms": None}
    evidence = {
        "command_stdout.txt": _text(files, "command_stdout.txt"),
        "command_stderr.txt": _text(files, "command_stderr.txt"),
        "command.json": json.dumps(told, indent=1) + "\n",
    }
    cannot = status is None or status in (126, 127)
    return evidence, Outcome(incomplete=f"the command could not be run (status {status})" if cannot else "")


def _text(files: Mapping[str, bytes], name: str) -> str:
    return files.get(name, b"").decode("utf-8", errors="surrogateescape")


_SCRIPTS: Final[Mapping[str, GuestScript]] = {
    "gc_stress": GuestScript(
        defaults={"duration_ms": 6000, "profile": "inversion"},
        prepare=_prepare_nothing,
        render=_render_gc_stress,
        read=_read_gc_stress,
    ),
    "app_launch": GuestScript(
        defaults={"launches": 1}, prepare=_prepare_app_launch, render=_render_app_launch, read=_read_app_launch
    ),
    "command": GuestScript(defaults={}, prepare=_prepare_nothing, render=_render_command, read=_read_command),
}
