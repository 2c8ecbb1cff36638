"""The options of `record` and `qualify` about the state of the device; those that are given change the defaults."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import click

from android_suite.cli.settings import Number
from android_suite.errors import UsageError
from android_suite.model.readiness import LONGEST_WAIT_S, MOST_REPEATS, PARTS, is_governor, keep_parts

_OPTIONS = (
    click.option(
        "--keep", multiple=True, type=click.Choice([*PARTS, "everything"]), help="Leave this part of the device as is."
    ),
    click.option("--governor", metavar="NAME", help="CPU frequency governor meanwhile (root)."),
    click.option("--idle-states/--no-idle-states", default=None, help="Deep CPU idle states meanwhile (off: root)."),
    click.option(
        "--repeats",
        type=click.IntRange(0, MOST_REPEATS),
        default=None,
        help="Repeat an iteration that the device disturbed (hot, locked, changed) up to this often (default: 3).",
    ),
    click.option(
        "--cool",
        type=Number(0, LONGEST_WAIT_S),
        default=None,
        metavar="SECONDS",
        help="Wait up to this long for a hot device (default: 900).",
    ),
)


def ready_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options to a command, which gets those that were given as ``ready``: names and values of `ReadyOptions`."""

    @functools.wraps(function)
    def wrapped(
        *args: Any,
        keep: tuple[str, ...],
        governor: str | None,
        idle_states: bool | None,
        repeats: int | None,
        cool: float | None,
        **rest: Any,
    ) -> Any:
        if governor is not None and not is_governor(governor):
            raise UsageError(f"{governor!r} is not the name of a governor; give one such as performance.")
        given = {"governor": governor, "idle_states": idle_states, "repeats": repeats, "cool_s": cool}
        ready: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if keep:
            ready["keep"] = keep_parts(keep)
        return function(*args, ready=ready, **rest)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def refuse_in_virtual_time(ready: Mapping[str, Any]) -> None:
    """Refuses options about a device's state for deterministic guests, which no host looks after.

    Raises:
        UsageError: one was given.
    """
    if ready:
        raise UsageError(
            "--keep, --governor, --idle-states, --repeats and --cool are for devices that are driven in real time; leave "
            "them out."
        )
