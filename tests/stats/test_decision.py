"""Verdicts: what proves what, and what proves nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from android_suite.stats.decision import MIN_BOOTS, Answer, Direction, Question, estimate_boots, judge_family
from benchmarks.simulated import BOOTS, count_alarms, draw_family, measure_recorded_alarms
from tests.made_runs import World, made_pair


def question(
    base: float,
    cand: float,
    *,
    boots: int = 10,
    spread: float = 0.3,
    margin: float = 0.5,
    better: Direction = "lower",
    paired: bool = False,
    name: str = "m",
    seed: int = 0,
    baseline_bounded: bool = False,
    candidate_bounded: bool = False,
) -> Question:
    rng = np.random.default_rng(seed)
    return Question(
        name=name,
        baseline=[np.array([base + spread * rng.normal()]) for _ in range(boots)],
        candidate=[np.array([cand + spread * rng.normal()]) for _ in range(boots)],
        paired=paired,
        better=better,
        margin=margin,
        baseline_bounded=baseline_bounded,
        candidate_bounded=candidate_bounded,
    )


def judge(asked: Question, confidence: float = 0.95) -> Answer:
    (answer,) = judge_family([asked], confidence=confidence, seed=1)
    return answer


def test_directions() -> None:
    assert judge(question(10, 5)).verdict == "BETTER"
    assert judge(question(5, 10)).verdict == "WORSE"
    assert judge(question(5, 10, better="higher")).verdict == "BETTER"
    assert judge(question(5, 5.05)).verdict == "SAME"
    assert judge(question(5, 5.2, spread=2)).verdict == "UNDECIDED"


def test_a_difference_inside_the_margin_is_the_same_however_significant() -> None:
    answer = judge(question(10, 10.2, spread=0.01, margin=0.5, boots=12))
    assert answer.interval is not None
    assert 0.15 < answer.interval[0] < answer.interval[1] < 0.25
    assert answer.verdict == "SAME"


def test_a_shown_difference_smaller_than_what_matters_is_no_verdict() -> None:
    asked = question(10, 10.45, spread=0.25, margin=0.5, boots=14)
    answer = judge(asked)
    assert answer.interval is not None
    assert 0 < answer.interval[0] < asked.margin < answer.interval[1]
    assert answer.effect is not None
    assert answer.effect < asked.margin
    assert answer.verdict == "UNDECIDED"
    assert "it is not shown to exceed the margin" in answer.reason
    assert answer.leans == "worse"
    assert judge(dataclasses.replace(asked, margin=0.2)).verdict == "WORSE"


def test_no_direction_is_never_better_or_worse_and_not_in_the_family() -> None:
    work = question(5, 10, better="none", name="work")
    answers = judge_family([work, question(10, 5, name="m")], confidence=0.95, seed=0)
    assert answers[0].verdict == "UNDECIDED"
    assert "differs" in answers[0].reason
    assert answers[0].p_adjusted is None
    assert answers[1].p_adjusted == answers[1].p_value


@pytest.mark.parametrize("boots", [1, 2, 3])
@pytest.mark.parametrize(("base", "cand"), [(10, 5), (10, 10), (10, 100)])
def test_few_boots_decide_nothing(boots: int, base: float, cand: float) -> None:
    answer = judge(question(base, cand, boots=boots, spread=1e-6))
    assert answer.verdict == "UNDECIDED"
    assert str(MIN_BOOTS) in answer.reason
    assert answer.effect == pytest.approx(cand - base, abs=1e-4)
    if boots == 1:
        assert answer.interval is None


def test_four_boots_decide_what_is_plain() -> None:
    family = [question(100, 100, boots=4, spread=3, margin=1, name=f"n{i}", seed=i) for i in range(20)]
    plain = question(72, 3, boots=4, spread=4, margin=3, name="plain", paired=True)
    answers = judge_family([*family, plain], confidence=0.95, seed=0)
    assert answers[-1].verdict == "BETTER"
    assert answers[-1].method == "t"
    assert all(answer.verdict == "UNDECIDED" for answer in answers[:-1])


def test_a_side_without_samples() -> None:
    empty = Question(name="m", baseline=[], candidate=[np.array([1.0])] * 5, paired=False, better="lower", margin=1)
    answer = judge(empty)
    assert (answer.verdict, answer.effect) == ("UNDECIDED", None)
    assert "baseline" in answer.reason


def test_lower_bounds_prove_in_one_direction_only() -> None:
    assert judge(question(10, 5, candidate_bounded=True)).verdict == "UNDECIDED"
    assert judge(question(10, 5, baseline_bounded=True)).verdict == "BETTER"
    assert judge(question(5, 10, candidate_bounded=True)).verdict == "WORSE"
    assert judge(question(5, 10, baseline_bounded=True)).verdict == "UNDECIDED"
    assert judge(question(5, 5.01, candidate_bounded=True)).verdict == "UNDECIDED"


def test_order_and_company_change_no_interval() -> None:
    asked = [question(10, 9.8, name=f"m{i}", seed=i) for i in range(5)]
    forward = judge_family(asked, confidence=0.95, seed=3)
    backward = judge_family(asked[::-1], confidence=0.95, seed=3)[::-1]
    assert forward == backward
    assert judge_family(asked, confidence=0.95, seed=3, only={"m2"}) == [forward[2]]
    assert judge_family(asked, confidence=0.95, seed=4) != forward


def test_boots_to_decide_would_decide() -> None:
    asked = question(10, 10.4, boots=6, spread=0.6, margin=0.1, seed=2)
    wanted = estimate_boots(asked, level=0.05, confidence=0.95)
    assert wanted is not None
    effect = np.mean(np.concatenate(asked.candidate)) - np.mean(np.concatenate(asked.baseline))
    decided = sum(
        judge(question(10, 10 + effect, boots=wanted, spread=0.6, margin=0.1, seed=100 + i)).verdict != "UNDECIDED"
        for i in range(40)
    )
    assert decided >= 22  # four of five on average, with the spread itself only estimated


def test_seen_and_not_confirmed_says_how_many_boots_more() -> None:
    company = [question(100, 100, boots=6, spread=3, name=f"n{i}", seed=i) for i in range(40)]
    seen = question(10, 11, boots=6, spread=0.4, margin=0.2, name="seen", seed=0)
    assert judge(seen).verdict == "WORSE"
    *_, answer = judge_family([*company, seen], confidence=0.95, seed=1)
    assert (answer.verdict, answer.leans) == ("UNDECIDED", "worse")
    assert answer.boots_to_decide is not None
    more = answer.boots_to_decide - 6
    assert answer.reason.startswith("seen, but not confirmed after correction for all metrics; ")
    assert f"; {more} more boot" in answer.reason


@pytest.mark.parametrize("boots", [5, 12])
def test_worse_means_the_same_at_every_number_of_boots(boots: int) -> None:
    found = {0.9: 0, 3.0: 0}
    for seed in range(40):
        for times in found:
            asked = question(100, 100 + times, boots=boots, spread=0.3, margin=1.0, seed=1000 * boots + seed)
            found[times] += judge(asked).verdict == "WORSE"
    assert found[0.9] <= 1
    assert found[3.0] >= 38


def test_a_verdict_and_its_interval_agree() -> None:
    for seed in range(30):
        answer = judge(question(10, 10 + seed / 10, boots=6, spread=0.5, margin=0.5, seed=seed))
        assert answer.interval is not None
        low, high = answer.interval
        if answer.verdict == "WORSE":
            assert low > 0.5
        if answer.verdict == "SAME":
            assert -0.5 <= low <= high <= 0.5


def test_equal_numbers_from_different_seeds_decide_nothing() -> None:
    asked = dataclasses.replace(question(10, 5, boots=6, spread=0), observations=1)
    answer = judge(asked)
    assert (answer.verdict, answer.leans, answer.boots_to_decide) == ("UNDECIDED", None, None)
    assert "6 seeds gave one number, which is one observation" in answer.reason


def test_a_candidate_with_failed_launches_is_never_better() -> None:
    for base, cand, verdict in ((10, 5, "UNDECIDED"), (5, 10, "WORSE"), (5, 5.01, "SAME")):
        answer = judge(dataclasses.replace(question(base, cand), candidate_failed=True))
        assert answer.verdict == verdict
        assert answer.leans is None
    assert (
        "launches of the candidate failed" in judge(dataclasses.replace(question(10, 5), candidate_failed=True)).reason
    )


def test_same_kernel_bit_for_bit() -> None:
    values = [np.array([float(i)]) for i in range(4)]
    asked = Question(name="m", baseline=values, candidate=values, paired=True, better="lower", margin=0.1)
    answer = judge(asked)
    assert (answer.verdict, answer.effect, answer.interval) == ("SAME", 0.0, (0.0, 0.0))


def test_false_alarms_stay_at_the_stated_rate() -> None:
    rng = np.random.default_rng(0)
    alarms = sum(count_alarms(draw_family(rng, 5, paired=i % 2 == 0), seed=0) > 0 for i in range(60))
    assert alarms <= 8  # 5 % of 60 and 3 standard errors; the full simulation is docs/power.md


def test_recorded_boots_can_be_played_against_themselves() -> None:
    baseline, _ = made_pair(World(boots=8, iterations=1))
    rows = list(measure_recorded_alarms(baseline.samples, 4))
    assert [row[1] for row in rows] == list(BOOTS)
    assert all(row[0] == "recorded (8 boots of before)" and row[3] <= 0.5 for row in rows)
