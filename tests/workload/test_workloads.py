"""Workloads against a written conversation."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from android_suite.device.device import Device
from android_suite.device.parse_am_start import parse_am_start
from android_suite.device.scripted import Exchange, ScriptedTransport
from android_suite.errors import LabError, NotReady, UsageError
from android_suite.store.run import create_run
from android_suite.workload.app_launch import judge_launch
from android_suite.workload.gc_stress import PACKAGE, render_stress_extras, result_pattern
from android_suite.workload.registry import find_workload
from android_suite.workload.workload import Context, complete_parameters

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


@pytest.mark.parametrize(
    ("asked", "text", "why"),
    [
        ("cold", "Status: ok\nLaunchState: COLD\n", ""),
        ("warm", "Status: ok\nLaunchState: COLD\n", "asked warm, got COLD"),
        ("hot", "Status: ok\nLaunchState: UNKNOWN (0)\n", "asked hot, got UNKNOWN (0)"),
        ("hot", "Warning: Activity not started, ...\nStatus: ok\nLaunchState: HOT\n", "Activity not started, ..."),
        ("cold", "Status: timeout\n", "am start says timeout"),
        ("cold", "Status: ok\nThisTime: 5\nTotalTime: 5\n", ""),
        ("cold", "", "am start says nothing"),
    ],
)
def test_the_state_that_was_got(asked: str, text: str, why: str) -> None:
    assert judge_launch(asked, parse_am_start(text)) == why


def test_a_launch_that_got_another_state_is_discarded(tmp_path: Path) -> None:
    component = "com.androidsuite.workload/.LaunchActivity"
    exchanges = [
        Exchange(command="input keyevent 3"),
        Exchange(
            command=f"am start -W -n {component} --es token t0-0",
            stdout=b"Status: ok\nLaunchState: COLD\nTotalTime: 9\n",
        ),
    ]
    log = WrittenLog("", f"1.0 1 1 I ActivityTaskManager: Fully drawn {component}: +1s20ms")
    context = context_for("app_launch", tmp_path, exchanges, log, launches=1, states="hot", settle_ms=0)
    outcome = find_workload("app_launch").run_once(context)
    assert "asked hot, got COLD" in outcome.discarded
    row = json.loads((context.out.folder / "launches.json").read_text())[0]
    assert (row["asked"], row["got"], row["total_ms"], row["fully_drawn"]) == ("hot", "COLD", 9, "+1s20ms")


@pytest.mark.parametrize(("status", "incomplete"), [(0, False), (3, False), (127, True), (126, True)])
def test_a_command_keeps_status_and_output(tmp_path: Path, status: int, incomplete: bool) -> None:
    exchanges = [Exchange(command="foo | bar", stdout=b"out\xff", stderr=b"err", status=status)]
    context = context_for("command", tmp_path, exchanges, WrittenLog(), run="foo | bar")
    outcome = find_workload("command").run_once(context)
    assert bool(outcome.incomplete) is incomplete
    assert (context.out.folder / "command_stdout.txt").read_bytes() == b"out\xff"
    assert (context.out.folder / "command_stderr.txt").read_bytes() == b"err"
    assert json.loads((context.out.folder / "command.json").read_text())["status"] == status
