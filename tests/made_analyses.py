"""Analysis objects as ``analyze --json`` gives them, made from a seed."""

from __future__ import annotations

import random
from typing import Any

from android_suite.model.analysis import AnalysisSummary, read_analysis
from android_suite.model.analyzed import AnalyzedRun, Counters, LockClass

COUNTED = Counters(
    lock_stat=(
        LockClass(
            class_name="&mm->mmap_lock-R",
            contentions=321,
            wait_total_ns=81_000_000,
            wait_max_ns=9_000_000,
            hold_total_ns=412_000_000,
        ),
    ),
    vmstat={"pgfault": 81234, "thp_fault_alloc": 0},
)


def made_analysis(draw: int, *, patched: bool, process: str = "com.androidsuite.workload") -> AnalysisSummary:
    return read_analysis(made_json(draw, patched=patched, process=process))


def made_json(draw: int, *, patched: bool, process: str = "com.androidsuite.workload") -> dict[str, Any]:
    rng = random.Random(draw)
    chains = [] if patched else [_chain(rng, i) for i in range(6)]
    chains.sort(key=lambda chain: -chain["duration_ns"])
    calls = 1600 + rng.randrange(50)
    return {
        "schema": "android-suite/analysis",
        "version": 1,
        "source": {
            "format": "ftrace_raw",
            "events": 123187 + draw,
            "lost_events": 0,
            "duration_ns": 6_012_345_678,
            "kernel": "6.17.13+deb13-cloud-arm64" if patched else "6.16.12+deb13-cloud-arm64",
        },
        "madvise": [
            {
                "process": process,
                "thread": "HeapTaskDaemon",
                "role": "gc",
                "tid": 177,
                "calls": calls,
                "per_vma": calls - 2 if patched else 0,
                "mmap_lock": 2 if patched else calls,
                "unknown": 0,
                "bytes": calls * 880_000,
                "reasons": {"spans_vmas": 2} if patched else {"unpatched": calls},
            }
        ],
        "locks": [
            {
                "process": process,
                "role": role,
                "thread": thread,
                "mode": "write",
                "waits": 400,
                "wait_total_ns": 3_100_000 if patched else 118_000_000,
                "wait_max_ns": 21_000 if patched else 9_100_000,
                "hold_total_ns": 41_000_000,
            }
            for role, thread in (("ui", "suite.workload"), ("render", "RenderThread"))
        ],
        "blockers": [
            {
                "waiter": {"process": process, "role": "ui", "thread": "suite.workload", "tid": 176},
                "holder": {"process": process, "role": "gc", "thread": "HeapTaskDaemon", "tid": 177},
                "operation": "madvise(MADV_DONTNEED)",
                "kind": kind,
                "waits": 16,
                "total_ns": 118_000_000,
                "longest_ns": 9_100_000,
                "inverted_ns": 117_000_000,
            }
            for kind in (() if patched else ("direct", "chained"))
        ],
        "blame": [
            {
                "waiter": {"process": process, "role": "ui", "thread": "suite.workload", "tid": 176, "prio": 110},
                "links": [
                    {
                        "process": "system_server",
                        "thread": "binder:900_3",
                        "tid": 903,
                        "prio": 120,
                        "kind": "binder",
                        "evidence": "exact",
                    },
                    {
                        "process": "system_server",
                        "thread": "android.bg",
                        "tid": 905,
                        "prio": 130,
                        "kind": "monitor",
                        "name": "void a.B.c(int)(B.java:5)",
                        "evidence": "inferred",
                    },
                ],
                "stretches": 4,
                "total_ns": 12_000_000,
                "longest_ns": 7_000_000,
                "running_ns": 9_000_000,
                "runnable_ns": 1_000_000,
                "blocked_ns": 2_000_000,
                "inverted_ns": 12_000_000,
                "evidence": "inferred",
                "cut": False,
            }
        ],
        "contended_releases": {"agreed": 41, "differed": 1, "untold": 2},
        "other_waits": [
            {
                "process": process,
                "role": "ui",
                "thread": "suite.workload",
                "tid": 176,
                "lock": "mutex",
                "evidence": "contention",
                "waits": 3,
                "wait_total_ns": 41_000,
                "wait_max_ns": 20_000,
            }
        ],
        "inversions": {
            "count": len(chains),
            "total_ns": sum(c["duration_ns"] for c in chains),
            "longest_ns": max((c["duration_ns"] for c in chains), default=0),
            "direct": sum(c["via"] is None for c in chains),
            "chained": sum(c["via"] is not None for c in chains),
            "chains": chains,
        },
        "frames": {
            "count": 472,
            "janky": 9 if patched else 49,
            "overrun_ms": {"p50": -7.1, "p90": -2.0, "p95": 3.1, "p99": 9.8},
            "janky_from_inversion": 0 if patched else 31,
            "late_time_ns": {
                "ui": {"running": 91_000_000, "mmap_lock": 3_000 if patched else 81_000_000, "io": 0},
                "render": {"running": 40_000_000, "mmap_lock": 0 if patched else 11_000_000, "io": 0},
            },
        },
        "launches": [
            {
                "component": f"{process}/.LaunchActivity",
                "asked": "COLD",
                "got": "COLD",
                "timeToInitialDisplayMs": 256.0,
                "timeToFullDisplayMs": None,
                "discarded": None,
                "gc_ns": 12_000_000,
                "inverted_ns": 0,
            }
        ],
        "gc": [
            {
                "process": process,
                "collector": "young concurrent copying",
                "cause": None,
                "cycles": 12,
                "duration_median_ns": 412_000_000,
                "running_ns": 3_000_000_000,
                "runnable_ns": 900_000_000,
                "lock_wait_ns": 51_000_000,
            }
        ],
        "metrics": [
            {"name": "frameCount", "unit": "count", "better": "higher", "value": 472, "quality": "exact"},
            {"name": "frameOverrunMs_p95", "unit": "ms", "better": "lower", "value": 3.1, "quality": "exact"},
            {"name": "invertedMs", "unit": "ms", "better": "lower", "value": None, "quality": "unknown"},
        ],
    }


def _chain(rng: random.Random, index: int) -> dict[str, Any]:
    running, runnable, blocked = rng.randrange(200_000, 900_000), rng.randrange(2_000_000, 7_000_000), 0
    return {
        "start_ns": 4_000_000_000 + index * 713_000_000,
        "duration_ns": running + runnable + blocked,
        "waiter": {"thread": "suite.workload", "role": "ui", "prio": 110},
        "via": {"thread": "Jit thread pool", "role": "jit", "prio": 129} if index % 3 == 2 else None,
        "holder": {"thread": "HeapTaskDaemon", "role": "gc", "prio": 124},
        "holder_operation": "madvise(MADV_DONTNEED)",
        "holder_state_ns": {"running": running, "runnable": runnable, "blocked": blocked},
        "intruders": [
            {"thread": "binder:177_1", "prio": 120, "ran_ns": runnable * 2 // 3},
            {"thread": "binder:177_2", "prio": 120, "ran_ns": runnable // 3},
        ],
    }


def made_analyses(process: str = "com.androidsuite.workload") -> list[AnalyzedRun]:
    return [
        AnalyzedRun(
            name=f"{side}, boot {boot}, gc_stress",
            analysis=made_analysis(boot, patched=side == "candidate", process=process),
            side=side,
            scenario="gc_stress",
            boot=str(boot),
            seed=boot,
            counters=COUNTED if boot == 1 else Counters(),
        )
        for side in ("baseline", "candidate")
        for boot in (1, 2, 3)
    ]
