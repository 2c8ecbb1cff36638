"""Scenarios as scripts: played by this machine's shell, with programs that stand for Android's."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from android_suite.capture.registry import SOURCES
from android_suite.capture.source import Request
from android_suite.errors import UsageError
from android_suite.record import sealed
from android_suite.record.sealed import OUT_FOLDER, plan_guest, render_run_files
from android_suite.store.run import create_run
from android_suite.workload.registry import WORKLOADS, find_workload, plan_scenarios
from android_suite.workload.workload import complete_parameters
from tests.settings import CONFIG

AM = """\
echo "am $*" >> "$LOG"
[ "$1" = start ] || exit 0
echo "Status: ok"; echo "LaunchState: ${STATE:-COLD}"; echo "TotalTime: 5"; echo "WaitTime: 6"
"""
LOGCAT = """\
echo "logcat $*" >> "$LOG"
case "$*" in
*Fully*)
  echo "--------- beginning of system"
  for n in $(seq "$(grep -c '^am start' "$LOG")"); do
    if [ "$n" != "${MISSING:-0}" ]; then
      echo "I ActivityTaskManager: Fully drawn com.androidsuite.workload/.LaunchActivity: +1s${n}ms"
    fi
  done;;
*) echo 'I AndroidSuite: result {"token":"tok","complete":true}';;
esac
"""


@pytest.fixture
def android(tmp_path: Path) -> Path:
    programs = tmp_path / "bin"
    programs.mkdir()
    (tmp_path / "log").touch()
    for name, text in {
        "am": AM,
        "logcat": LOGCAT,
        "input": 'echo "input $*" >> "$LOG"',
        "sync": ":",
        "pidof": "echo 7",
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    return tmp_path


def play(script: str, folder: Path, **environment: str) -> tuple[dict[str, bytes], list[str]]:
    out = folder / "out"
    out.mkdir()
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    script = script.replace("/proc/sys/vm/drop_caches", str(folder / "drop_caches"))
    subprocess.run(
        ["sh", "-c", f"out={out}\n{script}"],
        check=True,
        env={"PATH": path, "LOG": str(folder / "log"), **environment},
        timeout=30,
    )
    log = (folder / "log").read_text().splitlines() if (folder / "log").exists() else []
    return {file.name: file.read_bytes() for file in out.iterdir()}, log


def test_gc_stress(android: Path) -> None:
    workload = find_workload("gc_stress")
    parameters = complete_parameters(workload, workload.guest_defaults)
    files, log = play(workload.guest_script(parameters, seed=7, token="tok"), android)
    assert "--el seed 7" in log[0]
    assert "--es profile inversion" in log[0]
    evidence, outcome = workload.read_guest(files, parameters, "tok")
    assert outcome.incomplete == ""
    assert json.loads(evidence["app_result.json"])["token"] == "tok"
    assert "Status: ok" in evidence["am_start.txt"]
    assert "did not report" in workload.read_guest({**files, "result.txt": b""}, parameters, "tok")[1].incomplete
    assert "did not start" in workload.read_guest({}, parameters, "tok")[1].incomplete


def test_app_launch(android: Path) -> None:
    workload = find_workload("app_launch")
    parameters = complete_parameters(workload, {"launches": 1, "settle_ms": 0})
    files, log = play(
        workload.guest_prepare(parameters) + workload.guest_script(parameters, seed=1, token="tok"), android
    )
    assert [line.split()[0] + " " + line.split()[1] for line in log if not line.startswith("logcat")] == [
        *("am start", "am force-stop", "am start", "input keyevent", "am start", "input keyevent", "am start")
    ]
    evidence, outcome = workload.read_guest(files, parameters, "tok")
    rows = json.loads(evidence["launches.json"])
    assert [row["asked"] for row in rows] == ["cold", "warm", "hot"]
    assert [bool(row["discarded"]) for row in rows] == [False, True, True], "all of them got COLD"
    assert [row["fully_drawn"] for row in rows] == ["+1s2ms", "+1s3ms", "+1s4ms"], "the first was of the preparation"
    assert outcome.discarded == ""
    assert "no launch" in workload.read_guest({}, parameters, "tok")[1].discarded
    dead = {**files, "pid-0.txt": b""}
    assert json.loads(workload.read_guest(dead, parameters, "tok")[0]["launches.json"])[0]["outcome"] == "crash"


def test_a_launch_that_does_not_report_takes_nothing_from_the_next(android: Path) -> None:
    workload = find_workload("app_launch")
    parameters = complete_parameters(workload, {"launches": 1, "settle_ms": 0})
    files, _ = play(workload.guest_script(parameters, seed=1, token="tok"), android, MISSING="2")
    rows = json.loads(workload.read_guest(files, parameters, "tok")[0]["launches.json"])
    assert [row["fully_drawn"] for row in rows] == ["+1s1ms", None, "+1s3ms"]


def test_seeds_move_a_launch_against_vsync_and_tick() -> None:
    workload = find_workload("app_launch")
    parameters = complete_parameters(workload, {"launches": 1})
    scripts = {workload.guest_script(parameters, seed=seed, token="t") for seed in range(6)}
    assert len(scripts) == 6
    assert workload.guest_script(parameters, seed=1, token="t") in scripts


@pytest.mark.parametrize(("run", "status", "whole"), [("echo 'a b'; exit 3", 3, True), ("nothing-such", 127, False)])
def test_command(android: Path, run: str, status: int, whole: bool) -> None:
    workload = find_workload("command")
    parameters = complete_parameters(workload, {"run": run})
    files, _ = play(workload.guest_script(parameters, seed=1, token="tok"), android)
    evidence, outcome = workload.read_guest(files, parameters, "tok")
    assert json.loads(evidence["command.json"])["status"] == status
    assert (outcome.incomplete == "") is whole


def test_the_whole_script_is_a_script() -> None:
    for workload in WORKLOADS:
        if workload.name == "ui_scroll":
            continue  # the host drives it; tests/workload/test_registry.py has its refusal
        given = {"run": "echo 'it''s' \"$HOME\"; true"} if workload.name == "command" else {}
        ((found, parameters),) = plan_scenarios([workload.name], given, mode="deterministic")
        request = Request(
            process=found.process(parameters),
            package=found.package(parameters),
            needs=found.needs(parameters),
            cache=CONFIG.cache,
            traced=False,
        )
        files = render_run_files(found, parameters, plan_guest(SOURCES, request, "aarch64"), seed=1)
        text = next(iter(files.values()))
        assert OUT_FOLDER.encode() in text
        subprocess.run(["sh", "-n"], input=text, check=True)


def test_each_deterministic_iteration_has_the_next_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []

    @contextmanager
    def boot(kernel: str, *, seed: int, **described: object) -> Iterator[SimpleNamespace]:
        seeds.append(seed)
        if len(seeds) == 3:
            raise UsageError("enough")
        yield SimpleNamespace(device=None)

    monkeypatch.setattr(sealed, "boot_virtual", boot)
    monkeypatch.setattr(sealed, "find_arch", lambda *_, **__: "arm64")
    monkeypatch.setattr(sealed, "_identify", lambda *_: None)
    monkeypatch.setattr(sealed, "record_iteration", lambda *_: None)
    run = create_run(tmp_path / "run", label="x", mode="deterministic")
    with pytest.raises(UsageError, match="enough"):
        sealed.record_deterministic(["gc_stress"], run, config=CONFIG, kernel="6.17.13", seed=5, iterations=3)
    assert seeds == [5, 6, 7]
