"""The options of `record` and `qualify` about the state of the device."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import click

from android_suite.errors import UsageError
from android_suite.model.readiness import PARTS, ReadyOptions

_ALL = "everything"
_OPTIONS = (
    click.option(
        "--keep", multiple=True, type=click.Choice([*PARTS, _ALL]), help="Leave this part of the device as is."
    ),
    click.option("--governor", metavar="NAME", help="CPU frequency governor meanwhile (root)."),
    click.option("--idle-states/--no-idle-states", default=True, help="Deep CPU idle states meanwhile (off: root)."),
    click.option(
        "--repeats",
        type=click.IntRange(0, 100),
        default=3,
        show_default=True,
        help="Repeat an iteration that the device disturbed (hot, locked, changed) up to this often.",
    ),
    click.option(
        "--cool",
        type=click.FloatRange(0, 86_400),
        default=900.0,
        show_default=True,
        metavar="SECONDS",
        help="Wait up to this long for a hot device.",
    ),
)


def ready_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options to a command, which gets them as one argument ``ready``."""

    @functools.wraps(function)
    def wrapped(
        *args: Any,
        keep: tuple[str, ...],
        governor: str | None,
        idle_states: bool,
        repeats: int,
        cool: float,
        **rest: Any,
    ) -> Any:
        if governor is not None and not re.fullmatch(r"[A-Za-z0-9_]{1,30}", governor):
            raise UsageError(f"{governor!r} is not the name of a governor; give one such as performance.")
        ready = ReadyOptions(
            keep=frozenset(PARTS) if _ALL in keep else frozenset(keep),
            governor=governor,
            idle_states=idle_states,
            repeats=repeats,
            cool_s=cool,
        )
        return function(*args, ready=ready, **rest)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped
