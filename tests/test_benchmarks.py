"""The benchmarks measure what they say: the generated events are true, and all readers see the same ones. No timing here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from android_suite.analysis.pipeline import analyze_trace
from android_suite.errors import EvidenceError, UsageError
from android_suite.tables.events import TASK_STATES
from android_suite.trace.detect import open_trace
from android_suite.trace.ring.capture_folder import read_raw_capture
from benchmarks.__main__ import _check, main, parse_sizes
from benchmarks.generate import generate, make_piece, write_raw
from benchmarks.measured import Measured, Run
from benchmarks.peers import Peer, find_peers, measure_peer
from benchmarks.scenes import READ, play
from benchmarks.table import render_results

FEW = 3000


def test_pages_hold_the_events_that_were_played(tmp_path: Path) -> None:
    trace = read_raw_capture(write_raw(tmp_path, make_piece(FEW, seed=3), 1))
    played = [e for lane in play(events=FEW, lanes=4, start_ns=trace_start(), seed=3) for e in lane.events]
    switches = sorted(e for e in played if e.name == "sched_switch")
    columns = ("ts_ns", "cpu", "prev_tid", "prev_prio", "next_tid", "next_prio")
    found = list(zip(*(trace["sched_switch"][c].tolist() for c in columns), strict=True))
    assert found == [(e.ts_ns, e.cpu, *(e.values[i] for i in (1, 2, 5, 6))) for e in switches]
    letters = {0: "R", 1: "S", 2: "D", 256: "R+"}
    assert [TASK_STATES[s] for s in trace["sched_switch"]["prev_state"]] == [letters[e.values[3]] for e in switches]  # type: ignore[index]
    assert trace.source.events == len(played)
    assert trace.source.lost_events == 0


def trace_start() -> int:
    return 10_000 * 1_000_000_000


def test_repeated_life_stays_true(tmp_path: Path) -> None:
    piece = make_piece(FEW, seed=5)
    played = [e for lane in play(events=FEW, lanes=4, start_ns=trace_start(), seed=5) for e in lane.events]
    chains = sum(e.name == "contention_begin" and e.values[1] == READ for e in played)
    waits = sum(e.name == "contention_begin" for e in played)
    calls = sum(e.name == "sys_enter_madvise" for e in played)
    assert chains
    for times in (1, 3):
        found = analyze_trace(read_raw_capture(write_raw(tmp_path, piece, times)))
        inverted = found["inversions"]
        assert len(found["madvise"]) == calls * times
        assert (found["lock_waits"]["end_ns"] > 0).all()
        assert int((inverted["kind"] == 1).sum()) == chains * times
        # Each wait for the main thread's writer, and each fault once it waits for the compiler's hold.
        assert len(inverted) == waits * times


def test_all_formats_hold_the_same_events(tmp_path: Path) -> None:
    events = generate(tmp_path, FEW)
    rows = []
    for name in ("raw", "trace.dat", "trace.txt", "trace.perfetto"):
        trace = open_trace(tmp_path / name)
        assert trace.source.events == events
        found = analyze_trace(trace)
        derived = ("lock_waits", "lock_holds", "inversions", "madvise", "frames", "slices")
        rows.append(
            {table: len(frame) for table, frame in trace.tables.items() if "seq" in frame}
            | {table: len(found[table]) for table in derived}
        )
        assert (trace["sched_switch"]["ts_ns"].diff().dropna() >= 0).all()
    assert rows[0] == rows[1] == rows[2] == rows[3]


def measured(step: str, events: int, **rows: int) -> Measured:
    run = Run(wall_s=events / 2e6, cpu_s=0.4, peak_bytes=10**9)
    return Measured(step=step, events=events, runs=(run,), rows=rows)


def test_readers_that_disagree_are_not_measured() -> None:
    _check([measured("raw", 10, sched_switch=5), measured("text", 10, sched_switch=5)], 10)
    with pytest.raises(EvidenceError, match="text"):
        _check([measured("raw", 10, sched_switch=5), measured("text", 10, sched_switch=4)], 10)
    with pytest.raises(EvidenceError, match="raw"):
        _check([measured("raw", 9, sched_switch=5)], 10)


def test_table_shows_rates_growth_and_peers() -> None:
    page = render_results(
        conditions=[("CPU", "one")], measured=[measured("text", 10**6), measured("text", 10**7)],
        peers=[measured("slow program (txt)", 10**6)], compile_s={"text": 3.0}, notes=["nothing else"],
    )  # fmt: skip
    rates = [
        row.split("|")[7].strip() for row in page.splitlines() if row.startswith("| text to") and row.count("|") > 9
    ]
    assert rates == ["2.00", "2.00"]
    assert "1.0 times" in page
    assert "- nothing else" in page


def test_times_of_the_yardstick_are_the_median_of_each_run() -> None:
    runs = [
        Run(wall_s=1, cpu_s=cpu, peak_bytes=1, yard_s=yard) for cpu, yard in ((1.0, 2e-6), (4.0, 9e-6), (2.0, 9e-6))
    ]
    one = Measured(step="raw", events=10**6, runs=runs)
    assert one.times_yard == pytest.approx(2.25)
    page = render_results(conditions=[], measured=[one], peers=[], compile_s={}, notes=[])
    assert [cell.strip() for cell in page.splitlines()[-1].split("|")][-3:-1] == ["2.2", "12.3"]
    assert measured("raw", 10).times_yard is None


@pytest.mark.parametrize("sizes", ["", "0", "x", "1G", "1M,,2M", "-5"])
def test_bad_sizes(sizes: str) -> None:
    with pytest.raises(UsageError, match="--sizes"):
        parse_sizes(sizes)


def test_sizes() -> None:
    assert parse_sizes("10M, 20k,10M") == [20_000, 10_000_000]


def test_unknown_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--steps", "raw,smell"]) == 2
    assert "smell" in capsys.readouterr().err


def test_peer_that_fails_is_told(tmp_path: Path) -> None:
    (tmp_path / "trace.txt").write_text("x\n")
    broken = Peer(name="broken", file="trace.txt", command=(sys.executable, "-c", "raise SystemExit('no such thing')"))
    assert measure_peer(broken, tmp_path, 1, 1) == "broken: ended with 1: no such thing"
    peers, notes = find_peers(None)
    assert peers[0].file == "trace.txt"
    assert any("--peers" in note for note in notes)


@pytest.mark.slow
def test_command_prints_the_table(project_root: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--sizes", "20k", "--runs", "1", "--no-first-use", "--write", tmp_path / "page.md"],
        cwd=project_root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page.md").read_text()
    assert page.strip() == done.stdout.strip()
    for step in ("raw pages to tables", "trace.dat to tables", "text to tables", "Perfetto to tables", "whole analyze"):
        row = next(line for line in page.splitlines() if step in line)
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[1] == "20 k"
        assert all(re.fullmatch(r"\d+\.\d\d", cell) for cell in cells[3:10]), row
        assert re.fullmatch(r"\d+\.\d", cells[11]), row
    assert "regex loop" in page
