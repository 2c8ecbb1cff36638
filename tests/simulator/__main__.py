"""``python -m tests.simulator --worlds 10000``: the analysis against the truth of that many random worlds."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulator.worlds import BATCH, check_batch


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--worlds", type=int, default=1000, help="how many, each whole, cut and with lost events")
    parser.add_argument("--first", type=int, default=0, help="number of the first batch of 20")
    parser.add_argument("--most", type=int, default=20, help="stop after so many differences")
    options = parser.parse_args()
    began, wrong = time.monotonic(), 0
    batches = -(-options.worlds // BATCH)
    for number in range(options.first, options.first + batches):
        for problem in check_batch(number):
            say(f"batch {number}: {problem}"[:1000])
            wrong += 1
        done = number - options.first + 1
        if done % 25 == 0 or done == batches:
            say(f"{done * BATCH} worlds, {wrong} differences, {time.monotonic() - began:.0f} s")
        if wrong >= options.most:
            break
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
