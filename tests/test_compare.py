"""Two sets of runs compared: pairing, comparability, gates, overhead, and the JSON form."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from android_suite.compare import RunSet, compare_runs
from android_suite.errors import NotComparable, SchemaError, UsageError
from android_suite.model.comparison import Comparison, MetricComparison
from android_suite.model.gate import Gate
from android_suite.model.identity import CrashRecord
from android_suite.model.metrics import Margin
from android_suite.model.verdict import GateOutcome, Verdict
from tests.made_runs import AFTER, BEFORE, DEVICE, PATCHED, World, made_pair, made_side

SMALL = World(boots=5, iterations=1)


def find(comparison: Comparison, name: str, scenario: str = "gc_stress") -> MetricComparison:
    return next(m for m in comparison.metrics if (m.scenario, m.name) == (scenario, name))


@pytest.fixture(scope="module")
def patched() -> Comparison:
    return compare_runs(*made_pair(World(boots=6, iterations=2), **PATCHED), seed=3)


def test_the_patch_is_seen(patched: Comparison) -> None:
    for name in ("invertedMs", "invertedMs_gcMadvise", "mmapLockWaitMs_ui", "madviseMmapLockPct_gc"):
        metric = find(patched, name)
        assert metric.verdict is Verdict.BETTER, name
        assert metric.effect_ci is not None
        assert metric.effect_ci[1] < 0
        assert metric.paired
    assert patched.count(Verdict.WORSE) == 0
    assert patched.exit_code == 0


def test_numbers_are_those_of_the_samples(patched: Comparison) -> None:
    baseline, _ = made_pair(World(boots=6, iterations=2), **PATCHED)
    rows = baseline.samples
    rows = rows[(rows["metric"] == "invertedMs") & (rows["scenario"] == "gc_stress")]
    side = find(patched, "invertedMs").baseline
    assert (side.boots, side.samples) == (6, 12)
    assert side.median == np.median(rows["value"])
    assert side.p95 == pytest.approx(np.quantile(rows["value"], 0.95))
    assert side.level == pytest.approx(rows.groupby("boot")["value"].median().mean())


def test_a_a_raises_no_alarm() -> None:
    alarms = 0
    for draw in range(8):
        world = World(boots=5, iterations=1)
        one = made_side("before", BEFORE, world, draw=1000 + draw, effects={})
        two = made_side("before", BEFORE, world, draw=2000 + draw, effects={})
        result = compare_runs(one, two)
        assert result.same_kernel
        alarms += any(m.verdict in (Verdict.BETTER, Verdict.WORSE) for m in result.metrics)
    assert alarms <= 2


def test_the_same_seed_gives_the_same_comparison() -> None:
    pair = made_pair(SMALL, **PATCHED)
    assert compare_runs(*pair, seed=7) == compare_runs(*pair, seed=7)


def test_json_has_the_interfaces_keys_and_comes_back(patched: Comparison) -> None:
    text = json.dumps(patched.to_json(), allow_nan=False)
    data = json.loads(text)
    assert (data["schema"], data["version"]) == ("android-suite/comparison", 1)
    assert set(data["madvise_paths"]["baseline"]) >= {"per_vma", "mmap_lock", "unknown"}
    assert data["gate"] == {"passed": True, "failed": [], "results": []}
    keys = {
        "scenario", "name", "unit", "better", "baseline", "candidate", "effect", "effect_ci", "effect_relative",
        "p_adjusted", "verdict", "boots_to_decide",
    }  # fmt: skip
    for metric in data["metrics"]:
        assert set(metric) >= keys
        assert set(metric["baseline"]) >= {"boots", "samples", "median", "p95"}
        assert isinstance(metric["baseline"]["boots"], int)
    assert Comparison.from_json(data) == patched


@pytest.mark.parametrize("data", [{}, {"schema": "android-suite/analysis", "version": 1}])
def test_other_json_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(SchemaError, match="run `android-suite compare` again"):
        Comparison.from_json(data)


def test_garbled_json_is_refused(patched: Comparison) -> None:
    data = patched.to_json()
    data["metrics"][0]["verdict"] = "FINE"
    with pytest.raises(SchemaError):
        Comparison.from_json(data)


def test_one_boot_is_undecided_with_a_reason() -> None:
    result = compare_runs(*made_pair(World(boots=1), **PATCHED))
    assert {m.verdict for m in result.metrics} == {Verdict.UNDECIDED}
    assert all("one boot" in m.reason and m.effect is not None for m in result.metrics)
    json.dumps(result.to_json(), allow_nan=False)


def test_boots_without_seeds_are_not_paired() -> None:
    result = compare_runs(*made_pair(World(boots=5, iterations=1, seeded=False), **PATCHED))
    assert not any(m.paired for m in result.metrics)


def test_pairs_are_found_by_seed_not_by_order() -> None:
    baseline, candidate = made_pair(SMALL)
    turned = candidate.samples.assign(seed=6 - candidate.samples["seed"])
    result = compare_runs(baseline, replace_samples(candidate, turned))
    metric = find(result, "invertedMs")
    assert [b.seed for b in metric.baseline.distribution] == [b.seed for b in metric.candidate.distribution]
    assert [b.boot for b in metric.candidate.distribution] == [f"after-boot{i}" for i in (4, 3, 2, 1, 0)]


def test_boots_that_all_share_their_seeds_are_not_pairs() -> None:
    baseline, candidate = made_pair(SMALL)
    sides = [replace_samples(side, side.samples.assign(seed=1)) for side in (baseline, candidate)]
    assert not find(compare_runs(*sides), "invertedMs").paired


def test_unknown_samples_are_left_out_and_counted() -> None:
    baseline, candidate = made_pair(SMALL)
    samples = candidate.samples.copy()
    chosen = (samples["metric"] == "invertedMs") & (samples["boot"] == "after-boot2")
    samples.loc[chosen, "quality"] = "unknown"
    samples.loc[chosen, "value"] = np.nan
    metric = find(compare_runs(baseline, replace_samples(candidate, samples)), "invertedMs")
    assert metric.candidate.unknown == 1
    assert (metric.baseline.boots, metric.candidate.boots) == (4, 4)
    samples.loc[samples["metric"] == "invertedMs", "quality"] = "unknown"
    metric = find(compare_runs(baseline, replace_samples(candidate, samples)), "invertedMs")
    assert (metric.verdict, metric.effect, metric.candidate.median) == (Verdict.UNDECIDED, None, None)


def test_lower_bounds_never_prove_an_improvement() -> None:
    baseline, candidate = made_pair(SMALL, **PATCHED)
    samples = candidate.samples.copy()
    samples.loc[samples["metric"] == "invertedMs", "quality"] = "lower_bound"
    metric = find(compare_runs(baseline, replace_samples(candidate, samples)), "invertedMs")
    assert metric.verdict is Verdict.UNDECIDED
    assert "lower bounds" in metric.reason


def test_a_few_lower_bounds_are_left_out_and_counted() -> None:
    baseline, candidate = made_pair(World(boots=6, iterations=2), **PATCHED)
    samples = candidate.samples.copy()
    chosen = (samples["metric"] == "invertedMs") & (samples["boot"] == "after-boot2")
    samples.loc[chosen, "quality"] = "lower_bound"
    metric = find(compare_runs(baseline, replace_samples(candidate, samples)), "invertedMs")
    assert (metric.candidate.boots, metric.candidate.lower_bound, metric.verdict) == (5, 2, Verdict.BETTER)


def test_a_metric_of_one_side_only() -> None:
    baseline, candidate = made_pair(SMALL)
    samples = candidate.samples[candidate.samples["metric"] != "gcCount"]
    metric = find(compare_runs(baseline, replace_samples(candidate, samples)), "gcCount")
    assert (metric.candidate.boots, metric.verdict) == (0, Verdict.UNDECIDED)


def test_tracing_overhead_comes_from_untraced_iterations() -> None:
    result = compare_runs(*made_pair(World(boots=5, iterations=1, untraced=True)))
    row = next(o for o in result.overhead if o.metric == "timeToInitialDisplayMs_cold")
    assert row.untraced == pytest.approx(0.97 * row.traced, rel=0.03)
    assert row.effect_ci is not None
    assert find(result, "invertedMs").baseline.samples == 5


def test_a_scenario_never_traced_still_counts() -> None:
    baseline, candidate = made_pair(SMALL)
    sides = [
        replace_samples(s, s.samples.assign(traced=s.samples["scenario"] != "app_launch"))
        for s in (baseline, candidate)
    ]
    assert find(compare_runs(*sides), "timeToInitialDisplayMs_cold", "app_launch").baseline.boots == 5


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"device": replace(DEVICE, fingerprint="other/build")}, "device.fingerprint"),
        ({"device": replace(DEVICE, refresh_rate_hz=120.0)}, "device.refresh_rate_hz"),
        ({"device": replace(DEVICE, cpus=1)}, "device.cpus"),
        ({"mode": "deterministic"}, "mode"),
        ({"process": "com.example.other"}, "gc_stress.process"),
    ],
)
def test_runs_that_differ_in_more_than_the_kernel_are_refused(change: dict[str, object], named: str) -> None:
    baseline, _ = made_pair(SMALL)
    other = made_side("after", AFTER, replace(SMALL, **change), draw=9, effects={})  # type: ignore[arg-type]
    with pytest.raises(NotComparable, match=named) as caught:
        compare_runs(baseline, other)
    assert caught.value.exit_code == 6
    assert "record both kernels again" in str(caught.value)


def test_trace_setup_and_parameters_must_agree() -> None:
    baseline, candidate = made_pair(SMALL)
    for change in ({"parameters": {"duration_ms": 9}}, {"trace_setup": {"events": ["sched/sched_switch"]}}):
        manifest = candidate.manifests[0]
        iterations = tuple(
            replace(i, **change) if i.scenario == "gc_stress" else i  # type: ignore[arg-type]
            for i in manifest.iterations
        )
        changed = replace_manifest(candidate, replace(manifest, iterations=iterations))
        with pytest.raises(NotComparable, match=rf"gc_stress\.{next(iter(change))}"):
            compare_runs(baseline, changed)


def test_what_belongs_to_boot_or_kernel_may_differ() -> None:
    device = replace(DEVICE, serial="127.0.0.1:6001", memory_kb=1015000, page_size=16384)
    baseline, _ = made_pair(SMALL)
    other = made_side("after", AFTER, replace(SMALL, device=device), draw=9, effects={})
    assert compare_runs(baseline, other).metrics
    phone = replace(DEVICE, virtual=False)
    sides = [
        made_side("x", BEFORE, replace(SMALL, device=replace(phone, serial=serial)), draw=1, effects={})
        for serial in ("A", "B")
    ]
    with pytest.raises(NotComparable, match=r"device\.serial"):
        compare_runs(*sides)


def test_two_kernels_on_one_side_are_refused() -> None:
    baseline, candidate = made_pair(SMALL)
    mixed = RunSet(manifests=(*baseline.manifests, *candidate.manifests), samples=baseline.samples)
    with pytest.raises(NotComparable, match="2 kernels"):
        compare_runs(mixed, candidate)


def test_an_empty_side_is_a_usage_error() -> None:
    baseline, _ = made_pair(SMALL)
    with pytest.raises(UsageError, match="candidate holds no run"):
        compare_runs(baseline, RunSet(manifests=(), samples=baseline.samples))


def test_gates_judge_with_their_own_margin_and_confidence() -> None:
    pair = made_pair(World(boots=6, iterations=2), draw=2, frameOverrunMs_p95=3.0)
    gates = (
        Gate(metric="frameOverrunMs_p95", scenario="gc_stress"),
        Gate(metric="frameOverrunMs_p95", scenario="gc_stress", margin=Margin(value=40, unit="ms")),
        Gate(metric="gcDurationMs_p50", undecided="pass", margin=Margin(value=0.001, unit="ms")),
        Gate(metric="gcDurationMs_p50", margin=Margin(value=0.001, unit="ms")),
        Gate(metric="misspelt"),
    )
    result = compare_runs(*pair, gates=gates)
    assert [g.outcome for g in result.gates] == [
        GateOutcome.FAILED, GateOutcome.PASSED, GateOutcome.PASSED, GateOutcome.FAILED, GateOutcome.ERROR,
    ]  # fmt: skip
    assert result.gates[0].verdict is Verdict.WORSE
    assert result.gates[1].verdict is Verdict.SAME
    assert result.gates[3].verdict is Verdict.UNDECIDED
    assert not result.gate.passed
    assert result.exit_code == 1
    assert result.to_json()["gate"]["failed"] == ["gc_stress/frameOverrunMs_p95", "gc_stress/gcDurationMs_p50"]


def test_a_gate_without_a_scenario_is_judged_in_each() -> None:
    result = compare_runs(*made_pair(SMALL), gates=(Gate(metric="frameOverrunMs_p95"),))
    assert [g.scenario for g in result.gates] == ["app_launch", "gc_stress"]


def test_a_crash_of_the_candidate_is_a_result() -> None:
    crash = CrashRecord(kind="panic", summary="Kernel panic", console="[1.0] Kernel panic")
    result = compare_runs(*made_pair(replace(SMALL, crash=crash)))
    assert result.crashes("candidate")[0].summary == "Kernel panic"
    assert not result.gate.passed
    assert result.exit_code == 1


def replace_samples(side: RunSet, samples: object) -> RunSet:
    return RunSet(manifests=side.manifests, samples=samples, paths=side.paths)  # type: ignore[arg-type]


def replace_manifest(side: RunSet, manifest: object) -> RunSet:
    return RunSet(manifests=(manifest,), samples=side.samples, paths=side.paths)  # type: ignore[arg-type]
