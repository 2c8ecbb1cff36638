"""Checks of what a kernel must never do wrong: their results, as a program on the device prints them.

A check passes, fails, or cannot be run by this kernel or device; then it says why, and does not count as passed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

Result = Literal["passed", "failed", "unsupported"]
RESULTS: Final[tuple[Result, ...]] = get_args(Result)
_SYSTEM = "system/"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One check. ``cpus``: the number of CPUs that it ran on; ``tried``: how often it looked.

    ``reason``: what went wrong, why it cannot be run, or what could only be tried in part.
    """

    check: str
    cpus: int
    result: Result
    tried: int = 0
    reason: str = ""

    @property
    def name(self) -> str:
        """Its name in sentences: ``mprotect/zeros on 4 CPUs``."""
        return f"{self.check} on {self.cpus} {'CPU' if self.cpus == 1 else 'CPUs'}"


def parse_checks(text: str) -> tuple[tuple[CheckResult, ...], bool]:
    """The results in the output of a program, and whether it came to its end. Other lines are left out.

    Args:
        text: lines of JSON, each with ``check``, ``cpus``, ``result``, ``tried`` and ``reason``; the last ``{"end": true}``.
    """
    found = []
    ended = False
    for line in text.splitlines():
        try:
            told = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if not isinstance(told, dict):
            continue
        ended = ended or told.get("end") is True
        if told.get("result") in RESULTS and isinstance(told.get("cpus"), int):
            found.append(
                CheckResult(
                    check=str(told.get("check", "")),
                    cpus=told["cpus"],
                    result=told["result"],
                    tried=told["tried"] if type(told.get("tried")) is int else 0,
                    reason=str(told.get("reason", "")),
                )
            )
    return tuple(found), ended


def count_results(results: Iterable[CheckResult]) -> dict[Result, int]:
    """How many checks had each result."""
    told = [each.result for each in results]
    return {result: told.count(result) for result in RESULTS}


def group_unsupported(results: Iterable[CheckResult]) -> dict[str, list[str]]:
    """The checks that could not be run, by reason."""
    groups: dict[str, list[str]] = {}
    for each in results:
        if each.result == "unsupported":
            groups.setdefault(each.reason, []).append(each.name)
    return groups


def name_failed(results: Iterable[CheckResult], most: int = 4) -> str:
    """The failed checks in one line: the names, and what the first one found; empty if none failed."""
    return _name({each.name: each.reason for each in results if each.result == "failed"}, "failed", most)


def name_lost(baseline: Iterable[CheckResult], candidate: Sequence[CheckResult], most: int = 4) -> str:
    """The checks that always passed on one kernel and that the other one can never run, in one line; empty if there is none.

    A kernel in which a call always fails would otherwise be one without a fault. Checks of the whole system do not count:
    whether they can be run depends on what else goes on.
    """
    before, now = _results(baseline), _results(candidate)
    lost = [name for name, told in now.items() if told == {"unsupported"} and before.get(name) == {"passed"}]
    reasons = {each.name: each.reason for each in candidate if each.name in lost and not each.check.startswith(_SYSTEM)}
    return _name(reasons, "passed on the baseline and cannot be run any more", most)


def _results(checks: Iterable[CheckResult]) -> dict[str, set[Result]]:
    found: dict[str, set[Result]] = {}
    for each in checks:
        found.setdefault(each.name, set()).add(each.result)
    return found


def _name(reasons: Mapping[str, str], what: str, most: int) -> str:
    if not reasons:
        return ""
    shown = ", ".join(list(reasons)[:most]) + (f" and {len(reasons) - most} more" if len(reasons) > most else "")
    first = next(iter(reasons.values()))
    return f"{shown} {what}{f' ({first})' if first else ''}"
