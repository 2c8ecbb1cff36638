from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from android_suite.campaign.lab import check_parameters
from android_suite.campaign.plan_file import PlanFile, read_plan
from android_suite.campaign.qualify import (
    estimate,
    read_durations,
    render_device,
    render_schedule,
    schedule,
    write_durations,
)
from android_suite.campaign.schedule import compare_plans, describe_plan, estimate_cost, plan_jobs
from android_suite.errors import ConfigError, UsageError
from android_suite.model.readiness import ReadyOptions
from android_suite.workload.registry import scenario_names

MakePlan = Callable[..., PlanFile]
REALTIME = (('"deterministic"', '"realtime"'), ("seeds = [1, 2, 3]", "boots = 40"))
PAIRS = ("parameters", 'traced = "pairs"\nparameters')
TWO = ("[[gate]]", '[[scenario]]\nname = "app_launch"\n\n[[gate]]')


def test_every_block_has_every_kernel_once_in_random_order(make_plan: MakePlan) -> None:
    file = make_plan(*REALTIME)
    jobs = plan_jobs(file.plan, file.digests)
    assert len(jobs) == 80
    orders = Counter()
    for block in range(40):
        labels = tuple(job.label for job in jobs if job.block == block)
        assert sorted(labels) == ["after", "before"]
        assert {job.seed for job in jobs if job.block == block} == {block + 1}
        orders[labels] += 1
    assert [job.block for job in jobs] == sorted(job.block for job in jobs)
    assert min(orders.values()) >= 10  # p < 0.001 for a fair draw
    assert plan_jobs(file.plan, file.digests) == jobs
    assert plan_jobs(replace(file.plan, random_seed=2), file.digests) != jobs


def test_what_is_asked_of_the_device_is_part_of_a_job(make_plan: MakePlan) -> None:
    file = make_plan(*REALTIME)
    plain, described = plan_jobs(file.plan, file.digests), describe_plan(file.plan, file.digests)
    assert not {"ready", "capture"} & described.keys()  # the names of earlier campaigns stay
    kept = replace(file.plan, ready=ReadyOptions(keep=frozenset({"doze"}), repeats=9), capture="both")
    jobs = plan_jobs(kept, file.digests)
    assert (jobs[0].ready, jobs[0].capture) == (kept.ready, "both")
    assert not {job.name for job in jobs} & {job.name for job in plain}
    assert compare_plans(described, describe_plan(kept, file.digests)) == [
        'ready was null, is {"keep": ["doze"], "repeats": 9}', 'capture was null, is "both"'
    ]  # fmt: skip
    assert "left as found: doze" in render_device(kept)
    assert "capture: both" in render_device(kept)
    assert render_device(make_plan().plan) == ""


def test_a_realtime_boot_is_one_job(make_plan: MakePlan) -> None:
    file = make_plan(*REALTIME, PAIRS, TWO)
    job = plan_jobs(file.plan, file.digests)[0]
    assert sorted((item.name, item.traced) for item in job.scenarios) == [
        ("app_launch", True), ("gc_stress", False), ("gc_stress", True)
    ]  # fmt: skip


def test_in_real_time_traced_and_untraced_iterations_alternate_in_random_order(make_plan: MakePlan) -> None:
    file = make_plan(*REALTIME, ("parameters", 'iterations = 6\ntraced = "pairs"\nparameters'))
    jobs = plan_jobs(file.plan, file.digests)
    orders = set()
    for job in jobs:
        assert [(item.first, item.iterations) for item in job.scenarios] == [(i // 2, 1) for i in range(12)]
        traced = [item.traced for item in job.scenarios]
        assert all(sorted(traced[i : i + 2]) == [False, True] for i in range(0, 12, 2))
        orders.add((job.block, *traced))
    assert len(orders) == 40  # the same for both kernels of a block
    assert 8 <= sum(order[1] for order in orders) <= 32  # p < 0.001 for a fair draw


def test_a_deterministic_job_runs_one_scenario(make_plan: MakePlan) -> None:
    file = make_plan(PAIRS, TWO)
    jobs = plan_jobs(file.plan, file.digests)
    assert len(jobs) == 2 * 3 * 3
    assert all(len(job.scenarios) == 1 for job in jobs)
    assert len({job.name for job in jobs}) == len(jobs)
    assert sum("untraced" in job.name for job in jobs) == 6


def test_without_interleaving_the_kernels_follow_each_other(make_plan: MakePlan) -> None:
    file = make_plan(("seeds =", 'interleave = "none"\nseeds ='))
    assert [job.label for job in plan_jobs(file.plan, file.digests)] == ["before"] * 3 + ["after"] * 3


@pytest.mark.parametrize(
    "change", [("= 100", "= 101"), ('"6.17.13"', '"6.18.1"'), ("traced", "traced"), ('"deterministic"', '"realtime"')]
)
def test_another_content_is_another_name(make_plan: MakePlan, change: tuple[str, str]) -> None:
    first = make_plan()
    names = {job.name for job in plan_jobs(first.plan, first.digests)}
    if change[0] == "traced":
        change = ("parameters", "traced = false\nparameters")
    second = make_plan(change)
    others = [job for job in plan_jobs(second.plan, second.digests) if job.label == "after"]
    assert others
    assert not names & {job.name for job in others}


def test_an_image_counts_by_its_content(tmp_path: Path, make_plan: MakePlan) -> None:
    names = []
    for folder, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "Image").write_bytes(content)
        file = make_plan(('"6.17.13"', f'"./{folder}/Image"'))
        names.append([job.name for job in plan_jobs(file.plan, file.digests)])
    assert names[0] == names[1]
    assert names[0] != names[2]


def test_an_absent_image_is_named_with_its_line(make_plan: MakePlan) -> None:
    with pytest.raises(ConfigError, match=r"kernel\[1\].kernel: expected a file, found './Image'") as caught:
        make_plan(('"6.17.13"', '"./Image"'))
    assert caught.value.line == 13


def test_the_same_image_under_two_names_is_refused(tmp_path: Path, make_plan: MakePlan) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"one")
    with pytest.raises(ConfigError, match="the same image twice"):
        make_plan(('"6.16.12"', '"./a"'), ('"6.17.13"', '"./b"'))


def test_an_unreadable_plan_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the plan"):
        read_plan(tmp_path / "absent.toml", scenarios=())
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_plan(tmp_path / "binary.toml", scenarios=())


def test_cost_is_the_past_where_there_is_one(make_plan: MakePlan, tmp_path: Path) -> None:
    file, jobs = schedule(make_plan())
    assert len({job.kind for job in jobs}) == 1
    write_durations(tmp_path / "d.json", {jobs[0].kind: [10.0, 12.0, 50.0]})
    cost = estimate_cost(jobs, read_durations(tmp_path / "d.json"), workers=2)
    assert (cost.wall_s, cost.measured) == (36.0, 6)
    assert estimate_cost(jobs, {}, workers=1).wall_s == pytest.approx(2 * estimate_cost(jobs, {}, workers=2).wall_s)
    text = render_schedule(jobs, estimate(file, jobs, {jobs[0].kind: [12.0]}, workers=2))
    assert text.count("gc_stress") == 6
    assert text.endswith("6 jobs, about 0.6 min (measured).\n")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": 1}', b'{"a": ["x"]}', b"\xff"])
def test_garbled_durations_are_no_durations(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "d.json").write_bytes(content)
    assert read_durations(tmp_path / "d.json") == {}


def test_differences_of_plans_are_named(make_plan: MakePlan) -> None:
    first, second = make_plan(), make_plan(("[1, 2, 3]", "[1, 2]"), ("= 100", '= "x"'), ('"after"', '"later"'))
    old, new = (describe_plan(file.plan, file.digests) for file in (first, second))
    assert compare_plans(old, old) == []
    assert compare_plans(old, new) == [
        "boots was 3, is 2",
        "seeds was [1, 2, 3], is [1, 2]",
        'kernels[1].label was "after", is "later"',
        'scenarios[0].parameters.duration_ms was 100, is "x"',
    ]


def test_the_plans_that_come_along_are_sound(project_root: Path) -> None:
    plans = sorted((project_root / "scenarios").glob("*.toml"))
    assert "seed-patch" in [plan.stem for plan in plans]
    for plan in plans:
        file = read_plan(plan, scenarios=scenario_names())
        check_parameters(file)
        assert estimate(file, schedule(file)[1], {}).wall_s > 0


def test_the_plan_of_the_documentation_is_sound(project_root: Path, tmp_path: Path) -> None:
    text = (project_root / "docs" / "plan.md").read_text()
    plan = tmp_path / "plan.toml"
    plan.write_text(text.split("```toml\n")[1].split("```")[0])
    check_parameters(read_plan(plan, scenarios=scenario_names()))


@pytest.mark.parametrize(
    ("parameters", "key"),
    [
        ("{ duration = 5 }", "scenario[0].parameters.duration"),
        ("{ duration_ms = 1 }", "scenario[0].parameters.duration_ms"),
        ('{ profile = "fast" }', "scenario[0].parameters.profile"),
    ],
)
def test_a_parameter_that_no_scenario_takes(make_plan: MakePlan, parameters: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_parameters(make_plan(("{ duration_ms = 100 }", parameters)))
    assert (caught.value.line, caught.value.key) == (18, key)
