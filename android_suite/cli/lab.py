"""`android-suite lab`: what the devices and campaigns of a lab do."""

from __future__ import annotations

import click

from android_suite.cli.lab_serve import serve


@click.group("lab")
def command() -> None:
    """Look at a lab: its devices and its campaigns."""


command.add_command(serve)
