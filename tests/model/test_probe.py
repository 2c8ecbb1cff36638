"""Whether a kernel has the seed patch: what the counts of a probe's calls say."""

from __future__ import annotations

import pytest

from android_suite.model.probe import Answer, ProbeEvidence, ProbeResult, judge


@pytest.mark.parametrize(
    ("made", "per_vma", "mmap_lock", "unknown", "answer", "said"),
    [
        (400, 400, 0, 0, "yes", "400 of 400 calls of madvise(MADV_DONTNEED) took no mmap_lock"),
        (400, 390, 10, 0, "yes", "390 of 400"),
        (400, 0, 400, 0, "no", "400 of 400 calls of madvise(MADV_DONTNEED) took mmap_lock"),
        (400, 200, 200, 0, "cannot tell", "200 took no mmap_lock, 200 took it, and of 0 it is not known"),
        (400, 0, 0, 400, "cannot tell", "of 400 it is not known"),
        (400, 100, 0, 0, "cannot tell", "100 of 400 madvise calls are in the trace, and 7 events were lost"),
        (0, 0, 0, 0, "cannot tell", "0 of 0"),
    ],
)
def test_the_counts_decide(made: int, per_vma: int, mmap_lock: int, unknown: int, answer: Answer, said: str) -> None:
    evidence = ProbeEvidence(made=made, per_vma=per_vma, mmap_lock=mmap_lock, unknown=unknown, lost_events=7)
    told, reason = judge(evidence)
    assert told == answer
    assert said in reason
    result = ProbeResult(seed_patch=told, reason=reason, kernel=None, device=None, evidence=evidence)
    assert result.exit_code == (3 if answer == "cannot tell" else 0)
