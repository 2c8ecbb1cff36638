"""``python -m tests.simulator --worlds 10000``: the analysis against the truth of that many random worlds.

Each world is checked whole, cut and with lost events, through tables and through a file of the format that its batch draws.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.simulator.recording import FORMATS
from tests.simulator.worlds import BATCH, check_batch

_SHAPES = ("whole", "cut", "lossy")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run_batch(number: int) -> tuple[int, list[str], Counter[str]]:
    """Number, differences and counts of one batch."""
    counts: Counter[str] = Counter()
    return number, [*check_batch(number, counts)], counts


def run_batches(numbers: range, jobs: int) -> Iterator[tuple[int, list[str], Counter[str]]]:
    """The batches in their order, in ``jobs`` processes."""
    if jobs == 1:
        yield from map(run_batch, numbers)
        return
    with ProcessPoolExecutor(jobs) as pool:
        try:
            yield from pool.map(run_batch, numbers)
        finally:
            pool.shutdown(cancel_futures=True)


def render_summary(counts: Counter[str], wrong: int, seconds: float) -> list[str]:
    """What was checked, as lines."""
    lines = [f"{counts['tables whole']} worlds in {seconds:.0f} s, {wrong} differences"]
    lines.append(f"{'form':<12}" + "".join(f"{shape:>9}" for shape in _SHAPES))
    for form in ("tables", *FORMATS):
        lines += [f"{form:<12}" + "".join(f"{counts[f'{form} {shape}']:>9}" for shape in _SHAPES)]
    blamed = counts["direct"] + counts["chained"]
    lines.append(
        f"checked: {counts['waits']} waits for mmap_lock, {counts['vma waits']} for a VMA, {counts['holds']} holds, "
        f"{counts['blockers']} stretches of who waited for whom, {blamed} inversions with who is blamed and for what "
        f"({counts['direct']} direct, {counts['chained']} chained), {counts['intruders']} intruders, "
        f"{counts['madvise']} madvise calls, {counts['states']} stretches of thread states"
    )
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--worlds", type=int, default=1000, help="how many, each whole, cut and with lost events")
    parser.add_argument("--first", type=int, default=0, help=f"number of the first batch of {BATCH}")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--most", type=int, default=20, help="stop after so many differences")
    options = parser.parse_args()
    began, wrong, counts = time.monotonic(), 0, Counter[str]()
    batches = -(-options.worlds // BATCH)
    for number, problems, own in run_batches(range(options.first, options.first + batches), options.jobs):
        for problem in problems[: max(options.most - wrong, 1)]:
            say(f"batch {number}: {problem}"[:1000])
        wrong += len(problems)
        counts += own
        done = number - options.first + 1
        if done % 10 == 0:
            say(f"{done * BATCH} worlds, {wrong} differences, {time.monotonic() - began:.0f} s")
        if wrong >= options.most:
            break
    for line in render_summary(counts, wrong, time.monotonic() - began):
        say(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
