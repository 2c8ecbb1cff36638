"""Scenarios and their parameters, checked before any device is touched."""

from __future__ import annotations

import pytest

from android_suite.errors import UsageError
from android_suite.model.run import Mode
from android_suite.workload.registry import (
    SUMMARIES,
    WORKLOADS,
    find_workload,
    find_workloads,
    plan_scenarios,
    scenario_names,
)
from android_suite.workload.workload import complete_parameters


def test_names_are_found() -> None:
    assert tuple(SUMMARIES) == scenario_names(), "each has its line in `record --help`"
    assert [workload.name for workload in find_workloads(["command", "gc_stress"])] == ["command", "gc_stress"]


def test_a_wrong_name_lists_the_right_ones() -> None:
    with pytest.raises(UsageError, match=r"no scenario 'gc-stress'; did you mean gc_stress\? .*app_launch"):
        find_workload("gc-stress")
    with pytest.raises(UsageError, match="name a scenario"):
        find_workloads([])


def test_defaults_are_sound() -> None:
    for workload in WORKLOADS:
        if workload.name != "command":
            assert complete_parameters(workload, {}) == workload.defaults


HOSTILE = (
    "com.ex app", "com.ex;reboot", "com.ex$(reboot)", "com.ex`reboot`", "com.ex\nreboot", "com.ex'x", 'com.ex"x', "com.ex|x",
    "com.ex&", "com.ex>x", "com.ex\0", "../../etc/passwd", "-rf", "ü.app", "com.ex\\", "com.ex*", "a" * 5000,
)  # fmt: skip
NAMES = ("package", "activity", "background_package", "background_activity", "trim_processes", "trim_levels", "user")


def test_no_scenario_takes_a_name_that_a_shell_would_run() -> None:
    seen = set()
    for workload in WORKLOADS:
        for name in NAMES:
            if name not in workload.defaults:
                continue
            seen.add(name)
            for hostile in HOSTILE:
                with pytest.raises(UsageError):
                    complete_parameters(workload, {name: hostile})
    assert seen == set(NAMES)


def test_every_scenario_starts_apps_for_a_user() -> None:
    for workload in WORKLOADS:
        # The last is driven by the host alone; the others start no app.
        if workload.name in ("command", "madvise_safety", "page_faults", "ui_scroll"):
            assert ("user" in workload.defaults) == (workload.name == "ui_scroll")
            continue
        plain, of_user = (
            workload.guest_prepare(parameters) + workload.guest_script(parameters, seed=1, token="t")
            for parameters in (complete_parameters(workload, {"user": user}) for user in (-1, 10))
        )
        assert "--user" not in plain
        starts, trims = of_user.count("am start "), of_user.count("send-trim-memory ")
        assert starts >= 1
        assert of_user.count("am start -W --user 10 ") == starts, workload.name
        assert of_user.count("send-trim-memory --user 10 ") == trims, workload.name
        with pytest.raises(UsageError, match="user is 10001; choose a number of"):
            complete_parameters(workload, {"user": 10_001})


@pytest.mark.parametrize(
    ("scenario", "given", "name", "value"),
    [
        ("gc_stress", {"duration_ms": "5000"}, "duration_ms", 5000),
        ("gc_stress", {"duration_ms": 5000.0}, "duration_ms", 5000),
        ("gc_stress", {"planted": "spans_vmas,userfaultfd"}, "planted", "spans_vmas,userfaultfd"),
        ("app_launch", {"states": "cold"}, "states", "cold"),
        ("command", {"run": "true", "timeout_s": "1.5"}, "timeout_s", 1.5),
    ],
)
def test_values_get_the_type_of_their_default(
    scenario: str, given: dict[str, object], name: str, value: object
) -> None:
    found = complete_parameters(find_workload(scenario), given)[name]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("scenario", "given", "says"),
    [
        ("gc_stress", {"durationms": 1}, "no parameter 'durationms'.*duration_ms"),
        ("gc_stress", {"duration_ms": "5 s"}, "must be a whole number, not '5 s'"),
        ("gc_stress", {"duration_ms": 1.5}, "must be a whole number"),
        ("gc_stress", {"duration_ms": True}, "must be a whole number"),
        ("gc_stress", {"duration_ms": float("nan")}, "must be a whole number"),
        ("gc_stress", {"duration_ms": float("inf")}, "must be a whole number"),
        ("gc_stress", {"duration_ms": 1}, "100 to 86400000"),
        ("ui_scroll", {"swipes": 0}, "swipes is 0; choose 1 to 1000"),
        ("ui_scroll", {"answer": "maybe"}, "answer is 'maybe'; choose one of allow, deny"),
        ("ui_scroll", {"text": "a\nb"}, "printable"),
        ("ui_scroll", {"wait_s": 0.0}, "wait_s is 0.0; choose 1 to 600"),
        ("gc_stress", {"profile": "lazy"}, "steady, inversion"),
        ("gc_stress", {"planted": "gremlins"}, "no planted fallback 'gremlins'"),
        ("app_launch", {"package": "a b"}, "not a package name"),
        ("app_launch", {"activity": "$(reboot)"}, "not an activity"),
        ("app_launch", {"states": "cold,lukewarm"}, "no launch state 'lukewarm'"),
        ("app_launch", {"launches": 0}, "1 to 1000"),
        ("app_launch", {"settle_ms": -1}, "0 to 60000"),
        ("command", {}, "--run 'SHELL COMMAND'"),
        ("command", {"run": "a\0b"}, "NUL"),
        ("command", {"run": "true", "timeout_s": float("nan")}, "up to a week"),
    ],
)
def test_what_makes_no_sense_is_said(scenario: str, given: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        complete_parameters(find_workload(scenario), given)


def test_each_scenario_takes_its_own_of_the_given() -> None:
    planned = plan_scenarios(["gc_stress", "app_launch"], {"duration_ms": 500, "launches": 1}, mode="realtime")
    assert planned[0][1]["duration_ms"] == 500
    assert planned[1][1]["launches"] == 1
    with pytest.raises(UsageError, match="no parameter 'lunches'"):
        plan_scenarios(["gc_stress", "app_launch"], {"lunches": 1}, mode="realtime")


def test_a_deterministic_run_has_shorter_defaults() -> None:
    cases: tuple[tuple[Mode, int, str], ...] = (("realtime", 10_000, "steady"), ("deterministic", 6000, "inversion"))
    for mode, duration_ms, profile in cases:
        ((_, parameters),) = plan_scenarios(["gc_stress"], {}, mode=mode)
        assert (parameters["duration_ms"], parameters["profile"]) == (duration_ms, profile)
    ((_, parameters),) = plan_scenarios(["gc_stress"], {"duration_ms": 700}, mode="deterministic")
    assert parameters["duration_ms"] == 700, "what is given wins"


def test_a_scenario_that_the_host_drives_is_refused_before_a_deterministic_boot() -> None:
    plan_scenarios(["ui_scroll"], {}, mode="realtime")
    with pytest.raises(UsageError, match="driven from the host, which no deterministic run lets in"):
        plan_scenarios(["gc_stress", "ui_scroll"], {}, mode="deterministic")
