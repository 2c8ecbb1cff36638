"""Which kernels a survey has, and what runs on each."""

from __future__ import annotations

from pathlib import Path

import pytest

from android_suite.config import Config
from android_suite.errors import UsageError
from android_suite.survey import plan
from android_suite.survey.plan import choose_kernels, choose_plan
from android_suite.virtual.kernels import KernelChoice

NAMES = ("6.1.0-47", "6.1.0-50", "6.12.43", "6.12.117", "6.16.12", "7.2.12+deb13", "7.2.13", "7.3", "7.3.4")


@pytest.fixture(autouse=True)
def debian(monkeypatch: pytest.MonkeyPatch) -> None:
    choices = [KernelChoice(name=name, release=name, package=name, cached=False) for name in NAMES]
    monkeypatch.setattr(plan, "list_kernels", lambda arch, *, config: choices)
    monkeypatch.setattr(plan, "check_kernel", check)


def check(name: str, arch: str, *, config: Config) -> None:
    if name not in (*NAMES, "mine:candidate"):
        raise UsageError(f"unknown kernel {name!r}")


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        (None, ["6.1.0-50", "6.12.117", "6.16.12", "7.2.13", "7.3.4"]),
        ("all", list(NAMES)),
        ("6.12..7.2", ["6.12.117", "6.16.12", "7.2.13"]),
        ("6.12.43..6.16.12", ["6.12.117", "6.16.12"]),
        ("mine:candidate,6.16.12,6.12.43", ["6.12.43", "6.16.12", "mine:candidate"]),
        ("6.1, 7.3", ["6.1.0-50", "7.3.4"]),
        ("mine:candidate", ["mine:candidate"]),
    ],
)
def test_kernels(text: str | None, chosen: list[str]) -> None:
    assert list(choose_kernels(text, "arm64", Config())) == chosen


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("5.10..7.3", "no kernel of the series '5.10'"),
        ("7.3..6.1", "older one first"),
        (" , ", "names no kernel"),
        ("6.16.12,6.16", "6.16.12 twice"),
        ("6.16.12,6.99", "unknown kernel '6.99'"),
    ],
)
def test_kernels_that_make_no_sense(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        choose_kernels(text, "arm64", Config())


def test_the_standard_plan_has_all_that_the_table_shows() -> None:
    file = choose_plan(None, None, 2, ())
    assert file.plan.seeds == (1, 2)
    assert {each.name for each in file.plan.scenarios} == {"gc_stress", "vma_stress", "proc_reader", "app_launch"}
    assert [each.name for each in choose_plan(None, "amd64", 1, ("app_launch",)).plan.scenarios] == ["app_launch"]


def test_plans_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--seeds is 9, and the plan has 4"):
        choose_plan(None, None, 9, ())
    with pytest.raises(UsageError, match="no scenario 'x'"):
        choose_plan(None, None, 1, ("x",))
    real = tmp_path / "plan.toml"
    real.write_text(plan.STANDARD.replace('"deterministic"\nseeds = [1, 2, 3, 4]', '"realtime"\nboots = 4'))
    with pytest.raises(UsageError, match="deterministic plan"):
        choose_plan(real, None, None, ())
