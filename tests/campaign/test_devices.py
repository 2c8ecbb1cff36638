"""Campaigns on real virtual devices, deterministic: repeated, killed and resumed, against themselves."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from android_suite.virtual.kernels import fetch_kernel
from tests.settings import CONFIG

# Files that tell when and how it ran. Everything else that is a result must be equal.
RESULTS = ("comparison.json", "summary.json", "report.html", "report.md", "junit.xml", "plan.toml")
PLAN = """\
[plan]
name = "short"
mode = "deterministic"
seeds = [1, 2]

[[kernel]]
label = "before"
kernel = "6.16.12"
role = "baseline"

[[kernel]]
label = "after"
kernel = "6.17.13"
role = "candidate"

[[scenario]]
name = "gc_stress"
parameters = { duration_ms = 1000, profile = "inversion" }
"""


def start(plan: Path, out: Path, *flags: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "android_suite.cli.main", "qualify", str(plan), "-o", str(out), *flags]
    return subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> None:
    _, said = process.communicate(timeout=1800)
    assert process.returncode == 0, said


def digests(out: Path) -> dict[str, list[str]]:
    summary = json.loads((out / "summary.json").read_text())
    return {job["name"]: [item["trace_digest"] for item in job["iterations"]] for job in summary["jobs"]}


def evidence(out: Path) -> dict[str, bytes]:
    """Raw evidence of the measured window; what is read afterwards over adb may know the time."""
    names = ("app_result.json", "framestats.txt", "am_start.txt")
    return {str(f.relative_to(out)): f.read_bytes() for f in sorted((out / "jobs").rglob("*")) if f.name in names}


def kill_and_resume(folder: Path, *, kills: int, draw: int) -> None:
    plan = folder / "plan.toml"
    plan.write_text(PLAN)
    calm, stormy = folder / "calm", folder / "stormy"
    begun = time.monotonic()
    finish(start(plan, calm))
    whole_s = time.monotonic() - begun
    moments = random.Random(draw)
    for _ in range(kills):
        process = start(plan, stormy)
        time.sleep(moments.uniform(0.05, 0.6) * whole_s)
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        _, alive = psutil.wait_procs(family, timeout=120)
        assert not alive, "a killed campaign left processes behind"
    finish(start(plan, stormy))
    assert digests(stormy) == digests(calm)
    assert evidence(stormy) == evidence(calm)
    for name in RESULTS:
        assert (stormy / name).read_bytes() == (calm / name).read_bytes(), name


@pytest.mark.vdev
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_and_resumed_equals_undisturbed(tmp_path: Path) -> None:
    kill_and_resume(tmp_path, kills=2, draw=1)


@pytest.mark.vdev
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_kernel_against_itself_is_equal_to_the_byte(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN)
    finish(start(plan, tmp_path / "out", "--aa"))
    comparison = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert comparison["same_kernel"]
    assert {metric["verdict"] for metric in comparison["metrics"]} <= {"SAME", "UNDECIDED"}
    assert all(metric["effect"] == 0 for metric in comparison["metrics"])
    by_seed: dict[str, set[str]] = {}
    for name, (digest,) in digests(tmp_path / "out").items():
        by_seed.setdefault(name.split("-seed")[1][0], set()).add(digest)
    assert {seed: len(found) for seed, found in by_seed.items()} == {"1": 1, "2": 1}


@pytest.mark.vdev
@pytest.mark.slow
def test_a_kernel_that_does_not_boot_is_told_before_the_first_job(tmp_path: Path) -> None:
    image = bytearray(fetch_kernel("6.17.13", "arm64", config=CONFIG).path.read_bytes())
    third = len(image) // 3
    image[third : third + third // 2] = bytes(third // 2)
    (tmp_path / "Image").write_bytes(image)
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN.replace('"6.17.13"', '"./Image"'))
    process = start(plan, tmp_path / "out")
    _, said = process.communicate(timeout=550)
    assert process.returncode == 4, said
    assert "did not boot within" in said
    assert not (tmp_path / "out").exists()
