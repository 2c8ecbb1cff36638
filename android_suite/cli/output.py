"""Where a command writes: results to stdout, talk to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import click
from rich.console import Console
from rich.table import Table


def print_json(value: object) -> None:
    """One JSON document on stdout. NaN is refused: unknown is ``null``."""
    click.echo(json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False))


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
    return Console(highlight=False, stderr=to_stderr, width=None if stream.isatty() else 160)


def say(line: str) -> None:
    """One line of talk on stderr."""
    click.echo(line, err=True)
