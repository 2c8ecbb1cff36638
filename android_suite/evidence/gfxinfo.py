"""Parses ``dumpsys gfxinfo``: the aggregate of each process."""

from __future__ import annotations

import re

import pandas as pd

from android_suite.evidence.rows import frame_of, whole_number
from android_suite.tables.evidence import GFXINFO

_PROCESS = re.compile(r"^\s*\*\* Graphics info for pid (\d{1,8}) \[(.*)\] \*\*\s*$", re.MULTILINE)
_LABELS = {
    "Total frames rendered": "frames", "Janky frames": "janky", "Janky frames (legacy)": "janky_legacy",
    "50th percentile": "p50_ms", "90th percentile": "p90_ms", "95th percentile": "p95_ms", "99th percentile": "p99_ms",
    "Number Missed Vsync": "missed_vsync", "Number High input latency": "high_input_latency",
    "Number Slow UI thread": "slow_ui_thread", "Number Slow bitmap uploads": "slow_bitmap_uploads",
    "Number Slow issue draw commands": "slow_draw_commands", "Number Frame deadline missed": "deadline_missed",
}  # fmt: skip
_FIELD = re.compile(r"^\s*([A-Z0-9][A-Za-z0-9() ]{3,40}): (\d{1,12})(?:ms)?(?: \([\d.]+%\))?\s*$", re.MULTILINE)


def parse_gfxinfo(text: str) -> pd.DataFrame:
    """Reads the process-wide block of each process (GFXINFO). Window blocks, and processes without one, are left out.

    A process with a block and 0 frames draws without HWUI, as a game or a video player does.
    """
    rows: list[dict[str, object]] = []
    starts = list(_PROCESS.finditer(text))
    for index, start in enumerate(starts):
        block = text[start.end() : starts[index + 1].start() if index + 1 < len(starts) else len(text)]
        row: dict[str, object] = {}
        for label, number in _FIELD.findall(block):
            if label in _LABELS:
                row.setdefault(_LABELS[label], whole_number(number))
        if "frames" not in row:
            continue
        if row["frames"] == 0:  # Android prints its last bucket, 4950ms, for percentiles of no frames
            row |= dict.fromkeys(("p50_ms", "p90_ms", "p95_ms", "p99_ms"), -1)
        rows.append({"pid": int(start[1]), "process": start[2]} | row)
    return frame_of(GFXINFO, rows)
