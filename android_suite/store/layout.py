"""File names of a run directory. No other package spells them.

::

    RUN/manifest.json
    RUN/raw/000-gc_stress/...      evidence, read-only once sealed
    RUN/derived/000-gc_stress/...  written by `analyze` from raw; may be deleted
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from android_suite.errors import UsageError

MANIFEST = "manifest.json"
RAW = "raw"
DERIVED = "derived"
FTRACE = "ftrace"
PERFETTO_TRACE = "perfetto/trace.pftrace"
PERFETTO_CONFIG = "perfetto/config.txtpb"
CAPTURE_NOTES = "capture_notes.txt"

_SAFE_PART = re.compile(r"[A-Za-z0-9_+@=,.\-]{1,120}")


def iteration_name(index: int, scenario: str) -> str:
    """Directory name of an iteration, such as ``003-gc_stress``."""
    return f"{index:03d}-{re.sub(r'[^A-Za-z0-9_]+', '_', scenario)[:40]}"


def check_member(name: str) -> str:
    """Returns ``name`` if it is a valid file name inside an iteration.

    Raises:
        UsageError: it is absolute, leads outside, or has characters that some file systems do not support.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or not all(_SAFE_PART.fullmatch(p) and p != ".." for p in path.parts):
        raise UsageError(f"{name!r} cannot be a file of a run directory; use only letters, digits and ._-+@=,.")
    return str(path)
