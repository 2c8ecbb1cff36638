"""Chains of blame against worlds whose exact answer is known; ``python -m tests.simulator.blame 1000`` runs more of them."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulator import blame_check
from tests.simulator.blame_check import check_blame, check_lossy
from tests.simulator.blame_worlds import make_blame_world


def test_the_chains_are_true() -> None:
    counts: Counter[str] = Counter()
    problems = [p for seed in range(10) for p in check_blame(make_blame_world(seed), counts)]
    assert problems == []
    # The worlds hold what they are for.
    assert counts["longest chain"] >= 3
    told = [f"{kind} {how}" for kind in ("binder", "futex", "mutex") for how in ("exact", "inferred")]
    for each in told:
        assert counts[each] > 2, each
    for each in ("monitor exact", "mutex unknown", "art_lock exact", "art_lock unknown"):
        assert counts[each] > 0, each


def test_what_is_lost_makes_nothing_wrong() -> None:
    counts: Counter[str] = Counter()
    assert [p for seed in range(10) for p in check_lossy(make_blame_world(seed), seed, counts)] == []
    assert counts["lossy stretches"] > 100


def test_a_wrong_answer_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    original = blame_check.true_chain
    monkeypatch.setattr(blame_check, "true_chain", lambda m, t, **how: original(m, t, **how)[:1])
    assert any(p for seed in range(2) for p in check_blame(make_blame_world(seed), Counter()))
