"""The numbers by which the model is held against ART, from a trace whose answer is known; and the page they are written on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from android_suite.analysis.pipeline import Analysis, analyze_trace
from android_suite.errors import UsageError
from android_suite.tables.derived import EXACT
from android_suite.trace.text.reader import read_text
from benchmarks.heap_numbers import find_window, measure_stress, pool
from benchmarks.left_over import CPU_MEANWHILE, IN_LATE, IN_TIME_WITHOUT, Left, add_run, describe
from benchmarks.model_against_art import HEADING, find_runs, main, render_section, replace_section

APP, UI, GC, STRESS = "com.example.app", 100, 105, 107
COMMS = {UI: APP[-15:], GC: "HeapTaskDaemon", STRESS: "stress-0"}
PRIORITIES = {UI: 110, GC: 124, STRESS: 120}
DONTNEED, MADVISE, MUNMAP = 4, 233, 215


class Script:
    """Lines of ftrace text on one CPU; times are microseconds."""

    def __init__(self) -> None:
        self.lines = ["# tracer: nop", "#"]
        self.now = GC

    def at(self, us: int, text: str, tid: int | None = None) -> None:
        tid = tid or self.now
        self.lines.append(f" {COMMS[tid]}-{tid} ( {UI}) [000] ..... {us / 1e6:.6f}: {text}")

    def switch(self, us: int, to: int, state: str = "S") -> None:
        old = self.now
        self.at(
            us,
            f"sched_switch: prev_comm={COMMS[old]} prev_pid={old} prev_prio={PRIORITIES[old]} prev_state={state} ==> "
            f"next_comm={COMMS[to]} next_pid={to} next_prio={PRIORITIES[to]}",
        )
        self.now = to

    def mark(self, us: int, text: str) -> None:
        self.at(us, f"tracing_mark_write: {text}")

    def lock(self, us: int, what: str, *, write: bool) -> None:
        tail = " success=true" if what == "acquire_returned" else ""
        self.at(us, f"mmap_lock_{what}: mm=00000000aaaaaaaa memcg_id=1 write={'true' if write else 'false'}{tail}")

    def call(self, us: int, number: int, arguments: str, *, write: bool, holds: int = 2) -> None:
        """A system call that takes mmap_lock at once and holds it for some microseconds."""
        self.at(us, f"sys_enter: NR {number} ({arguments})")
        self.lock(us + 1, "start_locking", write=write)
        self.lock(us + 1, "acquire_returned", write=write)
        self.lock(us + 1 + holds, "released", write=write)
        self.at(us + 2 + holds, f"sys_exit: NR {number} = 0")

    def free(self, us: int, size: int, holds: int = 2) -> None:
        self.call(us, MADVISE, f"7f0000000000, {size:x}, {DONTNEED}, 0, 0, 0", write=False, holds=holds)


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    """20 ms: a collection of 6 ms with three calls, in the last of which it is preempted; the UI thread unmaps behind it."""
    s = Script()
    s.switch(900, UI)
    s.mark(1000, f"B|{UI}|Choreographer#doFrame 7")
    s.call(1100, MUNMAP, "7f1000000000, 10000, 0, 0, 0, 0", write=True)
    s.mark(2000, f"E|{UI}")
    s.switch(2100, GC)
    s.mark(3000, f"B|{UI}|Background concurrent copying GC")
    s.free(3100, 20 << 10)
    s.free(3200, 260 << 10, holds=4)
    s.at(3900, f"sys_enter: NR {MADVISE} (7f0000000000, 1400000, {DONTNEED}, 0, 0, 0)")
    s.lock(4000, "start_locking", write=False)
    s.lock(4000, "acquire_returned", write=False)
    s.switch(5000, UI, "R+")
    s.mark(5100, f"B|{UI}|Choreographer#doFrame 8")
    s.at(5200, f"sys_enter: NR {MUNMAP} (7f1000000000, 10000, 0, 0, 0, 0)")
    s.lock(5300, "start_locking", write=True)
    s.switch(5400, STRESS, "D")
    s.switch(7400, GC, "R+")
    s.lock(8300, "released", write=False)
    s.at(8350, f"sched_waking: comm={COMMS[UI]} pid={UI} prio=110 target_cpu=000")
    s.at(8400, f"sys_exit: NR {MADVISE} = 0")
    s.mark(9000, f"E|{UI}")
    s.switch(9100, UI, "R+")
    s.lock(9300, "acquire_returned", write=True)
    s.lock(9400, "released", write=True)
    s.at(9500, f"sys_exit: NR {MUNMAP} = 0")
    s.mark(21_000, f"E|{UI}")
    s.switch(21_100, STRESS)
    return analyze_trace(read_text("\n".join(s.lines).encode() + b"\n"), process=APP)


def test_numbers_of_a_known_trace(analysis: Analysis) -> None:
    window = find_window(analysis, 20)
    assert window == (1_000_000, 21_000_000)
    numbers = measure_stress(analysis, window, 5000)
    assert numbers.seconds == 0.02
    totals = numbers.totals
    assert (totals["madvise calls"], totals["collections"]) == (3, 1)
    assert totals["MiB advised"] == pytest.approx(20 + 280 / 1024)
    assert (totals["munmap, UI thread"], totals["munmap, other threads"], totals["mmap, UI thread"]) == (2, 0, 0)
    assert totals["ms of CPU, HeapTaskDaemon"] == pytest.approx(2.9 + 1.7)
    assert totals["ms of CPU, other threads"] == pytest.approx(2.0)
    assert totals["ms the UI thread waits for mmap_lock"] == pytest.approx(4.0)
    assert totals["ms of it inverted behind HeapTaskDaemon's madvise"] == pytest.approx(3.0)
    assert totals["ms inverted behind anything else"] == 0
    assert sorted(numbers.values["range, KiB"]) == [20, 260, 20 << 10]
    assert sorted(numbers.values["hold of mmap_lock in it, us"]) == [2, 4, 4300]
    assert numbers.values["calls of a collection"].tolist() == [3]
    assert numbers.values["collection, ms"].tolist() == [6.0]
    assert numbers.values["CPU of a collection, ms"] == pytest.approx([2.0 + 1.6])
    pooled = pool([numbers, numbers])
    assert pooled["madvise calls, per s"] == 150
    assert pooled["range, KiB: share of 1 MiB and more, %"] == pytest.approx(100 / 3, abs=1e-3)
    assert pooled["range, KiB: half up to"] == 260
    assert pooled["from start to start, ms: median"] is None, "one collection has no period"


def test_why_frames_are_late(analysis: Analysis) -> None:
    """By slices alone no deadline is known: the frames are given one, and the split that goes with it."""
    frames = analysis["frames"].assign(quality=EXACT)
    second = frames.index[1]
    frames.loc[second, ["late", "overrun_ns", "ui_mmap_lock_ns", "ui_runnable_ns"]] = [
        True,
        3_500_000,
        4_000_000,
        100_000,
    ]
    judged = replace(analysis, tables={**analysis.tables, "frames": frames})
    left, both = Left(), Left()
    add_run(left, judged, (1_000_000, 21_000_000))
    both.add(left)
    both.add(left)
    told = describe(both)
    assert (told["frames"], told["late frames"]) == (4, 2)
    assert told["ms of the UI thread a late frame: in mmap_lock"] == 4.0
    assert told["late frames in time without their time: in mmap_lock"] == 2
    assert told["late frames in time without their time: waiting for the CPU"] == 0
    assert told["ms of CPU meanwhile, a late frame: HeapTaskDaemon"] == pytest.approx(0.75)
    assert told["ms a run behind others"] == told["longest such wait, ms"] == pytest.approx(3.0)
    assert told["ms a run behind others: mmap_lock, behind madvise(MADV_DONTNEED) of HeapTaskDaemon"] == 3.0


def test_what_is_left_is_told_in_words() -> None:
    told = {
        "frames": 359.0, "late frames": 6.0, f"{IN_LATE}: running": 1.908, f"{IN_LATE}: waiting for the CPU": 6.272,
        f"{IN_TIME_WITHOUT}: waiting for the CPU": 5.0, f"{CPU_MEANWHILE}: stress-0": 3.425,
        "ms a run behind others": 0.0, "longest such wait, ms": 0.0,
    }  # fmt: skip
    section = render_section({"`gc_stress`: why frames are late": {"6.16.12": {}, "6.17.13": {"ART 14": told}}})
    words = " ".join(section.split())
    assert (
        "On 6.17.13 with ART 14, 6 of 359 frames are late. In such a frame the UI thread spends 1.9 ms running and"
        in words
    )
    assert (
        "and 6.3 ms waiting for the CPU. While it waits for the CPU, that is with stress-0 for 3.4 ms. 5 of them"
        in words
    )
    assert "It waits behind nobody for mmap_lock" in words
    told["ms a run behind others"] = 2.0
    section = render_section({"`gc_stress`: why frames are late": {"6.17.13": {"ART 14": told}}})
    assert "it waits 2.0 ms a run behind others" in section.replace("\n", " ")


def test_the_section_is_written_in_its_place(tmp_path: Path) -> None:
    kept = {"`gc_stress`": {"6.17.13": {"ART 14": {"madvise calls, per s": 11814.7}, "model": {"range": None}}}}
    section = render_section(kept)
    assert section.startswith(HEADING + "\n")
    assert "11 815" in section
    (tmp_path / "kept.json").write_text(json.dumps(kept))
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n## The model against ART\n\nold\n\n## After\n\nkept\n")
    for _ in range(2):
        assert main(["write", "--from", str(tmp_path / "kept.json"), "--page", str(page)]) == 0
        assert page.read_text() == f"# Page\n\n{section}\n## After\n\nkept\n"
    assert replace_section("# Page\n", section) == f"# Page\n\n{section}"


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no run directory"):
        find_runs([tmp_path])
