"""Campaigns on a real Dask scheduler with real workers, as processes; also with workers that die or stop."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from android_suite.campaign.cluster import is_open, open_cluster
from android_suite.campaign.faults import Breaker, Policy
from android_suite.campaign.journal import read_journal
from android_suite.campaign.plan_file import PlanFile
from android_suite.campaign.pool import PoolDevice
from android_suite.campaign.qualify import Collaborators, qualify
from android_suite.errors import DeviceLost, LabError, NotReady, Unsupported, UsageError
from android_suite.store.run import open_run
from tests.campaign.clusters import run, running_cluster
from tests.campaign.scripted import ScriptedAnalyzer, ScriptedRecorder
from tests.campaign.test_resume import contents

MakePlan = Callable[..., PlanFile]


def wait_for(reached: Callable[[], bool], *, timeout: float = 120) -> None:
    deadline = time.monotonic() + timeout
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def events_of(out: Path, kind: str) -> list[dict[str, object]]:
    return [event for event in read_journal(out / "journal.jsonl") if event["event"] == kind]


def test_a_scheduler_s_workers_give_what_this_host_gives(
    tmp_path: Path, lab: Collaborators, make_plan: MakePlan
) -> None:
    plan = make_plan(("[1, 2, 3]", "[1, 2]"))
    qualify(plan, tmp_path / "here", lab, workers=2)
    with running_cluster(tmp_path / "cluster", workers=2) as running, open_cluster(running.address) as cluster:
        wait_for(lambda: cluster.slots("core") == 2)
        qualify(plan, tmp_path / "there", lab, cluster=cluster)
        qualify(plan, tmp_path / "stored", lab, cluster=cluster, store=f"file://{tmp_path}/store")
    assert contents(tmp_path / "there") == contents(tmp_path / "here") == contents(tmp_path / "stored")
    assert len({event["worker"] for event in events_of(tmp_path / "there", "start")}) == 2
    assert len(list((tmp_path / "store" / "jobs").iterdir())) == 4


def test_a_worker_below_a_nanny_is_named_with_what_to_start_instead(
    tmp_path: Path, lab: Collaborators, make_plan: MakePlan
) -> None:
    with running_cluster(tmp_path / "cluster", workers=0) as running, open_cluster(running.address) as cluster:
        nanny = run(
            "distributed.cli.dask_worker", running.address, "--nworkers", "1", "--nthreads", "1", "--no-dashboard",
            "--memory-limit", "0", "--host", "127.0.0.1", "--resources", "core=1",
            "--local-directory", str(tmp_path / "nanny"), folder=running.folder,
        )  # fmt: skip
        running.workers.append(nanny)
        wait_for(lambda: cluster.slots("core") == 1)
        with pytest.raises(LabError, match="start it by `android-suite lab worker`, or as `dask worker --no-nanny`"):
            qualify(make_plan(), tmp_path / "out", lab, cluster=cluster, retry_after_s=(0.1, 0.1))
        nanny.terminate()  # a nanny that is killed leaves its worker
        nanny.wait(60)


@pytest.mark.slow
def test_sixty_jobs_with_a_worker_killed_and_one_stopped(
    tmp_path: Path, faults: Path, lab: Collaborators, make_plan: MakePlan
) -> None:
    plan = make_plan(("[1, 2, 3]", str(list(range(1, 31)))))
    lab = replace(lab, recorder=ScriptedRecorder(faults, 1.0), analyzer=ScriptedAnalyzer(faults, 0.2))
    qualify(plan, tmp_path / "calm", lab, workers=3)
    out = tmp_path / "stormy"
    with (
        running_cluster(tmp_path / "cluster", workers=3) as running,
        open_cluster(running.address, silent_s=15.0) as cluster,
    ):
        wait_for(lambda: cluster.slots("core") == 3)

        def storm() -> None:
            wait_for(lambda: len(events_of(out, "analyzed")) >= 10, timeout=500)
            running.workers[0].kill()
            wait_for(lambda: len(events_of(out, "analyzed")) >= 20, timeout=500)
            running.workers[1].send_signal(signal.SIGSTOP)
            wait_for(lambda: len(events_of(out, "analyzed")) >= 40, timeout=500)
            running.workers[1].send_signal(signal.SIGCONT)

        weather = threading.Thread(target=storm)
        weather.start()
        outcome = qualify(plan, out, lab, cluster=cluster)
        weather.join()
    assert contents(out) == contents(tmp_path / "calm")
    assert len(list((out / "jobs").iterdir())) == 60
    assert all(open_run(path).manifest.sealed for path in (out / "jobs").iterdir())
    assert events_of(out, "lost")
    analyzed = [event["job"] for event in events_of(out, "analyzed")]
    assert len(analyzed) == len(set(analyzed)) == 60
    assert outcome.comparisons["after"].metrics[0].candidate.boots == 30


@pytest.mark.slow
def test_a_scheduler_that_is_started_again(
    tmp_path: Path, faults: Path, lab: Collaborators, make_plan: MakePlan
) -> None:
    plan = make_plan(("[1, 2, 3]", "[1, 2]"))
    qualify(plan, tmp_path / "calm", lab, workers=2)
    lab = replace(lab, recorder=ScriptedRecorder(faults, 3.0))
    out = tmp_path / "stormy"
    with running_cluster(tmp_path / "cluster", workers=1) as running, open_cluster(running.address) as cluster:
        wait_for(lambda: cluster.slots("core") == 1)

        def storm() -> None:
            wait_for(lambda: len(events_of(out, "start")) >= 2)
            running.restart_scheduler()
            running.add_worker()

        weather = threading.Thread(target=storm)
        weather.start()
        qualify(plan, out, lab, cluster=cluster, retry_after_s=(0.5, 0.5))
        weather.join()
    assert contents(out) == contents(tmp_path / "calm")
    [failed] = events_of(out, "failed")
    assert failed["fault"] == "lab"
    assert "the scheduler went away" in str(failed["text"])


def test_without_a_worker_it_ends_and_says_what_to_do(tmp_path: Path, lab: Collaborators, make_plan: MakePlan) -> None:
    from android_suite.campaign.journal import open_campaign
    from android_suite.campaign.qualify import schedule
    from android_suite.campaign.runner import Runner

    _, jobs = schedule(make_plan())
    with (
        running_cluster(tmp_path / "cluster", workers=0) as running,
        open_cluster(running.address) as cluster,
        open_campaign(tmp_path / "out", {}) as folder,
        pytest.raises(
            LabError, match=r"no worker with device:A1 took a job for 1 s; start one with `android-suite lab"
        ),
    ):
        Runner(
            folder=folder, recorder=lab.recorder, analyzer=lab.analyzer, workers=1, durations_s={}, cluster=cluster,
            devices=[PoolDevice(serial="A1", recorder=lab.recorder)], policy=Policy(no_worker_s=1.0),
        ).run(jobs)  # fmt: skip


def test_no_scheduler_is_a_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected tcp://HOST:PORT or tls://HOST:PORT, found 'nonsense'"):
        open_cluster("nonsense").__enter__()


def test_the_policy_tries_again_what_may_pass_and_nothing_else() -> None:
    policy = Policy(pauses_s=(2.0, 8.0), jitter=0.5)
    assert policy.pause_s(LabError("x"), 1, 0.0) == 1.0
    assert policy.pause_s(LabError("x"), 1, 1.0) == 3.0
    assert policy.pause_s(LabError("x"), 2, 0.5) == 8.0
    assert policy.pause_s(LabError("x"), 3, 0.5) is None
    assert policy.pause_s(NotReady("x"), 1, 0.5) == 2.0
    assert policy.pause_s(NotReady("x"), 2, 0.5) is None
    assert policy.pause_s(Unsupported("x"), 1, 0.5) is None


def test_the_breaker_opens_for_the_device_s_faults_in_a_row_only() -> None:
    breaker = Breaker(2)
    assert breaker.fail(DeviceLost("gone")) is None
    breaker.succeed()
    assert breaker.fail(DeviceLost("gone")) is None
    assert breaker.fail(LabError("the adb server is dead")) is None
    assert breaker.fail(DeviceLost("gone again")) == "2 failures in a row, the last: gone again"


def test_what_listens_beyond_loopback_is_told() -> None:
    assert is_open("tcp://10.0.0.1:8786")
    assert not is_open("tls://10.0.0.1:8786")
    assert not is_open("tcp://127.0.0.1:8786")
    assert not is_open("tcp://localhost:8786")
    assert not is_open("tcp://[::1]:8786")
    assert is_open("tcp://127.0.0.1.example.org:8786"), "a name may be anywhere"
    assert is_open("tcp://127.1.example.org:8786")
