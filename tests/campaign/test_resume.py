"""A campaign killed at any moment goes on, repeats nothing finished, and ends with the same files."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from android_suite.campaign.journal import read_journal
from android_suite.campaign.plan_file import PlanFile, add_overlay
from android_suite.campaign.qualify import Collaborators, estimate, qualify, render_schedule, schedule_rest
from android_suite.campaign.schedule import IMAGE
from android_suite.errors import LabError, UsageError

HERE = Path(__file__).parent
# Files that tell when and how it ran. Everything else must be equal.
OF_TIME = {"journal.jsonl", "provenance.json", ".lock", ".workers", "manifest.json"}


def start(plan: PlanFile, out: Path, faults: Path, seconds: float) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "tests.campaign.drive", str(plan.source.file), str(out), str(faults), str(seconds)]
    return subprocess.Popen(argv, stderr=subprocess.PIPE, cwd=HERE.parent.parent)


def finish(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    _, error = process.communicate(timeout=500)
    return process.returncode, error


def contents(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name not in OF_TIME and "failed" not in path.parts
    }


def kill_and_resume(plan: PlanFile, folder: Path, faults: Path, *, kills: int, seconds: float, draw: int) -> None:
    calm = folder / "calm"
    begun = time.monotonic()
    assert finish(start(plan, calm, faults, seconds)) == (0, b"")
    whole_s = time.monotonic() - begun
    (faults / "recorded").unlink()
    moments = random.Random(draw)
    out = folder / "stormy"
    for _ in range(kills):
        process = start(plan, out, faults, seconds)
        time.sleep(moments.uniform(0.2, 1.0) * whole_s)
        process.kill()
        finish(process)
    last = start(plan, out, faults, seconds)
    assert finish(last) == (0, b"")
    assert contents(out) == contents(calm)
    # Only what was cut short was done again.
    events = read_journal(out / "journal.jsonl")
    aside = [event["job"] for event in events if event["event"] == "set_aside"]
    begun_jobs = (faults / "recorded").read_text().splitlines()
    finished = {path.name for path in (out / "jobs").iterdir()}
    for name in finished:
        assert begun_jobs.count(name) <= 1 + aside.count(name)
    assert len(list((out / "failed").iterdir()) if aside else []) == len(aside)


def test_killed_twice(tmp_path: Path, faults: Path, make_plan: Callable[..., PlanFile]) -> None:
    kill_and_resume(make_plan(("[1, 2, 3]", "[1, 2]")), tmp_path, faults, kills=2, seconds=0.2, draw=1)


def test_what_a_killed_writer_left_is_removed(tmp_path: Path, faults: Path, make_plan: Callable[..., PlanFile]) -> None:
    plan, out = make_plan(), tmp_path / "out"
    assert finish(start(plan, out, faults, 0.0)) == (0, b"")
    left = out / ".comparison.json.4711.part"
    left.write_bytes(b"{")
    assert finish(start(plan, out, faults, 0.0)) == (0, b"")
    assert not left.exists()


@pytest.mark.slow
def test_killed_at_ten_random_moments(tmp_path: Path, faults: Path, make_plan: Callable[..., PlanFile]) -> None:
    plan = make_plan(("[1, 2, 3]", "[1, 2, 3, 4, 5, 6, 7, 8]"))
    kill_and_resume(plan, tmp_path, faults, kills=10, seconds=0.3, draw=2)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_no_process_and_a_state_to_go_on_from(
    tmp_path: Path, faults: Path, make_plan: Callable[..., PlanFile], how: signal.Signals
) -> None:
    plan, out = make_plan(("[1, 2, 3]", "[1, 2]")), tmp_path / "out"
    process = start(plan, out, faults, 30.0)
    while not (faults / "recorded").exists():
        time.sleep(0.05)
        assert process.poll() is None
    children = read_children(process)
    process.send_signal(how)
    assert finish(process) == (130, b"")
    wait_gone(children)
    assert read_journal(out / "journal.jsonl")[-1]["event"] == "interrupted"
    assert finish(start(plan, out, faults, 0.0)) == (0, b"")


def test_a_killed_campaign_takes_its_jobs_with_it(
    tmp_path: Path, faults: Path, make_plan: Callable[..., PlanFile]
) -> None:
    process = start(make_plan(), tmp_path / "out", faults, 30.0)
    while not (faults / "recorded").exists():
        time.sleep(0.05)
    children = read_children(process)
    process.kill()
    finish(process)
    wait_gone(children)


def read_children(process: subprocess.Popen[bytes]) -> list[int]:
    """The children of all its threads: jobs are started by those of the Dask worker."""
    children: list[int] = []
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        with suppress(OSError):  # a thread that has just ended
            children += map(int, (task / "children").read_text().split())
    assert children
    return children


def wait_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 60
    while any(map(alive, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_a_dry_run_counts_what_is_finished_and_touches_nothing(
    tmp_path: Path, lab: Collaborators, make_plan: Callable[..., PlanFile], faults: Path
) -> None:
    # As prepare_lab leaves it: kernels that the plan names are known by content.
    digests = {"6.16.12": "a" * 64, "6.17.13": "b" * 64, IMAGE: "c" * 64}
    out = tmp_path / "out"
    (faults / "dead-before-seed2").touch()
    with pytest.raises(LabError):
        qualify(replace(make_plan(), digests=digests), out, lab, workers=1, retry_after_s=())
    there = sorted((out / "jobs").iterdir())
    assert 0 < len(there) < 6
    before = contents(out)
    file, jobs, finished = schedule_rest(make_plan(), out)
    assert finished == {path.name for path in there}
    left = [job for job in jobs if job.name not in finished]
    text = render_schedule(jobs, estimate(file, left, {jobs[0].kind: [12.0]}, workers=1), finished)
    assert text.count("finished\n") == len(there)
    assert f"6 jobs, {len(there)} of them finished; the other {len(left)}, about {len(left) / 5:.1f} min" in text
    with pytest.raises(UsageError, match=r"duration_ms was 100, is 200.*--fresh"):
        schedule_rest(make_plan(("= 100", "= 200")), out)
    assert contents(out) == before
    assert schedule_rest(make_plan(), tmp_path / "nowhere")[2] == frozenset()
    assert not (tmp_path / "nowhere").exists()


def test_a_dry_run_knows_the_runtime_that_the_campaign_was_begun_with(
    tmp_path: Path, lab: Collaborators, make_plan: Callable[..., PlanFile]
) -> None:
    wanted = ("[plan]", '[plan]\nruntime = "art"')
    digests = {"6.16.12": "a" * 64, "6.17.13": "b" * 64, IMAGE: "c" * 64}
    prepared = add_overlay(replace(make_plan(wanted), digests=digests), "/cache/objects/dd", "d" * 64)
    assert prepared.plan.overlay == ("/cache/objects/dd",)
    qualify(prepared, tmp_path / "out", lab, workers=1, retry_after_s=())
    _, jobs, finished = schedule_rest(make_plan(wanted), tmp_path / "out")
    assert finished == {job.name for job in jobs}
    assert {job.overlay_sha256 for job in jobs} == {("d" * 64,)}
    with pytest.raises(UsageError, match='runtime was "art", is null'):
        schedule_rest(make_plan(), tmp_path / "out")
