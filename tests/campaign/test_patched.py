"""`qualify --patch`: the plan that is made for a pair of kernels, and what is said where one of them does not boot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from android_suite.boot.booted import KernelCrashed
from android_suite.campaign import patched
from android_suite.campaign.patched import STANDARD, add_notes, put_pair, read_patched_plan, try_pair
from android_suite.config import Config
from android_suite.errors import ConfigError, NotReady, UsageError
from android_suite.model.identity import CrashRecord
from android_suite.model.plan import parse_plan
from android_suite.model.toml_source import parse_toml
from android_suite.virtual.build import KernelPair
from android_suite.virtual.kernels import KernelImage
from android_suite.workload.registry import scenario_names


class Build:
    """As much of a pair as a plan needs."""

    default_name = "mine-0123abcd"
    arch = "arm64"


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., patched.PlanFile]:
    def plan(text: str, arch: str = "arm64") -> patched.PlanFile:
        file = tmp_path / "plan.toml"
        file.write_text(text)
        build = Build()
        build.arch = arch
        return read_patched_plan(file, build, scenarios=scenario_names())  # type: ignore[arg-type]

    return plan


def test_the_standard_plan_is_a_plan_of_its_own_and_takes_a_pair(read: Callable[..., patched.PlanFile]) -> None:
    text = STANDARD.read_text()
    assert (Path(__file__).parents[2] / "scenarios/standard.toml").read_text() == text
    plain = parse_plan(parse_toml(text, STANDARD), scenarios=scenario_names())
    plan = read(text).plan
    assert [(kernel.label, kernel.kernel, kernel.role) for kernel in plan.kernels] == [
        ("without", "mine-0123abcd:baseline", "baseline"),
        ("with", "mine-0123abcd:candidate", "candidate"),
    ]
    assert plan.name == "mine-0123abcd"
    assert replace(plan, kernels=plain.kernels, name=plain.name, warnings=plain.warnings) == plain
    assert plan.mode == "deterministic"
    assert len(plan.seeds) == 4


def test_the_text_that_is_kept_is_the_plan_that_ran(read: Callable[..., patched.PlanFile]) -> None:
    file = read(STANDARD.read_text())
    again = parse_plan(parse_toml(file.source.text, Path("plan.toml")), scenarios=scenario_names())
    assert again == file.plan


def test_tables_between_and_behind_the_kernels_stay() -> None:
    text = (
        '[[kernel]]\nlabel = "a"\n[[scenario]]\nname = "gc_stress"\n  [[ kernel ]]  # b\nlabel = "b"\n\n[plan]\n'
        'name = "c"\nseeds = [\n  1,\n]\n'
    )
    made = put_pair(text, "p-1")
    assert made.count("[[kernel]]") == 2
    assert '[[scenario]]\nname = "gc_stress"\n[plan]\nname = "p-1"\nseeds = [\n  1,\n]\n' in made
    assert '"a"' not in made


def test_another_architecture(read: Callable[..., patched.PlanFile]) -> None:
    assert read(STANDARD.read_text(), arch="amd64").plan.arch == "amd64"


def test_faults_of_the_users_plan_have_its_own_lines(read: Callable[..., patched.PlanFile]) -> None:
    with pytest.raises(ConfigError, match=r"plan\.toml:\d+: plan\.sedes"):
        read(STANDARD.read_text().replace("seeds =", "sedes ="))
    sides = [f'{{ label = "{role}", kernel = "7.3", role = "{role}" }}' for role in ("baseline", "candidate")]
    inline = f"kernel = [{', '.join(sides)}]\n"
    kernels = STANDARD.read_text().index("[[kernel]]")
    rest = STANDARD.read_text()[STANDARD.read_text().index("[[scenario]]") :]
    with pytest.raises(UsageError):
        read(inline + STANDARD.read_text()[:kernels] + rest)


def test_notes_are_told_and_make_no_other_campaign(read: Callable[..., patched.PlanFile]) -> None:
    file = add_notes(read(STANDARD.read_text()), ("what it is",))
    assert file.plan.warnings[-1] == "what it is"


def image(name: str) -> KernelImage:
    return KernelImage(name=name, release="7.3", arch="arm64", path=Path("/none"), sha256="0" * 64)


PAIR = KernelPair(
    name="p", source="s", patch_sha256="0" * 64, baseline=image("p:baseline"), candidate=image("p:candidate")
)  # fmt: skip


@pytest.fixture
def boots(monkeypatch: pytest.MonkeyPatch) -> dict[str, Exception]:
    """What booting a kernel raises; nothing: it boots."""
    faults: dict[str, Exception] = {}

    @contextmanager
    def boot(kernel: str, *, config: Config) -> Iterator[None]:
        if kernel in faults:
            raise faults[kernel]
        yield None

    monkeypatch.setattr(patched, "boot_virtual", boot)
    return faults


def test_a_kernel_that_crashes_gives_the_line_of_its_console(boots: dict[str, Exception], tmp_path: Path) -> None:
    told: list[str] = []
    assert try_pair(PAIR, Config(), tmp_path / "out", say=told.append) is None
    console = "[    0.1] BUG: x\n[    0.2] Kernel panic - not syncing: planted"
    boots["p:candidate"] = KernelCrashed(
        CrashRecord(kind="panic", summary="Kernel panic - not syncing: planted", console=console)
    )
    dead = try_pair(PAIR, Config(), tmp_path / "out", say=told.append)
    assert dead is not None
    assert dead.line == "Kernel panic - not syncing: planted"
    assert (tmp_path / "out/console.txt").read_text() == console


def test_a_kernel_that_hangs_gives_its_last_line(boots: dict[str, Exception], tmp_path: Path) -> None:
    hangs = NotReady("kernel p:candidate did not boot within 120 s")
    hangs.add_note("[    0.1] first\n[    0.9] the last line\n\n")
    boots["p:candidate"] = hangs
    dead = try_pair(PAIR, Config(), tmp_path, say=lambda _: None)
    assert dead is not None
    assert dead.line == "it hangs; the last line of its console: [    0.9] the last line"


def test_where_neither_boots_the_patch_is_not_blamed(boots: dict[str, Exception], tmp_path: Path) -> None:
    boots["p:candidate"] = boots["p:baseline"] = NotReady("no network card")
    with pytest.raises(NotReady, match="neither kernel boots") as caught:
        try_pair(PAIR, Config(), tmp_path, say=lambda _: None)
    assert caught.value.exit_code == 4
