"""What no kernel may do wrong. Run with `pytest scenarios --serial S`."""

from __future__ import annotations

from android_suite.model.checks import count_results, name_failed, parse_checks


def test_madvise_keeps_its_promises(record) -> None:
    for text in record("madvise_safety", rounds=20).evidence("checks.jsonl"):
        results, ended = parse_checks(text)
        assert ended
        assert not name_failed(results), name_failed(results)
        assert count_results(results)["passed"] > 0, "nothing could be checked here"
