"""Campaigns on several devices: which job runs on which, and what happens when one of them is lost."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from android_suite.campaign.journal import CampaignFolder, open_campaign
from android_suite.campaign.plan_file import PlanFile
from android_suite.campaign.pool import Pool, PoolDevice
from android_suite.campaign.qualify import Collaborators, qualify
from android_suite.campaign.schedule import Job, plan_jobs
from android_suite.campaign.worker import turn_to_analyze
from android_suite.errors import DeviceLost, LabError, NotReady
from android_suite.model.verdict import Verdict
from tests.campaign.crowd_recorder import CrowdRecorder
from tests.scripted_phone.crowd import Crowd
from tests.scripted_phone.server import AdbServer, own_server

MakePlan = Callable[..., PlanFile]
REALTIME = ('"deterministic"', '"realtime"')


def nobody(job: Job, path: Path, say: Callable[[str], None]) -> None:
    raise AssertionError


def lost() -> None:
    raise LabError("the lease was lost")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[CampaignFolder]:
    with open_campaign(tmp_path / "campaign", {}) as one:
        yield one


def make_pool(folder: CampaignFolder, *serials: str, told: list[str] | None = None, **more: Any) -> Pool:
    devices = [PoolDevice(serial=serial, recorder=nobody, **more) for serial in serials]
    tell = (lambda _: None) if told is None else told.append
    return Pool(devices, folder, failures_to_quarantine=3, tell=tell)


def jobs_of(make_plan: MakePlan, seeds: str) -> tuple[Job, ...]:
    return plan_jobs(make_plan(("[1, 2, 3]", seeds), REALTIME).plan, {})


def record(folder: CampaignFolder, pool: Pool, job: Job, token: str) -> None:
    (folder.jobs / job.name).mkdir()
    pool.give_back(job, token, recorded=True)


def test_a_block_stays_on_its_device_and_a_free_one_takes_the_next(folder: CampaignFolder, make_plan: MakePlan) -> None:
    one, two, three, four, *_ = jobs_of(make_plan, "[1, 2, 3]")
    pool = make_pool(folder, "A", "B")
    pool.begin((one, two, three, four))
    first = pool.choose(one)
    assert first is not None
    pool.hold(first, one, "t1")
    assert pool.choose(two) is None  # its block is on A, which records
    second = pool.choose(three)
    assert second is not None
    assert {first.serial, second.serial} == {"A", "B"}
    pool.hold(second, three, "t3")
    assert not pool.free
    record(folder, pool, one, "t1")
    assert pool.free
    assert pool.choose(four) is None  # A waits for the rest of its own block
    assert pool.choose(two) is first
    pool.hold(first, two, "t2")
    record(folder, pool, two, "t2")
    record(folder, pool, three, "t3")
    assert pool.choose(four) is second


def test_a_campaign_goes_on_where_its_open_blocks_were(folder: CampaignFolder, make_plan: MakePlan) -> None:
    jobs = jobs_of(make_plan, "[1, 2, 3]")
    for job, serial in ((jobs[0], "A"), (jobs[2], "GONE"), (jobs[4], "GONE"), (jobs[5], "GONE")):
        (folder.jobs / job.name).mkdir()
        folder.append("start", job=job.name, attempt=1, record=True, worker="w", device=serial)
    pool = make_pool(folder, "A", "B")
    pool.begin(jobs)
    assert not folder.finished(jobs[2].name)  # its partner would be of another device
    assert folder.finished(jobs[4].name)  # this block is complete
    assert (folder.failed / f"{jobs[2].name}.1").is_dir()
    rest = pool.choose(jobs[1])
    assert rest is not None
    assert rest.serial == "A"
    assert pool.choose(jobs[3]).serial == "B"  # type: ignore[union-attr]


def test_a_device_that_fails_loses_its_block_to_another(folder: CampaignFolder, make_plan: MakePlan) -> None:
    jobs = jobs_of(make_plan, "[1, 2]")
    why: list[str] = []
    pool = make_pool(folder, "A", "B", quarantine=why.append)
    pool.begin(jobs)
    device = pool.choose(jobs[0])
    assert device is not None
    pool.hold(device, jobs[0], "t")
    record(folder, pool, jobs[0], "t")
    error = DeviceLost("gone")
    assert not pool.gives_up(jobs[1], device, error, last=False)
    assert not pool.gives_up(jobs[1], device, error, last=False)
    assert pool.gives_up(jobs[1], device, error, last=False)
    assert why == ["3 failures in a row, the last: gone"]
    assert pool.choose(jobs[1]) is None
    assert pool.move(jobs, {0}) == []  # something of the block is being analyzed
    assert pool.move(jobs, set()) == [jobs[0]]
    other = pool.choose(jobs[1])
    assert other is not None
    assert other.serial != device.serial
    with pytest.raises(NotReady, match="does not boot"):
        pool.gives_up(jobs[1], other, NotReady("does not boot"), last=True)


def test_a_fault_of_the_lab_is_not_laid_on_a_device(folder: CampaignFolder, make_plan: MakePlan) -> None:
    jobs = jobs_of(make_plan, "[1, 2]")
    pool = make_pool(folder, "A", "B")
    pool.begin(jobs)
    device = pool.choose(jobs[0])
    assert device is not None
    with pytest.raises(LabError, match="no adb server"):
        pool.gives_up(jobs[0], device, LabError("no adb server"), last=True)
    assert pool.serials == ("A", "B")


def test_a_lost_lease_leaves_the_device_out(folder: CampaignFolder, make_plan: MakePlan) -> None:
    jobs = jobs_of(make_plan, "[1, 2]")
    pool = make_pool(folder, "A", check=lost)
    pool.begin(jobs)
    with pytest.raises(LabError, match="the lease was lost"):
        pool.choose(jobs[0])


def test_no_more_analyses_at_once_than_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: os.getpid())  # names that no campaign of this host has
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += 600

    with turn_to_analyze(2), turn_to_analyze(2):
        with turn_to_analyze(2, clock=lambda: now[0], sleep=sleep):
            assert now[0] > 1800  # both are taken; in the end it runs anyway
        now[0] = 0.0
        with turn_to_analyze(3, clock=lambda: now[0], sleep=sleep):
            assert now[0] == 0.0
    with turn_to_analyze(1, clock=lambda: now[0], sleep=sleep):
        assert now[0] == 0.0  # given back


@pytest.fixture(scope="module")
def server() -> Iterator[AdbServer]:
    with own_server() as running:
        yield running


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twelve_phones_one_of_which_breaks(
    server: AdbServer, lab: Collaborators, make_plan: MakePlan, tmp_path: Path
) -> None:
    """Leased, driven over the real adb, each used by one job at a time; one verdict from pairs within phones."""
    plan = make_plan(("[1, 2, 3]", str(list(range(1, 25)))), REALTIME)
    config = server.config(tmp_path / "cache")
    with Crowd(12) as crowd:
        for phone in crowd.phones:
            server.connect(phone.address)
        crowd.phones[3].broken = True
        devices = [PoolDevice(serial=p.address, recorder=CrowdRecorder(config, p.address, 0.5)) for p in crowd.phones]
        outcome = qualify(plan, tmp_path / "out", lab, devices=devices, retry_after_s=(0.1, 0.1))
    assert [phone.clashes for phone in crowd.phones] == [[]] * 12
    where: dict[str, set[str]] = {}
    for phone in crowd.phones:
        for use in phone.uses:
            where.setdefault(use.name.split("-")[0], set()).add(phone.address)
    assert Counter(map(len, where.values())) == {1: 24}
    assert not crowd.phones[3].uses
    assert sum(len(phone.uses) for phone in crowd.phones) == len(list((tmp_path / "out" / "jobs").iterdir())) == 48
    events = [json.loads(line) for line in (tmp_path / "out" / "journal.jsonl").read_text().splitlines()]
    assert [each["device"] for each in events if each["event"] == "quarantined"] == [crowd.phones[3].address]
    (metric,) = outcome.comparisons["after"].metrics
    assert metric.verdict is Verdict.BETTER  # although the phones differ by hundreds and the kernels by 116
    assert metric.effect == pytest.approx(-116, abs=3)
