"""Names threads for the summary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

import pandas as pd

from android_suite.analysis.pipeline import Analysis
from android_suite.tables.derived import ROLES
from android_suite.tables.events import kernel_tid


class Who(TypedDict):
    """The fields of a ``ThreadSummary``, which rows about a thread also have."""

    process: str | None
    role: str
    thread: str
    tid: int


@dataclass(frozen=True, slots=True)
class Threads:
    """The threads of one analysis by id."""

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
        """The thread with that id; named by its id if nothing else is known."""
        if tid == 0:
            return {"process": None, "role": "other", "thread": "swapper", "tid": 0}
        shown = kernel_tid(tid)
        return self.known.get(tid) or {"process": None, "role": "other", "thread": str(shown), "tid": shown}


def of_process(analysis: Analysis, frame: pd.DataFrame, tid: str = "tid") -> pd.DataFrame:
    """The rows whose thread belongs to the requested app; all if none was requested."""
    if analysis.process is None:
        return frame
    threads = analysis["thread_roles"]
    return frame[frame[tid].isin(threads.loc[threads["process"] == analysis.process, "tid"])]
