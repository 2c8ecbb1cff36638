"""Workloads against a written conversation."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, ClassVar

import pytest

from android_suite.device.device import Device
from android_suite.device.scripted import Exchange, ScriptedTransport
from android_suite.errors import AdbTimeout, LabError, NotReady, UsageError
from android_suite.store.run import create_run
from android_suite.workload.gc_stress import render_stress_extras
from android_suite.workload.our_app import PACKAGE, result_pattern
from android_suite.workload.registry import find_workload
from android_suite.workload.workload import Context, Outcome, complete_parameters

START = f"am start -W -n {PACKAGE}/.GcStressActivity --es token t0 --el seed 3 --ei duration_ms 500 --es profile steady"
STARTED = b"Starting: Intent { }\nStatus: ok\nLaunchState: COLD\nTotalTime: 5\nWaitTime: 6\nComplete\n"
RESULT = '1795445292.000   12   13 I AndroidSuite: result {"token":"t0","scenario":"gc_stress","complete":true}'


class WrittenLog:
    """A log that is there already."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines

    def mark(self) -> int:
        return 0

    def wait_line(self, pattern: re.Pattern[str], *, timeout: float, what: str, since: int = 1) -> re.Match[str]:
        for line in self.lines[since:]:
            if found := pattern.search(line):
                return found
        raise NotReady(f"no {what}")


def context_for(
    scenario: str, tmp_path: Path, exchanges: list[Exchange], log: WrittenLog, **parameters: object
) -> Context:
    workload = find_workload(scenario)
    run = create_run(tmp_path / "run", label="x", mode="realtime")
    complete = complete_parameters(workload, parameters)
    return Context(
        device=Device(ScriptedTransport(exchanges)),
        out=run.begin_iteration(scenario, seed=3, boot="b", traced=False, parameters=complete),
        log=log,
        seed=3,
        token="t0",
        parameters=complete,
        say=lambda _: None,
    )


def test_gc_stress_keeps_the_apps_own_account(tmp_path: Path) -> None:
    context = context_for(
        "gc_stress", tmp_path, [Exchange(command=START, stdout=STARTED)], WrittenLog(RESULT), duration_ms=500
    )
    outcome = find_workload("gc_stress").run_once(context)
    assert not outcome.incomplete
    assert not outcome.discarded
    assert json.loads((context.out.folder / "app_result.json").read_text())["complete"] is True
    assert (context.out.folder / "am_start.txt").read_bytes() == STARTED


def test_an_interrupted_app_makes_no_complete_iteration(tmp_path: Path) -> None:
    log = WrittenLog(RESULT.replace("true", "false"))
    context = context_for("gc_stress", tmp_path, [Exchange(command=START, stdout=STARTED)], log, duration_ms=500)
    assert "interrupted" in find_workload("gc_stress").run_once(context).incomplete


def test_an_app_that_dies_is_a_result_of_what_is_tested(tmp_path: Path) -> None:
    exchanges = [Exchange(command=START, stdout=STARTED), Exchange(command=f"pidof {PACKAGE}", status=1)]
    context = context_for("gc_stress", tmp_path, exchanges, WrittenLog(), duration_ms=500)
    outcome = find_workload("gc_stress").run_once(context)
    assert outcome.crash is not None
    assert outcome.crash.kind == "app_crash"


def test_an_app_that_lives_and_says_nothing_is_the_labs_fault(tmp_path: Path) -> None:
    exchanges = [Exchange(command=START, stdout=STARTED), Exchange(command=f"pidof {PACKAGE}", stdout=b"12\n")]
    context = context_for("gc_stress", tmp_path, exchanges, WrittenLog(), duration_ms=500)
    with pytest.raises(NotReady, match="result line"):
        find_workload("gc_stress").run_once(context)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"\nError: the activity refused the intent: extra ui_spin is not a number\n", UsageError),
        (b"Error type 3\nError: Activity class {x} does not exist.\n", LabError),
        (b"Status: timeout\nComplete\n", LabError),
        (b"", LabError),
    ],
)
def test_an_app_that_does_not_start(tmp_path: Path, said: bytes, error: type[Exception]) -> None:
    context = context_for(
        "gc_stress", tmp_path, [Exchange(command=START, stdout=said, status=1)], WrittenLog(), duration_ms=500
    )
    with pytest.raises(error):
        find_workload("gc_stress").run_once(context)


def test_only_what_was_chosen_is_sent() -> None:
    parameters = complete_parameters(find_workload("gc_stress"), {"ui_slowdown_pct": 5, "planted": "spans_vmas"})
    words = render_stress_extras(parameters, seed=2**40, token="t")
    assert words[words.index("ui_slowdown_pct") - 1 : words.index("ui_slowdown_pct") + 2] == [
        "--ei",
        "ui_slowdown_pct",
        "5",
    ]
    assert words[words.index("seed") - 1] == "--el"
    assert "ui_spin" not in words


def test_a_result_line_of_another_iteration_is_not_ours() -> None:
    assert result_pattern("t0").search(RESULT)
    assert not result_pattern("t1").search(RESULT)
    assert not result_pattern("t0").search(RESULT.replace("AndroidSuite", "Other"))


COMPONENT = "com.androidsuite.workload/.LaunchActivity"
SEEDED = "--es token t0-{index} --el seed {seed}"


def am(index: int, flags: str = "") -> str:
    seed = int.from_bytes(hashlib.sha256(f"3/{index}".encode()).digest()[:6], "little")
    return f"am start -W -n {COMPONENT} {flags}{SEEDED.format(index=index, seed=seed)}"


def said(state: str, ms: int | None = 9, status: str = "ok") -> bytes:
    total = f"TotalTime: {ms}\n" if ms is not None else ""
    return f"Status: {status}\nLaunchState: {state}\nActivity: {COMPONENT}\n{total}WaitTime: 10\n".encode()


def run_launches(
    tmp_path: Path, exchanges: list[Exchange], log: WrittenLog, **parameters: object
) -> tuple[Outcome, list[Any]]:
    context = context_for("app_launch", tmp_path, exchanges, log, **({"launches": 1, "settle_ms": 0} | parameters))
    outcome = find_workload("app_launch").run_once(context)
    assert isinstance(context.device.transport, ScriptedTransport)
    context.device.transport.finish()
    return outcome, json.loads((context.out.folder / "launches.json").read_text())


def test_a_launch_that_got_another_state_is_discarded(tmp_path: Path) -> None:
    exchanges = [Exchange(command="input keyevent 3"), Exchange(command=am(0), stdout=said("COLD"))]
    log = WrittenLog("", f"1.0 1 1 I ActivityTaskManager: Fully drawn {COMPONENT}: +1s20ms")
    outcome, (row,) = run_launches(tmp_path, exchanges, log, states="hot")
    assert "asked hot, got COLD" in outcome.discarded
    assert (row["asked"], row["got"], row["total_ms"], row["fully_drawn"]) == ("hot", "COLD", 9, "+1s20ms")
    assert row["outcome"] == "wrong_state"


def test_a_warm_launch_clears_the_task(tmp_path: Path) -> None:
    exchanges = [Exchange(command="input keyevent 3"), Exchange(command=am(0, "-f 0x10008000 "), stdout=said("WARM"))]
    outcome, (row,) = run_launches(tmp_path, exchanges, WrittenLog(), states="warm")
    assert not outcome.discarded
    assert row["outcome"] == "ok"


@pytest.mark.parametrize(
    ("answer", "pid", "line", "outcome"),
    [
        (said("UNKNOWN (-1)", None, "timeout"), b"12\n", "", "timeout"),
        (said("UNKNOWN (0)", None), b"", "", "crash"),
        (
            said("UNKNOWN (0)", None),
            None,
            "1.0 5 5 E AndroidRuntime: Process: com.androidsuite.workload, PID: 5",
            "crash",
        ),
        (
            said("HOT"),
            None,
            "1.0 5 5 I ActivityManager: Process com.androidsuite.workload (pid 5) has died: fg  TOP",
            "crash",
        ),
        (
            said("HOT"),
            None,
            "1.0 5 5 I ActivityManager: Process com.androidsuite.workload.other (pid 5) has died",
            "ok",
        ),
        (said("HOT").replace(COMPONENT.encode(), b"com.google.permission/.Ask"), None, "", "elsewhere"),
        (None, b"12\n", "", "timeout"),
    ],
)
def test_a_launch_that_fails_is_an_outcome(
    tmp_path: Path, answer: bytes | None, pid: bytes | None, line: str, outcome: str
) -> None:
    start = Exchange(command=am(0), stdout=answer) if answer else Exchange(command=am(0), error=AdbTimeout("60 s"))
    exchanges = [Exchange(command="input keyevent 3"), start]
    if pid is not None:
        exchanges.append(Exchange(command="pidof com.androidsuite.workload", stdout=pid, status=0 if pid else 1))
    found, (row,) = run_launches(tmp_path, exchanges, WrittenLog("", line), states="hot")
    assert row["outcome"] == outcome
    assert not found.discarded, "a launch that failed is counted"


def test_an_app_that_reports_nothing_is_waited_for_once(tmp_path: Path) -> None:
    class Patient(WrittenLog):
        waited: ClassVar[list[float]] = []

        def wait_line(self, pattern: re.Pattern[str], *, timeout: float, what: str, since: int = 1) -> re.Match[str]:
            self.waited.append(timeout)
            raise NotReady("nothing")

    exchanges: list[Exchange] = []
    for index in range(3):
        exchanges += [Exchange(command="input keyevent 3"), Exchange(command=am(index), stdout=said("HOT"))]
    _, rows = run_launches(tmp_path, exchanges, Patient(), states="hot", launches=3, fully_drawn_timeout_ms=2500)
    assert [row["outcome"] for row in rows] == ["ok"] * 3
    assert Patient.waited == [2.5, 0.0, 0.0]


@pytest.mark.parametrize(
    "line",
    [
        "Fully drawn com.androidsuite.workload/.Other for user 10: +1s20ms",
        "Fully drawn com.androidsuite.workload/.X: +1s20ms (total +2s)",
    ],
)
def test_a_trampoline_and_another_user_report_too(tmp_path: Path, line: str) -> None:
    exchanges = [Exchange(command="input keyevent 3"), Exchange(command=am(0), stdout=said("HOT"))]
    _, (row,) = run_launches(
        tmp_path, exchanges, WrittenLog("", f"1.0 1 1 I ActivityTaskManager: {line}"), states="hot"
    )
    assert row["fully_drawn"] == "+1s20ms"


@pytest.mark.parametrize(("status", "incomplete"), [(0, False), (3, False), (127, True), (126, True)])
def test_a_command_keeps_status_and_output(tmp_path: Path, status: int, incomplete: bool) -> None:
    exchanges = [Exchange(command="foo | bar", stdout=b"out\xff", stderr=b"err", status=status)]
    context = context_for("command", tmp_path, exchanges, WrittenLog(), run="foo | bar")
    outcome = find_workload("command").run_once(context)
    assert bool(outcome.incomplete) is incomplete
    assert (context.out.folder / "command_stdout.txt").read_bytes() == b"out\xff"
    assert (context.out.folder / "command_stderr.txt").read_bytes() == b"err"
    assert json.loads((context.out.folder / "command.json").read_text())["status"] == status
