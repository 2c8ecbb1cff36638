"""Where a command writes: results to stdout, talk to stderr."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TextIO

import click
from rich.console import Console
from rich.table import Table

from android_suite.errors import SuiteError


class _Console(Console):
    """Ends nothing when its reader leaves; rich's own would exit with 1."""

    def on_broken_pipe(self) -> None:
        drop_output(sys.stderr if self.stderr else sys.stdout)
        self.quiet = True


def print_json(value: object) -> None:
    """One JSON document on stdout. NaN is refused: unknown is ``null``."""
    text = json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False)
    # A file name that is no UTF-8 holds lone surrogates; as \udcXX they are JSON.
    print_text(text.encode(errors="backslashreplace").decode() + "\n")


def print_text(text: str) -> None:
    """Text on stdout, as it is."""
    with reader_may_leave(sys.stdout):
        click.echo(text, nl=False)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A plain table on stdout; on a pipe it is never cut to a width."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        # Cells hold what devices and files say: never markup.
        table.add_row(*(cell.replace("[", r"\[") for cell in row))
    console_for_results().print(table)


def console_for_results(*, to_stderr: bool = False) -> Console:
    """A rich console on stdout (or stderr); wide where nobody's terminal limits it."""
    stream = sys.stderr if to_stderr else sys.stdout
    return _Console(highlight=False, stderr=to_stderr, width=None if stream.isatty() else 160)


def say(line: str) -> None:
    """One line of talk on stderr."""
    with reader_may_leave(sys.stderr):
        click.echo(line, err=True)


def say_error(error: SuiteError) -> None:
    """What went wrong, on stderr. Messages quote file names and what devices say: nothing of it drives the terminal."""
    from android_suite.report.phrases import show_foreign, show_foreign_lines

    say(f"android-suite: {show_foreign(error, longest=4000)}")
    for note in getattr(error, "__notes__", ()):
        say(f"  {show_foreign_lines(note)}")


def drop_output(stream: TextIO) -> None:
    """Throws away what is still to be written to ``stream``, so that Python does not complain about it at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@contextlib.contextmanager
def reader_may_leave(stream: TextIO) -> Iterator[None]:
    """A reader that has seen enough (`| head`) changes neither what a command does nor how it ends."""
    try:
        yield
    except BrokenPipeError:
        drop_output(stream)
