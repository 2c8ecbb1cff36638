"""The real Android runtimes of virtual devices: Debian's ART, or that of a user's own Android system."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from android_suite.config import Config
from android_suite.virtual.android import build_android
from android_suite.virtual.art import Runtime, build_runtime


def build_chosen(
    arch: str, *, android: str | Path | None, config: Config, progress: Callable[[str], None] = lambda _: None
) -> Runtime:
    """The runtime for an architecture: from the cache, or built.

    Args:
        arch: ``arm64`` or ``amd64``.
        android: the Android system to take it from, see :func:`build_android`; None for Debian's ART.
        config: gives the cache and the Debian mirror.
        progress: called with a line at each step.

    Raises:
        UsageError: there is no runtime for that architecture, or the system lacks something.
        MachineError: a package or a tool is missing, or is not what the suite's edits and patches are made for.
    """
    if android is None:
        return build_runtime(arch, config=config, progress=progress)
    return build_android(Path(android), arch, config=config, progress=progress)
