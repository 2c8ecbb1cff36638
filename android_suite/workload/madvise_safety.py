"""Races madvise against everything else that changes memory, and checks what must hold.

The program in ``native/madvise_safety/`` is ours. It is built on the host for the device's machine and pushed to the
work folder, on a phone as on a virtual device; docs/safety.md names what it checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from android_suite.device.device import WORK_FOLDER
from android_suite.errors import LabError, UsageError
from android_suite.model.checks import name_failed, parse_checks
from android_suite.workload.own_program import OwnProgram, ProgramScenario
from android_suite.workload.workload import Context, Left, Outcome, Parameters

SOURCE: Final = Path(__file__).parent / "native" / "madvise_safety"
NAME: Final = "madvise_safety"
CHECKS_FILE: Final = "checks.jsonl"
RACES: Final = (
    "borders", "faults", "mprotect", "mremap", "munmap", "fork", "thp", "collapse", "userfaultfd", "userfaultfd_events",
    "process_madvise",
)  # fmt: skip
# Where huge pages are switched off (Debian guests boot so), the races with them could try nothing. Root allows them
# to who asks for them, and forbids them again after the races. The mark on the device outlives a recording that was
# killed: the next one then puts it back.
HUGE: Final = "/sys/kernel/mm/transparent_hugepage/enabled"
_MARK: Final = f"{WORK_FOLDER}/huge-pages-were-off"
_ALLOW_HUGE: Final = f"""\
if grep -q '\\[never\\]' {HUGE} 2> /dev/null && mkdir -p {WORK_FOLDER} && : > {_MARK}; then
    (echo madvise > {HUGE}) 2> /dev/null || rm -f {_MARK}
fi
"""
_FORBID_HUGE: Final = f"""\
if [ -e {_MARK} ]; then
    echo never > {HUGE} && rm -f {_MARK}
fi
"""
PROGRAM: Final = OwnProgram(source=SOURCE, name=NAME, output=CHECKS_FILE, short="safety")
# What the kernel may need for one step of a race, many times over; the program ends by itself.
_ROUNDS_PER_S = 2.0
_SLACK_S = 120.0


@dataclass(frozen=True, slots=True)
class MadviseSafety(ProgramScenario):
    """``rounds``: steps of each worker in each race. ``cpus``: each race runs on so many CPUs, one number after the other.

    ``race``: only this one; empty for all. ``patience_s``: a race in which no thread gets on for so long hangs.
    """

    name: str = NAME

    @property
    def defaults(self) -> Parameters:
        """See the protocol."""
        return {"rounds": 200, "cpus": "1,4", "race": "", "patience_s": 60.0}

    def check(self, parameters: Parameters) -> None:
        """See the protocol."""
        if not 1 <= int(parameters["rounds"]) <= 10_000_000:
            raise UsageError(f"rounds is {parameters['rounds']}; choose 1 to 10000000.")
        numbers = str(parameters["cpus"]).split(",")
        if not all(number.isascii() and number.isdigit() and 1 <= int(number) <= 1024 for number in numbers):
            raise UsageError(f"cpus is {parameters['cpus']!r}; give numbers of CPUs, such as 1,4.")
        if parameters["race"] not in ("", *RACES):
            raise UsageError(f"there is no race {parameters['race']!r}; choose one of {', '.join(RACES)}.")
        if not 1 <= float(parameters["patience_s"]) <= 3600:
            raise UsageError(f"patience_s is {parameters['patience_s']}; choose 1 to 3600.")

    def prepare(self, context: Context) -> None:
        """Allows huge pages if they are off and this is root."""
        context.device.run(_ALLOW_HUGE)

    def run_once(self, context: Context) -> Outcome:
        """Runs the program as the shell's user or as root, whichever the device allows; it says what that leaves out."""
        parameters = context.parameters
        printed = PROGRAM.run(context, _arguments(parameters, context.seed), _limit_s(parameters))
        if failed := name_failed(parse_checks(printed.text)[0]):
            context.say(failed)
        return judge_output(*printed)

    def cleanup(self, context: Context) -> None:
        """Forbids huge pages again."""
        context.device.run(_FORBID_HUGE)

    def guest_files(self, machine: str, cache: Path) -> Mapping[str, bytes]:
        """The program, which a guest that runs alone cannot be sent."""
        return PROGRAM.build_for_guest(machine, cache)

    def guest_prepare(self, parameters: Parameters) -> str:
        """See the protocol."""
        return _ALLOW_HUGE

    def guest_script(self, parameters: Parameters, *, seed: int, token: str) -> str:
        """See the protocol."""
        return PROGRAM.render_run(_arguments(parameters, seed), _limit_s(parameters)) + _FORBID_HUGE

    def read_guest(self, left: Left, parameters: Parameters, token: str) -> tuple[Mapping[str, str], Outcome]:
        """See the protocol."""
        printed = PROGRAM.read_run(left)
        return {CHECKS_FILE: printed.text}, judge_output(*printed)


def judge_output(text: str, status: int | None, complaint: str) -> Outcome:
    """The outcome of the program's run. A failed check is a result, as a program that did not end is none.

    Args:
        text: what it printed.
        status: its exit status; None if it did not end.
        complaint: its output on standard error.
    """
    results, ended = parse_checks(text)
    if ended and results:
        return Outcome()
    if not results and status and complaint:
        reason = f"{NAME} cannot be run on this device ({complaint}, status {status})"
        return Outcome(incomplete=reason, fault=LabError(f"{reason}; allow programs in /data/local/tmp."))
    told = f"status {status}" if status is not None else "it did not end"
    return Outcome(
        incomplete=f"{NAME} stopped after {len(results)} results ({told}){': ' * bool(complaint)}{complaint}"
    )


def _arguments(parameters: Parameters, seed: int) -> list[str]:
    race = [str(parameters["race"])] if parameters["race"] else []
    patience = f"{float(parameters['patience_s']):g}"
    return [str(seed), str(parameters["rounds"]), str(parameters["cpus"]), patience, *race]


def _limit_s(parameters: Parameters) -> float:
    """More than a device that is slow but well needs; one that hangs is given up by the program itself."""
    times = len(str(parameters["cpus"]).split(",")) * (1 if parameters["race"] else len(RACES))
    return _SLACK_S + times * (float(parameters["patience_s"]) + int(parameters["rounds"]) / _ROUNDS_PER_S)
