"""Parses what the program proc_reader prints: one line per reading of a file of ``/proc/PID``."""

from __future__ import annotations

import re

import pandas as pd

from android_suite.evidence.rows import frame_of
from android_suite.tables.evidence import PROC_READS

_READ = re.compile(r"^did read ([a-z_]+) (\d{1,18}) (\d{1,18}) (\d{1,18}) (\d{1,18})$", re.MULTILINE)


def parse_proc_reads(text: str) -> pd.DataFrame:
    """The readings in the text that a loop printed (PROC_READS), in order; other lines are left out."""
    return frame_of(
        PROC_READS,
        [
            {
                "file": found[1],
                **dict(zip(("wall_ns", "cpu_ns", "bytes", "calls"), map(int, found.groups()[1:]), strict=True)),
            }
            for found in _READ.finditer(text)
        ],
    )
