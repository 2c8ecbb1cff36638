"""Any command of the user's, run by the device's shell while everything is recorded."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from android_suite.errors import UsageError
from android_suite.workload.workload import ALL_NEEDS, Context, Outcome, Parameters

_CANNOT_RUN = {126: "it is no program", 127: "there is no such command"}


@dataclass(frozen=True, slots=True)
class Command:
    """``run``: the command; ``process``: whose threads are the app's; ``timeout_s``: when it is given up."""

    name: str = "command"
    needs: tuple[str, ...] = ALL_NEEDS

    @property
    def defaults(self) -> Parameters:
        """See the protocol."""
        return {"run": "", "process": "", "timeout_s": 600.0}

    def check(self, parameters: Parameters) -> None:
        """See the protocol."""
        if not str(parameters["run"]).strip():
            raise UsageError("the scenario `command` needs the command; give it with --run 'SHELL COMMAND'.")
        if "\0" in str(parameters["run"]) or len(str(parameters["run"]).encode(errors="surrogateescape")) > 60_000:
            raise UsageError("the command is too long for adb or holds a NUL; put it into a script and run that.")
        if not 0 < float(parameters["timeout_s"]) <= 7 * 86_400:
            raise UsageError(f"timeout_s is {parameters['timeout_s']}; choose a time of up to a week.")

    def process(self, parameters: Parameters) -> str:
        """See the protocol."""
        return str(parameters["process"])

    def package(self, parameters: Parameters) -> str | None:
        """None: who draws, if anything does, is not known."""
        return None

    def prepare(self, context: Context) -> None:
        """See the protocol."""

    def run_once(self, context: Context) -> Outcome:
        """Runs it; output and status are evidence."""
        began = time.monotonic()
        completed = context.device.transport.run(
            str(context.parameters["run"]), timeout=float(context.parameters["timeout_s"])
        )
        context.out.write("command_stdout.txt", completed.stdout)
        context.out.write("command_stderr.txt", completed.stderr)
        told = {
            "command": completed.command,
            "status": completed.status,
            "host_duration_ms": round((time.monotonic() - began) * 1000, 3),
        }
        context.out.write("command.json", json.dumps(told, indent=1) + "\n")
        if why := _CANNOT_RUN.get(completed.status):
            return Outcome(
                incomplete=f"the command ended with status {completed.status} ({why}): {completed.complaint}"
            )
        if completed.status:
            context.say(f"the command ended with status {completed.status}")
        return Outcome()

    def cleanup(self, context: Context) -> None:
        """See the protocol."""
