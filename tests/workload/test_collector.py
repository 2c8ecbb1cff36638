"""The collector of a real runtime: chosen before the app starts, and refused where there is no such runtime."""

from __future__ import annotations

import pytest

from android_suite.cli.main import run
from android_suite.errors import UsageError
from android_suite.workload.collector import render_choice_line, require_runtime
from android_suite.workload.gc_stress import render_stress_extras
from android_suite.workload.registry import find_workload, plan_scenarios

PROPERTY = "persist.device_config.runtime_native_boot.enable_uffd_gc_2"


def test_it_is_set_in_the_guest_before_the_app_starts_and_is_no_extra() -> None:
    stress = find_workload("gc_stress")
    parameters = {**stress.defaults, "collector": "cmc"}
    assert stress.guest_prepare(parameters) == f"setprop {PROPERTY} true"
    assert stress.guest_prepare(stress.defaults) == ""
    assert render_choice_line("cc") == f"setprop {PROPERTY} false"
    assert "collector" not in " ".join(render_stress_extras(parameters, seed=1, token="t"))


def test_another_name_is_refused() -> None:
    with pytest.raises(UsageError, match=r"there is no collector 'cms'; choose one of cc, cmc\."):
        plan_scenarios(["gc_stress"], {"collector": "cms"}, mode="realtime")


def test_it_needs_a_real_runtime(capfd: pytest.CaptureFixture[str]) -> None:
    require_runtime({"collector": "cmc"}, "art")
    require_runtime({}, None)
    assert run(["record", "gc_stress", "--kernel", "6.17.13", "--set", "collector=cmc"]) == 2
    assert "collector is a setting of a real runtime; add --runtime art" in capfd.readouterr().err
