"""A whole bisection on a lab whose every answer is known; folders, runs and jobs are real."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from android_suite.bisection.bench import Bench
from android_suite.bisection.run import Bisector
from android_suite.bisection.session import choose_plan, write_bisection
from android_suite.campaign.journal import open_campaign
from android_suite.campaign.schedule import Job
from android_suite.campaign.worker import run_job
from android_suite.errors import BuildError, UsageError
from android_suite.model.bisection import Bisection
from android_suite.model.comparison import MetricComparison, Side
from android_suite.model.document import read_document
from android_suite.model.identity import CrashRecord, DeviceIdentity, KernelIdentity
from android_suite.model.plan import Plan
from android_suite.model.verdict import Verdict
from android_suite.report.bisection import render_bisection
from android_suite.store.run import Run, create_run

COUNT = 16
DEVICE = DeviceIdentity(
    serial="127.0.0.1:5555", model="scripted", abi="arm64-v8a", fingerprint="f", sdk=35, virtual=True,
    cpus=1, memory_kb=1 << 20, page_size=4096, refresh_rate_hz=60.0, accel="tcg",
)  # fmt: skip


@dataclass(frozen=True)
class Recorder:
    """Records the level of a kernel; ``crashes`` names those that crash while they boot."""

    levels: Mapping[str, float]
    crashes: frozenset[str] = frozenset()
    crashed_seeds: Mapping[str, int] = field(default_factory=dict)
    crashes_again: bool = False
    drifts: bool = False

    def __call__(self, job: Job, path: Path, say: Callable[[str], None]) -> None:
        run = create_run(path, label=job.label, mode=job.mode)
        again = self.crashes_again and job.label.endswith("-again")
        if job.kernel in self.crashes or again or self.crashed_seeds.get(job.kernel) == job.seed:
            run.set_crash(CrashRecord(kind="panic", summary="Kernel panic - not syncing: x", console="x"))
            run.seal()
            return
        run.set_identity(KernelIdentity(release=job.kernel, version="#1", build_id="ab" * 20), DEVICE)
        scenario = job.scenarios[0]
        boot = f"seed-{job.seed}"
        out = run.begin_iteration(scenario.name, seed=job.seed, boot=boot, traced=True, parameters=scenario.parameters)
        drift = path.name if self.drifts else ""
        out.write("ftrace/cpu0.raw", random.Random(f"{job.kernel} {job.seed} {drift}").randbytes(64))
        out.write("value.txt", repr(self.levels[job.kernel] + job.seed / 100))
        out.note(lost_events=0)
        out.seal("complete")
        run.seal()


def analyze(path: Path) -> None:
    """Nothing: `judge` reads what was recorded."""


def judge(plan: Plan, baseline: Sequence[Run], candidate: Sequence[Run]) -> MetricComparison:
    """SAME within 1 ms; between 1 and 2 ms it takes 6 seeds to see a difference, and 2.5 to 3 ms cannot be decided."""
    base, cand = (
        sum(float((run.raw(run.manifest.iterations[0]) / "value.txt").read_text()) for run in side) / len(side)
        for side in (baseline, candidate)
    )
    effect = cand - base
    verdict = Verdict.SAME if abs(effect) <= 1 else Verdict.BETTER if effect < 0 else Verdict.WORSE
    if (1 < abs(effect) < 2 and len(baseline) < 6) or 2.5 < abs(effect) < 3:
        verdict = Verdict.UNDECIDED
    sides = [
        Side(boots=4, samples=4, level=level, median=level, p90=None, p95=None, p99=None) for level in (base, cand)
    ]
    return MetricComparison(
        scenario="gc_stress", name="invertedMs", unit="ms", better="lower", headline=True, doc="", baseline=sides[0],
        candidate=sides[1], paired=True, effect=effect, effect_ci=None, effect_relative=None, margin=1.0,
        margin_text="1 ms", p_value=None, p_adjusted=None, method="t", verdict=verdict, reason="as scripted",
        boots_to_decide=None,
    )  # fmt: skip


@dataclass
class Points:
    """``COUNT`` changes; those of ``unbuildable`` do not compile."""

    count: int = COUNT
    unbuildable: frozenset[int] = frozenset()
    needs_trial: bool = True
    source: str = "linux-source-0=1"
    built: set[int] = field(default_factory=set)

    @property
    def titles(self) -> Sequence[str]:
        return [self.source, *(f"change {number}" for number in range(1, self.count + 1))]

    @property
    def builds(self) -> int:
        return len(self.built)

    def label(self, position: int) -> str:
        return f"p{position:04d}"

    def kernel(self, position: int) -> str:
        if position in self.unbuildable:
            raise BuildError("could not build it: mm/madvise.c:1: error: expected ';'")
        self.built.add(position)
        return f"6.{position}"


Search = Callable[..., Bisection]


@pytest.fixture
def search(tmp_path: Path) -> Search:
    def run(
        levels: Sequence[float],
        points: Points | None = None,
        *,
        hangs: int | None = None,
        images: Mapping[str, str] | None = None,
        **faults: object,
    ) -> Bisection:
        points = points or Points(count=len(levels) - 1)
        plan = choose_plan("invertedMs", None, None).plan
        with open_campaign(tmp_path / "out", {"test": 1}) as folder:
            recorder = Recorder({f"6.{i}": level for i, level in enumerate(levels)}, **faults)  # type: ignore[arg-type]

            def execute(jobs: Sequence[Job]) -> None:
                for job in jobs:
                    if folder.finished(job.name):
                        continue
                    run_job(folder.path, job, recorder, analyze, lambda _: None)

            bench = Bench(plan=plan, digests={}, folder=folder, execute=execute, judge=judge)
            bisector = Bisector(
                points=points,
                bench=bench,
                metric="invertedMs",
                identify=(images or {}).get,
                try_boot=lambda kernel: "no sign of life" if kernel == f"6.{hangs}" else None,
            )
            found = bisector.run()
        write_bisection(found, tmp_path / "out")
        return found

    return run


@pytest.mark.parametrize("first", [3, 10, 16])
def test_the_change_is_found_beside_those_that_do_not_build_or_boot(search: Search, tmp_path: Path, first: int) -> None:
    levels = [100.0 if position < first else 4.0 for position in range(COUNT + 1)]
    found = search(levels, Points(unbuildable=frozenset({8, 12})), hangs=6, crashes=frozenset({"6.14"}))
    assert (found.outcome, found.first, found.direction) == ("found", first, "better")
    assert (found.monotone, found.repeated) == (True, True)
    standings = {point.position: point.standing for point in found.points}
    assert {position for position, standing in standings.items() if standing == "skipped"} <= {6, 8, 12, 14}
    assert "expected ';'" in found.points[8].reason
    measured = [point for point in found.points if point.standing in ("before", "after")]
    assert len(measured) <= math.log2(COUNT) + 3
    assert found.boots == sum(point.boots for point in found.points) + 2  # each end once more
    written = json.loads((tmp_path / "out/bisection.json").read_bytes())
    assert read_document(Bisection, written, name="bisection.json", remedy="write it again") == found
    text = render_bisection(found)
    assert re.match(r"invertedMs got better \(100\.0\d* to 4\.0\d* ms\) with this change:", text)
    assert f"  {first}. change {first}\n" in text


def test_a_change_behind_one_that_does_not_boot_is_not_guessed(search: Search) -> None:
    found = search([100, 100, 100, 100, 4], hangs=3)
    assert (found.outcome, found.first, found.suspects) == ("hidden", None, (3, 4))
    assert found.points[3].reason == "it did not boot: no sign of life"
    assert "one of these 2 changes" in render_bisection(found)


def test_nothing_moved(search: Search) -> None:
    found = search([100, 4, 100.5])
    assert (found.outcome, found.first, found.suspects, found.monotone) == ("nothing moved", None, (), None)
    assert render_bisection(found).startswith("Nothing moved: invertedMs stays within its margin of 1 ms")


def test_two_changes_of_one_metric_are_told(search: Search) -> None:
    found = search([100, 100, 50, 50, 4])
    assert (found.outcome, found.first, found.monotone) == ("found", 2, False)
    assert "more than one change moves invertedMs" in found.notes[0]


def test_a_change_the_other_way_is_not_the_one_that_is_looked_for(search: Search) -> None:
    """Change 1 made it better; what made the end worse than the start is change 3."""
    found = search([100, 50, 50, 150, 150])
    assert (found.outcome, found.first, found.direction, found.monotone) == ("found", 3, "worse", False)
    assert found.points[2].standing == "before"
    assert found.notes == (
        "position 2 moved the other way than the end, which is worse (100 -> 50.02 ms): more than one change moves invertedMs",
    )


def test_a_start_that_breaks_under_a_further_seed_is_told(search: Search) -> None:
    found = search([100, 102.7, 105.4], crashed_seeds={"6.0": 5})  # undecided with four seeds
    assert found.points[1].standing == "skipped"
    assert found.points[1].reason.startswith(
        "there is nothing to compare it with: of the start, it crashed: Kernel panic"
    )


def test_an_end_that_cannot_be_recorded_again_is_said(search: Search) -> None:
    found = search([100, 4], crashes_again=True)
    assert found.repeated is False
    assert found.notes[0].startswith("position 0 could not be recorded again: it crashed: Kernel panic")


def test_a_kernel_that_means_another_image_now_is_recorded_again(search: Search) -> None:
    images = {"6.0": "a" * 64, "6.1": "b" * 64}
    assert search([100, 100], images=images).outcome == "nothing moved"
    assert search([100, 4], images={**images, "6.1": "c" * 64}).outcome == "found"


def test_an_undecided_position_gets_more_seeds_and_then_is_skipped(search: Search) -> None:
    found = search([100, 102.7, 105.4])  # as far from the start as from the end
    assert found.direction == "worse"
    assert found.points[1].standing == "skipped"
    assert found.points[1].boots == 8
    assert (found.outcome, found.suspects) == ("hidden", (1, 2))


def test_an_undecided_position_is_where_the_end_tells(search: Search) -> None:
    found = search([100, 102.7, 97.3, 101.5, 110, 107.3, 110])  # 2.7 from the start or from the end cannot be decided
    assert (found.outcome, found.first, found.direction) == ("found", 4, "worse")
    standings = {point.position: (point.standing, point.boots) for point in found.points if point.boots}
    assert standings[3] == ("before", 4), "the end is so far that no more seeds are needed"


def test_an_undecided_position_that_is_as_the_end(search: Search) -> None:
    found = search([110, 109.5, 108.5, 100, 107.3, 100.5, 100])  # 107.3 is 2.7 from the start, and not as the end
    assert (found.outcome, found.first, found.direction) == ("found", 3, "better")


def test_ends_that_cannot_be_told_apart(search: Search) -> None:
    assert search([100, 100, 102.7]).outcome == "undecided"


def test_an_end_that_does_not_repeat_is_said(search: Search) -> None:
    found = search([100, 4], drifts=True)
    assert found.repeated is False
    assert "nothing here can be trusted" in found.notes[-1]


def test_an_end_that_does_not_build_is_refused(search: Search) -> None:
    with pytest.raises(UsageError, match="the end cannot be tested"):
        search([100, 100, 4], Points(count=2, unbuildable=frozenset({2})))


def test_a_start_that_does_not_boot_ends_the_search(search: Search) -> None:
    """Of `bisect step`, too: skipped, every commit would be built for nothing."""
    with pytest.raises(UsageError, match="the start cannot be tested, so there is nothing to compare with: it crashed"):
        search([100, 100, 4], crashes=frozenset({"6.0"}))


def test_another_call_continues(search: Search) -> None:
    levels = [100.0, 100.0, 100.0, 4.0]
    once = search(levels)
    assert search(levels) == once


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("invertedMss", None, None), "'invertedMs'"),
        (("invertedMs", None, "vma_stress"), "no scenario 'vma_stress'; choose among gc_stress, app_launch"),
        (
            ("pageFaultNs_new", None, None),
            "is of page_faults, and not of gc_stress, app_launch; give a plan with --plan",
        ),
    ],
    ids=["metric", "scenario", "not in the plan"],
)
def test_a_plan_that_cannot_answer_is_refused(arguments: tuple[str, None, str | None], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        choose_plan(*arguments)
