"""Places times of CLOCK_MONOTONIC, which Android's own statistics use, on the clock of a trace."""

from __future__ import annotations

import pandas as pd

from android_suite.tables.trace import TraceSource

_MONOTONIC = ("mono", "mono_raw")
_LENGTHS = frozenset({"interval_ns"})  # columns that are not times


def find_monotonic_offset(source: TraceSource) -> int | None:
    """What to add to a monotonic time to get the trace's time, in ns; None if the trace does not relate the two."""
    return 0 if source.clock in _MONOTONIC else source.mono_offset_ns


def shift_times(frame: pd.DataFrame, offset_ns: int) -> pd.DataFrame:
    """The frame with ``offset_ns`` added to each time; 0 and negative numbers say that there is none and stay."""
    if not offset_ns:
        return frame
    times = [name for name in frame.columns if name.endswith("_ns") and name not in _LENGTHS]
    return frame.assign(**{name: frame[name].where(frame[name] <= 0, frame[name] + offset_ns) for name in times})
