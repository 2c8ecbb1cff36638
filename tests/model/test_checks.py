"""Results of checks, as the program prints them."""

from __future__ import annotations

from android_suite.model.checks import CheckResult, count_results, group_unsupported, name_failed, parse_checks

PRINTED = """\
{"check": "mprotect/zeros", "cpus": 1, "result": "passed", "tried": 12, "reason": ""}
{"check": "mprotect/zeros", "cpus": 4, "result": "failed", "tried": 3, "reason": "page 7 has 0x1 instead of 0"}
a line of somebody else
{"check": "thp/zeros", "cpus": 1, "result": "unsupported", "tried": 0, "reason": "no huge pages"}
{"check": "thp/zeros", "cpus": 1, "result": "fine", "tried": 0, "reason": ""}
["a list"]
{"check": "thp/wri"""


def test_results_are_read_and_other_lines_left_out() -> None:
    found, ended = parse_checks(PRINTED)
    assert not ended
    assert [(each.name, each.result) for each in found] == [
        ("mprotect/zeros on 1 CPU", "passed"),
        ("mprotect/zeros on 4 CPUs", "failed"),
        ("thp/zeros on 1 CPU", "unsupported"),
    ]
    assert count_results(found) == {"passed": 1, "failed": 1, "unsupported": 1}
    assert group_unsupported(found) == {"no huge pages": ["thp/zeros on 1 CPU"]}
    assert parse_checks('{"end": true}') == ((), True)


def test_the_failed_ones_are_named_with_what_the_first_found() -> None:
    found, _ = parse_checks(PRINTED)
    assert name_failed(found) == "mprotect/zeros on 4 CPUs failed (page 7 has 0x1 instead of 0)"
    assert name_failed(found[:1]) == ""
    many = [CheckResult(check=f"c{i}", cpus=1, result="failed") for i in range(6)]
    assert name_failed([*many, *many]) == "c0 on 1 CPU, c1 on 1 CPU, c2 on 1 CPU, c3 on 1 CPU and 2 more failed"
