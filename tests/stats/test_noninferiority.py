"""Gates: what a one-sided bound proves, and what it leaves open."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats

from android_suite.stats.decision import Direction, Question
from android_suite.stats.noninferiority import judge_noninferiority


def question(
    base: float, cand: float, *, boots: int = 6, spread: float = 0.3, margin: float = 1.0, better: Direction = "lower",
    seed: int = 0, name: str = "m",
) -> Question:  # fmt: skip
    rng = np.random.default_rng(seed)
    return Question(
        name=name,
        baseline=[np.array([base + spread * rng.normal()]) for _ in range(boots)],
        candidate=[np.array([cand + spread * rng.normal()]) for _ in range(boots)],
        paired=False,
        better=better,
        margin=margin,
    )


def standings(*asked: Question, confidence: float = 0.95) -> list[str]:
    return [bound.standing for bound in judge_noninferiority(asked, confidence=confidence, seed=1)]


def test_far_better_holds_whatever_the_spread() -> None:
    # A hundred times better, and by an amount that varies: no two-sided test against "no difference" is asked.
    asked = question(250, 3, boots=4, spread=40, margin=12)
    assert standings(asked) == ["held"]
    assert standings(dataclasses.replace(asked, better="higher")) == ["worse"]


def test_directions() -> None:
    assert standings(question(10, 13), question(10, 10.1), question(10, 7, better="higher")) == [
        "worse",
        "held",
        "worse",
    ]
    assert standings(question(10, 13, better="higher")) == ["held"]
    assert standings(question(10, 13, better="none"), question(10, 7, better="none"), question(10, 10, better="none")) == [
        "worse", "worse", "held",
    ]  # fmt: skip
    assert standings(question(10, 10.9)) == ["open"]


def test_the_bound_is_students_for_few_boots() -> None:
    asked = question(10, 10.2)
    (bound,) = judge_noninferiority([asked], confidence=0.95, seed=0)
    base, cand = (np.concatenate(side) for side in (asked.baseline, asked.candidate))
    reference = stats.ttest_ind(cand, base, equal_var=False).confidence_interval(0.9).high
    assert bound.worst is not None
    assert bound.worst >= reference - 1e-9
    assert bound.worst == pytest.approx(reference, rel=0.2)


def test_only_gates_share_alpha_and_those_that_hold_leave_theirs_to_the_rest() -> None:
    clear = [question(10, 5, name=f"c{i}", seed=i) for i in range(7)]
    close = question(10, 10.2, name="close", seed=3)
    alone, among = (judge_noninferiority(asked, confidence=0.95, seed=1)[-1] for asked in ([close], [*clear, close]))
    assert alone.standing == "held"
    assert among == alone  # the seven hold at a seventh of alpha, and the last is then judged as if alone
    doubtful = [question(10, 10.9, spread=2, name=f"d{i}", seed=i) for i in range(7)]
    wider = judge_noninferiority([*doubtful, close], confidence=0.95, seed=1)[-1]
    assert wider.worst is not None
    assert alone.worst is not None
    assert wider.worst > alone.worst


def test_what_proves_nothing_is_open_with_its_reason() -> None:
    few = judge_noninferiority([question(10, 5, boots=3)], confidence=0.95, seed=0)[0]
    assert (few.standing, "fewer than 4" in few.reason) == ("open", True)
    empty = dataclasses.replace(question(10, 5), candidate=[])
    missing = judge_noninferiority([empty], confidence=0.95, seed=0)[0]
    assert (missing.standing, missing.effect, missing.worst) == ("open", None, None)
    assert "unknown on the candidate" in missing.reason
    bounded = dataclasses.replace(question(10, 5), candidate_bounded=True)
    assert standings(bounded) == ["open"]
    assert judge_noninferiority([bounded], confidence=0.95, seed=0)[0].boots_to_decide is None  # more are bounds, too
    assert standings(dataclasses.replace(question(10, 15), candidate_bounded=True)) == ["worse"]
    assert standings(dataclasses.replace(question(10, 15), baseline_bounded=True)) == ["open"]
    assert standings(dataclasses.replace(question(10, 5), baseline_bounded=True)) == ["held"]


def test_a_gate_rarely_holds_for_what_is_worse_by_its_margin() -> None:
    held = sum(standings(question(10, 11.0, boots=5, seed=seed)) == ["held"] for seed in range(150))
    assert held <= 16  # 5 % of 150 and 3 standard errors


def test_boots_to_decide() -> None:
    open_ = judge_noninferiority([question(10, 10.5, spread=0.8, boots=5)], confidence=0.95, seed=0)[0]
    assert open_.standing == "open"
    assert open_.boots_to_decide is not None
    assert open_.boots_to_decide > 5
