"""Traces by Android's own profiling (ProfilingManager, Android 15 and later), from which other processes were removed.

Perfetto's trace redactor does it on the phone (its sources: ``src/trace_redaction``). All threads of other processes
become one process ``Other-Processes`` with a nameless thread for each CPU. Only a few kernel events stay, of them only the
app's own task, print and waking events; statistics and interned symbols go, while the configuration still lists everything.
"""

from __future__ import annotations

import pandas as pd

OTHERS = "Other-Processes"
# Events that the redactor keeps, as far as they are the app's; of sched_switch all.
KEPT = frozenset(
    {
        "ftrace:print", "kmem:rss_stat", "power:cpu_frequency", "power:cpu_idle", "power:suspend_resume",
        "sched:sched_blocked_reason", "sched:sched_process_free", "sched:sched_switch", "sched:sched_waking",
        "task:task_newtask", "task:task_rename",
    }
)  # fmt: skip
NOTE = (
    f"Android removed other processes from this trace (ProfilingManager): they are one process, {OTHERS}, without names; "
    "their markers and wake-ups, every event of locks and system calls, kernel symbols and the counts of lost events are "
    "missing, so who held a lock, what madvise calls took and whether events were lost is unknown"
)


def is_redacted(threads: pd.DataFrame) -> bool:
    """Whether the process that stands for all others is in the table THREADS."""
    return bool((threads["process"] == OTHERS).any())


def limit_enabled(enabled: frozenset[str] | None) -> frozenset[str] | None:
    """Of the enabled events those that the redactor keeps: that another one is not there proves nothing."""
    return None if enabled is None else enabled & KEPT
