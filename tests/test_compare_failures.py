"""Launches that fail, seeds that change nothing, boots that lose samples, and waits that change their lock."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from android_suite.compare import RunSet, compare_runs
from android_suite.compare.pairs import pair_boots
from android_suite.errors import EvidenceError
from android_suite.model.checks import CheckResult
from android_suite.model.comparison import Comparison, MetricComparison
from android_suite.model.gate import Gate
from android_suite.model.identity import CrashRecord
from android_suite.model.metrics import find_metric
from android_suite.model.verdict import GateOutcome, Verdict
from tests.made_runs import PATCHED, World, made_pair

COLD = "timeToInitialDisplayMs_cold"


def find(comparison: Comparison, name: str, scenario: str = "gc_stress") -> MetricComparison:
    return next(m for m in comparison.metrics if (m.scenario, m.name) == (scenario, name))


def with_samples(side: RunSet, samples: pd.DataFrame) -> RunSet:
    return RunSet(manifests=side.manifests, samples=samples, paths=side.paths)


def with_metric(side: RunSet, name: str, value: object, scenario: str = "gc_stress") -> RunSet:
    """A metric's values set; where the side has none, added to every iteration."""
    samples = side.samples.copy()
    chosen = (samples["metric"] == name) & (samples["scenario"] == scenario)
    if not chosen.any():
        metric = find_metric(name)
        rows = samples[(samples["metric"] == "frameOverrunMs_p95") & (samples["scenario"] == scenario)]
        rows = rows.assign(metric=name, unit=metric.unit, better=metric.better)
        samples = pd.concat([samples, rows], ignore_index=True)
        chosen = (samples["metric"] == name) & (samples["scenario"] == scenario)
    samples.loc[chosen, "value"] = value
    return with_samples(side, samples)


def failing(side: RunSet, *, every: int, limit: float = np.nan) -> RunSet:
    """Each ``every``-th launch of a side failed; the share is that of each iteration."""
    samples = side.samples.copy()
    of = np.flatnonzero(samples["metric"] == COLD)
    failed = of[::every] if every else of[:0]
    samples.loc[samples.index[failed], "value"] = limit
    samples.loc[samples.index[failed], "censored"] = True
    out = with_metric(with_samples(side, samples), "launchFailedPct", 0.0, "app_launch")
    share = (out.samples["metric"] == "launchFailedPct") & out.samples["iteration"].isin(
        samples["iteration"].iloc[failed]
    )
    out.samples.loc[share, "value"] = 100.0
    return out


def launches(*, every: int, limit: float = np.nan, boots: int = 6, faster: float = 0.7) -> Comparison:
    baseline, candidate = made_pair(World(boots=boots, iterations=4), timeToInitialDisplayMs_cold=faster)
    return compare_runs(failing(baseline, every=0), failing(candidate, every=every, limit=limit))


@pytest.mark.parametrize("limit", [np.nan, 10_000.0])
def test_half_of_the_launches_timing_out_is_worse_and_never_better(limit: float) -> None:
    result = launches(every=2, limit=limit)
    time = find(result, COLD, "app_launch")
    assert time.verdict is not Verdict.BETTER
    assert time.leans != "better"
    assert (time.candidate.failed, time.candidate.samples) == (12, 24)
    assert time.candidate.p90 is None
    failed = find(result, "launchFailedPct", "app_launch")
    assert (failed.baseline.level, failed.candidate.level) == (0.0, 50.0)
    assert failed.verdict is Verdict.WORSE
    assert result.exit_code == 1
    assert result.gate.failed == ("app_launch/launchFailedPct",)


def test_all_launches_failed_is_a_verdict() -> None:
    result = launches(every=1)
    assert find(result, "launchFailedPct", "app_launch").verdict is Verdict.WORSE
    time = find(result, COLD, "app_launch")
    assert time.verdict is Verdict.WORSE
    assert (time.candidate.median, time.candidate.failed) == (None, 24)
    assert result.exit_code == 1


def test_all_launches_failed_in_one_boot_fails_the_default_gate() -> None:
    result = launches(every=1, boots=1)
    assert find(result, "launchFailedPct", "app_launch").verdict is Verdict.UNDECIDED
    assert result.gate.failed == ("app_launch/launchFailedPct",)
    assert result.exit_code == 1


def test_one_failed_launch_keeps_the_candidate_from_being_better() -> None:
    assert find(launches(every=0), COLD, "app_launch").verdict is Verdict.BETTER
    result = launches(every=24)
    time = find(result, COLD, "app_launch")
    assert (time.verdict, time.candidate.failed) == (Verdict.UNDECIDED, 1)
    assert "launches of the candidate failed" in time.reason
    # medians are taken with the failed one on top: the other boots' are what they were
    assert time.effect == pytest.approx(find(launches(every=0), COLD, "app_launch").effect, rel=0.05)


def test_launches_that_no_longer_fail_are_better() -> None:
    baseline, candidate = made_pair(World(boots=6, iterations=4))
    result = compare_runs(failing(baseline, every=2), failing(candidate, every=0))
    assert find(result, "launchFailedPct", "app_launch").verdict is Verdict.BETTER
    assert find(result, COLD, "app_launch").verdict is not Verdict.WORSE
    assert result.exit_code == 0
    assert result.gates == ()


def test_the_default_gate_is_listed_beside_others() -> None:
    baseline, candidate = made_pair(World(boots=6, iterations=4))
    sides = [failing(side, every=0) for side in (baseline, candidate)]
    result = compare_runs(*sides, gates=(Gate(metric="invertedMs", scenario="gc_stress"),))
    assert [(g.metric, g.gates) for g in result.gates] == [("invertedMs", 2), ("launchFailedPct", 2)]
    assert result.gates[1].outcome is GateOutcome.PASSED


def test_a_gate_on_mixed_launch_states_names_the_states() -> None:
    result = compare_runs(*made_pair(World(boots=5)), gates=(Gate(metric="timeToInitialDisplayMs"),))
    assert result.gates[0].outcome is GateOutcome.ERROR
    assert (
        "timeToInitialDisplayMs_cold, timeToInitialDisplayMs_warm or timeToInitialDisplayMs_hot"
        in result.gates[0].message
    )


def test_a_gate_on_what_got_far_better_passes_beside_a_long_catalogue() -> None:
    pair = made_pair(World(boots=4, iterations=1), **PATCHED)
    (gate,) = compare_runs(*pair, gates=(Gate(metric="invertedMs_gcMadvise"),)).gates
    assert gate.outcome is GateOutcome.PASSED
    assert gate.worst is not None
    assert gate.worst < 0


def test_a_few_doubtful_iterations_do_not_break_pairs() -> None:
    baseline, candidate = made_pair(World(boots=6, iterations=5), **PATCHED)
    # in real time every iteration has a seed of its own
    sides = [
        with_samples(s, s.samples.assign(seed=1000 * s.samples["seed"] + s.samples["iteration"] % 10))
        for s in (baseline, candidate)
    ]
    whole = find(compare_runs(*sides), "invertedMs")
    assert (whole.paired, whole.verdict) == (True, Verdict.BETTER)
    for quality in ("unknown", "lower_bound"):
        samples = sides[1].samples.copy()
        rows = samples.index[(samples["metric"] == "invertedMs") & (samples["scenario"] == "gc_stress")]
        samples.loc[rows[[0, 7, 14]], "quality"] = quality
        metric = find(compare_runs(sides[0], with_samples(sides[1], samples)), "invertedMs")
        assert (metric.paired, metric.verdict, metric.candidate.boots) == (True, Verdict.BETTER, 6)


def test_partners_share_a_seed() -> None:
    def seeds(**boots: list[int]) -> dict[str, frozenset[int]]:
        return {boot: frozenset(own) for boot, own in boots.items()}

    one = seeds(a=[1, 2, 3], b=[4, 5, 6], c=[7])
    assert pair_boots(one, seeds(x=[6], y=[1, 3])) == [("a", "y"), ("b", "x")]
    assert pair_boots(one, seeds(x=[6], y=[11])) == []  # one pair of three
    assert pair_boots(one, seeds(x=[1, 4], y=[7])) == []  # x would be partner of two
    assert pair_boots(seeds(a=[1], b=[1]), seeds(x=[1], y=[2])) == []
    assert pair_boots(seeds(a=[], b=[]), seeds(x=[], y=[])) == []


@pytest.mark.parametrize("mode", ["realtime", "deterministic"])
def test_equal_times_from_different_seeds_are_one_observation(mode: str) -> None:
    pair = made_pair(World(boots=6, iterations=1, mode=mode))
    baseline, candidate = (with_metric(s, COLD, v, "app_launch") for s, v in zip(pair, (380.0, 340.0), strict=True))
    metric = find(compare_runs(baseline, candidate), COLD, "app_launch")
    assert (metric.verdict, metric.observations) == (Verdict.UNDECIDED, 1)
    assert "6 seeds gave one number, which is one observation" in metric.reason
    # a number at the end of its scale had its chance to differ in every seed
    none = find(compare_runs(*(with_metric(s, "invertedMs", 0.0) for s in pair)), "invertedMs")
    assert (none.verdict, none.observations) == (Verdict.SAME, 6)


def test_in_virtual_time_a_number_that_seeds_share_counts_once() -> None:
    for mode, wanted in (("deterministic", 2), ("realtime", 6)):
        pair = made_pair(World(boots=6, iterations=1, mode=mode))
        value = np.array([380.0] * 5 + [381.0])
        sides = [with_metric(s, COLD, v, "app_launch") for s, v in zip(pair, (value, value - 40), strict=True)]
        assert find(compare_runs(*sides), COLD, "app_launch").observations == wanted


def test_of_boots_that_repeat_a_number_one_counts() -> None:
    pair = made_pair(World(boots=10, iterations=1, mode="deterministic"))

    def compared(before: list[float], after: list[float]) -> MetricComparison:
        sides = [with_metric(s, "invertedMs", np.array(v)) for s, v in zip(pair, (before, after), strict=True)]
        return find(compare_runs(*sides), "invertedMs")

    # Ten boots look like ten witnesses of a rise from 40 to 50 ms; they are four, which differ widely.
    four = compared([40.0] * 7 + [10.0, 45.0, 80.0], [50.0] * 7 + [40.0, 30.0, 60.0])
    assert (four.verdict, four.observations) == (Verdict.UNDECIDED, 4)
    assert (four.baseline.boots, four.candidate.boots) == (4, 4)
    assert four.effect == pytest.approx((50 + 40 + 30 + 60 - 40 - 10 - 45 - 80) / 4)
    assert "6 boots repeat the number of another seed, which counts once" in four.reason
    # A seed without any inversion had its chance of one: zeros on both sides count in full beside other numbers.
    some = compared([0.0] * 7 + [3.0, 4.0, 5.0], [0.0] * 10)
    assert (some.observations, some.baseline.boots) == (10, 10)


@pytest.mark.parametrize(("traces", "verdict"), [("alike", Verdict.UNDECIDED), ("different", Verdict.SAME)])
def test_a_scenario_in_which_seeds_change_nothing_decides_nothing(traces: str, verdict: Verdict) -> None:
    """Whether they do is in the traces, too: no check of a kernel may fail, and each seed tries it in another way."""
    sides = []
    for side in made_pair(World(boots=6, iterations=1, mode="deterministic")):
        samples = side.samples.copy()
        samples.loc[samples["scenario"] == "app_launch", "value"] = 0.0
        manifests = tuple(
            replace(each, iterations=tuple(replace(i, trace_digest="0" * 64) for i in each.iterations))
            for each in side.manifests
        )
        sides.append(replace(side, samples=samples, manifests=manifests if traces == "alike" else side.manifests))
    result = compare_runs(*sides)
    assert {m.verdict for m in result.metrics if m.scenario == "app_launch"} == {verdict}


def moved_pair(before: tuple[float, float], after: tuple[float, float] | None) -> Comparison:
    rng = np.random.default_rng(3)
    sides = []
    for side, levels in zip(made_pair(World(boots=6, iterations=1)), (before, after), strict=True):
        for name, level in zip(("mmapLockWaitMs_ui", "vmaLockWaitMs_ui"), levels or (), strict=False):
            if not np.isnan(level):
                side = with_metric(side, name, np.abs(level + 0.05 * level * rng.normal(size=6)))
        sides.append(side)
    return compare_runs(*sides)


def test_a_wait_that_changed_its_lock_has_moved() -> None:
    result = moved_pair((100.0, 0.0), (3.0, 40.0))
    (moved,) = result.moved
    assert (moved.scenario, moved.fell, moved.rose) == ("gc_stress", "mmapLockWaitMs_ui", "vmaLockWaitMs_ui")
    assert moved.sentence.startswith("moved from mmap_lock to the VMA's own lock: mmapLockWaitMs_ui ")
    assert ", vmaLockWaitMs_ui 0 ms to " in moved.sentence
    back = moved_pair((3.0, 40.0), (100.0, 0.0)).moved
    assert [(m.fell, m.rose) for m in back] == [("vmaLockWaitMs_ui", "mmapLockWaitMs_ui")]


def test_what_fell_alone_or_rose_within_its_margin_has_not_moved() -> None:
    assert moved_pair((100.0, 0.0), (3.0, 0.0)).moved == ()
    assert moved_pair((100.0, 0.0), (3.0, 0.1)).moved == ()
    assert moved_pair((100.0, 0.0), (100.0, 40.0)).moved == ()


def test_an_older_kernel_does_not_tell_the_lock_that_it_lacks() -> None:
    (moved,) = moved_pair((100.0, np.nan), (3.0, 40.0)).moved
    assert "vmaLockWaitMs_ui unknown to " in moved.sentence
    assert moved_pair((100.0, np.nan), (3.0, 0.2)).moved == ()
    again = Comparison.from_json(moved_pair((100.0, np.nan), (3.0, 40.0)).to_json())
    assert again.moved == (moved,)


def test_unknown_on_one_side_is_said() -> None:
    baseline, candidate = made_pair(World(boots=5, iterations=1))
    samples = candidate.samples.copy()
    samples.loc[samples["metric"] == "invertedMs", ["quality", "value"]] = ["unknown", np.nan]
    result = compare_runs(baseline, replace(candidate, samples=samples))
    metric = find(result, "invertedMs")
    assert (metric.verdict, metric.candidate.unknown, metric.candidate.boots) == (Verdict.UNDECIDED, 5, 0)
    assert metric.reason == "unknown on the candidate: no sample can be trusted"
    samples["reason"] = "mmap_lock events were not recorded; enable events/mmap_lock"
    metric = find(compare_runs(baseline, replace(candidate, samples=samples)), "invertedMs")
    assert metric.reason == "unknown on the candidate: mmap_lock events were not recorded; enable events/mmap_lock"


def test_what_makes_a_lower_bound_is_said() -> None:
    baseline, candidate = made_pair(World(boots=5, iterations=1))
    samples = candidate.samples.copy()
    samples.loc[samples["metric"] == "frameCount", ["quality", "reason"]] = ["lower_bound", "events are missing"]
    metric = find(compare_runs(baseline, replace(candidate, samples=samples)), "frameCount")
    assert metric.verdict is Verdict.UNDECIDED
    assert "lower bounds (events are missing)" in metric.reason


def cut_short(side: RunSet, scenario: str | None, crash: CrashRecord | None) -> RunSet:
    """Every iteration (of a scenario) incomplete, and without samples."""
    (manifest,) = side.manifests
    records = tuple(
        replace(item, status="incomplete", reason="no end", crash=crash) if scenario in (None, item.scenario) else item
        for item in manifest.iterations
    )
    samples = side.samples if scenario is None else side.samples[side.samples["scenario"] != scenario]
    return RunSet(
        manifests=(replace(manifest, iterations=records),), samples=samples.iloc[:0] if scenario is None else samples
    )


def test_a_kernel_that_crashes_in_every_iteration_is_a_result() -> None:
    crash = CrashRecord(kind="panic", summary="Kernel panic", console="")
    baseline, candidate = made_pair(World(boots=5, iterations=1))
    for scenario in ("app_launch", None):
        result = compare_runs(baseline, cut_short(candidate, scenario, crash))
        assert result.exit_code == 1
        metric = find(result, COLD, "app_launch")
        assert (metric.verdict, metric.reason) == (
            Verdict.UNDECIDED, "unknown on the candidate: no sample can be trusted",
        )  # fmt: skip


def test_what_came_after_the_crash_was_never_begun() -> None:
    crash = CrashRecord(kind="panic", summary="Kernel panic", console="")
    baseline, candidate = made_pair(World(boots=5, iterations=1))
    first = cut_short(candidate, "app_launch", crash)
    (manifest,) = first.manifests
    begun = tuple(item for item in manifest.iterations if item.scenario == "app_launch")
    alone = RunSet(manifests=(replace(manifest, iterations=begun),), samples=first.samples.iloc[:0])
    assert compare_runs(baseline, alone).exit_code == 1


def test_a_side_without_any_whole_iteration_is_no_evidence() -> None:
    baseline, candidate = made_pair(World(boots=5, iterations=1))
    with pytest.raises(EvidenceError, match="no iteration of the candidate is complete") as caught:
        compare_runs(baseline, cut_short(candidate, None, None))
    assert caught.value.exit_code == 5
    assert find(compare_runs(baseline, cut_short(candidate, "app_launch", None)), COLD, "app_launch").effect is None


def test_a_check_that_fails_on_the_candidate_fails_the_comparison_by_name() -> None:
    baseline, candidate = made_pair(World(boots=4))
    failed = CheckResult(check="borders/zeros", cpus=4, result="failed", reason="page 3 has 0x7 instead of 0")
    sides = [with_metric(side, "failedChecksCount", count) for side, count in ((baseline, 1.0), (candidate, 1.0))]
    both = [replace(side, checks=(failed,)) for side in sides]
    result = compare_runs(*both)  # the baseline fails it, too: no excuse
    assert result.gate.failed == ("gc_stress/failedChecksCount",)
    (gate,) = (each for each in result.gates if each.metric == "failedChecksCount")
    assert gate.message == "borders/zeros on 4 CPUs failed (page 3 has 0x7 instead of 0)"
    assert result.exit_code == 1
    # A gate of the user's own about it is judged as any other.
    own = compare_runs(*both, gates=[Gate(metric="failedChecksCount")])
    assert own.gate.passed
    clean = [replace(sides[0], checks=(failed,)), with_metric(candidate, "failedChecksCount", 0.0)]
    assert compare_runs(*clean).gate.failed == ()


def test_a_check_that_the_candidate_can_no_longer_run_fails_the_comparison() -> None:
    """As if a patch made MADV_GUARD_INSTALL always fail: that is no kernel without a fault."""
    baseline, candidate = (with_metric(side, "failedChecksCount", 0.0) for side in made_pair(World(boots=4)))
    passed = CheckResult(check="borders/guards", cpus=1, result="passed", tried=9)
    never = CheckResult(
        check="borders/guards", cpus=1, result="unsupported", reason="MADV_GUARD_INSTALL: Invalid argument"
    )
    pages = (
        CheckResult(check="system/pages", cpus=1, result="passed"),
        CheckResult(check="system/pages", cpus=1, result="unsupported", reason="the counters move"),
    )

    def compare(before: tuple[CheckResult, ...], after: tuple[CheckResult, ...]) -> tuple[str, ...]:
        found = compare_runs(replace(baseline, checks=before), replace(candidate, checks=after))
        return tuple(gate.message for gate in found.gates if gate.metric == "failedChecksCount")

    assert compare((passed, passed, pages[0]), (never, never, pages[1])) == (
        "borders/guards on 1 CPU passed on the baseline and cannot be run any more (MADV_GUARD_INSTALL: Invalid argument)",
    )
    assert compare((never,), (passed,)) == ()
    assert compare((passed, never), (never,)) == (), "the baseline could not always run it either"
    assert compare((passed,), (never, passed)) == (), "the candidate could run it once"
