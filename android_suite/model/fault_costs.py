"""What page faults cost, as a program on the device measured it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

# kind -> what is touched, page by page
KINDS: Final = {
    "new": "first write to anonymous memory",
    "freed": "write to memory that MADV_DONTNEED freed",
    "zero": "first read of anonymous memory",
    "copy": "write to memory that was only read before",
    "file": "first read of a file's pages that are in memory; one fault maps several",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultCost:
    """One kind of fault: ``pass_ns`` is the median over ``rounds`` passes, each of which touches ``pages`` pages.

    ``faults`` are those that the kernel counted for the process, over all rounds.
    """

    kind: str
    pages: int
    rounds: int
    faults: int
    pass_ns: int

    @property
    def page_ns(self) -> float:
        """Time per page."""
        return self.pass_ns / self.pages

    @property
    def doubt(self) -> str:
        """Why the number may not be the cost of faults; empty if it is."""
        expected = self.pages * self.rounds
        if self.kind != "file" and self.faults < expected:
            return f"{self.faults} faults were counted for {expected} pages: something else mapped the rest"
        return ""


def parse_fault_costs(text: str) -> tuple[tuple[FaultCost, ...], bool]:
    """The results in the output of the program, and whether it came to its end. Other lines are left out.

    Args:
        text: lines of JSON, each with ``kind``, ``pages``, ``rounds``, ``faults`` and ``pass_ns``; the last
            ``{"end": true}``.
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
        pages, rounds, faults, pass_ns = (_count(told.get(key)) for key in ("pages", "rounds", "faults", "pass_ns"))
        if told.get("kind") in KINDS and pages and rounds and faults is not None and pass_ns is not None:
            found.append(FaultCost(kind=told["kind"], pages=pages, rounds=rounds, faults=faults, pass_ns=pass_ns))
    return tuple(found), ended


def _count(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None
