"""Counts false alarms on real recordings: each kernel's boots against other boots of the same kernel.

    .venv/bin/python -m benchmarks.aa_splits OUT [--splits 20]

OUT is the folder of a finished `qualify`. The boots of one kernel are split at random into two halves that are compared
as if they were two kernels. They differ only by chance, so every BETTER and every WORSE is a false alarm.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter, defaultdict
from pathlib import Path

from android_suite.analyze import RunAnalysis, load_run
from android_suite.compare import compare_runs
from android_suite.compare.analyzed import make_run_set


def read_boots(out: Path) -> dict[str, list[list[RunAnalysis]]]:
    """Runs by label, grouped by boot (a deterministic boot has one run per scenario)."""
    boots: dict[str, dict[int, list[RunAnalysis]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted((out / "jobs").iterdir()):
        analysis = load_run(path)
        seed = analysis.run.manifest.iterations[0].seed or 0
        boots[analysis.run.manifest.label][seed].append(analysis)
    return {label: list(by_seed.values()) for label, by_seed in boots.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--splits", type=int, default=20, help="splits per kernel (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    print(
        f"{'kernel':<16} {'comparisons':>11} {'boots':>7} {'BETTER':>7} {'WORSE':>7} {'SAME':>7} {'UNDECIDED':>9} {'alarmed':>8}"
    )
    for label, boots in read_boots(arguments.out).items():
        verdicts: Counter[str] = Counter()
        alarmed = 0
        half = len(boots) // 2
        for number in range(arguments.splits):
            dealt = draw.sample(boots, 2 * half)
            sides = (make_run_set([run for boot in part for run in boot]) for part in (dealt[:half], dealt[half:]))
            found = Counter(metric.verdict.value for metric in compare_runs(*sides, seed=number).metrics)
            verdicts.update(found)
            alarmed += bool(found["BETTER"] + found["WORSE"])
        counts = " ".join(f"{verdicts[name]:>7}" for name in ("BETTER", "WORSE", "SAME"))
        print(
            f"{label:<16} {arguments.splits:>11} {half:>3}+{half:<3} {counts} {verdicts['UNDECIDED']:>9} {alarmed:>8}"
        )


if __name__ == "__main__":
    main()
