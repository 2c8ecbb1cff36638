"""Holds the C model of ART's heap against ART itself: the same scenario on both, distribution beside distribution.

    python -m benchmarks.model_against_art measure FOLDER... --as "ART 14"     numbers of runs into docs/model-against-art.json
    python -m benchmarks.model_against_art write                               docs/guest.md, from that file

Each FOLDER is a run directory that ``record`` wrote, or holds some; the runs of one scenario, profile and kernel are
taken together. The numbers of a column that is measured again are replaced, the others stay.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from android_suite.errors import SuiteError, UsageError
from android_suite.store.layout import MANIFEST
from android_suite.store.run import is_run
from benchmarks.heap_numbers import Bench, Numbers, measure_run, pool
from benchmarks.left_over import CPU_MEANWHILE, IN_LATE, IN_TIME_WITHOUT, Left, describe
from benchmarks.table import render_table

ROOT = Path(__file__).resolve().parent.parent
KEPT, PAGE = ROOT / "docs/model-against-art.json", ROOT / "docs/guest.md"
HEADING = "## The model against ART"
LATE = ": why frames are late"
ART = "ART 14"  # the column that the others are held against
# What is kept: scenario and profile -> kernel -> column -> quantity -> value; and column -> its conditions.
Kept = dict[str, dict[str, dict[str, dict[str, float | None]]]]


def find_runs(folders: Iterable[Path]) -> list[Path]:
    """The run directories among the folders and anywhere in them, by name.

    Raises:
        UsageError: a folder is none and holds none.
    """
    found = []
    for folder in folders:
        inside = sorted(path.parent for path in folder.rglob(MANIFEST) if is_run(path.parent))
        if not inside:
            raise UsageError(f"{folder} holds no run directory; give folders that `android-suite record -o` wrote.")
        found += inside
    return found


def measure_column(kept: Kept, column: str, runs: Sequence[Path]) -> None:
    """Puts the numbers of the runs into ``kept`` as the column of that name."""
    groups: dict[Bench, list[Numbers]] = {}
    late: dict[Bench, Left] = {}
    for path in runs:
        print(f"reading {path}", file=sys.stderr)
        for bench, numbers, left in measure_run(path):
            groups.setdefault(bench, []).append(numbers)
            if left:
                late.setdefault(bench, Left()).add(left)
    for bench, all_numbers in groups.items():
        kept.setdefault(bench.name, {}).setdefault(bench.kernel, {})[column] = pool(all_numbers)
    for bench, left in late.items():
        kept.setdefault(f"{bench.name}{LATE}", {}).setdefault(bench.kernel, {})[column] = describe(left)


def render_section(kept: Kept) -> str:
    """The section of docs/guest.md: one table a scenario and profile, the kernels side by side in it."""
    parts = [HEADING, _ABOUT]
    for bench in sorted(kept):
        parts += [f"### {bench}", *_tell_late(kept[bench]), _render_bench(kept[bench])]
    return "\n\n".join(parts) + "\n"


def _tell_late(kernels: Mapping[str, Mapping[str, Mapping[str, float | None]]]) -> list[str]:
    """What is left with the newest kernel on ART, in words, where the bench is about that."""
    kernel = max(kernels)
    told = kernels[kernel].get(ART, {})
    if "late frames" not in told:
        return []
    spent = [(name.split(": ")[1], ms or 0.0) for name, ms in told.items() if name.startswith(IN_LATE)]
    cpu = [(name.split(": ")[1], ms or 0.0) for name, ms in told.items() if name.startswith(CPU_MEANWHILE)]
    spared = [(name.split(": ")[1], count) for name, count in told.items() if name.startswith(IN_TIME_WITHOUT)]
    late = f"{_count(told['late frames'])} of {_count(told['frames'])} frames are late"
    spends = _join(f"{ms:.1f} ms {what}" for what, ms in spent)
    sentences = [f"On {kernel} with {ART}, {late}. In such a frame the UI thread spends {spends}."]
    if cpu:
        sentences.append(
            f"While it waits for the CPU, that is with {_join(f'{who} for {ms:.1f} ms' for who, ms in cpu[:3])}."
        )
    sentences += [f"{_count(count)} of them would be in time without the time {what}." for what, count in spared]
    behind = told.get("ms a run behind others") or 0.0
    longest = told.get("longest such wait, ms") or 0.0
    sentences.append(
        f"For mmap_lock and locks of VMAs it waits {behind:.1f} ms a run behind others, at most {longest:.1f} ms at a time."
        if behind
        else "It waits behind nobody for mmap_lock or the lock of a VMA, in late frames or in others."
    )
    return [textwrap.fill(" ".join(sentences), 118, break_on_hyphens=False)]


def _count(value: float | None) -> str:
    return f"{value or 0:.0f}"


def _join(parts: Iterable[str]) -> str:
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last


_ABOUT = """\
Written by `python -m benchmarks.model_against_art write`. The same scenario on both heaps, deterministic (arm64, one
CPU, virtual time), events as in any recording; numbers of the 6 s of stress, the seeds taken together. *before* is the
model as it was until it was held against ART: sizes of ranges drawn from a list, and in `inversion` two ranges of
16 MiB freed without rest. In `steady` the UI thread allocates, too, and sleeps until the end of a collection when the
heap is full. A cold launch on ART starts a runtime first, in 0.4 s."""


def _render_bench(kernels: Mapping[str, Mapping[str, Mapping[str, float | None]]]) -> str:
    columns = [(kernel, column) for kernel in sorted(kernels) for column in sorted(kernels[kernel])]
    quantities = dict.fromkeys(q for kernel, column in columns for q in kernels[kernel][column])
    rows = [
        (quantity, *(_show(kernels[kernel][column].get(quantity)) for kernel, column in columns))
        for quantity in quantities
    ]
    return render_table(("", *(f"{kernel} {column}" for kernel, column in columns)), rows)


def _show(value: float | None) -> str:
    """Three digits, as many as a comparison of distributions bears."""
    if value is None:
        return ""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}"


def replace_section(page: str, section: str) -> str:
    """The page with that section in place of the one of the same heading; at its end if there is none."""
    before, found, rest = page.partition(HEADING + "\n")
    if not found:
        return page.rstrip("\n") + "\n\n" + section
    _, heading, after = rest.partition("\n## ")
    return before + section + (f"\n## {after}" if heading else "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one of the two commands of the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.model_against_art", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    measure = verbs.add_parser("measure", help="numbers of runs into docs/model-against-art.json")
    measure.add_argument("folders", nargs="+", type=Path, help="run directories, or folders of them")
    measure.add_argument("--as", dest="column", required=True, help="name of the column, such as 'ART 14'")
    measure.add_argument("--into", type=Path, default=KEPT, help="file to write (default %(default)s)")
    write = verbs.add_parser("write", help="the section of docs/guest.md")
    write.add_argument("--from", dest="kept", type=Path, default=KEPT)
    write.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args(arguments)
    try:
        if options.verb == "measure":
            kept: Kept = json.loads(options.into.read_text()) if options.into.is_file() else {}
            measure_column(kept, options.column, find_runs(options.folders))
            options.into.write_text(json.dumps(kept, indent=1) + "\n")
        else:
            section = render_section(json.loads(options.kept.read_text()))
            options.page.write_text(replace_section(options.page.read_text(), section))
    except SuiteError as error:
        print(f"model_against_art: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
