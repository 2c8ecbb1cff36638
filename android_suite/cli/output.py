"""The output of a command: results to stdout, messages to stderr."""

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
    """A console that survives a closed pipe; rich's would exit with 1."""

    def on_broken_pipe(self) -> None:
        drop_output(sys.stderr if self.stderr else sys.stdout)
        self.quiet = True


def print_json(value: object) -> None:
    """One JSON document on stdout. NaN is refused: unknown is ``null``."""
    text = json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False)
    # A file name that is not UTF-8 contains lone surrogates; JSON can hold them as \udcXX.
    print_text(text.encode(errors="backslashreplace").decode() + "\n")


def print_text(text: str) -> None:
    """Prints text on stdout unchanged."""
    with reader_may_leave(sys.stdout):
        click.echo(text, nl=False)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a plain table on stdout; on a pipe its width is not limited."""
    from android_suite.report.phrases import show_foreign

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        # Cells contain text from devices and files, so it must not be read as markup, nor write on the terminal.
        table.add_row(*(show_foreign(cell, longest=1000).replace("[", r"\[") for cell in row))
    console_for_results().print(table)


def console_for_results(*, to_stderr: bool = False) -> Console:
    """A rich console on stdout (or stderr); wide unless it is a terminal."""
    stream = sys.stderr if to_stderr else sys.stdout
    return _Console(highlight=False, stderr=to_stderr, width=None if stream.isatty() else 160)


def say(line: str) -> None:
    """Prints a message on stderr. Names in it may come from files and devices: what would write on the terminal is named."""
    from android_suite.report.phrases import show_foreign

    shown = line if line.isprintable() else "\n".join(show_foreign(each, longest=10_000) for each in line.split("\n"))
    with reader_may_leave(sys.stderr):
        click.echo(shown, err=True)


def say_error(error: SuiteError) -> None:
    """Prints an error on stderr. It quotes text from files and devices, so control characters are escaped."""
    from android_suite.report.phrases import show_foreign, show_foreign_lines

    say(f"android-suite: {show_foreign(error, longest=4000)}")
    for note in getattr(error, "__notes__", ()):
        say(f"  {show_foreign_lines(note)}")


def drop_output(stream: TextIO) -> None:
    """Discards the buffered output of ``stream``, so that Python does not complain at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@contextlib.contextmanager
def reader_may_leave(stream: TextIO) -> Iterator[None]:
    """Ignores a closed pipe (`| head`), which changes neither the work of a command nor its exit code."""
    try:
        yield
    except BrokenPipeError:
        drop_output(stream)
