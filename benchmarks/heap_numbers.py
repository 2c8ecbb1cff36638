"""What a collector and the threads beside it did in a run: the quantities by which two heaps are compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from android_suite.analysis.pipeline import Analysis
from android_suite.analyze import analyze_file
from android_suite.analyze.evidence import read_counters
from android_suite.model.launch import STATES
from android_suite.store.run import open_run
from android_suite.tables.derived import EXACT, RUNNING, UNKNOWN
from android_suite.tables.events import SYSCALLS
from benchmarks.left_over import Left, add_run

DONTNEED = 4
MIB = 1 << 20
LARGE_KIB = 1024
WRITERS = ("mmap", "munmap", "mprotect")
PHASES = ("bindApplication", "activityStart", "activityResume")
MEDIAN_AND_MOST = (("median", 50.0), ("most", 100.0))
_SIZES = (("a quarter up to", 25.0), ("half up to", 50.0), ("three quarters up to", 75.0), ("most", 100.0))
_TAIL = (("median", 50.0), ("99th percentile", 99.0), ("most", 100.0))
# which quantiles of a value are shown; of the others MEDIAN_AND_MOST
QUANTILES = {"range, KiB": _SIZES, "call, us": _TAIL, "hold of mmap_lock in it, us": _TAIL}
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What was measured in one run.

    Attributes:
        seconds: of virtual time that the totals are about.
        totals: sums over that time, shown per second.
        values: single values, of which quantiles are shown.
    """

    seconds: float
    totals: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, Values] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bench:
    """What runs are grouped by: what ran, on which kernel."""

    name: str
    kernel: str


def measure_run(path: Path) -> Iterator[tuple[Bench, Numbers, Left | None]]:
    """Every traced iteration of a run directory: its bench, its numbers, and why its frames are late."""
    run = open_run(path)
    kernel = run.manifest.kernel.release.partition("+")[0].partition("-")[0] if run.manifest.kernel else ""
    for record in run.manifest.iterations:
        profile = record.parameters.get("profile")
        analysis = analyze_file(path, iteration=record.index)
        bench = Bench(f"`{record.scenario}`" + (f", profile `{profile}`" if profile else ""), kernel)
        if profile is None:
            yield bench, measure_launches(analysis), None
            continue
        faults = read_counters(run.raw(record)).vmstat.get("pgfault", 0)
        window = find_window(analysis, int(record.parameters["duration_ms"]))
        left = Left()
        add_run(left, analysis, window)
        yield bench, measure_stress(analysis, window, faults), left


def find_window(analysis: Analysis, duration_ms: int) -> tuple[int, int]:
    """The time of the stress, in ns on the trace clock: it ends with its last frame."""
    frames = analysis["frames"]
    end = int(frames["end_ns"].max()) if len(frames) else 0
    return end - duration_ms * 1_000_000, end


def measure_stress(analysis: Analysis, window: tuple[int, int], faults: int) -> Numbers:
    """The stress: what begins in the window; ``faults`` is the kernel's count over the whole run."""
    frames, threads = _within(analysis["frames"], window), analysis.named("thread_roles")
    mine = threads[threads["process"] == analysis.process]
    ui, gc = (mine.loc[mine["role"] == role, "tid"] for role in ("ui", "gc"))
    freed = _within(analysis["madvise"], window)
    freed = freed[freed["tid"].isin(gc) & (freed["advice"] == DONTNEED)]
    cycles = _within(analysis["gc_cycles"], window)
    cycles = cycles[cycles["tid"].isin(gc) & (cycles["quality"] == EXACT)]
    waits = _within(analysis["lock_waits"], window)
    waits = waits[waits["tid"].isin(ui) & (waits["quality"] != UNKNOWN)]
    holds = analysis["lock_holds"]
    inverted = _within(analysis["inversions"], window)
    inverted = inverted[inverted["waiter_tid"].isin(ui)]
    by_gc = inverted["holder_tid"].isin(gc) & inverted["operation"].str.contains("madvise(", regex=False)
    return Numbers(
        seconds=(window[1] - window[0]) / 1e9,
        totals={
            "madvise calls": len(freed),
            "MiB advised": int(freed["bytes"].sum()) / MIB,
            "collections": len(cycles),
            **_count_writers(_within(analysis["syscall_calls"], window), mine["tid"], ui),
            "page faults (whole run)": faults,
            **_time_running(analysis, window, mine, {"UI thread": ui, "HeapTaskDaemon": gc}),
            "frames late": int(frames["late"].sum()),
            "of them only because of inversion": int(frames["from_inversion"].sum()),
            "ms the UI thread waits for mmap_lock": _sum_ms(waits),
            "ms of it inverted behind HeapTaskDaemon's madvise": _sum_ms(inverted[by_gc]),
            "ms inverted behind anything else": _sum_ms(inverted[~by_gc]),
        },
        values={
            "range, KiB": _floats(freed["bytes"], 1024),
            "call, us": _lengths(freed, 1e3),
            "hold of mmap_lock in it, us": _lengths(holds[holds["call"].isin(freed["call"])], 1e3),
            "calls of a collection": _floats(cycles["madvise_calls"]),
            "MiB of a collection": _floats(cycles["madvise_bytes"], MIB),
            "collection, ms": _lengths(cycles, 1e6),
            "CPU of a collection, ms": _floats(cycles["running_ns"], 1e6),
            "from start to start, ms": _floats(cycles["start_ns"].sort_values().diff().dropna(), 1e6),
            "inverted wait, ms": _lengths(inverted[by_gc], 1e6),
        },
    )


def _within(table: pd.DataFrame, window: tuple[int, int]) -> pd.DataFrame:
    """The rows that begin in the window."""
    return table[(table["start_ns"] >= window[0]) & (table["start_ns"] < window[1])]


def _floats(column: pd.Series, unit: float = 1.0) -> Values:
    return column.to_numpy(dtype=np.float64) / unit


def _lengths(table: pd.DataFrame, unit: float) -> Values:
    return _floats(table["end_ns"] - table["start_ns"], unit)


def _sum_ms(table: pd.DataFrame) -> float:
    return int((table["end_ns"] - table["start_ns"]).sum()) / 1e6


def _count_writers(calls: pd.DataFrame, mine: pd.Series, ui: pd.Series) -> dict[str, float]:
    """Calls that take mmap_lock for write, of the threads of the app."""
    calls = calls[calls["tid"].isin(mine)]
    by_ui = calls["tid"].isin(ui)
    found = {}
    for name in WRITERS:
        these = calls["call"] == SYSCALLS.index(name)
        found[f"{name}, UI thread"] = float((these & by_ui).sum())
        found[f"{name}, other threads"] = float((these & ~by_ui).sum())
    return found


def _time_running(
    analysis: Analysis, window: tuple[int, int], mine: pd.DataFrame, named: Mapping[str, pd.Series]
) -> dict[str, float]:
    """Milliseconds of CPU in the window: of the named threads, and of all others of the app."""
    states = analysis["thread_states"]
    states = states[(states["state"] == RUNNING) & states["tid"].isin(mine["tid"])]
    length = states["end_ns"].clip(*window) - states["start_ns"].clip(*window)
    by_tid = length.groupby(states["tid"]).sum() / 1e6
    found = {f"ms of CPU, {name}": float(by_tid.reindex(tids).sum()) for name, tids in named.items()}
    return {**found, "ms of CPU, other threads": float(by_tid.sum()) - sum(found.values())}


def measure_launches(analysis: Analysis) -> Numbers:
    """Launches by their state: times, and the length of their phases."""
    launches, slices = analysis["launches"], analysis["slices"]
    values: dict[str, Values] = {}
    for state in STATES:
        own = launches[(launches["got"] == state) & (launches["outcome"] == "ok")]
        if not len(own):
            continue
        values[f"{state}: initial display, ms"] = _floats(own["initial_display_ms"])
        values[f"{state}: main thread running, ms"] = _floats(own["ui_running_ns"], 1e6)
        values[f"{state}: main thread runnable, ms"] = _floats(own["ui_runnable_ns"], 1e6)
        values[f"{state}: main thread in mmap_lock, ms"] = _floats(own["ui_mmap_lock_ns"], 1e6)
        values[f"{state}: overlap with collections, ms"] = _floats(own["gc_ns"], 1e6)
    for phase in PHASES:
        values[f"{phase}, ms"] = _lengths(slices[slices["name"] == phase], 1e6)
    return Numbers(seconds=0.0, values=values)


def pool(runs: Sequence[Numbers]) -> dict[str, float | None]:
    """Runs of one kind taken together: rates per second, then quantiles of all their values."""
    seconds = sum(each.seconds for each in runs)
    found: dict[str, float | None] = {}
    for name in dict.fromkeys(name for each in runs for name in each.totals):
        found[f"{name}, per s"] = round(sum(each.totals.get(name, 0.0) for each in runs) / seconds, 4)
    for name in dict.fromkeys(name for each in runs for name in each.values):
        values = np.concatenate([each.values[name] for each in runs if name in each.values])
        if name == "range, KiB":
            large = values[values >= LARGE_KIB]
            found[f"{name}: share of 1 MiB and more, %"] = _share(len(large), len(values))
            found[f"{name}: bytes in these, %"] = _share(float(large.sum()), float(values.sum()))
        for label, q in QUANTILES.get(name, MEDIAN_AND_MOST):
            found[f"{name}: {label}"] = round(float(np.percentile(values, q)), 4) if len(values) else None
    return found


def _share(part: float, whole: float) -> float | None:
    return round(100.0 * part / whole, 4) if whole else None
