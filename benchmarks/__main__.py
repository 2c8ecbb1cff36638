"""Measures throughput and memory of every reader and of the whole analyze on generated traces, beside other programs.

    python -m benchmarks                              1 M and 10 M events, a table on the terminal
    python -m benchmarks --full                       also 50 M (13 GB of disk)
    python -m benchmarks --peers                      also trappy and LISA, installed in environments of their own
    python -m benchmarks --write docs/benchmarks.md   the same into the docs

ANDROID_SUITE_BENCH_DIR names a folder to keep the generated traces in; TRACE_PROCESSOR_SHELL a trace_processor_shell to
run as a peer.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from android_suite.errors import EvidenceError, SuiteError, UsageError
from benchmarks.measured import Measured, Run, describe_conditions
from benchmarks.peers import Yardstick, find_peers, find_yardstick, measure_peer
from benchmarks.table import LABELS, render_results

_STEPS = tuple(LABELS)
_WARM_EVENTS = 20_000
_FORMAT = {"raw": "raw", "analyze": "raw", "dat": "dat", "text": "text", "perfetto": "perfetto"}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="1M,10M", help="events, e.g. 20k,1M (default %(default)s)")
    parser.add_argument("--full", action="store_true", help="also 50M")
    parser.add_argument("--steps", default=",".join(_STEPS), help="what to measure (default %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="processes per measurement (default %(default)s)")
    parser.add_argument("--no-first-use", action="store_true", help="do not measure the cost of compiling everything")
    parser.add_argument("--no-peers", action="store_true", help="run no other program")
    parser.add_argument("--peers", action="store_true", help="install and run trappy and LISA too")
    parser.add_argument("--write", type=Path, metavar="FILE", help="also write the page to FILE")
    options = parser.parse_args(arguments)
    try:
        page = run_benchmarks(options)
    except SuiteError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return error.exit_code
    print(page)
    if options.write:
        options.write.write_text(page)
    return 0


def run_benchmarks(options: argparse.Namespace) -> str:
    """Generates, measures, renders.

    Raises:
        UsageError: a size or a step does not exist.
        EvidenceError: two readers disagree on the same events.
        SuiteError: a process failed.
    """
    sizes = parse_sizes(options.sizes + (",50M" if options.full else ""))
    steps = [step.strip() for step in options.steps.split(",")]
    if unknown := [step for step in steps if step not in _STEPS]:
        raise UsageError(f"--steps: there is no {', '.join(unknown)}; choose among {', '.join(_STEPS)}.")
    if options.runs < 1:
        raise UsageError("--runs: give 1 or more.")
    conditions = describe_conditions()
    kept = os.environ.get("ANDROID_SUITE_BENCH_DIR")
    place = Path(kept) if kept else Path(tempfile.mkdtemp(prefix="android-suite-bench-"))
    try:
        warm = place / "warm"
        _generate(warm, _WARM_EVENTS, steps)
        cache = None if options.no_first_use else place / "compiled"  # all later runs use this code
        if cache:
            shutil.rmtree(cache, ignore_errors=True)
        first = {step: _first_use(step, warm, cache) for step in steps} if cache else {}
        measured: list[Measured] = []
        peers: list[Measured] = []
        notes: list[str] = []
        yard: Yardstick | None = None
        for size in sizes:
            folder = place / f"{size}"
            first_size = size == sizes[0] and not options.no_peers
            events = _generate(folder, size, [*steps, "dat"] if first_size else steps)
            if first_size:
                yard = find_yardstick(folder / "trace.dat", events, place / "yardstick")
            found = [_measure(step, folder, warm, options.runs, cache, yard) for step in steps]
            _check(found, events)
            measured += found
            if first_size:
                peers, notes = _measure_peers(folder, events, options, place)
            if not kept:
                shutil.rmtree(folder)
    finally:
        if not kept:
            shutil.rmtree(place, ignore_errors=True)
    return render_results(conditions=conditions, measured=measured, peers=peers, compile_s=first, notes=notes)


def parse_sizes(text: str) -> list[int]:
    """``20k,1M`` as numbers, ascending.

    Raises:
        UsageError: it is not such a list.
    """
    sizes = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,9})([kM]?)", part.strip())
        if match is None or not int(match[1]):
            raise UsageError(f"--sizes: {part!r} is not a number of events; write 20k, 1M or 50M.")
        sizes.add(int(match[1]) * {"": 1, "k": 1000, "M": 1_000_000}[match[2]])
    return sorted(sizes)


def _generate(folder: Path, size: int, steps: Sequence[str]) -> int:
    """Generates the traces unless an earlier run kept them; returns the number of events."""
    formats = sorted({_FORMAT[step] for step in steps})
    made = folder / "made.json"
    if made.exists():
        about = json.loads(made.read_text())
        if set(formats) <= set(about["formats"]):
            return int(about["events"])
    _say(f"generating {size:,} events as {', '.join(formats)}")
    events = int(_python("benchmarks.generate", str(folder), str(size), *formats))
    made.write_text(json.dumps({"events": events, "formats": formats}))
    return events


def _measure(step: str, folder: Path, warm: Path, runs: int, cache: Path | None, yard: Yardstick | None) -> Measured:
    done: list[Run] = []
    told: dict[str, Any] = {}
    for number in range(runs):
        yard_s = yard.measure() if yard else None
        told = json.loads(_python("benchmarks.child", step, str(folder), str(warm), cache=cache))
        done.append(Run(wall_s=told["wall_s"], cpu_s=told["cpu_s"], peak_bytes=told["peak_bytes"], yard_s=yard_s))
        rate = told["events"] / told["wall_s"] / 1e6
        _say(
            f"{step}, run {number + 1}: {told['wall_s']:.2f} s, {rate:.2f} M events/s, {told['peak_bytes'] / 1e9:.2f} GB"
        )
    return Measured(
        step=step, events=told["events"], runs=done, rows=told["rows"], started_bytes=told["started_bytes"],
        warm_s=told["warm_s"], told={k: told[k] for k in ("decode_s",) if k in told},
    )  # fmt: skip


def _first_use(step: str, warm: Path, cache: Path) -> float:
    """Seconds of the first call, with nothing compiled but what the steps before it also needed."""
    told = json.loads(_python("benchmarks.child", step, str(warm), str(warm), cache=cache))
    _say(f"{step}, first use: {told['warm_s']:.1f} s")
    return float(told["warm_s"])


def _check(found: Sequence[Measured], events: int) -> None:
    """Checks that all readers saw the same events.

    Raises:
        EvidenceError: they did not, so their speeds cannot be compared.
    """
    for one in found:
        if one.events != events or one.rows != found[0].rows:
            raise EvidenceError(
                f"{one.step}: {one.events} of {events} events and rows {dict(one.rows)}, where {found[0].step} gave "
                f"{dict(found[0].rows)}; keep the files with ANDROID_SUITE_BENCH_DIR and compare."
            )


def _measure_peers(
    folder: Path, events: int, options: argparse.Namespace, place: Path
) -> tuple[list[Measured], list[str]]:
    peers, notes = find_peers(place / "peers" if options.peers else None)
    measured = []
    for peer in peers:
        if not (folder / peer.file).exists():
            continue
        _say(f"peer: {peer.name}")
        result = measure_peer(peer, folder, events, min(options.runs, 2))
        if isinstance(result, str):
            notes.append(result)
        else:
            measured.append(result)
    return measured, notes


def _python(module: str, *arguments: str, cache: Path | None = None) -> str:
    """Output of a module of this package in a process of its own."""
    environment: Mapping[str, str] = {**os.environ, **({"ANDROID_SUITE_COMPILED": str(cache)} if cache else {})}
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True, check=False, env=environment
    )
    if done.returncode:
        raise SuiteError(f"python -m {module} {' '.join(arguments)} ended with {done.returncode}; see above.")
    return done.stdout


def _say(text: str) -> None:
    print(f"benchmarks: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
