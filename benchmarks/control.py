"""Positive control: plants a delay of known size inside the lock of madvise, and measures whether the suite finds it.

    python -m benchmarks.control FOLDER                             both kernels of the demo, every profile of gc_stress
    python -m benchmarks.control FOLDER --kernel 6.17.13 --profile steady --delay-us 20
    python -m benchmarks.control FOLDER --write docs/control.md     the same into the docs

No kernel is built: a BPF program on a kprobe busy-waits inside the function that frees the pages, under the lock, on a
stock kernel (native/plant_delay.c). Each pair of boots is in virtual time and has the probe; in one it waits for
0 ns. The program counts what it planted by the kernel's own clock, and knows nothing of the trace. Recordings are kept in
FOLDER, and used again.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from android_suite.analyze import load_run
from android_suite.capture.registry import SOURCES
from android_suite.capture.source import GUEST_FOLDER, GuestSteps, Request, Site, Source
from android_suite.config import read_config
from android_suite.device.native_program import build_native
from android_suite.errors import EvidenceError, SuiteError, UsageError
from android_suite.record.run import record_run
from android_suite.record.sealed import record_deterministic
from android_suite.store.run import open_run
from android_suite.tables.derived import PATHS, ROLES, STATES
from android_suite.workload.gc_stress import PROFILES

KERNELS = ("6.16.12", "6.17.13")  # madvise under mmap_lock, and under the lock of the VMA
SOURCE = Path(__file__).parent / "native" / "plant_delay.c"
# The function that frees the pages, by its names in newer and older kernels.
FUNCTIONS = ("zap_vma_range_batched", "zap_page_range_single_batched", "zap_page_range_single")
THREAD = "HeapTaskDaemon"
TOLERANCE = 0.05
FEWEST = 20  # calls on each side
_DONTNEED = 4
_PLANTED = re.compile(r"^planted (\d+) calls (\d+) ns$", re.MULTILINE)

PAGE = """\
# Positive control: a planted delay is found with its size

Written by `python -m benchmarks.control FOLDER --write docs/control.md`. A bench that can find nothing proves nothing:
here {delay_us:g} µs are planted into each `madvise(MADV_DONTNEED)` of {thread}, inside the lock, and the suite has to
find them in its trace. `planted` is the mean that the planting program itself measured, by the kernel's clock; `found`
is the median time for which the lock was held on a CPU, with the delay minus without. Virtual time, one boot a side,
seed {seed}, {duration_ms} ms of stress. {held} of {count} rows are within {tolerance:.0%}.

{table}

For mmap_lock the hold is the one of the lock's own events. The lock of a VMA has no events: there it is the call of
madvise, which holds it nearly all the time. The delay is planted by a BPF program on a kprobe
(`benchmarks/native/plant_delay.c`), and the side without has the same probe, which then waits for 0 ns.
"""


@dataclass(frozen=True, slots=True)
class Planter:
    """A source of evidence that plants the delay while the others record."""

    delay_ns: int

    def for_host(self, request: Request, site: Site) -> Source | None:
        """Only guests that run alone are planted."""
        return None

    def for_guest(self, request: Request, machine: str) -> GuestSteps | None:
        """Starts the program before the scenario and ends it after."""
        program = f"{GUEST_FOLDER}/plant_delay"
        return GuestSteps(
            start=(
                f"{program} {self.delay_ns} {THREAD} {' '.join(FUNCTIONS)} > $out/planted.txt 2>&1 < /dev/null &\n"
                "planter=$!\nwhile kill -0 $planter 2> /dev/null && ! grep -q ready $out/planted.txt; do sleep 0.01; done"
            ),
            stop="kill $planter 2> /dev/null\nwait $planter",
            files={program: build_native(SOURCE, machine, cache=request.cache)},
            keep={"planted.txt": "planted.txt"},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One boot: how long each call held its lock on a CPU, in ns; what the planter says it planted."""

    path: str
    held_ns: NDArray[np.float64]
    planted_calls: int
    planted_ns: int

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The boot recorded in ``folder``.

        Raises:
            EvidenceError: nothing was planted, or too few calls were recorded.
        """
        run = load_run(folder).run
        [record] = run.manifest.iterations
        told = run.raw(record) / "planted.txt"
        text = told.read_text(errors="replace") if told.exists() else ""
        found = _PLANTED.search(text)
        if record.status != "complete" or found is None:
            raise EvidenceError(
                f"{folder.name}: nothing was planted ({text.strip() or record.reason}); see its raw folder."
            )
        path, held = measure_holds(run.derived(record))
        if len(held) < FEWEST:
            raise EvidenceError(f"{folder.name}: only {len(held)} calls of {THREAD}; raise --duration-ms.")
        return cls(path=path, held_ns=held, planted_calls=int(found[1]), planted_ns=int(found[2]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was planted into one profile on one kernel, and what was found."""

    kernel: str
    profile: str
    without: Side
    planted: Side

    @property
    def expected_ns(self) -> float:
        """Mean delay of a call, as the planter measured it, less what it measures of itself without a delay."""
        one, other = self.without, self.planted
        return other.planted_ns / max(other.planted_calls, 1) - one.planted_ns / max(one.planted_calls, 1)

    @property
    def found_ns(self) -> float:
        """How much longer a call held its lock, in the median."""
        return float(np.median(self.planted.held_ns) - np.median(self.without.held_ns))

    @property
    def error(self) -> float:
        """Relative to what was planted."""
        return self.found_ns / self.expected_ns - 1.0

    @property
    def holds(self) -> bool:
        """Whether it was found with its size."""
        return abs(self.error) <= TOLERANCE


def measure_holds(derived: Path) -> tuple[str, NDArray[np.float64]]:
    """How long each MADV_DONTNEED of the collector held its lock while it ran, and which lock most of them took."""
    madvise, holds, states, roles = (
        pd.read_parquet(derived / f"{name}.parquet")
        for name in ("madvise", "lock_holds", "thread_states", "thread_roles")
    )
    threads = roles.loc[(roles["role"] == ROLES.index("gc")) & (roles["comm"] == THREAD), "tid"]
    calls = madvise[madvise["tid"].isin(threads) & (madvise["advice"] == _DONTNEED) & (madvise["ret"] == 0)]
    if not len(calls):
        return "none", np.empty(0)
    path = int(calls["path"].mode().iloc[0])
    calls = calls[calls["path"] == path]
    if PATHS[path] == "mmap_lock":
        calls = holds[holds["call"].isin(calls["call"]) & holds["tid"].isin(threads) & ~holds["write"]]
    held = np.empty(len(calls))
    for tid in calls["tid"].unique():
        own = (calls["tid"] == tid).to_numpy()
        ran = states[(states["tid"] == tid) & (states["state"] == STATES.index("running"))]
        edges = np.column_stack([ran["start_ns"], ran["end_ns"]]).ravel()
        total = np.repeat(np.cumsum(ran["end_ns"] - ran["start_ns"]), 2)
        total[0::2] -= (ran["end_ns"] - ran["start_ns"]).to_numpy()
        start, end = (np.interp(calls.loc[own, name], edges, total) for name in ("start_ns", "end_ns"))
        held[own] = end - start
    return PATHS[path], held


def record_side(folder: Path, *, kernel: str, profile: str, delay_ns: int, seed: int, duration_ms: int) -> Path:
    """Records one boot, unless the folder has it already."""
    final = folder / f"{kernel}-{profile}-{delay_ns}ns-{duration_ms}ms-seed{seed}"
    if (final / "manifest.json").exists():
        return final
    print(f"recording {final.name}", file=sys.stderr, flush=True)
    config = read_config(env=os.environ, folder=Path.cwd())
    work = partial(
        record_deterministic,
        ["gc_stress"],
        config=config,
        kernel=kernel,
        seed=seed,
        parameters={"profile": profile, "duration_ms": duration_ms},
        sources=(Planter(delay_ns), *SOURCES),
    )
    partial_folder = folder / "partial" / f"{final.name}-{os.getpid()}"
    record_run(partial_folder, lambda run: work(run=run), label=f"{delay_ns} ns", mode="deterministic")
    partial_folder.rename(final)
    return open_run(final).path


def find_planted(
    folder: Path, *, kernel: str, profile: str, delay_ns: int, seed: int = 1, duration_ms: int = 1000
) -> Finding:
    """Records a pair of boots, without the delay and with it, and measures both.

    Raises:
        EvidenceError: nothing was planted, or too little was recorded to tell.
        SuiteError: recording failed.
    """
    sides = [
        Side.read(
            record_side(folder, kernel=kernel, profile=profile, delay_ns=delay, seed=seed, duration_ms=duration_ms)
        )
        for delay in (0, delay_ns)
    ]
    return Finding(kernel=kernel, profile=profile, without=sides[0], planted=sides[1])


def render_findings(findings: Sequence[Finding]) -> str:
    """A Markdown table."""
    rows = [
        f"| {f.kernel} | {f.planted.path} | {f.profile} | {len(f.planted.held_ns)} | "
        f"{np.median(f.without.held_ns) / 1000:.2f} | {f.expected_ns / 1000:.2f} | {f.found_ns / 1000:.2f} | "
        f"{f.error:+.1%} | {'found' if f.holds else 'NOT FOUND'} |"
        for f in findings
    ]
    head = "| kernel | lock | profile | calls | held without, µs | planted, µs | found, µs | error | |\n"
    return head + "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | --- |\n" + "\n".join(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code: 0 where all was found, 1 where something was not."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.control", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where recordings are kept")
    parser.add_argument("--kernel", action="append", help=f"kernel (default: {', '.join(KERNELS)})")
    parser.add_argument("--profile", action="append", choices=PROFILES, help="profile of gc_stress (default: all)")
    parser.add_argument("--delay-us", type=float, default=50.0, help="delay in each call (default %(default)s)")
    parser.add_argument("--duration-ms", type=int, default=1000, help="virtual time of stress (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path, metavar="FILE", help="also write the page to FILE")
    options = parser.parse_args(arguments)
    findings = []
    try:
        if not 1 <= options.delay_us <= 400:
            raise UsageError(f"--delay-us is {options.delay_us:g}; choose 1 to 400.")
        for kernel in options.kernel or KERNELS:
            for profile in options.profile or PROFILES:
                found = find_planted(
                    options.folder,
                    kernel=kernel,
                    profile=profile,
                    delay_ns=round(options.delay_us * 1000),
                    seed=options.seed,
                    duration_ms=options.duration_ms,
                )
                findings.append(found)
                print(render_findings([found]).splitlines()[-1], flush=True)
    except SuiteError as error:
        print(f"control: {error}", file=sys.stderr)
        return error.exit_code
    table = render_findings(findings)
    print(f"\n{table}")
    if options.write:
        page = PAGE.format(
            table=table, delay_us=options.delay_us, thread=THREAD, seed=options.seed, duration_ms=options.duration_ms,
            held=sum(f.holds for f in findings), count=len(findings), tolerance=TOLERANCE,
        )  # fmt: skip
        options.write.write_text(page)
    return 0 if all(found.holds for found in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
