"""What perf says, read from its reports, and how its events lie against the capture's, one by one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from tests.witness.comparing import Finding, Looked, pair_contention
from tests.witness.recording import Witnessed

_EVENT = re.compile(
    r"^\s*(?P<tid>-?\d+)\s+(?P<s>\d+)\.(?P<ns>\d{9}):\s+lock:contention_(?P<kind>begin|end):\s+0x(?P<lock>[0-9a-f]+)"
    r"(?: \(flags=(?P<flags>[A-Z|]*)\))?"
)
_LATENCY = re.compile(r"^\s+(?P<comm>.+?):(?P<tid>\d+)\s+\|\s+[\d.]+ ms \|\s+(?P<count>\d+) \|")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How two recordings of the same sleeps differ, for one thread.

    Attributes:
        number: sleeps.
        total_ns: perf's sum less the capture's.
        largest_ns: of a single sleep, in size.
        typical_ns: median difference of a single sleep, in size.
    """

    number: int
    total_ns: int
    largest_ns: int
    typical_ns: int


def parse_lock_contention(text: str) -> Mapping[int, tuple[int, int]]:
    """``perf lock contention -t -x ,``: tid to number of contended waits and their sum in ns."""
    rows = [line.split(", ") for line in text.splitlines() if line and line[0].isdigit()]
    return {int(row[4]): (int(row[0]), int(row[1])) for row in rows}


def parse_sched_latency(text: str) -> Mapping[int, int]:
    """``perf sched latency -p``: tid to how often it was switched to."""
    return {int(m["tid"]): int(m["count"]) for line in text.splitlines() if (m := _LATENCY.match(line))}


def parse_events(text: str) -> pd.DataFrame:
    """``perf script`` of contention events to the columns that the capture's contention table has.

    Raises:
        ValueError: a line that is none.
    """
    rows = []
    for seq, line in enumerate(text.splitlines()):
        m = _EVENT.match(line)
        if m is None:
            raise ValueError(f"no contention event: {line!r}")
        flags = {"READ": 2, "WRITE": 4}.get(m["flags"] or "", 1)
        rows.append(
            (seq, int(m["s"]) * 10**9 + int(m["ns"]), int(m["tid"]), int(m["kind"] == "end"), int(m["lock"], 16), flags)
        )
    return pd.DataFrame(rows, columns=["seq", "ts_ns", "tid", "kind", "lock_addr", "flags"])


def compare_perf(witnessed: Witnessed, looked: Looked) -> tuple[list[Finding], Mapping[str, Shift]]:
    """Contention and switches of the program's threads by perf, and by the suite.

    Numbers must be equal. Sums cannot be to the nanosecond: perf and ftrace read the clock one after the other. So each
    sleep of perf's is set beside the capture's: same thread, same lock, same order; what each differs by adds up to what
    the sums differ by, and nothing is left over.
    """
    by_perf = parse_lock_contention(witnessed.perf["contention"])
    switched = parse_sched_latency(witnessed.perf["latency"])
    ours = looked.trace["sched_switch"].groupby("next_tid").size()
    captured = pair_contention(looked.trace["contention"])
    sampled = pair_contention(parse_events(witnessed.perf["events"]))
    found: list[Finding] = []
    shifts: dict[str, Shift] = {}
    for name, tid in witnessed.tids.items():
        mine, theirs = (frame[frame["tid"] == tid].sort_values("start_ns") for frame in (captured, sampled))
        found.append(
            Finding(what=f"{name}: contended waits, perf lock", suite=len(mine), witness=by_perf.get(tid, (0, 0))[0])
        )
        found.append(
            Finding(what=f"{name}: switched to, perf sched", suite=int(ours.get(tid, 0)), witness=switched.get(tid, 0))
        )
        found.append(
            Finding(
                what=f"{name}: locks, in order", suite=mine["lock_addr"].tolist(), witness=theirs["lock_addr"].tolist()
            )
        )
        if len(mine) != len(theirs) or not len(mine):
            continue
        each = (theirs["end_ns"] - theirs["start_ns"]).to_numpy() - (mine["end_ns"] - mine["start_ns"]).to_numpy()
        suite_ns = int((mine["end_ns"] - mine["start_ns"]).sum())
        found.append(
            Finding(
                what=f"{name}: ns waited, perf lock less what each wait differs by",
                suite=suite_ns,
                witness=by_perf[tid][1] - int(each.sum()),
            )
        )
        shifts[name] = Shift(
            number=len(each),
            total_ns=int(each.sum()),
            largest_ns=int(abs(each).max()),
            typical_ns=int(pd.Series(abs(each)).median()),
        )
    return found, shifts
