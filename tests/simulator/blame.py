"""``python -m tests.simulator.blame WORLDS [FIRST]``: compares chains of blame on many worlds, whole and with losses."""

from __future__ import annotations

import sys
from collections import Counter

from tests.simulator.blame_check import check_blame, check_lossy
from tests.simulator.blame_worlds import make_blame_world


def main() -> int:
    """Prints every difference, then what was compared; 1 if there is a difference."""
    worlds, first = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    counts: Counter[str] = Counter()
    wrong = 0
    for seed in range(first, first + worlds):
        kernel = make_blame_world(seed)
        for problem in (*check_blame(kernel, counts), *check_lossy(kernel, seed, counts)):
            print(f"world {seed}: {problem}", flush=True)  # noqa: T201
            wrong += 1
    print(f"{worlds} worlds, {wrong} differences; {dict(sorted(counts.items()))}")  # noqa: T201
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
