"""Which parameters mean something on the model, on a real runtime, on a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from android_suite.cli.main import run
from android_suite.errors import LabError, UsageError
from android_suite.workload.gc_stress import render_stress_extras
from android_suite.workload.registry import find_workload, scenario_names
from android_suite.workload.runtime import HEAPS, check_runtime
from android_suite.workload.workload import Parameters, complete_parameters


def stress(**given: Any) -> Parameters:
    return complete_parameters(find_workload("gc_stress"), given)


def check(parameters: Parameters, *, scenario: str = "gc_stress", **where: Any) -> None:
    check_runtime(parameters, defaults=find_workload(scenario).defaults, **where)


@pytest.mark.parametrize(
    ("name", "value"),
    [("gc_calls", 3), ("gc_trigger_bytes", 4096), ("gc_copy_bytes", 16384), ("gc_continuous", 0), ("gc_hold_pct", 5),
     ("planted", "tagged"), ("planted_per_cycle", 2)],
)  # fmt: skip
def test_amounts_of_the_models_collector_mean_nothing_on_art(name: str, value: object) -> None:
    parameters = stress(**{name: value})
    check(parameters, runtime=None)
    with pytest.raises(UsageError, match=rf"^{name} is of the model's collector, and ART has its own; choose threads"):
        check(parameters, runtime="art")


@pytest.mark.parametrize(("name", "value"), [("threads", 2), ("rate", 0), ("sizes", "large")])
def test_the_model_has_no_java(name: str, value: object) -> None:
    parameters = stress(**{name: value})
    check(parameters, runtime="art")
    check(parameters, runtime=None, attached=True)
    with pytest.raises(UsageError, match=rf"^{name} is of the Java class that allocates.*--runtime art"):
        check(parameters, runtime=None)


def test_presets_count_only_where_they_would_do_harm() -> None:
    large, armed = (complete_parameters(find_workload(name), {}) for name in ("large_objects", "uffd_heap"))
    check(large, scenario="large_objects", runtime=None)
    check(large, scenario="large_objects", runtime="art")
    check(armed, scenario="uffd_heap", runtime=None)
    with pytest.raises(UsageError, match=r"arms the model.s heap.*record gc_stress with --set collector=cmc"):
        check(armed, scenario="uffd_heap", runtime="art")


def test_a_heap_needs_a_runtime_and_room() -> None:
    parameters = stress(heap="phone-16g")
    check(parameters, runtime="art", memory_mb=1024)
    with pytest.raises(UsageError, match="heap is a setting of a real runtime; add --runtime art"):
        check(parameters, runtime=None)
    with pytest.raises(UsageError, match="may need 1024 MB while it is copied, and the virtual device has 768 MB"):
        check(parameters, runtime="art", memory_mb=768)
    with pytest.raises(UsageError, match=r"there is no heap 'phone-5g'; choose one of phone-4g, phone-6g"):
        stress(heap="phone-5g")


def test_sizes_are_those_of_the_class() -> None:
    with pytest.raises(UsageError, match="sizes is 'huge'; choose one of mixed, small, large"):
        stress(sizes="huge")


def test_a_heap_is_set_before_the_app_starts_and_is_no_extra() -> None:
    parameters = stress(heap="phone-8g", threads=3, sizes="small")
    script = find_workload("gc_stress").guest_prepare(parameters)
    allow, *commands = script.split(" && ")
    assert allow == "echo 1 > /proc/sys/vm/overcommit_memory"
    assert commands == [f"setprop {name} {value}" for name, value in HEAPS["phone-8g"].items()]
    assert HEAPS["phone-8g"]["dalvik.vm.heapgrowthlimit"] == "256m"
    words = render_stress_extras(parameters, seed=1, token="t")
    assert "heap" not in words
    assert words[words.index("threads") + 1] == "3"
    assert words[words.index("sizes") - 1 : words.index("sizes") + 2] == ["--es", "sizes", "small"]


def test_every_phone_has_the_same_settings_and_more_memory_never_a_smaller_heap() -> None:
    assert len({tuple(heap) for heap in HEAPS.values()}) == 1
    for name in ("heapsize", "heapgrowthlimit", "heapmaxfree"):
        values = [int(heap[f"dalvik.vm.{name}"].removesuffix("m")) for heap in HEAPS.values()]
        assert values == sorted(values)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--set", "heap=phone-4g"], "heap is a setting of a real runtime"),
        (["--set", "threads=2"], "threads is of the Java class"),
        (["--runtime", "art", "--set", "gc_calls=2"], "gc_calls is of the model's collector"),
    ],
)
def test_record_says_so_before_anything_boots(
    words: list[str], sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["record", "gc_stress", "--kernel", "6.17.13", *words]) == 2
    assert sentence in capfd.readouterr().err


class _ReachedError(LabError):
    """Everything was checked, and the runtime would be built now."""


# What ends before anything is built or booted: scenario -> a part of its sentence.
ON_ART = {"uffd_heap": "arms the model's heap with userfaultfd"}
IN_VIRTUAL_TIME = {"ui_scroll": "is driven from the host, which no deterministic run lets in"}


@pytest.mark.parametrize("deterministic", [False, True], ids=["real time", "virtual time"])
@pytest.mark.parametrize("name", scenario_names())
def test_every_scenario_is_for_art_or_refused_before_anything_is_built(
    name: str,
    deterministic: bool,
    project_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def reach(*_: object) -> Path:
        raise _ReachedError("reached")

    monkeypatch.setattr("android_suite.cli.record._build_runtime", reach)
    words = ["record", name, "--kernel", "6.17.13", "--runtime", "art", "-o", str(tmp_path / "run")]
    words += ["--deterministic"] if deterministic else []
    words += ["--run", "true"] if name == "command" else []
    status, said = run(words), capfd.readouterr().err
    refused = ON_ART.get(name) or (IN_VIRTUAL_TIME.get(name) if deterministic else None)
    assert (status, (refused or "reached") in said) == (2 if refused else 4, True), said
    assert not (tmp_path / "run").exists()
    # The page for users says the same.
    page = (project_root / "docs/scenarios.md").read_text().partition("## On a real runtime, and in virtual time")[2]
    [row] = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert ("refused" in cells[1], "refused" in cells[2]) == (name in ON_ART, name in IN_VIRTUAL_TIME)
