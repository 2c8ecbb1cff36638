"""Measurements and their conditions. Imports nothing heavy, so that the process that starts the others stays small."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One process.

    Attributes:
        wall_s: wall time of the work alone; for a peer, of the whole process.
        cpu_s: user and system time of the same.
        peak_bytes: high-water mark of resident memory, interpreter and libraries included.
        yard_s: CPU time per event of the yardstick (see peers.Yardstick) just before; None: not measured.
    """

    wall_s: float
    cpu_s: float
    peak_bytes: int
    yard_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """All runs of a step on a trace of one size.

    Attributes:
        step: name of the step or the peer.
        events: in the trace.
        runs: at least one.
        rows: rows of each table, where the step makes tables.
        started_bytes: resident before the work.
        warm_s: the first call of the process, on a small trace: loads compiled code.
        told: other results of the step from its last run.
    """

    step: str
    events: int
    runs: Sequence[Run]
    rows: Mapping[str, int] = field(default_factory=dict)
    started_bytes: int = 0
    warm_s: float = 0.0
    told: Mapping[str, float] = field(default_factory=dict)

    @property
    def wall_s(self) -> float:
        """The median."""
        return statistics.median(run.wall_s for run in self.runs)

    @property
    def best_s(self) -> float:
        return min(run.wall_s for run in self.runs)

    @property
    def cpu_s(self) -> float:
        """The median."""
        return statistics.median(run.cpu_s for run in self.runs)

    @property
    def times_yard(self) -> float | None:
        """How many times as fast as the yardstick, by CPU time per event: the median of the runs."""
        times = [run.yard_s * self.events / run.cpu_s for run in self.runs if run.yard_s and run.cpu_s]
        return statistics.median(times) if times else None

    @property
    def peak_bytes(self) -> int:
        """The highest."""
        return max(run.peak_bytes for run in self.runs)


def describe_conditions() -> list[tuple[str, str]]:
    """The machine, how busy it is now, and the versions of what does the work."""
    packages = ("numpy", "pandas", "pyarrow", "numba", "protobuf", "android-suite")
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    return [
        ("CPU", f"{_cpu_model()}, {os.cpu_count()} cores"),
        ("memory", f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB"),
        ("load at the start", f"{load} (1, 5, 15 minutes)"),
        ("kernel", platform.release()),
        ("Python", platform.python_version()),
        *((name, metadata.version(name)) for name in packages),
    ]


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
