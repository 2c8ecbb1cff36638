"""Traces that nobody here wrote, with numbers that are known of them otherwise (INDEX.md of the shared data)."""

from __future__ import annotations

from pathlib import Path

import pytest

from android_suite.analysis.pipeline import analyze_trace
from android_suite.tables.blame import LINKS
from android_suite.tables.derived import WHO_EVIDENCE
from android_suite.trace.detect import open_trace

# Waits over 0.5 ms of the main thread on 6.16.12: start in s, length in ms; the holder is HeapTaskDaemon each time.
LONG_WAITS = (
    (2.552070, 12.065),
    (3.568012, 21.797),
    (5.983434, 9.370),
    (6.700085, 13.630),
    (7.236011, 4.638),
    (7.900161, 7.241),
)


def test_the_collector_is_at_the_end_of_every_long_wait(shared_data: Path) -> None:
    analysis = analyze_trace(open_trace(shared_data / "own_capture/inversion-6.16.12.txt.gz"))
    threads, blame = analysis["thread_roles"].set_index("tid")["comm"], analysis["blame"]
    own = blame[blame["end_tid"].isin(threads.index[threads == "HeapTaskDaemon"])]
    assert set(own["kind"]) == {LINKS.index("mmap_lock")}
    assert set(own["evidence"]) == {WHO_EVIDENCE.index("exact")}
    waits = analysis["lock_waits"]
    for start, length in LONG_WAITS:
        [wait] = waits[(waits["start_ns"] - round(start * 1e9)).abs() < 1_000].to_dict("records")
        assert (wait["end_ns"] - wait["start_ns"]) / 1e6 == pytest.approx(length, abs=0.01)
        inside = own[(own["start_ns"] >= wait["start_ns"]) & (own["end_ns"] <= wait["end_ns"])]
        told = int((inside["end_ns"] - inside["start_ns"]).sum())
        # Once the lock is free, the thread waits for a CPU, which is the scheduler's.
        assert told == inside["inverted_ns"].sum() == wait["behind_ns"]
        assert told > 1_000_000


def test_slices_of_art_name_the_owner(shared_data: Path) -> None:
    """Perfetto's own test of lock contention in a launch: which slices there are is in its expected answer."""
    name = "metrics__startup__android_startup_lock_contention_slow.pb"
    analysis = analyze_trace(open_trace(shared_data / "perfetto_gold" / name))
    waits = analysis["monitor_waits"].sort_values("start_ns")
    second = 1_000_000_000
    found = [
        (row["tid"], row["start_ns"] // second, row["end_ns"] // second, row["kind"], row["lock"])
        for row in waits.to_dict("records")
    ]
    assert found == [
        (3, 120, 130, "art_lock", "thread list lock"), (3, 140, 157, "monitor", ""), (4, 155, 160, "monitor", ""),
        (2, 175, 180, "monitor", ""),
    ]  # fmt: skip
    assert waits["holder_tid"].iloc[2] == 3  # a thread of the same process
