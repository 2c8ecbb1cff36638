"""Threads as a summary names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

import pandas as pd

from android_suite.analysis.pipeline import Analysis
from android_suite.tables.derived import ROLES
from android_suite.tables.events import kernel_tid


class Who(TypedDict):
    """The fields of a ``ThreadSummary``, which the row of a thread has, too."""

    process: str | None
    role: str
    thread: str
    tid: int


@dataclass(frozen=True, slots=True)
class Threads:
    """Who is who in one analysis."""

    known: Mapping[int, Who]

    @classmethod
    def of(cls, analysis: Analysis) -> Threads:
        """Every thread that the trace names."""
        table = analysis["thread_roles"]
        columns = (table[c].tolist() for c in ("tid", "comm", "process", "role"))
        return cls(
            {
                tid: {"process": process or None, "role": ROLES[role], "thread": comm, "tid": kernel_tid(tid)}
                for tid, comm, process, role in zip(*columns, strict=True)
            }
        )

    def describe(self, tid: int) -> Who:
        """The thread of that id; by its id alone where nothing is known of it."""
        if tid == 0:
            return {"process": None, "role": "other", "thread": "swapper", "tid": 0}
        shown = kernel_tid(tid)
        return self.known.get(tid) or {"process": None, "role": "other", "thread": str(shown), "tid": shown}


def of_process(analysis: Analysis, frame: pd.DataFrame, tid: str = "tid") -> pd.DataFrame:
    """The rows whose thread belongs to the app that was asked for; all where none was."""
    if analysis.process is None:
        return frame
    threads = analysis["thread_roles"]
    return frame[frame[tid].isin(threads.loc[threads["process"] == analysis.process, "tid"])]
