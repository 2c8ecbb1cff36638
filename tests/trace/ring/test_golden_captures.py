"""Pages of real kernels (virtual device, arm64), and what ``trace-cmd report`` printed of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from android_suite.tables import events
from android_suite.trace.render.lines import render_text
from android_suite.trace.ring.capture_folder import open_raw_capture, read_raw_capture

GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.mark.parametrize("name", sorted(p.name for p in GOLDEN.iterdir()))
def test_the_text_is_that_of_trace_cmd(name: str) -> None:
    trace = read_raw_capture(GOLDEN / name)
    comms = trace["threads"].set_index("tid")["comm"].to_dict()
    want = (GOLDEN / name / "report.txt").read_text().splitlines()
    assert want[0] == f"cpus={trace.source.cpus}"
    assert list(render_text(open_raw_capture(GOLDEN / name), comms)) == want[1:]
    # Every line of the report is an event of the tables, and in the same order.
    times = sorted(
        (int(seq), int(ts))
        for frame in trace.tables.values()
        if "seq" in frame
        for seq, ts in zip(frame["seq"], frame["ts_ns"], strict=True)
    )
    assert [f"{(ts + 500) // 1000 / 1e6:.6f}:" for _, ts in times] == [
        line.split("] ")[1].split()[0] for line in want[1:]
    ]


def test_the_path_of_madvise_is_plain_to_see() -> None:
    """The first lock event inside madvise: on mmap_lock before the patch, none after it."""
    took = {}
    for name in ("6.16.12-arm64", "6.17.13-arm64"):
        trace = read_raw_capture(GOLDEN / name)
        calls, locks = trace["syscall"], trace["mmap_lock"]
        madvise = calls[calls["call"] == events.SYSCALLS.index("madvise")]
        inside = 0
        entered: dict[int, int] = {}
        for tid, kind, ts in zip(madvise["tid"], madvise["kind"], madvise["ts_ns"], strict=True):
            if kind == 0:
                entered[tid] = ts
            elif tid in entered:
                window = locks[
                    (locks["tid"] == tid) & locks["ts_ns"].between(entered.pop(tid), ts) & (locks["kind"] == 0)
                ]
                inside += len(window)
        assert len(madvise) > 0
        took[name] = inside
    assert took["6.16.12-arm64"] > 0
    assert took["6.17.13-arm64"] == 0
