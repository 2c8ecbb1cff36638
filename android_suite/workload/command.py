"""Runs a user's command in the device's shell while the suite records."""

from __future__ import annotations

import json
import shlex
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass

from android_suite.device.numbers import read_count
from android_suite.errors import UsageError
from android_suite.workload.workload import (
    LOCKS,
    PROBE_VMA_LOCK,
    Context,
    Left,
    Outcome,
    Parameters,
    decode_left,
    list_needs,
)

_LAST_SIGNAL = 64  # a shell's status is 128 + signal; larger values come from the program
_CANNOT_RUN = {126: "it is not executable", 127: "there is no such command"}


@dataclass(frozen=True, slots=True)
class Command:
    """``run``: the command; ``process``: the process that counts as the app; ``timeout_s``: time limit.

    ``probe_vma_lock`` adds the kprobe that records waits for the lock of a VMA.
    """

    name: str = "command"

    @property
    def defaults(self) -> Parameters:
        """See the protocol."""
        return {"run": "", "process": "", "timeout_s": 600.0, PROBE_VMA_LOCK: False, LOCKS: "mm"}

    def check(self, parameters: Parameters) -> None:
        """See the protocol."""
        if not str(parameters["run"]).strip():
            raise UsageError("the scenario `command` needs the command; give it with --run 'SHELL COMMAND'.")
        if "\0" in str(parameters["run"]) or len(str(parameters["run"]).encode(errors="surrogateescape")) > 60_000:
            raise UsageError("the command is too long for adb or contains a NUL; put it into a script and run that.")
        if not 0 < float(parameters["timeout_s"]) <= 7 * 86_400:
            raise UsageError(f"timeout_s is {parameters['timeout_s']}; choose a time of up to a week.")

    def needs(self, parameters: Parameters) -> tuple[str, ...]:
        """See the protocol."""
        return list_needs(parameters)

    def process(self, parameters: Parameters) -> str:
        """See the protocol."""
        return str(parameters["process"])

    def package(self, parameters: Parameters) -> str | None:
        """None: it is unknown which package draws, if any."""
        return None

    def prepare(self, context: Context) -> None:
        """See the protocol."""

    def run_once(self, context: Context) -> Outcome:
        """Runs the command; its output and status are evidence."""
        began = time.monotonic()
        completed = context.device.transport.run(
            str(context.parameters["run"]), timeout=float(context.parameters["timeout_s"])
        )
        context.out.write("command_stdout.txt", completed.stdout)
        context.out.write("command_stderr.txt", completed.stderr)
        duration_ms = round((time.monotonic() - began) * 1000, 3)
        context.out.write("command.json", describe_command(completed.command, completed.status, duration_ms))
        if completed.status:
            context.say(f"the command ended with status {completed.status}")
        return judge_status(completed.status, completed.complaint)

    def cleanup(self, context: Context) -> None:
        """See the protocol."""

    @property
    def guest_defaults(self) -> Parameters:
        """See the protocol."""
        return {}

    def guest_prepare(self, parameters: Parameters) -> str:
        """See the protocol."""
        return ""

    def guest_script(self, parameters: Parameters, *, seed: int, token: str) -> str:
        """See the protocol."""
        timeout = float(parameters["timeout_s"])
        command = shlex.quote(str(parameters["run"]))
        return (
            f"timeout {timeout:.0f} sh -c {command} > $out/command_stdout.txt 2> $out/command_stderr.txt < /dev/null\n"
            "echo $? > $out/command_status.txt\n"
        )

    def read_guest(self, left: Left, parameters: Parameters, token: str) -> tuple[Mapping[str, str], Outcome]:
        """See the protocol."""
        text = decode_left(left, "command_status.txt").strip()
        status = read_count(text)
        complaint = decode_left(left, "command_stderr.txt")
        evidence = {
            "command_stdout.txt": decode_left(left, "command_stdout.txt"),
            "command_stderr.txt": complaint,
            "command.json": describe_command(str(parameters["run"]), status, None),
        }
        return evidence, judge_status(status, complaint.strip())


def describe_command(command: str, status: int | None, host_duration_ms: float | None) -> str:
    """``command.json``."""
    told = {"command": command, "status": status, "host_duration_ms": host_duration_ms}
    return json.dumps(told, indent=1) + "\n"


def judge_status(status: int | None, complaint: str) -> Outcome:
    """The outcome for an exit status.

    Args:
        status: exit status of the command; None if it did not end.
        complaint: its output on standard error.
    """
    if status is None:
        return Outcome(incomplete="the command did not end before the guest did")
    if why := _CANNOT_RUN.get(status):
        said = f": {complaint}" if complaint else ""
        reason = f"the command could not be run ({why}, status {status}){said}"
        return Outcome(incomplete=reason, fault=UsageError(f"{reason}; check --run."))
    if 128 < status <= 128 + _LAST_SIGNAL:
        return Outcome(incomplete=f"the command was ended by signal {_name_signal(status - 128)} (status {status})")
    return Outcome()


def _name_signal(number: int) -> str:
    try:
        return f"{number}, {signal.Signals(number).name}"
    except ValueError:
        return str(number)
