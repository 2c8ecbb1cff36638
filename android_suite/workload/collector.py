"""Which collector a real runtime uses: concurrent copying, or mark compact with userfaultfd."""

from __future__ import annotations

import shlex
from typing import Final

from android_suite.errors import UsageError
from android_suite.model.plan import Runtime
from android_suite.workload.workload import Parameters

COLLECTOR: Final = "collector"  # the parameter; empty leaves the choice to the runtime
# Name -> value of Android 14's switch, which the app's process reads when it starts.
COLLECTORS: Final = {"cc": "false", "cmc": "true"}
_PROPERTY: Final = "persist.device_config.runtime_native_boot.enable_uffd_gc_2"


def check_collector(name: str) -> None:
    """Checks the name of a collector; empty is the runtime's own choice.

    Raises:
        UsageError: there is no collector of that name.
    """
    if name and name not in COLLECTORS:
        raise UsageError(f"there is no collector {name!r}; choose one of {', '.join(COLLECTORS)}.")


def require_runtime(parameters: Parameters, runtime: Runtime | None) -> None:
    """Refuses a collector where there is no runtime that could have it.

    Raises:
        UsageError: a collector is chosen, and the app is the model's or on an attached device.
    """
    if parameters.get(COLLECTOR) and runtime is None:
        raise UsageError('collector is a setting of a real runtime; add --runtime art (in a plan runtime = "art").')


def render_choice(name: str) -> list[str]:
    """The command that makes the next process of the app use that collector; empty without a choice."""
    return ["setprop", _PROPERTY, COLLECTORS[name]] if name else []


def render_choice_line(name: str) -> str:
    """:func:`render_choice` as a line of a guest's script, without its end."""
    return shlex.join(render_choice(name))
