"""``python -m tests.witness --calls 100000 --kernel 6.17.13``: every number of a recording against its witnesses."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.witness.comparing import (
    Finding,
    analyze_witnessed,
    compare_calls,
    compare_locks,
    compare_switches,
    disagreements,
)
from tests.witness.perf_overlay import write_perf_overlay
from tests.witness.perf_reports import compare_perf
from tests.witness.recording import run_witnessed
from tests.witness.trace_cmd import compare_trace_cmd


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.witness", description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000, help="madvise calls the program makes")
    parser.add_argument("--kernel", action="append", help="Debian kernel, may be repeated (6.16.12 and 6.17.13)")
    parser.add_argument("--perf", action="store_true", help="Debian's perf records beside it, in the guest")
    parser.add_argument("--seed", type=int, default=1, help="of sizes and pauses")
    parser.add_argument("-v", "--verbose", action="store_true", help="every number, not only sums and differences")
    asked = parser.parse_args()
    bad = 0
    for kernel in asked.kernel or ["6.16.12", "6.17.13"]:
        with tempfile.TemporaryDirectory(prefix="witness-") as folder:
            bad += check_kernel(kernel, Path(folder), asked)
    return 1 if bad else 0


def check_kernel(kernel: str, folder: Path, asked: argparse.Namespace) -> int:
    """Records on one kernel and prints the comparison; returns how many numbers disagree without a reason."""
    began = time.monotonic()
    perf = folder / "perf.cpio" if asked.perf else None
    if perf:
        write_perf_overlay(perf)
    witnessed = run_witnessed(kernel, folder, calls=asked.calls, seed=asked.seed, perf=perf)
    looked = analyze_witnessed(witnessed)
    say(f"{witnessed.release}: {asked.calls} calls, {looked.trace.source.events} events, "
          f"{looked.trace.source.lost_events} lost, {time.monotonic() - began:.0f} s")  # fmt: skip
    parts: dict[str, list[Finding]] = {
        "calls and paths, kprobes": compare_calls(witnessed, looked),
        "mmap_lock times, histograms": compare_locks(witnessed, looked),
        "switches, histogram": compare_switches(witnessed, looked),
        "trace-cmd report": compare_trace_cmd(looked, folder / "trace.dat"),
    }
    if asked.perf:
        parts["perf lock, perf sched"], shifts = compare_perf(witnessed, looked)
        for name, shift in shifts.items():
            say(f"  perf, {name}: {shift}")
    bad = 0
    for part, found in parts.items():
        wrong = disagreements(found)
        bad += len(wrong)
        explained = [f for f in found if f.explained]
        say(
            f"  {part}: {sum(f.agrees for f in found)} of {len(found)} equal, {len(explained)} explained, {len(wrong)} not"
        )
        for f in found if asked.verbose else explained:
            say(f"    {f.what}: suite {f.suite}, witness {f.witness}{'; ' if f.explained else ''}{f.explained}")
        for line in wrong:
            say(f"    DISAGREES {line}")
    return bad


if __name__ == "__main__":
    sys.exit(main())
