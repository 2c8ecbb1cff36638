"""Real traces with known numbers."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest

from android_suite.analysis.pipeline import Analysis, analyze_trace
from android_suite.analysis.summary import summarize_analysis
from android_suite.tables.derived import PATHS, REASONS
from android_suite.trace.detect import open_trace
from android_suite.trace.text.reader import read_text


@functools.cache
def analyze(path: Path) -> Analysis:
    return analyze_trace(read_text(path))


@functools.cache
def analyze_any(path: Path) -> Analysis:
    return analyze_trace(open_trace(path))


@pytest.mark.parametrize(("kernel", "per_vma", "mmap_lock"), [("6.16.12", 0, 2050), ("6.17.13", 1312, 2)])
def test_the_seeds_table(shared_data: Path, kernel: str, per_vma: int, mmap_lock: int) -> None:
    summary = summarize_analysis(analyze(shared_data / "own_capture" / f"trace-{kernel}.txt.gz"))
    gc = next(row for row in summary["madvise"] if row["role"] == "gc")
    assert (gc["thread"], gc["process"]) == ("HeapTaskDaemon", "com.example.gc")
    assert (gc["per_vma"], gc["mmap_lock"], gc["unknown"]) == (per_vma, mmap_lock, 0)
    reason = "unpatched" if not per_vma else "unknown"  # without a map snapshot nothing tells that they span two VMAs
    assert gc["reasons"] == {reason: mmap_lock}
    share = next(m for m in summary["metrics"] if m["name"] == "madviseMmapLockPct_gc")
    assert share["value"] == pytest.approx(100 * mmap_lock / (mmap_lock + per_vma))


@pytest.mark.parametrize(("kernel", "count", "total_ms"), [("6.16.12", 4283, 71.814), ("6.17.13", 4321, 3.145)])
def test_write_waits_of_the_ui_thread(shared_data: Path, kernel: str, count: int, total_ms: float) -> None:
    summary = summarize_analysis(analyze(shared_data / "own_capture" / f"inversion-{kernel}.txt.gz"))
    (row,) = [
        r for r in summary["locks"] if r["role"] == "ui" and r["mode"] == "write" and r["thread"] == "com.example.gc"
    ]
    assert (row["waits"], row["wait_total_ns"]) == (count, round(total_ms * 1e6))


def test_the_six_long_waits_are_inversions(shared_data: Path) -> None:
    analysis = analyze(shared_data / "own_capture" / "inversion-6.16.12.txt.gz")
    waits, inversions = analysis["lock_waits"], analysis["inversions"]
    length = waits["end_ns"] - waits["start_ns"]
    long = waits[(length > 500_000) & (waits["tid"] == 141)]
    told = [
        (2.552070, 12.065),
        (3.568012, 21.797),
        (5.983434, 9.370),
        (6.700085, 13.630),
        (7.236011, 4.638),
        (7.900161, 7.241),
    ]
    assert [(s / 1e9, n / 1e6) for s, n in zip(long["start_ns"], length[long.index], strict=True)] == told
    assert inversions["wait"].tolist() == long.index.tolist()
    assert set(inversions["holder_tid"]) == {142}
    assert set(inversions["operation"]) == {"madvise(MADV_DONTNEED)"}
    assert set(zip(inversions["waiter_prio"], inversions["holder_prio"], strict=True)) == {(110, 124)}
    # HeapTaskDaemon is preempted all the while: that is the unbounded kind, and the binder threads ran instead.
    assert inversions["runnable_ns"].sum() > 0.99 * (inversions["end_ns"] - inversions["start_ns"]).sum()
    intruders = analysis["intruders"]
    assert {143, 144} <= set(intruders["tid"])
    assert 141 not in set(intruders["tid"])


def test_no_inversion_with_the_patch(shared_data: Path) -> None:
    summary = summarize_analysis(analyze(shared_data / "own_capture" / "inversion-6.17.13.txt.gz"))
    assert (summary["inversions"]["count"], summary["inversions"]["total_ns"]) == (0, 0)
    assert (summary["frames"]["count"], summary["frames"]["late"]) == (358, 0)


def test_frames_lost_to_the_inversion(shared_data: Path) -> None:
    frames = summarize_analysis(analyze(shared_data / "own_capture" / "inversion-6.16.12.txt.gz"))["frames"]
    assert (frames["count"], frames["late"]) == (355, 3)
    # By their slices alone: the three waited behind HeapTaskDaemon, but how late they were is understated.
    assert frames["janky_from_inversion"] is None
    assert frames["worst_ms"] == pytest.approx(26.7 - 16.667, abs=0.1)
    ui = frames["late_time_ns"]["ui"]
    assert ui["mmap_lock"] > ui["running"] > 0
    assert ui["unknown"] == 0


def test_the_memcg_path_layout_of_5_14(shared_data: Path) -> None:
    analysis = analyze(shared_data / "mmap_lock" / "lkml_20210730_rostedt_trace-cmd-show.txt")
    waits, holds = analysis["lock_waits"], analysis["lock_holds"]
    assert (waits["end_ns"] - waits["start_ns"]).tolist() == [2000, 1000]
    assert (holds["end_ns"] - holds["start_ns"]).tolist() == [5000, 4000]
    assert not waits["write"].any()


def test_every_text_of_the_reference_gives_an_analysis(shared_data: Path) -> None:
    """Whatever it holds, JSON comes out, without NaN, and every number is of a Python type."""
    files = [
        f
        for f in sorted((shared_data / "ftrace_text").iterdir())
        if f.name not in ("atrace_procfs_dump", "trace_empty.txt")
    ]
    for file in (*files, shared_data / "pi" / "lkml_20201207_rt_sched_pi_setprio.txt"):
        text = json.dumps(summarize_analysis(analyze_trace(read_text(file))), allow_nan=False)
        assert json.loads(text)["schema"] == "android-suite/analysis", file.name


def test_a_real_systrace(shared_data: Path) -> None:
    analysis = analyze(shared_data / "ftrace_text" / "trace_surfaceflinger.html")
    slices = analysis["slices"]
    frame = slices[slices["name"].str.contains("doFrame")]
    assert ((frame["end_ns"] - frame["start_ns"]) / 1e6).round(3).tolist() == [6.090]
    assert len(analysis["counters"]) == 18
    assert PATHS[0] == "per_vma"
    assert "unpatched" in REASONS


def test_waits_for_the_lock_of_a_vma(shared_data: Path) -> None:
    """The capture's own known numbers, to the nanosecond (INDEX.md beside it)."""
    analysis = analyze_any(shared_data / "own_capture" / "vma-lock-6.17.13.dat.gz")
    waits = analysis["vma_waits"]
    length = waits["end_ns"] - waits["start_ns"]
    assert (len(waits), length.sum(), length.max(), (length > 500_000).sum()) == (13, 13_306_575, 2_328_752, 11)
    assert (waits["runnable_ns"].sum(), waits["runnable_ns"].max()) == (30_615_328, 6_975_553)
    assert set(zip(waits["tid"], waits["holder_tid"], waits["operation"], strict=True)) == {
        (133, 136, "madvise(MADV_DONTNEED)")
    }
    inversions = analysis["inversions"]
    assert (inversions["end_ns"] - inversions["start_ns"]).tolist() == length.tolist()
    assert set(zip(inversions["waiter_prio"], inversions["holder_prio"], strict=True)) == {(110, 124)}
    values = {m["name"]: (m["value"], m["quality"]) for m in summarize_analysis(analysis)["metrics"]}
    assert values["vmaLockWaitMs_ui"] == values["invertedMs_vmaLock"] == values["invertedMs"] == (13.306575, "exact")
    assert values["invertedMs_mmapLock"] == (0.0, "exact")


def test_the_same_program_before_the_patch_waits_for_mmap_lock(shared_data: Path) -> None:
    analysis = analyze_any(shared_data / "own_capture" / "vma-lock-6.16.12.dat.gz")
    values = {m["name"]: (m["value"], m["quality"]) for m in summarize_analysis(analysis)["metrics"]}
    assert values["mmapLockWaitMs_ui"][0] == pytest.approx(356.54, abs=0.005)
    assert values["mmapLockWaitMaxMs_ui"][0] == pytest.approx(12.806, abs=0.0005)
    assert values["vmaLockWaitMs_ui"] == (0.0, "exact")


@pytest.mark.parametrize(
    ("kernel", "paths", "behind_madvise", "behind_munmap"),
    [
        ("6.16.12", (0, 30_544), [1_487_400, 2_559_616, 4_967_278, 7_875_316], [4_590_802, 5_387_763]),
        ("6.17.13", (34_598, 2), [], [7_597_714, 10_684_009]),
    ],
)
def test_inversions_on_a_real_art_heap(
    shared_data: Path, kernel: str, paths: tuple[int, int], behind_madvise: list[int], behind_munmap: list[int]
) -> None:
    """Numbers of INDEX.md beside the captures. What is left with the patch are two munmaps: the heap, as the runtime ends."""
    analysis = analyze_any(shared_data / "own_capture" / f"art-inversion-{kernel}.dat.gz")
    summary = summarize_analysis(analysis)
    [gc] = [row for row in summary["madvise"] if row["thread"] == "HeapTaskDaemon"]
    assert (gc["per_vma"], gc["mmap_lock"], gc["unknown"]) == (*paths, 0)
    comms = dict(zip(analysis["thread_roles"]["tid"], analysis["thread_roles"]["comm"], strict=True))
    inversions = analysis["inversions"].assign(
        ns=lambda rows: rows["end_ns"] - rows["start_ns"], holder=lambda rows: rows["holder_tid"].map(comms)
    )
    assert set(inversions["waiter_tid"].map(comms)) == {"ui.bench"}
    found = {by: sorted(ns) for by, ns in inversions.groupby(["holder", "operation"])["ns"]}
    told = {("HeapTaskDaemon", "madvise(MADV_DONTNEED)"): behind_madvise, ("Shutdown thread", "munmap"): behind_munmap}
    assert found == {by: ns for by, ns in told.items() if ns}
    holds = analysis["lock_holds"].loc[inversions.loc[inversions["operation"] == "munmap", "hold"]]
    unmapped = analysis["syscall_calls"].loc[holds["call"], "arg1"]
    assert [size >> 20 for size in unmapped.tolist()] == [768, 384], "the region space and the large object space"
    values = {m["name"]: (m["value"], m["quality"]) for m in summary["metrics"]}
    assert values["invertedMs"] == (sum(behind_madvise + behind_munmap) / 1e6, "exact")
    assert values["invertedCount"] == (len(behind_madvise + behind_munmap), "exact")
    assert values["invertedLongestMs"] == (max(behind_madvise + behind_munmap) / 1e6, "exact")
    assert values["invertedMs_gcMadvise"] == (sum(behind_madvise) / 1e6, "exact")


def test_eight_waits_for_a_vma_in_a_text_trace(shared_cases: Path) -> None:
    summary = summarize_analysis(analyze_any(shared_cases / "device" / "04-vma-lock-wait.trace.txt"))
    (row,) = (r for r in summary["locks"] if r["lock"] == "vma_lock")
    assert (row["tid"], row["waits"], row["wait_total_ns"], row["wait_max_ns"]) == (1000, 8, 229_600_000, 28_700_000)
    chains = summary["inversions"]["chains"]
    assert [(c["lock"], c["duration_ns"], c["holder"]["tid"]) for c in chains] == [("vma_lock", 28_700_000, 1010)] * 8
