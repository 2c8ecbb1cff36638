"""Makes one measurement and prints it as JSON: ``python -m benchmarks.child STEP FOLDER WARM_FOLDER``.

The step first runs on a small trace, so that the measurement has the work itself, without imports and compilation.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path

from android_suite.analysis.pipeline import analyze_trace
from android_suite.tables.trace import Trace
from android_suite.trace.dat.reader import read_trace_dat
from android_suite.trace.perfetto.reader import read_perfetto
from android_suite.trace.ring.capture_folder import read_raw_capture
from android_suite.trace.text.reader import read_text

Found = tuple[int, dict[str, int], dict[str, float]]  # events, rows of each table of events, other results
FILES = {"raw": "raw", "dat": "trace.dat", "text": "trace.txt", "perfetto": "trace.perfetto", "analyze": "raw"}


def _reads(read: Callable[[Path], Trace]) -> Callable[[Path], Found]:
    return lambda path: (*_count(read(path)), {})


def _count(trace: Trace) -> tuple[int, dict[str, int]]:
    rows = {name: len(frame) for name, frame in trace.tables.items() if len(frame) and "seq" in frame}
    return trace.source.events, rows


def _analyze(path: Path) -> Found:
    start = time.perf_counter()
    trace = read_raw_capture(path)
    decoded = time.perf_counter()
    events, rows = _count(trace)
    kept = [trace]
    del trace
    analysis = analyze_trace(kept.pop())  # the only reference, so that the analysis can free what it has used
    return (
        events,
        rows,
        {
            "decode_s": decoded - start,
            "inversions": len(analysis["inversions"]),
            "madvise": len(analysis["madvise"]),
            "lock_waits": len(analysis["lock_waits"]),
        },
    )


STEPS: dict[str, Callable[[Path], Found]] = {
    "raw": _reads(read_raw_capture),
    "dat": _reads(read_trace_dat),
    "text": _reads(read_text),
    "perfetto": _reads(read_perfetto),
    "analyze": _analyze,
}


def measure_step(step: str, folder: Path, warm: Path) -> dict[str, object]:
    """Runs and measures a step on the trace in ``folder``.

    Args:
        step: a name in STEPS.
        folder: a folder as benchmarks.generate writes it.
        warm: another such folder, with a small trace.

    Returns:
        events, rows of each table of events, wall_s, cpu_s, peak_bytes (the process's high-water mark), started_bytes,
        warm_s, and the other results of the step.
    """
    run, file = STEPS[step], FILES[step]
    begin = time.perf_counter()
    run(warm / file)
    warm_s = time.perf_counter() - begin
    started = _status_bytes("VmRSS")
    before, begin = _cpu_s(), time.perf_counter()
    events, rows, told = run(folder / file)
    wall, cpu = time.perf_counter() - begin, _cpu_s() - before
    return {
        "events": events,
        "rows": rows,
        "wall_s": wall,
        "cpu_s": cpu,
        "peak_bytes": _status_bytes("VmHWM"),
        "started_bytes": started,
        "warm_s": warm_s,
        **told,
    }


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _status_bytes(name: str) -> int:
    """A size from the process's own status, in bytes; getrusage would include the parent's memory before exec."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.child", description=__doc__)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("warm", type=Path)
    options = parser.parse_args()
    print(json.dumps(measure_step(options.step, options.folder, options.warm)))


if __name__ == "__main__":
    main()
