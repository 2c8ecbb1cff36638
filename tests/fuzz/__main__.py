"""All fuzzing from one command.

    python -m tests.fuzz --reader all --cases 200000 --jobs 2 [--seed 1] [--first 0] [--only 4711]

A case depends on the seed and its number alone, so what one run finds another repeats with ``--only``, and a long run may be
cut into slices with ``--first``. ``NUMBA_BOUNDSCHECK=1`` makes the compiled loops check their indexes. Exit code 1: something
was neither decoded nor refused as it should be; the case to repeat is printed.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.fuzz.engine import CASE_SECONDS, MEMORY_BYTES
from tests.fuzz.lies import count_drawn
from tests.fuzz.run import READERS, fuzz

_SHOWN = 20


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reader", choices=("all", *READERS), default="all")
    parser.add_argument("--cases", type=int, default=1000, help="of each reader")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", type=int, help="repeat one case")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args()
    first, count = (options.first, options.cases) if options.only is None else (options.only, 1)
    sys.stdout.write(f"bounds: {CASE_SECONDS} s of processor time a case, {MEMORY_BYTES >> 20} MiB\n")
    failed = False
    for name in READERS if options.reader == "all" else (options.reader,):
        start = time.monotonic()
        tally = fuzz(name, range(first, first + count), options.seed, options.jobs)
        sys.stdout.write(
            f"{name}: seed {options.seed}, cases {first} to {first + tally.cases - 1}: {tally.decoded} decoded, "
            f"{tally.refused} refused, {len(tally.violations)} wrong; slowest {tally.slowest[0]:.2f} s "
            f"(case {tally.slowest[1]}), peak {tally.peak_bytes >> 20} MiB more, {time.monotonic() - start:.0f} s "
            f"({tally.cpu_seconds:.0f} s of processor time)\n  drawn: {count_drawn(tally.drawn)}\n"
        )
        for violation in tally.violations[:_SHOWN]:
            sys.stdout.write(f"  WRONG {violation}\n")
        sys.stdout.flush()
        failed |= bool(tally.violations)
    return failed


if __name__ == "__main__":
    sys.exit(main())
