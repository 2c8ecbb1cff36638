"""Measures what page faults cost: a program touches memory page by page, in five ways, and reads the clock.

The program in ``native/page_faults/`` is built on the host for the device's machine. Nothing is traced, because an event
for each fault would cost more than the fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from android_suite.errors import LabError, UsageError
from android_suite.model.fault_costs import KINDS, parse_fault_costs
from android_suite.workload.own_program import OwnProgram, ProgramScenario
from android_suite.workload.workload import Context, Left, Outcome, Parameters

SOURCE: Final = Path(__file__).parent / "native" / "page_faults"
NAME: Final = "page_faults"
FAULTS_FILE: Final = "faults.jsonl"
PROGRAM: Final = OwnProgram(source=SOURCE, name=NAME, output=FAULTS_FILE, short="faults")
_LIMIT_S: Final = 600


@dataclass(frozen=True, slots=True)
class PageFaults(ProgramScenario):
    """``pages``: touched in one pass; ``rounds``: passes of each kind, of which the median counts.

    The seed shifts the number of pages by up to 63, so that boots differ in something, as everything else is the same.
    """

    name: str = NAME

    @property
    def defaults(self) -> Parameters:
        """See the protocol."""
        return {"pages": 4096, "rounds": 15}

    def check(self, parameters: Parameters) -> None:
        """See the protocol."""
        for name, most in (("pages", 1 << 20), ("rounds", 10_000)):
            if not 1 <= int(parameters[name]) <= most:
                raise UsageError(f"{name} is {parameters[name]}; choose 1 to {most}.")

    def prepare(self, context: Context) -> None:
        """See the protocol."""

    def run_once(self, context: Context) -> Outcome:
        """Pushes the program and runs it."""
        return judge_output(*PROGRAM.run(context, _arguments(context.parameters, context.seed), _LIMIT_S))

    def cleanup(self, context: Context) -> None:
        """See the protocol."""

    def guest_files(self, machine: str, cache: Path) -> Mapping[str, bytes]:
        """The program, which a guest that runs alone cannot be sent."""
        return PROGRAM.build_for_guest(machine, cache)

    def guest_prepare(self, parameters: Parameters) -> str:
        """See the protocol."""
        return ""

    def guest_script(self, parameters: Parameters, *, seed: int, token: str) -> str:
        """See the protocol."""
        return PROGRAM.render_run(_arguments(parameters, seed), _LIMIT_S)

    def read_guest(self, left: Left, parameters: Parameters, token: str) -> tuple[Mapping[str, str], Outcome]:
        """See the protocol."""
        printed = PROGRAM.read_run(left)
        return {FAULTS_FILE: printed.text}, judge_output(*printed)


def judge_output(text: str, status: int | None, complaint: str) -> Outcome:
    """The outcome of the program's run.

    Args:
        text: what it printed.
        status: its exit status; None if it did not end.
        complaint: its output on standard error.
    """
    found, ended = parse_fault_costs(text)
    if ended and {each.kind for each in found} == set(KINDS):
        return Outcome()
    told = complaint or (f"status {status}" if status is not None else "it did not end")
    reason = f"{NAME} could not measure every kind of page fault ({told})"
    if not found and status in (126, 127):
        return Outcome(incomplete=reason, fault=LabError(f"{reason}; allow programs in /data/local/tmp."))
    return Outcome(incomplete=reason)


def _arguments(parameters: Parameters, seed: int) -> list[str]:
    return [str(int(parameters["pages"]) + seed % 64), str(parameters["rounds"])]
