"""Whatever events a trace holds, in whatever order: an analysis comes out, and it is JSON."""

from __future__ import annotations

import json
import random

import pytest

from android_suite.analysis.pipeline import analyze_trace
from android_suite.analysis.summary import summarize_analysis
from android_suite.tables import events
from android_suite.tables.derived import DERIVED_TABLES
from android_suite.tables.schema import check_frame
from tests.analysis.build import TraceBuilder

_TIDS = (0, 100, 101, 102, 103, 7, -5, 2**31 - 1)
_MMS = (0, 1, 2**64 - 1, 0xFFFF_8000_0000_1000)
_TEXTS = (
    "B|100|Choreographer#doFrame 7", "E|100", "E", "B|", "", "C|100|x|99999999999999999999", "S|100|a|1", "F|100|a|1",
    "B|100|Background concurrent copying GC", "B|-1|x", "B|100|bindApplication", "\x00|\n", "B|100|monitor contention with owner",
)  # fmt: skip


def scramble(seed: int) -> TraceBuilder:
    rng, b = random.Random(seed), TraceBuilder()
    last = 2**62 if seed % 5 == 0 else 10_000
    for _ in range(rng.randint(1, 120)):
        ts, tid, mm, cpu = rng.randint(0, last), rng.choice(_TIDS), rng.choice(_MMS), rng.choice((0, 1, 255))
        kind = rng.randrange(9)
        if kind == 0:
            states = events.TASK_STATES
            b.switch(ts, tid, rng.choice(states), rng.choice(_TIDS), prio=(rng.randint(-1, 200), 120), cpu=cpu)
        elif kind == 1:
            b.wake(ts, tid, prio=rng.randint(-5, 300), cpu=rng.choice((-1, cpu)), kind=rng.choice(events.WAKE_KINDS))
        elif kind in (2, 3):
            name = rng.choice(("start", "acquired", "released"))
            b.lock(ts, tid, name, mm, write=rng.random() < 0.5, success=rng.random() < 0.9, cpu=cpu)
        elif kind == 4:
            call = rng.choice(events.SYSCALLS)
            args = tuple(rng.choice((0, 4, 4096, 2**64 - 1)) for _ in range(6))
            b.enter(ts, tid, call, *args) if rng.random() < 0.5 else b.leave(
                ts, tid, call, rng.choice((0, -22, 2**63 - 1))
            )
        elif kind == 5:
            b.contend(ts, tid, mm, rng.choice((None, 0, 2, 4, 33, 2**31 - 1)))
        elif kind == 6:
            b.mark(ts, tid, rng.choice(_TEXTS))
        elif kind == 7:
            b.reason(ts, tid, rng.choice(("", "0", "down_read+0x1", "SyS_munmap")), io=rng.random() < 0.5)
        else:
            b.boost(ts, tid, 120, rng.randint(0, 139))
    for _ in range(rng.choice((0, 0, 3))):
        begin = rng.randint(0, last)
        b.lose(rng.choice((-1, 0, 1)), begin, begin + rng.randint(0, last // 4))
    if rng.random() < 0.3:
        b.frame(rng.randint(-1, 5), (-1, -1), (rng.randint(0, last), -1), "Something New")
    return b


@pytest.mark.parametrize("part", range(4))
def test_any_trace_gives_an_analysis(part: int) -> None:
    for seed in range(part * 8, part * 8 + 8):
        analysis = analyze_trace(scramble(seed).trace(), process="com.example" if seed % 2 else None)
        summary = summarize_analysis(analysis)
        json.dumps(summary, allow_nan=False)
        for table in DERIVED_TABLES:
            check_frame(table, analysis[table.name])
        for name in ("lock_waits", "lock_holds", "thread_states", "slices", "inversions"):
            assert (analysis[name]["end_ns"] >= analysis[name]["start_ns"]).all(), (seed, name)
