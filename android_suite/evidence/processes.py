"""Lists of threads: ``ps -AT`` of toybox, and the ``tgid tid comm`` lines of the suite's own snapshots."""

from __future__ import annotations

import re

import pandas as pd

from android_suite.evidence.rows import frame_of
from android_suite.tables.evidence import PROCESS_THREADS

_PLAIN = re.compile(r"^(\d{1,8})[ \t](\d{1,8})[ \t](.*)$")


def parse_threads(text: str) -> pd.DataFrame:
    """Reads a list of threads (PROCESS_THREADS); lines of neither form are left out."""
    rows: list[dict[str, object]] = []
    header: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if "PID" in words and ("TID" in words or "LWP" in words):
            header = ["TID" if word == "LWP" else word for word in words]
        elif header:
            rows += _ps_row(header, line)
        elif (plain := _PLAIN.match(line)) is not None:
            rows.append({"tgid": int(plain[1]), "tid": int(plain[2]), "comm": plain[3], "process": ""})
    return frame_of(PROCESS_THREADS, rows)


def _ps_row(header: list[str], line: str) -> list[dict[str, object]]:
    # The last column (CMD, the thread's name) may hold spaces; toybox prints no others with spaces.
    words = line.split(None, len(header) - 1)
    if len(words) < len(header):
        return []
    row = dict(zip(header, words, strict=True))
    pid, tid = row["PID"], row["TID"]
    if not (pid.isdecimal() and tid.isdecimal() and len(pid) < 9 and len(tid) < 9):
        return []
    name = words[-1].rstrip()
    return [{"tgid": int(pid), "tid": int(tid), "comm": name, "process": name if pid == tid else ""}]
