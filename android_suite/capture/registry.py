"""The registry of sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from android_suite.capture.atrace import AtraceCapture
from android_suite.capture.framestats import FramestatsCapture
from android_suite.capture.ftrace import FtraceCapture
from android_suite.capture.lock_stat import LockStatCapture
from android_suite.capture.logcat import LogcatCapture
from android_suite.capture.maps import MapsCapture
from android_suite.capture.perfetto import PerfettoCapture
from android_suite.capture.source import Request, Site, Source, SourceKind
from android_suite.capture.vmstat import VmstatCapture

# In start order; they stop in reverse. ftrace is last, so it records no start or stop of another source.
SOURCES: Final[tuple[SourceKind, ...]] = (
    MapsCapture,
    VmstatCapture,
    LockStatCapture,
    LogcatCapture,
    FramestatsCapture,
    AtraceCapture,
    PerfettoCapture,
    FtraceCapture,
)


def open_sources(kinds: Sequence[SourceKind], request: Request, site: Site) -> tuple[Source, ...]:
    """The sources of one host-driven iteration, in the order of ``kinds``."""
    return tuple(source for kind in kinds if (source := kind.for_host(request, site)) is not None)
