"""Defaults of options that ``suite.toml`` can change."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import click

from android_suite.config import Config
from android_suite.virtual.kernels import tells_arch


def read_settings() -> Config:
    """The settings of the running command."""
    config = click.get_current_context().find_object(Config)
    assert config is not None, "the group `cli` reads them for every verb that touches a device"
    return config


def setting(name: str, otherwise: Any) -> Callable[[], Any]:
    """A default for click: the setting of that name (a field of `Config`), or ``otherwise`` if it is not set."""

    def look() -> Any:
        context = click.get_current_context(silent=True)
        config = context.find_object(Config) if context else None
        value = getattr(config, name, None)
        return otherwise if value is None else value

    return look


def choose_arch(flag: str | None, kernel: str) -> str | None:
    """The architecture to boot a kernel for; None takes that of the kernel."""
    return flag or (None if tells_arch(kernel) else setting("arch", None)())


class Number(click.FloatRange):
    """A finite number in a range; for click `nan` lies in every range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click's, and refuses what is not finite."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{number} is not a finite number.", param, ctx)
        return number
