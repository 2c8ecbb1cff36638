"""`android-suite`: runs a command and turns every error into one sentence and its exit code."""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from android_suite import __version__
from android_suite.cli.output import drop_output, reader_may_leave, say, say_error
from android_suite.errors import SuiteError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
# Command -> its line in the overview. The module of the same name has the function `command`.
VERBS = {
    "doctor": "Report what this host and device can measure, and how to get what is missing.",
    "devices": "List attached and virtual devices.",
    "record": "Run scenarios on a device and seal a run directory.",
    "analyze": "Compute tables and metrics from a run directory or any trace.",
    "compare": "Compare two sets of runs and give verdicts.",
    "report": "Render the results of analyze or compare.",
    "soak": "Count calls, paths and waits in the kernel for hours or days.",
    "probe": "Tell whether a kernel has the seed patch, by what it does.",
    "qualify": "Run a planned experiment: boot, record, analyze, compare, report; resumable.",
    "restore": "Put back what a phone had before qualify flashed it.",
    "bisect": "Find the first of many changes that moved a metric.",
    "history": "Show metrics over kernels, builds and dates, with their change points.",
    "lab": "Show who has which device of a lab; quarantine, workers, a page of campaigns.",
    "init": "Write a plan, settings and a CI file to start from.",
    "export": "Write a trace with the suite's tracks, for the Perfetto UI or trace-cmd.",
    "vdev": "Start, stop and list virtual devices.",
    "kernels": "List, fetch and build the kernels for virtual devices.",
}
# The other commands work on files and have no settings.
_WITH_SETTINGS = frozenset(
    {"doctor", "devices", "record", "soak", "probe", "qualify", "restore", "bisect", "vdev", "kernels", "lab"}
)


class _Verbs(click.Group):
    """Imports the module of a command on use, so that `--help` and typos answer at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"android_suite.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    # Only help and version can still meet a closed pipe here; exit quietly (click would exit with 1).
    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _quiet_end():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _quiet_end():
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@contextlib.contextmanager
def _quiet_end() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        drop_output(sys.stdout)
        raise click.exceptions.Exit(0) from None


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="android-suite")
@click.pass_context
def cli(context: click.Context) -> None:
    """Does this kernel patch make Android smoother, and can you prove it?

    Record scenarios on a device, analyze who waited for whom on which lock, compare kernels, report.
    Exit codes: 0 done, 1 a gate failed or a metric got worse, 2 usage, 3 not supported here,
    4 the test setup failed (retry), 5 the evidence cannot be trusted, 6 not comparable.
    """
    if context.invoked_subcommand in _WITH_SETTINGS:
        from android_suite.config import read_config

        context.obj = read_config(env=os.environ, folder=Path.cwd())


def run(argv: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code; no input of a user makes it raise."""
    try:
        status = cli.main(args=None if argv is None else list(argv), prog_name="android-suite", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except click.ClickException as error:
        with reader_may_leave(sys.stderr):
            error.show(sys.stderr)
        return 2
    except (click.Abort, KeyboardInterrupt):
        say("android-suite: interrupted; finished work is kept.")
        return 130
    except SuiteError as error:
        say_error(error)
        return error.exit_code
    except OSError as error:
        # Commands report a full disk for their files; this is the file that stdout goes to.
        if error.errno not in _FULL:
            raise
        drop_output(sys.stdout)
        say(f"android-suite: the output cannot be written: {error.strerror}; free some space.")
        return 4


def main() -> None:
    """Entry point."""
    # Imports create a million permanent objects, which the collector would walk hundreds of times by default.
    gc.set_threshold(100_000, 20, 20)
    # The suite does no linear algebra; idle threads of numpy's BLAS would only spin.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(run())


if __name__ == "__main__":
    main()
