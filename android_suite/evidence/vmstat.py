"""Parses /proc/vmstat: its counters, and their changes between two readings."""

from __future__ import annotations

import pandas as pd

from android_suite.evidence.rows import frame_of, whole_number
from android_suite.tables.evidence import VMSTAT


def parse_vmstat(text: str) -> pd.DataFrame:
    """Reads ``name value`` lines; other lines are left out."""
    pairs = (line.split() for line in text.splitlines())
    return frame_of(
        VMSTAT, [{"name": p[0], "value": whole_number(p[1])} for p in pairs if len(p) == 2 and p[1].isdecimal()]
    )


def measure_vmstat_change(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """The counters of both readings with how much each grew (VMSTAT; gauges such as nr_free_pages may fall)."""
    first = before.set_index("name")["value"]
    last = after.set_index("name")["value"]
    both = last.index[last.index.isin(first.index)]
    change = last.loc[both] - first.loc[both]
    return frame_of(VMSTAT, [{"name": name, "value": int(value)} for name, value in change.items()])
