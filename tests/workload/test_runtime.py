"""Which parameters mean something on the model, on a real runtime, on a phone."""

from __future__ import annotations

from typing import Any

import pytest

from android_suite.cli.main import run
from android_suite.errors import UsageError
from android_suite.workload.gc_stress import render_stress_extras
from android_suite.workload.registry import find_workload
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
