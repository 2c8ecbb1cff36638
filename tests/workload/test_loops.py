"""What goes on beside an app: the loops are played by this machine's shell, with programs that stand for Android's."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from android_suite.errors import LabError, Unsupported, UsageError
from android_suite.workload.loops import count_done, find_complaint, render_loop
from android_suite.workload.registry import find_workload
from android_suite.workload.workload import Parameters, complete_parameters

PACKAGE = "com.androidsuite.workload"
PROGRAMS = {
    "pidof": '[ -n "$RUNS" ] && echo 7',
    "am": 'echo "am $*" >> "$LOG"; [ -z "$REFUSED" ] || { echo "$REFUSED" >&2; exit 255; }',
    "input": 'echo "input $*" >> "$LOG"',
    "wm": 'echo "Physical size: 1440x3120"; echo "Override size: 1080x2340"',
    "getprop": 'cat "$LOG.$1" 2>/dev/null; true',
    "setprop": 'echo "setprop $*" >> "$LOG"; printf "%s\\n" "$2" > "$LOG.$1"',
    "kill": 'echo "kill $*" >> "$LOG"',
}


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in PROGRAMS.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return folder


def play(programs: Path, scenario: str, parameters: Parameters, **environment: str) -> tuple[str, list[str]]:
    """What the loop of a scenario prints, and what it called."""
    workload = find_workload(scenario)
    loop = workload.beside.make(complete_parameters(workload, parameters))  # type: ignore[attr-defined]
    log = programs.parent / "log"
    script = render_loop(loop, str(programs.parent / "stop")).replace("/proc/${pid%% *}", str(programs.parent))
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, timeout=60, check=True,
        env={"PATH": f"{programs}:{os.environ['PATH']}", "LOG": str(log), "RUNS": "1", **environment},
    )  # fmt: skip
    return done.stdout + done.stderr, log.read_text().splitlines() if log.exists() else []


def test_trims_rise_through_the_levels_and_put_the_properties_back(programs: Path) -> None:
    (programs.parent / "log.debug.am.run_gc_trim_level").write_text("80\n")
    said, called = play(programs, "native_trim", {"duration_ms": 200})
    levels = ("RUNNING_MODERATE", "RUNNING_LOW", "RUNNING_CRITICAL")
    assert [line for line in called if line.startswith("am")] == [f"am send-trim-memory {PACKAGE} {x}" for x in levels]
    assert [line for line in called if line.startswith("setprop")] == [
        "setprop debug.am.run_mallopt_trim_level 5", "setprop debug.am.run_gc_trim_level 5",
        "setprop debug.am.run_mallopt_trim_level ", "setprop debug.am.run_gc_trim_level 80",
    ]  # fmt: skip
    assert count_done(said) == 3


def test_many_processes_are_trimmed_in_one_turn(programs: Path) -> None:
    _, called = play(programs, "trim_many", {"duration_ms": 200, "processes": 3, "trim_levels": "COMPLETE"})
    assert sorted(line for line in called if line.startswith("am")) == [
        f"am send-trim-memory {PACKAGE}:p{number} COMPLETE" for number in (1, 2, 3)
    ]
    named = {"duration_ms": 200, "trim_processes": "com.example.a,com.example.b:push", "trim_levels": "HIDDEN"}
    _, called = play(programs, "trim_many", named)
    assert {line.split()[2] for line in called if line.startswith("am")} >= {"com.example.a", "com.example.b:push"}


def test_a_refusal_is_no_success_and_has_its_words(programs: Path) -> None:
    said, _ = play(programs, "native_trim", {"duration_ms": 200}, REFUSED="Error: Unknown process: x")
    assert (count_done(said), find_complaint(said)) == (0, "Error: Unknown process: x")


def test_swipes_go_up_and_down_on_any_screen(programs: Path) -> None:
    stopped = {"duration_ms": 100, "swipe_period_ms": 1, "swipe_ms": 10000}
    _, called = play(programs, "scroll_churn", stopped)
    assert called[:2] == ["input swipe 540 1872 540 468 10000", "input swipe 540 468 540 1872 10000"]
    assert len(called) == 13, "a loop ends by itself"


def test_a_monitor_reads_until_it_is_stopped(programs: Path) -> None:
    (programs.parent / "smaps").write_text("00400000-00401000\n")
    said, _ = play(programs, "smaps_monitor", {"duration_ms": 100, "monitor_period_ms": 50})
    assert count_done(said) == 30
    (programs.parent / "stop").touch()
    assert play(programs, "smaps_monitor", {"duration_ms": 100})[0] == ""
    assert not (programs.parent / "stop").exists()


@pytest.mark.parametrize(
    ("scenario", "parameters", "says"),
    [
        ("smaps_monitor", {"monitor_file": "mem"}, "choose one of smaps"),
        ("smaps_monitor", {"monitor_period_ms": 0}, "1 to 60000"),
        ("smaps_monitor", {"package": "com.example.app"}, "--set activity=.MainActivity"),
        ("native_trim", {"trim_levels": "UI_HIDDEN"}, "no trim level 'UI_HIDDEN'"),
        ("trim_many", {"processes": 0}, "choose 1 to 8"),
        ("trim_many", {"trim_processes": "a;reboot"}, "not a package name"),
        ("trim_many", {"trim_processes": "com.example.a:$(reboot)"}, "not a process"),
        ("scroll_churn", {"package": "com.a.b\n", "activity": ".Main"}, "not a package name|not an activity"),
        ("launch_background_gc", {"background_package": PACKAGE}, "the same app"),
        ("launch_background_gc", {"background_activity": "$(x)"}, "not an activity"),
        ("large_objects", {"profile": "huge"}, "steady"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_said(scenario: str, parameters: Parameters, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        complete_parameters(find_workload(scenario), parameters)


def test_a_loop_that_did_nothing_makes_no_complete_iteration() -> None:
    workload = find_workload("smaps_monitor")
    parameters = complete_parameters(workload, {})
    left = {
        "am_start.txt": b"Status: ok\nLaunchState: COLD\n",
        "result.txt": b'I AndroidSuite: result {"token":"t","complete":true}\n',
        "beside.txt": b"cat: /proc/7/smaps: Permission denied\n",
    }
    evidence, outcome = workload.read_guest(left, parameters, "t")
    assert "Permission denied" in outcome.incomplete
    assert isinstance(outcome.fault, LabError)
    assert evidence["beside.txt"]
    assert workload.read_guest({**left, "beside.txt": b"did read\n"}, parameters, "t")[1].incomplete == ""


@pytest.mark.parametrize(
    ("member", "why"),
    [(b',"uffd":null', "this kernel has no userfaultfd"), (b"", "this runtime does not collect"), (b',"uffd":{"armed":1}', "")],
)  # fmt: skip
def test_a_heap_that_cannot_be_armed_is_not_supported(member: bytes, why: str) -> None:
    workload = find_workload("uffd_heap")
    left = {
        "am_start.txt": b"Status: ok\nLaunchState: COLD\n",
        "result.txt": b'I AndroidSuite: result {"token":"t","complete":true' + member + b"}\n",
    }
    _, outcome = workload.read_guest(left, complete_parameters(workload, {}), "t")
    assert outcome.incomplete.startswith(why) if why else not outcome.incomplete
    assert isinstance(outcome.fault, Unsupported) == bool(why)


def test_the_app_behind_must_live_to_the_end() -> None:
    workload = find_workload("launch_background_gc")
    parameters = complete_parameters(workload, {})
    assert "collect in the background has ended" in workload.read_guest({}, parameters, "t")[1].incomplete
    script = workload.guest_prepare(parameters)
    assert script.index("com.androidsuite.background/") < script.index("input keyevent 3") < script.index(f"{PACKAGE}/")
